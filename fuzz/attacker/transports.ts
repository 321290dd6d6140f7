import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import type { Dialer } from "../../client/dialer.ts";
import { longPoll } from "../../client/links/longpoll.ts";
import { tcp } from "../../client/links/tcp.ts";
import { dialersOf } from "../../client/node.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { SocketLink } from "../../platform/socket-link.ts";
import { WEBSOCKET_PATH, WEBSOCKET_SUBPROTOCOL } from "../../protocol/limits.ts";
import type {
  AcceptedLink,
  DialledLink,
  LinkAcceptor,
  LinkHandler,
  LinkKind,
} from "../../protocol/link.ts";
import { PREFACE } from "../../protocol/sniff.ts";
import { LongPollLinks } from "../../server/links/longpoll.ts";
import { longPollHttp } from "../../server/links/longpoll-http.ts";
import { anyOrigin } from "../../server/links/origin.ts";
import { Alarms } from "../../server/sessions/alarms.ts";

/** Where somebody in between listens, as the service does. */
export interface Entrance {
  readonly port: number;
  /** Ends every transport too. */
  close(): Promise<void>;
}

const HOST = "127.0.0.1";

const SCHEMES: Readonly<Record<LinkKind, string>> = {
  tcp: "tcp",
  websocket: "ws",
  longpoll: "http",
};

/** The repository's own way to somewhere, as applications have it. */
export function wayTo(kind: LinkKind, port: number): Dialer {
  return dialersOf(`${SCHEMES[kind]}://${HOST}:${port}`)[0] as Dialer;
}

/** Listens on one transport; what comes is handed over as it is, whatever it holds. */
export async function listenOn(kind: LinkKind, accept: LinkAcceptor): Promise<Entrance> {
  if (kind === "tcp") return await listenTcp(accept);
  return kind === "websocket" ? await listenWebSocket(accept) : await listenLongPoll(accept);
}

/** Dials a service by one transport; what is written leaves as it is, whatever it holds. */
export function dialTo(kind: LinkKind, port: number): Dialer {
  if (kind === "tcp") return tcp({ host: HOST, port });
  if (kind === "longpoll") return longPoll(`http://${HOST}:${port}`);
  const address = `ws://${HOST}:${port}${WEBSOCKET_PATH}`;
  const dial = async () => {
    const socket = new WebSocket(address, WEBSOCKET_SUBPROTOCOL, { perMessageDeflate: false });
    const link = new MessageLink(socket);
    await once(socket, "open");
    return link;
  };
  return { kind, address, dial };
}

async function listenTcp(accept: LinkAcceptor): Promise<Entrance> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    const link = new SocketLink(socket, HOST);
    const handler = accept(link);
    let prefaceBytes = PREFACE.length;
    link.start({
      received: (bytes) => {
        const fresh = bytes.subarray(prefaceBytes);
        prefaceBytes = Math.max(0, prefaceBytes - bytes.length);
        if (fresh.length > 0) handler.received(fresh);
      },
      drained: () => handler.drained(),
      closed: (code, detail) => handler.closed(code, detail),
    });
  });
  await once(server.listen(0, HOST), "listening");
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: portOf(server), close };
}

async function listenWebSocket(accept: LinkAcceptor): Promise<Entrance> {
  const server = new WebSocketServer({ host: HOST, port: 0, perMessageDeflate: false });
  server.on("connection", (socket) => {
    const link = new MessageLink(socket);
    link.start(accept(link));
  });
  await once(server, "listening");
  const close = async () => {
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: portOf(server), close };
}

const LONG_POLL = {
  holdMs: 10_000,
  coalesceMs: 0,
  idleMs: 20_000,
  sendBytesMax: 262_144,
  pollBytesMax: 262_144,
  bufferBytesMax: 1_048_576,
  linksMax: 1_000,
  linksPerPeerMax: 1_000,
};

async function listenLongPoll(accept: LinkAcceptor): Promise<Entrance> {
  const alarms = new Alarms({ nowMs: () => Math.floor(performance.now()) });
  const links = new LongPollLinks(LONG_POLL, alarms, accept);
  const options = { bodyMs: 5_000, corsOrigin: "*", originRule: anyOrigin };
  const server = createHttpServer(longPollHttp(links, options, (_, answer) => answer.end()));
  await once(server.listen(0, HOST), "listening");
  const close = async () => {
    links.closeAll();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    alarms.close();
  };
  return { port: portOf(server), close };
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as AddressInfo).port;
}

/** A WebSocket of either side; each write is a message of its own, whole or not. */
class MessageLink implements AcceptedLink, DialledLink {
  readonly kind = "websocket";
  readonly peer = HOST;
  readonly isTls = false;
  readonly #socket: WebSocket;
  #early: Uint8Array[] = [];
  #handler: LinkHandler | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("message", (data: RawData) => {
      const bytes = Uint8Array.from(data as Buffer);
      if (this.#handler === undefined) this.#early.push(bytes);
      else this.#handler.received(bytes);
    });
    socket.on("close", (status) => this.#handler?.closed(ErrorCode.LINK_LOST, `status ${status}`));
  }

  start(handler: LinkHandler): void {
    this.#handler = handler;
    for (const bytes of this.#early) handler.received(bytes);
    this.#early = [];
    if (this.#socket.readyState > WebSocket.OPEN) handler.closed(ErrorCode.LINK_LOST, "");
  }

  write(bytes: Uint8Array): boolean {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(bytes);
    return true;
  }

  close(): void {
    this.#socket.close();
  }
}
