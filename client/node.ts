import { WebSocket } from "ws";
import { NATIVE_CRYPTO } from "../platform/native-crypto.ts";
import { LinkRsaKey } from "../platform/native-rsa.ts";
import { DeviceLogin } from "./device-login.ts";
import type { Dialer } from "./dialer.ts";
import { fileLogin } from "./file-login.ts";
import { longPoll } from "./links/longpoll.ts";
import { sealed } from "./links/sealed.ts";
import { tcp } from "./links/tcp.ts";
import { type WebSocketConstructor, webSocket } from "./links/websocket.ts";
import { pinsOf } from "./pins.ts";
import { ServiceEnvelope, type ServiceEnvelopeOptions } from "./service-envelope.ts";

export { fileJournal } from "./file-journal.ts";
export { fileLogin } from "./file-login.ts";
export { tcp } from "./links/tcp.ts";
export { pinsOf } from "./pins.ts";
export { filePeers, fileSecureIdentity } from "./secure/secret-files.ts";

const implementation = WebSocket as unknown as WebSocketConstructor;

/**
 * The diallers of a URL, best first: posthorn:// means TCP, then WebSocket, then long poll at one
 * host and port. `#pin=TEXT` seals them all to the service of that pin. [ENV-28]
 *
 * @param envelope seals the links of a URL without a pin
 * @throws TypeError for a URL of another kind, or a pin that is none
 */
export function dialersOf(url: string, envelope?: ServiceEnvelope): Dialer[] {
  const pins = pinsOf(url);
  const sealing = pins.length > 0 ? nodeEnvelope({ trust: pins }) : envelope;
  const dialers = clearDialersOf(url);
  return sealing === undefined ? dialers : dialers.map((dialer) => sealed(dialer, sealing));
}

/** The envelope of one service, with the system's own cryptography. */
export function nodeEnvelope(
  options: Omit<ServiceEnvelopeOptions, "crypto" | "makeRsaKey">,
): ServiceEnvelope {
  const makeRsaKey = () => LinkRsaKey.generate();
  return new ServiceEnvelope({ ...options, crypto: NATIVE_CRYPTO, makeRsaKey });
}

/** A device's login at one service, in a file, with the system's own cryptography. [ENV-55] */
export function nodeLogin(path: string): DeviceLogin {
  return new DeviceLogin(NATIVE_CRYPTO, fileLogin(path));
}

function clearDialersOf(url: string): Dialer[] {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const at = { host, port: Number(port) };
  switch (protocol) {
    case "posthorn:":
      return [
        tcp(at),
        webSocket(`ws://${hostname}:${port}`, { implementation }),
        longPoll(`http://${hostname}:${port}`),
      ];
    case "tcp:":
      return [tcp(at)];
    case "tls:":
      return [tcp({ ...at, tls: {} })];
    case "ws:":
    case "wss:":
      return [webSocket(withoutPin(url), { implementation })];
    case "http:":
    case "https:":
      return [longPoll(withoutPin(url))];
    default:
      throw new TypeError(`${url}: not posthorn, tcp, tls, ws, wss, http or https`);
  }
}

function withoutPin(url: string): string {
  return url.split("#")[0] as string;
}
