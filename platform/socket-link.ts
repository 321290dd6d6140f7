import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import type { DialledLink, LinkHandler } from "../protocol/link.ts";

/** Above this many bytes that the peer has not taken, `write` says stop. */
const HIGH_WATER_BYTES = 256 * 1024;
/** Above this many the peer is not reading: the link is cut. Sessions stop long before. [SEQ-16] */
const WAITING_BYTES_MAX = 32 * 1024 * 1024;
/** How long a closed link may take to hand over its last bytes. */
const LINGER_MS = 5_000;

/**
 * A stream socket (TCP or TLS) as a link. What is written within one turn of the event loop leaves
 * in one write.
 */
export class SocketLink implements DialledLink {
  readonly kind = "tcp";
  readonly peer: string;
  readonly isTls: boolean;
  readonly openedMs: number | undefined;
  readonly #socket: Duplex;
  #handler: LinkHandler | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #flushing = false;
  #paused = false;
  #closing: ErrorCode | undefined;
  #linger: NodeJS.Timeout | undefined;

  /** @param openedMs when the socket was accepted; a socket that was dialled has none */
  constructor(socket: Duplex, peer: string, openedMs?: number) {
    this.#socket = socket;
    this.peer = peer;
    this.openedMs = openedMs;
    this.isTls = socket instanceof TLSSocket;
  }

  start(handler: LinkHandler): void {
    this.#handler = handler;
    let detail = "";
    this.#socket.on("data", (chunk: Uint8Array) => {
      if (this.#closing === undefined) handler.received(chunk);
    });
    this.#socket.on("drain", () => this.#drained());
    this.#socket.on("end", () => this.#socket.end());
    this.#socket.on("error", (error) => {
      detail = error.message;
    });
    this.#socket.on("close", () => {
      clearTimeout(this.#linger);
      this.#handler = undefined;
      handler.closed(this.#closing ?? ErrorCode.LINK_LOST, detail);
    });
    this.#socket.resume();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closing !== undefined) return true;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
    const total = this.#waitingBytes + this.#socket.writableLength;
    if (total > WAITING_BYTES_MAX) this.#socket.destroy(new Error("the peer does not read"));
    this.#paused ||= total > HIGH_WATER_BYTES;
    return !this.#paused;
  }

  close(code: ErrorCode): void {
    if (this.#closing !== undefined) return;
    this.#flush();
    this.#closing = code;
    this.#socket.end();
    this.#linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#linger.unref();
  }

  #flush(): void {
    this.#flushing = false;
    const chunks = this.#waiting;
    if (chunks.length === 0 || this.#socket.destroyed) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const first = chunks[0] as Uint8Array;
    this.#socket.write(chunks.length === 1 ? first : Buffer.concat(chunks));
    if (this.#paused && this.#socket.writableLength <= HIGH_WATER_BYTES) {
      setImmediate(() => this.#drained());
    }
  }

  #drained(): void {
    if (!this.#paused || this.#socket.writableLength > HIGH_WATER_BYTES) return;
    this.#paused = false;
    this.#handler?.drained();
  }
}
