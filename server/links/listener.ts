import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { SocketLink } from "../../platform/socket-link.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { ALPN_PROTOCOL, PREFACE_BYTES } from "../../protocol/limits.ts";
import type { LinkAcceptor } from "../../protocol/link.ts";
import { type Opening, sniff, sniffHttp } from "../../protocol/sniff.ts";
import { unreachable } from "../../protocol/violation.ts";
import { Http2Entrance } from "./http2.ts";
import { endWith, jsonAnswer } from "./last-words.ts";
import type { OriginRule } from "./origin.ts";
import { WebSocketEntrance } from "./websocket.ts";

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly transports: {
    readonly tcp: boolean;
    readonly websocket: boolean;
    /** Whatever else is asked over HTTP. */
    readonly http: boolean;
  };
  /** PEM texts; undefined serves in the clear. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly accept: LinkAcceptor;
  /** Every HTTP request that is no WebSocket upgrade. */
  readonly http: RequestListener;
  readonly frameBytesMax: number;
  /** Which web pages may open WebSocket links. */
  readonly originRule: OriginRule;
  /** Sockets at a time, of all transports. */
  readonly socketsMax: number;
  /** From accepting a socket to its preface, TLS handshake or HTTP request head. [LNK-6] */
  readonly openingMs: number;
  /** An HTTP/2 request on which nothing moves for this long is cut: longer than a poll hangs. */
  readonly quietMs: number;
  /** The node's clock. */
  readonly nowMs: () => number;
}

/** A socket of which it is not known yet what it will be. */
interface OpeningSocket {
  readonly socket: Duplex;
  readonly raw: Socket;
  /** When it was accepted: TLS gives it no more time. [ENV-61] */
  readonly openedMs: number;
}

/** The port cannot be listened on. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * One port for every transport: tells them apart by their first bytes and hands each socket on
 * whole. [LNK-3]
 */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #net: NetServer;
  readonly #http: Server;
  readonly #http2: Http2Entrance;
  readonly #tls: ReturnType<typeof createTlsServer> | undefined;
  readonly #webSockets: WebSocketEntrance;
  readonly #sockets = new Set<Socket>();
  /** Sockets in their TLS handshake, by their ends: Node gives another object after it. */
  readonly #securing = new Map<string, { readonly openedMs: number; readonly stop: () => void }>();

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#webSockets = new WebSocketEntrance(options);
    this.#http = createHttpServer(
      {
        headersTimeout: options.openingMs,
        requestTimeout: options.openingMs * 2,
        connectionsCheckingInterval: Math.min(1_000, options.openingMs),
        maxHeaderSize: 16 * 1024,
        // Offers of anything else (RFC 9110 section 7.8) are passed over.
        shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
      },
      options.http,
    );
    // Node watches for slow requests from this event on; this server is handed its sockets and
    // never listens. [LNK-6]
    this.#http.emit("listening");
    this.#http.on("upgrade", (request, socket, head) => {
      if (options.transports.websocket) {
        this.#webSockets.upgrade(request, socket, head, options.accept);
      } else {
        answerNotServed(socket, "WebSocket");
      }
    });
    this.#http.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (!socket.writable) return void socket.destroy();
      endWith(socket, brokenRequestAnswer(error.code));
    });
    this.#http2 = new Http2Entrance(options.http, options);
    this.#tls = options.tls && this.#tlsServer(options.tls);
    this.#net = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
      this.#accepted(socket),
    );
  }

  /** @throws ListenError PORT_IN_USE, or CONFIG_INVALID for an address that is not ours */
  async listen(): Promise<AddressInfo> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#net.once("error", (error: NodeJS.ErrnoException) => {
        const inUse = error.code === "EADDRINUSE";
        const code = inUse ? ErrorCode.PORT_IN_USE : ErrorCode.CONFIG_INVALID;
        const what = inUse ? "another process listens there" : (error.code ?? error.message);
        reject(
          new ListenError(code, `cannot listen on ${host}:${port}: ${what}`, { cause: error }),
        );
      });
      this.#net.listen({ host, port, backlog: 4096 }, resolve);
    });
    return this.#net.address() as AddressInfo;
  }

  /** Takes no new sockets. Living ones stay. */
  stopAccepting(): void {
    this.#net.close();
  }

  /** Ends everything that is left. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#net.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    this.#http.close();
    this.#http2.close();
    this.#tls?.close();
    await closed;
  }

  #tlsServer(tls: { readonly cert: string; readonly key: string }) {
    const server = createTlsServer({
      ...tls,
      ALPNProtocols: [ALPN_PROTOCOL, "h2", "http/1.1"],
      handshakeTimeout: this.#options.openingMs,
      minVersion: "TLSv1.2",
      allowHalfOpen: true,
    });
    server.on("secureConnection", (socket: TLSSocket) => this.#secured(socket));
    // A failed or unfinished handshake has nobody to be told but its own socket.
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }

  #accepted(socket: Socket): void {
    if (this.#sockets.size >= this.#options.socketsMax) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const openedMs = this.#options.nowMs();
    this.#open({ socket, raw: socket, openedMs }, (opening) => opening);
  }

  /**
   * ALPN decides which openings are left; without it the decrypted bytes are sniffed like any.
   * [LNK-4]
   */
  #secured(socket: TLSSocket): void {
    const protocol = socket.alpnProtocol;
    const securing = this.#securing.get(endsOf(socket));
    securing?.stop();
    const openedMs = securing?.openedMs ?? this.#options.nowMs();
    this.#open({ socket, raw: socket, openedMs }, (opening) => {
      if (opening === "more") return opening;
      // RFC 9113 section 3.2: HTTP/2 over TLS is agreed on by ALPN.
      const agreed = protocol === false ? NOT_AGREED : (AGREED[protocol ?? ""] ?? []);
      return agreed.includes(opening) ? opening : "unknown";
    });
  }

  #open(given: OpeningSocket, judge: (opening: Beginning) => Beginning): void {
    const { socket } = given;
    let seen: Buffer = Buffer.alloc(0);
    const late = setTimeout(() => refuseLate(socket, seen), this.#leftMs(given.openedMs));
    const failed = () => socket.destroy();
    const stop = () => {
      clearTimeout(late);
      socket.off("data", sniffing);
      socket.off("end", failed);
      socket.off("close", stop);
    };
    const sniffing = (chunk: Buffer) => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const opening = judge(beginningOf(seen));
      if (opening === "more") return;
      stop();
      socket.pause();
      socket.off("error", failed);
      this.#handOn(opening, { ...given, seen });
    };
    socket.on("error", failed);
    socket.on("end", failed);
    socket.on("close", stop);
    socket.on("data", sniffing);
  }

  #leftMs(openedMs: number): number {
    return Math.max(0, openedMs + this.#options.openingMs - this.#options.nowMs());
  }

  /** Takes the time over the TLS handshake to what comes after it. [ENV-61] */
  #securingOf({ raw, openedMs }: OpeningSocket): void {
    const ends = endsOf(raw);
    const late = setTimeout(() => raw.destroy(), this.#leftMs(openedMs));
    const stop = () => {
      clearTimeout(late);
      raw.off("close", stop);
      this.#securing.delete(ends);
    };
    raw.on("close", stop);
    this.#securing.set(ends, { openedMs, stop });
  }

  #handOn(
    opening: Exclude<Beginning, "more">,
    given: OpeningSocket & { readonly seen: Buffer },
  ): void {
    const { socket, seen } = given;
    const { transports, accept } = this.#options;
    switch (opening) {
      case "preface":
        if (!transports.tcp) return refuse(socket, ErrorCode.TRANSPORT_NOT_SERVED, "LNK-3");
        return acceptRaw(given, accept, seen.subarray(PREFACE_BYTES));
      case "tls":
        if (this.#tls === undefined) return refuse(socket, ErrorCode.TRANSPORT_NOT_SERVED, "LNK-3");
        socket.unshift(seen);
        this.#securingOf(given);
        this.#tls.emit("connection", socket);
        return;
      case "http":
        if (!transports.websocket && !transports.http) return answerNotServed(socket, "HTTP");
        socket.unshift(seen);
        this.#http.emit("connection", socket);
        socket.resume();
        return;
      case "http2":
        // In HTTP/1.1's words, which clients of HTTP/2 know and those who look at them can read.
        if (!transports.websocket && !transports.http) return answerNotServed(socket, "HTTP");
        socket.unshift(seen);
        return this.#http2.accept(socket);
      case "unknown":
        return refuse(socket, ErrorCode.PREFACE_INVALID, "LNK-2");
      default:
        unreachable(opening);
    }
  }
}

/** As the first bytes say, with HTTP told apart. */
type Beginning = Opening | "http2";

/** What may follow a protocol that was agreed on by ALPN. [LNK-4] */
const AGREED: Readonly<Record<string, readonly Beginning[]>> = {
  [ALPN_PROTOCOL]: ["preface"],
  h2: ["http2"],
  "http/1.1": ["http"],
};
const NOT_AGREED: readonly Beginning[] = ["preface", "http"];

function beginningOf(seen: Uint8Array): Beginning {
  const opening = sniff(seen);
  if (opening !== "http") return opening;
  const http = sniffHttp(seen);
  return http === "http1" ? "http" : http;
}

/** Whoever began with a letter speaks HTTP. [LNK-6] */
function refuseLate(socket: Duplex, seen: Uint8Array): void {
  if (sniff(seen) === "http") endWith(socket, brokenRequestAnswer("ERR_HTTP_REQUEST_TIMEOUT"));
  else refuse(socket, ErrorCode.TOO_SLOW, "LNK-6");
}

function acceptRaw(given: OpeningSocket, accept: LinkAcceptor, first: Buffer): void {
  const { socket, raw, openedMs } = given;
  const link = new SocketLink(socket, raw.remoteAddress ?? "", openedMs);
  if (first.length > 0) socket.unshift(first);
  link.start(accept(link));
}

/** No two sockets that live have both ends in common. */
function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`;
}

/** Says why in the one way that a raw peer may understand, and ends. */
function refuse(socket: Duplex, code: ErrorCode, requirement: string): void {
  endWith(socket, encodeFrame({ kind: "close", value: { code, detail: "", requirement } }));
}

/** What Node's parser refuses, in our words: too slow, too large, or no HTTP. [LNK-6] [ERR-1] */
function brokenRequestAnswer(cause: string | undefined): string {
  const code = "REQUEST_INVALID";
  switch (cause) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return jsonAnswer("408 Request Timeout", { code: "TOO_SLOW", message: "too slow a request" });
    case "HPE_HEADER_OVERFLOW":
      return jsonAnswer("431 Request Header Fields Too Large", { code, message: "large headers" });
    default:
      return jsonAnswer("400 Bad Request", { code, message: "this is no HTTP request" });
  }
}

/** The answer to HTTP where there is none. */
function answerNotServed(socket: Duplex, what: string): void {
  const message = `${what} is not served on this port`;
  endWith(socket, jsonAnswer("421 Misdirected Request", { code: "TRANSPORT_NOT_SERVED", message }));
}
