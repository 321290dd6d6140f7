import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { LENGTH_PREFIX_BYTES_MAX } from "./limits.ts";
import { type Violation, violation } from "./violation.ts";

/**
 * Called with each whole message as a range of a buffer that is never changed afterwards; false
 * stops.
 */
export type MessageReceiver = (from: Uint8Array, at: number, end: number) => boolean;

/**
 * Cuts a byte stream into its varint-delimited messages, however the bytes arrive. [FRM-1]
 *
 * Holds at most one unfinished message, in a buffer that grows with what has really arrived and
 * never beyond twice that, and nothing at all between messages: an idle link costs no buffer, and a
 * large length costs its sender the bytes. [SEQ-16]
 */
export class Delimiter {
  #bytesMax: number;
  #held: Uint8Array | undefined;
  #heldBytes = 0;
  #stopped = false;

  /** @param bytesMax the largest message accepted, without its length prefix */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Changes the limit for the messages whose length has not been read yet. */
  set bytesMax(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** True while a message has begun and not ended: the time for it is running. */
  get unfinished(): boolean {
    return this.#heldBytes > 0;
  }

  /**
   * Takes the next bytes and hands over every message they complete. Never throws whatever the
   * bytes; after a violation, and after the receiver has said stop, further bytes are passed over.
   *
   * @returns LENGTH_INVALID or FRAME_TOO_LARGE, decided from the length alone. [FRM-2] [FRM-3]
   */
  push(chunk: Uint8Array, receiver: MessageReceiver): Violation | undefined {
    let at = 0;
    if (this.#heldBytes > 0) {
      const resumed = this.#finishHeld(chunk, receiver);
      if (typeof resumed !== "number") return this.#stop(resumed);
      at = resumed;
    }
    while (at < chunk.length && !this.#stopped) {
      const prefix = readLength(chunk, at, chunk.length);
      if (prefix === undefined) break;
      const fault = this.#faultOf(prefix);
      if (fault !== undefined) return this.#stop(fault);
      const start = at + prefix.bytes;
      const end = start + prefix.length;
      if (end > chunk.length) break;
      at = end;
      if (!receiver(chunk, start, end)) this.#stopped = true;
    }
    if (at < chunk.length && !this.#stopped) this.#hold(chunk, at);
    return undefined;
  }

  /** Completes the held message from the chunk's front; returns how much of the chunk is used. */
  #finishHeld(chunk: Uint8Array, receiver: MessageReceiver): number | Violation {
    let at = 0;
    for (;;) {
      const held = this.#held as Uint8Array;
      const prefix = readLength(held, 0, this.#heldBytes);
      if (prefix !== undefined) {
        const fault = this.#faultOf(prefix);
        if (fault !== undefined) return fault;
        const total = prefix.bytes + prefix.length;
        const missing = total - this.#heldBytes;
        const taken = Math.min(missing, chunk.length - at);
        this.#append(chunk.subarray(at, at + taken), total);
        at += taken;
        if (taken < missing) return at;
        const whole = this.#held as Uint8Array;
        this.#held = undefined;
        this.#heldBytes = 0;
        if (!receiver(whole, prefix.bytes, total)) this.#stopped = true;
        return at;
      }
      if (at === chunk.length) return at;
      this.#append(chunk.subarray(at, at + 1), LENGTH_PREFIX_BYTES_MAX);
      at += 1;
    }
  }

  #hold(chunk: Uint8Array, at: number): void {
    const rest = chunk.subarray(at);
    // Not slice(): a Buffer's shares the memory of the chunk, and would keep all of it.
    this.#held = new Uint8Array(rest);
    this.#heldBytes = rest.length;
  }

  #append(bytes: Uint8Array, bytesWanted: number): void {
    const needed = this.#heldBytes + bytes.length;
    let held = this.#held as Uint8Array;
    if (needed > held.length) {
      const grown = new Uint8Array(Math.max(needed, Math.min(bytesWanted, needed * 2)));
      grown.set(held.subarray(0, this.#heldBytes));
      held = grown;
      this.#held = grown;
    }
    held.set(bytes, this.#heldBytes);
    this.#heldBytes = needed;
  }

  #faultOf(prefix: LengthPrefix): Violation | undefined {
    if (prefix.invalid) {
      return violation(ErrorCode.LENGTH_INVALID, "FRM-2", "length prefix is not of shortest form");
    }
    if (prefix.length > this.#bytesMax) {
      const detail = `frame of ${prefix.length} bytes; the limit is ${this.#bytesMax}`;
      return violation(ErrorCode.FRAME_TOO_LARGE, "FRM-3", detail);
    }
    return undefined;
  }

  #stop(fault: Violation): Violation {
    this.#stopped = true;
    this.#held = undefined;
    this.#heldBytes = 0;
    return fault;
  }
}

interface LengthPrefix {
  readonly length: number;
  readonly bytes: number;
  readonly invalid: boolean;
}

const INVALID_PREFIX: LengthPrefix = { length: 0, bytes: 0, invalid: true };

/** The length that begins at a position; undefined when it has not arrived whole. [FRM-2] */
function readLength(from: Uint8Array, at: number, end: number): LengthPrefix | undefined {
  let length = 0;
  let scale = 1;
  for (let index = 0; index < LENGTH_PREFIX_BYTES_MAX; index += 1) {
    if (at + index >= end) return undefined;
    const byte = from[at + index] as number;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      const overlong = byte === 0 && index > 0;
      return overlong ? INVALID_PREFIX : { length, bytes: index + 1, invalid: false };
    }
    scale *= 128;
  }
  return INVALID_PREFIX;
}

/** How many bytes a length prefix takes. */
export function lengthPrefixBytes(length: number): number {
  let bytes = 1;
  for (let rest = length; rest > 0x7f; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

/** Writes a length prefix and returns the position after it. */
export function writeLengthPrefix(length: number, into: Uint8Array, at: number): number {
  let rest = length;
  let position = at;
  while (rest > 0x7f) {
    into[position] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
    position += 1;
  }
  into[position] = rest;
  return position + 1;
}
