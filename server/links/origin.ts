/** Which web pages may open links, by their Origin header (RFC 6454); undefined: not a browser. */
export type OriginRule = (origin: string | undefined) => boolean;

export const anyOrigin: OriginRule = () => true;

/**
 * Pages of this machine only. A service without authentication listens on loopback, where every
 * page in a browser of this machine can reach it: without this rule any web site could act as
 * anybody. [AUT-6]
 */
export const loopbackOrigins: OriginRule = (origin) => {
  if (origin === undefined) return true;
  try {
    const { hostname } = new URL(origin);
    return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
  } catch {
    return false;
  }
};
