import { concat, copyOf, lv32, readU32, writeU32 } from "../envelope/octets.ts";

// The layout in which a session is stored: big-endian numbers, byte strings behind their length.
// [SEC-70]

/** Writes a stored state, member by member. */
export class StateWriter {
  #parts: Uint8Array[] = [];

  u32(value: number): void {
    const bytes = new Uint8Array(4);
    writeU32(value, bytes, 0);
    this.#parts.push(bytes);
  }

  /** A number of up to 2^53-1 in eight bytes. */
  u64(value: number): void {
    this.u32(Math.floor(value / 2 ** 32));
    this.u32(value % 2 ** 32);
  }

  bytes(value: Uint8Array): void {
    this.#parts.push(lv32(value));
  }

  flag(value: boolean): void {
    this.u32(value ? 1 : 0);
  }

  /** A member that may be missing, behind a flag. */
  maybe<T>(value: T | undefined, write: (value: T) => void): void {
    this.flag(value !== undefined);
    if (value !== undefined) write(value);
  }

  list<T>(values: readonly T[], write: (value: T) => void): void {
    this.u32(values.length);
    for (const value of values) write(value);
  }

  /** Everything; what was written is erased here, so that one copy is left. */
  finish(): Uint8Array {
    const whole = concat(this.#parts);
    for (const part of this.#parts) part.fill(0);
    this.#parts = [];
    return whole;
  }
}

/** Reads a stored state. After a fault all reads as zero or empty, and `isWhole` is false. */
export class StateReader {
  readonly #from: Uint8Array;
  #at = 0;
  #isBroken = false;

  constructor(from: Uint8Array) {
    this.#from = from;
  }

  /** Whether everything was there, and nothing more. */
  get isWhole(): boolean {
    return !this.#isBroken && this.#at === this.#from.length;
  }

  u32(): number {
    return readU32(this.#take(4), 0);
  }

  u64(): number {
    const upper = this.u32();
    const value = upper * 2 ** 32 + this.u32();
    // Beyond it two forms would be one number. [SEC-70]
    if (!Number.isSafeInteger(value)) this.#isBroken = true;
    return value;
  }

  /** @param length what it must have; any when undefined */
  bytes(length?: number): Uint8Array {
    const carried = this.u32();
    if (length !== undefined && carried !== length) this.#isBroken = true;
    return this.#take(carried);
  }

  flag(): boolean {
    const value = this.u32();
    if (value > 1) this.#isBroken = true;
    return value === 1;
  }

  maybe<T>(read: () => T): T | undefined {
    return this.flag() ? read() : undefined;
  }

  /** @param countMax more than that is a fault */
  list<T>(countMax: number, read: () => T): T[] {
    const count = this.u32();
    if (count > countMax) this.#isBroken = true;
    return this.#isBroken ? [] : Array.from({ length: count }, read);
  }

  #take(length: number): Uint8Array {
    if (this.#isBroken || length > this.#from.length - this.#at) {
      this.#isBroken = true;
      return new Uint8Array(0);
    }
    this.#at += length;
    return copyOf(this.#from, this.#at - length, this.#at);
  }
}
