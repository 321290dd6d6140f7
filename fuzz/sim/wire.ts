import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { AcceptedLink, LinkAcceptor, LinkHandler } from "../../protocol/link.ts";
import { assert } from "../../protocol/violation.ts";

/** What a wire tells of the bytes on it: claims are checked and traces are drawn from this. */
export interface WireTap {
  /** Whole frames were written at one end. */
  wrote(direction: Direction, bytes: Uint8Array): void;
  /** Bytes reached the other end. */
  arrived(direction: Direction, byteCount: number): void;
}

export type Direction = "up" | "down";

/** The device's end of a wire. */
export interface DeviceEnd {
  received(bytes: Uint8Array): void;
  closed(code: ErrorCode): void;
}

/**
 * A link between one device and one node, its bytes on the way held until a command moves them.
 * Whatever is done to it, each end gets a prefix of what the other wrote. [LNK-1]
 */
export interface Wire {
  /** The device writes. */
  write(bytes: Uint8Array): void;
  /** Moves some bytes, cut anywhere; returns whether anything moved. */
  carry(direction: Direction, amount: number): boolean;
  /** The device closes, in order, after what it wrote. */
  close(): void;
  /** The link dies for both ends; what was on its way is gone. */
  cut(): void;
  /** The device has forgotten the link; the node has not noticed, and bytes may still go up. */
  halve(): void;
  /** Both ends have forgotten it. */
  readonly over: boolean;
}

/** Above this many bytes on their way down the node's end says stop. */
const HIGH_WATER_BYTES = 700;
const MOVED_BYTES_MAX = 400;
/** No more than this lies between a node and a device that does not read: windows bound it. */
const DOWN_BYTES_MAX = 4_096;

/** TCP and WebSocket: bytes stay in order or the link ends. */
export class StreamWire implements Wire {
  readonly #tap: WireTap;
  readonly #up: Uint8Array[] = [];
  readonly #down: Uint8Array[] = [];
  readonly #node: LinkHandler;
  #device: DeviceEnd | undefined;
  #nodeGone = false;
  #nodeClosing: ErrorCode | undefined;
  #deviceClosing = false;
  #stopped = false;

  constructor(options: {
    readonly accept: LinkAcceptor;
    readonly device: DeviceEnd;
    readonly tap: WireTap;
  }) {
    this.#tap = options.tap;
    this.#device = options.device;
    const link: AcceptedLink = {
      kind: "tcp",
      peer: "",
      isTls: false,
      write: (bytes) => this.#writtenByNode(bytes),
      close: (code) => {
        this.#nodeClosing ??= code;
      },
    };
    this.#node = options.accept(link);
  }

  get over(): boolean {
    return this.#device === undefined && this.#nodeGone;
  }

  write(bytes: Uint8Array): void {
    this.#tap.wrote("up", bytes);
    this.#up.push(bytes);
  }

  close(): void {
    this.#deviceClosing = true;
    this.#device = undefined;
    this.#down.length = 0;
  }

  carry(direction: Direction, amount: number): boolean {
    return direction === "up" ? this.#carryUp(amount) : this.#carryDown(amount);
  }

  cut(): void {
    this.#endNode(ErrorCode.LINK_LOST);
    this.#endDevice(ErrorCode.LINK_LOST);
  }

  halve(): void {
    this.#down.length = 0;
    this.#endDevice(ErrorCode.LINK_LOST);
  }

  #carryUp(amount: number): boolean {
    if (this.#nodeGone) return false;
    const part = take(this.#up, 1 + (amount % MOVED_BYTES_MAX));
    if (part !== undefined) {
      this.#tap.arrived("up", part.length);
      this.#node.received(part);
    } else if (this.#deviceClosing) {
      this.#endNode(ErrorCode.GOODBYE);
    }
    return part !== undefined || this.#deviceClosing;
  }

  #carryDown(amount: number): boolean {
    const part = take(this.#down, 1 + (amount % MOVED_BYTES_MAX));
    if (part !== undefined && this.#device !== undefined) {
      this.#tap.arrived("down", part.length);
      this.#device.received(part);
    }
    if (this.#stopped && length(this.#down) <= HIGH_WATER_BYTES && !this.#nodeGone) {
      this.#stopped = false;
      this.#node.drained();
    }
    const isLast = this.#nodeClosing !== undefined && this.#down.length === 0;
    if (isLast) {
      const code = this.#nodeClosing as ErrorCode;
      this.#endNode(code);
      this.#endDevice(code);
    }
    return part !== undefined || isLast;
  }

  #writtenByNode(bytes: Uint8Array): boolean {
    this.#tap.wrote("down", bytes);
    if (this.#device !== undefined) this.#down.push(bytes);
    const waiting = length(this.#down);
    assert(waiting <= DOWN_BYTES_MAX, "a slow device costs a bounded memory [SEQ-16] (P33)");
    this.#stopped ||= waiting > HIGH_WATER_BYTES;
    return !this.#stopped;
  }

  #endNode(code: ErrorCode): void {
    if (this.#nodeGone) return;
    this.#nodeGone = true;
    this.#node.closed(code, "");
  }

  #endDevice(code: ErrorCode): void {
    const device = this.#device;
    this.#device = undefined;
    device?.closed(code);
  }
}

/** The first bytes of a queue, at most so many; undefined when it is empty. */
function take(queue: Uint8Array[], bytesMax: number): Uint8Array | undefined {
  const first = queue[0];
  if (first === undefined) return undefined;
  if (first.length <= bytesMax) {
    queue.shift();
    return first;
  }
  queue[0] = first.subarray(bytesMax);
  return first.slice(0, bytesMax);
}

function length(queue: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of queue) bytes += part.length;
  return bytes;
}
