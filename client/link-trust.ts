import type { Credential } from "../protocol/session/welcome.ts";
import type { ClientOptions } from "./options.ts";
import type { RaceResult } from "./race.ts";

const TLS = new Set(["tls:", "wss:", "https:"]);

/**
 * Whether a token may leave on a link: TLS, sealed to a pinned service, or in the clear within this
 * machine. On any other one somebody in between could take it; a link that is sealed and not pinned
 * is such wherever it leads. [ENV-32]
 */
export function mayCarryToken({ dialer, link }: RaceResult): boolean {
  if (link.trust === "pinned") return true;
  if (!URL.canParse(dialer.address)) return false;
  const url = new URL(dialer.address);
  return TLS.has(url.protocol) || (link.trust === undefined && isLoopback(url.hostname));
}

/**
 * With what to attach on a link: the token where it may leave, which also registers the device; a
 * proof of a registered one elsewhere. Undefined: nothing may leave there. Without a token a
 * registered device attaches by its proof alone: whoever takes it without one is not its service.
 * [ENV-32] [ENV-55] [ENV-57] [ENV-74]
 */
export async function credentialOn(
  won: RaceResult,
  token: string,
  { login, deviceId }: Pick<ClientOptions, "login" | "deviceId">,
): Promise<Credential | undefined> {
  if (token !== "" && mayCarryToken(won)) {
    return login === undefined ? { token } : { token, registration: await login.registration() };
  }
  const { channelBinding } = won.link;
  const attempt = channelBinding && (await login?.attempt(channelBinding, deviceId));
  if (attempt !== undefined) return { token: "", login: attempt };
  return token === "" && !(await login?.isRegistered()) ? { token } : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}
