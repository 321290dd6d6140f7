import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { type WebSocket, WebSocketServer } from "ws";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { WEBSOCKET_PATH, WEBSOCKET_SUBPROTOCOL } from "../../protocol/limits.ts";
import type { AcceptedLink, LinkAcceptor, LinkHandler } from "../../protocol/link.ts";
import {
  contentOf,
  isWholeMessage,
  MESSAGE_BYTES_MAX,
  type MessageContent,
  messagesOf,
  noMessage,
} from "../../protocol/whole-frames.ts";
import { endWith, jsonAnswer } from "./last-words.ts";
import type { OriginRule } from "./origin.ts";

/** Above this many bytes that the peer has not taken, `write` says stop. */
const HIGH_WATER_BYTES = 256 * 1024;
const WAITING_BYTES_MAX = 32 * 1024 * 1024;
const LINGER_MS = 5_000;
/**
 * A message holds several frames: at most this many times the largest frame, and no less than what
 * every sender may put into one. Records are smaller than either. [LNK-5] [ENV-4]
 */
const MESSAGE_FRAMES_MAX = 4;
const DRAIN_POLL_MS = 20;
/** RFC 6455 section 7.4: 1000 is a normal end; 4000 to 4999 are the application's. */
const CLOSE_NORMAL = 1000;
const CLOSE_CODE_BASE = 4000;
const CLOSE_CODE_MAX = 4999;

export interface WebSocketOptions {
  readonly frameBytesMax: number;
  readonly originRule: OriginRule;
  readonly nowMs: () => number;
}

/** Turns upgrade requests into links. [LNK-5] */
export class WebSocketEntrance {
  readonly #server: WebSocketServer;

  readonly #originRule: OriginRule;
  readonly #nowMs: () => number;

  constructor({ frameBytesMax, originRule, nowMs }: WebSocketOptions) {
    this.#originRule = originRule;
    this.#nowMs = nowMs;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // Frames are small and often sealed: compression costs memory per link and leaks lengths.
      perMessageDeflate: false,
      maxPayload: Math.max(MESSAGE_FRAMES_MAX * frameBytesMax, MESSAGE_BYTES_MAX),
      handleProtocols: (offered) =>
        offered.has(WEBSOCKET_SUBPROTOCOL) ? WEBSOCKET_SUBPROTOCOL : false,
    });
  }

  /** Answers an upgrade request with a link or an HTTP error. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, accept: LinkAcceptor): void {
    const path = (request.url ?? "").split("?")[0];
    if (path !== WEBSOCKET_PATH) {
      return refuse(socket, "404 Not Found", `WebSocket is served at ${WEBSOCKET_PATH}`);
    }
    if (!this.#originRule(request.headers.origin)) {
      return refuse(socket, "403 Forbidden", "pages of other sites may not connect here");
    }
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",");
    if (!offered.some((name) => name.trim() === WEBSOCKET_SUBPROTOCOL)) {
      const why = `offer the subprotocol ${WEBSOCKET_SUBPROTOCOL}`;
      return refuse(socket, "400 Bad Request", why);
    }
    const from = {
      peer: request.socket.remoteAddress ?? "",
      isTls: request.socket instanceof TLSSocket,
      openedMs: this.#nowMs(),
    };
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      const link = new WebSocketLink(webSocket, from);
      link.start(accept(link));
    });
  }
}

function refuse(socket: Duplex, status: string, message: string): void {
  endWith(socket, jsonAnswer(status, { code: "TRANSPORT_NOT_SERVED", message }));
}

/** A device closes with any number: one that has no status of its own is told as none. */
function statusOf(code: ErrorCode): number {
  if (code === ErrorCode.GOODBYE) return CLOSE_NORMAL;
  const status = CLOSE_CODE_BASE + code;
  return status > CLOSE_CODE_BASE && status <= CLOSE_CODE_MAX ? status : CLOSE_CODE_BASE;
}

/**
 * A WebSocket as a link: whole frames in binary messages, those of one turn of the event loop in
 * one.
 */
class WebSocketLink implements AcceptedLink {
  readonly kind = "websocket";
  readonly peer: string;
  readonly isTls: boolean;
  readonly openedMs: number;
  readonly #socket: WebSocket;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #flushing = false;
  #paused = false;
  #awaitingDrain = false;
  /** The device's first binary message says it. */
  #content: MessageContent | undefined;
  #closing: ErrorCode | undefined;
  #timer: NodeJS.Timeout | undefined;
  #handler: LinkHandler | undefined;

  constructor(
    socket: WebSocket,
    from: { readonly peer: string; readonly isTls: boolean; readonly openedMs: number },
  ) {
    this.#socket = socket;
    this.peer = from.peer;
    this.isTls = from.isTls;
    this.openedMs = from.openedMs;
  }

  start(handler: LinkHandler): void {
    this.#handler = handler;
    let detail = "";
    this.#socket.on("message", (data: Buffer, binary: boolean) => {
      if (this.#closing !== undefined) return;
      // A text says nothing of what a link is, whatever it begins with. [ENV-59]
      if (binary) this.#content ??= contentOf(data);
      const isWhole = binary && isWholeMessage(data, this.#content ?? "frames");
      if (isWhole) handler.received(data);
      else this.#malformed(binary);
    });
    this.#socket.on("error", (error) => {
      detail = error.message;
    });
    this.#socket.on("close", () => {
      clearTimeout(this.#timer);
      this.#handler = undefined;
      handler.closed(this.#closing ?? ErrorCode.LINK_LOST, detail);
    });
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closing !== undefined) return true;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
    const total = this.#waitingBytes + this.#socket.bufferedAmount;
    if (total > WAITING_BYTES_MAX) this.#socket.terminate();
    this.#paused ||= total > HIGH_WATER_BYTES;
    return !this.#paused;
  }

  close(code: ErrorCode): void {
    if (this.#closing !== undefined) return;
    this.#flush();
    this.#closing = code;
    this.#socket.close(statusOf(code));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.terminate(), LINGER_MS);
    this.#timer.unref();
  }

  #malformed(binary: boolean): void {
    // A sealed link says nothing in the clear: whoever reads its records finds out, and says so.
    if (this.#content === "records") return this.#handler?.received(noMessage());
    const detail = binary ? "a message ends inside a frame" : "a text message";
    const code = ErrorCode.FRAME_MALFORMED;
    this.write(encodeFrame({ kind: "close", value: { code, detail, requirement: "LNK-5" } }));
    this.close(code);
  }

  #flush(): void {
    this.#flushing = false;
    const chunks = this.#waiting;
    if (chunks.length === 0) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const message of messagesOf(chunks, this.#content))
      this.#socket.send(message, { binary: true });
    if (this.#paused && !this.#awaitingDrain) this.#awaitDrain();
  }

  /** `ws` has no event for a drained socket; looked at only while the peer is slow. */
  #awaitDrain(): void {
    this.#awaitingDrain = true;
    this.#timer = setTimeout(() => {
      if (this.#closing !== undefined) return;
      if (this.#socket.bufferedAmount > HIGH_WATER_BYTES) return this.#awaitDrain();
      this.#awaitingDrain = false;
      this.#paused = false;
      this.#handler?.drained();
    }, DRAIN_POLL_MS);
  }
}
