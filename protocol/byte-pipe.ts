import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { COUNTER_MAX } from "./limits.ts";
import { type Violation, violation } from "./violation.ts";

// An ordered byte stream over requests that may be lost, repeated, reordered or cut. Both halves
// know no role: the device's up stream and the service's down stream obey the same rules.

/**
 * The sending half: keeps what was not acknowledged, and repeats it byte for byte. [LNK-8]
 *
 * Costs nothing while everything is acknowledged.
 */
export class PipeSender {
  #chunks: Uint8Array[] = [];
  #base = 0;
  #bytes = 0;

  /** The position of the first byte that is not acknowledged. */
  get base(): number {
    return this.#base;
  }

  /** The position after the last byte written. */
  get end(): number {
    return this.#base + this.#bytes;
  }

  /** How many bytes wait for acknowledgement. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
  }

  /**
   * The other side has received everything before a position. An impossible one changes nothing.
   * [LNK-9]
   */
  acknowledged(offset: number): Violation | undefined {
    const fault = offsetFault(offset);
    if (fault !== undefined) return fault;
    if (offset > this.end || offset < this.#base) {
      const detail = `offset ${offset} is outside ${this.#base} to ${this.end}`;
      return violation(ErrorCode.OFFSET_INVALID, "LNK-9", detail);
    }
    let dropped = offset - this.#base;
    this.#base = offset;
    this.#bytes -= dropped;
    let whole = 0;
    while (dropped > 0) {
      const chunk = this.#chunks[whole] as Uint8Array;
      if (chunk.length > dropped) {
        this.#chunks[whole] = chunk.subarray(dropped);
        break;
      }
      dropped -= chunk.length;
      whole += 1;
    }
    if (whole > 0) this.#chunks.splice(0, whole);
    return undefined;
  }

  /** The bytes from the base on, at most so many. */
  peek(bytesMax: number): Uint8Array {
    const first = this.#chunks[0];
    if (first === undefined) return EMPTY;
    if (first.length >= bytesMax) return first.subarray(0, bytesMax);
    if (this.#chunks.length === 1) return first;
    const joined = new Uint8Array(Math.min(bytesMax, this.#bytes));
    let at = 0;
    for (const chunk of this.#chunks) {
      if (at === joined.length) break;
      const part = chunk.subarray(0, joined.length - at);
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }
}

const EMPTY = new Uint8Array(0);

/** The receiving half: passes on each byte once and in order. [LNK-1] [LNK-7] */
export class PipeReceiver {
  #received = 0;

  /** All bytes before this position have been received. */
  get received(): number {
    return this.#received;
  }

  /**
   * Takes bytes that begin at a position.
   *
   * @returns the part that is new and next: nothing of a repeat, nothing beyond a gap
   */
  take(offset: number, data: Uint8Array): Uint8Array | Violation {
    const fault = offsetFault(offset) ?? offsetFault(offset + data.length);
    if (fault !== undefined) return fault;
    const known = this.#received - offset;
    if (known < 0 || known >= data.length) return EMPTY;
    this.#received = offset + data.length;
    return known === 0 ? data : data.subarray(known);
  }
}

function offsetFault(offset: number): Violation | undefined {
  if (Number.isInteger(offset) && offset >= 0 && offset <= COUNTER_MAX) return undefined;
  return violation(ErrorCode.COUNTER_OUT_OF_RANGE, "LNK-9", "an offset is above 2^53-1");
}
