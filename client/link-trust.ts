import type { RaceResult } from "./race.ts";

const TLS = new Set(["tls:", "wss:", "https:"]);

/**
 * Whether a token may leave on a link: TLS, within this machine, or sealed to a pinned service. On
 * any other one somebody in between could take it. [ENV-32]
 */
export function mayCarryToken({ dialer, link }: RaceResult): boolean {
  if (link.trust === "pinned") return true;
  if (!URL.canParse(dialer.address)) return false;
  const url = new URL(dialer.address);
  return TLS.has(url.protocol) || isLoopback(url.hostname);
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}
