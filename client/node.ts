import { WebSocket } from "ws";
import type { Dialer } from "./dialer.ts";
import { longPoll } from "./links/longpoll.ts";
import { tcp } from "./links/tcp.ts";
import { type WebSocketConstructor, webSocket } from "./links/websocket.ts";

export { fileJournal } from "./file-journal.ts";
export { tcp } from "./links/tcp.ts";

const implementation = WebSocket as unknown as WebSocketConstructor;

/**
 * The diallers of a URL, best first: posthorn:// means TCP, then WebSocket, then long poll at one host and port.
 *
 * @throws TypeError for a URL of another kind
 */
export function dialersOf(url: string): Dialer[] {
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
      return [webSocket(url, { implementation })];
    case "http:":
    case "https:":
      return [longPoll(url)];
    default:
      throw new TypeError(`${url}: not posthorn, tcp, tls, ws, wss, http or https`);
  }
}
