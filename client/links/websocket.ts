import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { WEBSOCKET_PATH, WEBSOCKET_SUBPROTOCOL } from "../../protocol/limits.ts";
import type { DialledLink, LinkHandler } from "../../protocol/link.ts";
import {
  contentOf,
  type MessageContent,
  messagesOf,
  noMessage,
} from "../../protocol/whole-frames.ts";
import { type Dialer, LinkError } from "../dialer.ts";

/** The part of the browser's WebSocket that links use; the `ws` package has it too. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onclose: ((event: { readonly reason: string }) => void) | null;
  onerror: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  send(data: Uint8Array): void;
  close(code?: number): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

export interface WebSocketOptions {
  /** Where there is no global WebSocket, or another one is wanted. */
  readonly implementation?: WebSocketConstructor;
}

const HIGH_WATER_BYTES = 256 * 1024;
const DRAIN_POLL_MS = 20;
const NORMAL_CLOSE = 1000;

/** Links over WebSocket. Browser-safe. [LNK-5] @param origin ws:// or wss:// with host and port */
export function webSocket(origin: string, options: WebSocketOptions = {}): Dialer {
  const address = new URL(WEBSOCKET_PATH, origin).href;
  return {
    kind: "websocket",
    address,
    dial: (signal) =>
      new Promise<DialledLink>((resolve, reject) => {
        signal.throwIfAborted();
        const global = globalThis as unknown as { WebSocket: WebSocketConstructor };
        const Implementation = options.implementation ?? global.WebSocket;
        const socket = new Implementation(address, [WEBSOCKET_SUBPROTOCOL]);
        socket.binaryType = "arraybuffer";
        const settle = () => {
          signal.removeEventListener("abort", abandon);
          socket.onopen = null;
          socket.onclose = null;
          // An error event without a listener would be thrown by some implementations.
          socket.onerror = () => {};
        };
        const abandon = () => {
          settle();
          socket.close();
          reject(signal.reason);
        };
        signal.addEventListener("abort", abandon, { once: true });
        socket.onopen = () => {
          settle();
          resolve(new WebSocketLink(socket, address));
        };
        socket.onerror = () => {};
        socket.onclose = () => {
          settle();
          reject(new LinkError(ErrorCode.LINK_LOST, `${address} cannot be opened`));
        };
      }),
  };
}

class WebSocketLink implements DialledLink {
  readonly kind = "websocket";
  readonly peer: string;
  readonly #socket: WebSocketLike;
  #handler: LinkHandler | undefined;
  #early: unknown[] = [];
  #waiting: Uint8Array[] = [];
  #paused = false;
  /** What is written first says it. */
  #content: MessageContent | undefined;
  #closing: ErrorCode | undefined;
  #lost = false;

  constructor(socket: WebSocketLike, peer: string) {
    this.#socket = socket;
    this.peer = peer;
    socket.onmessage = ({ data }) => {
      if (this.#closing !== undefined || this.#lost) return;
      if (this.#handler === undefined) this.#early.push(data);
      else this.#take(data);
    };
    socket.onclose = ({ reason }) => this.#closed(reason);
  }

  start(handler: LinkHandler): void {
    this.#handler = handler;
    const early = this.#early;
    this.#early = [];
    queueMicrotask(() => {
      for (const data of early) this.#take(data);
      if (this.#lost) this.#closed("");
    });
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closing !== undefined) return true;
    this.#content ??= contentOf(bytes);
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush());
    this.#waiting.push(bytes);
    return !this.#paused;
  }

  close(code: ErrorCode): void {
    if (this.#closing !== undefined) return;
    this.#flush();
    this.#closing = code;
    this.#socket.close(NORMAL_CLOSE);
  }

  /** A text is no message of a link: it reads as what neither frame nor record is. [ENV-59] */
  #take(data: unknown): void {
    if (this.#closing !== undefined) return;
    if (data instanceof ArrayBuffer) return this.#handler?.received(new Uint8Array(data));
    this.#handler?.received(noMessage());
    if (this.#closing !== undefined) return;
    // It was taken for the rest of something: that is not waited for.
    this.close(ErrorCode.FRAME_MALFORMED);
    this.#closed("a text message");
  }

  #flush(): void {
    const chunks = this.#waiting;
    if (chunks.length === 0 || this.#lost) return;
    this.#waiting = [];
    for (const message of messagesOf(chunks, this.#content)) this.#socket.send(message);
    if (!this.#paused && this.#socket.bufferedAmount > HIGH_WATER_BYTES) this.#awaitDrain();
  }

  /** The interface has no event for a drained socket; looked at only while the peer is slow. */
  #awaitDrain(): void {
    this.#paused = true;
    setTimeout(() => {
      if (this.#handler === undefined) return;
      if (this.#socket.bufferedAmount > HIGH_WATER_BYTES) return this.#awaitDrain();
      this.#paused = false;
      this.#handler.drained();
    }, DRAIN_POLL_MS);
  }

  #closed(reason: string): void {
    this.#lost = true;
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.closed(this.#closing ?? ErrorCode.LINK_LOST, reason);
  }
}
