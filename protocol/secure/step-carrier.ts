import type { RatchetStep } from "./message.ts";
import type { StateReader, StateWriter } from "./stored-state.ts";

/** The first messages that carry a step, one after another. [SEC-56] */
const FIRST_MESSAGES = 3;
/** After those every so many. [SEC-56] */
const LATER_MESSAGES = 8;

/**
 * Which messages carry a step of the ratchet: the first three, then every eighth, until whoever
 * made this drops it. A loss of some delays the step and does not stop it. [SEC-56]
 */
export class StepCarrier {
  readonly kind: RatchetStep["kind"];
  /** Public: a key or a ciphertext. */
  readonly bytes: Uint8Array;
  /** Messages since the step was made. */
  #count = 0;

  constructor(kind: RatchetStep["kind"], bytes: Uint8Array) {
    this.kind = kind;
    this.bytes = bytes;
  }

  /** What the next message carries. @param always whether in any case [SEC-56] */
  next(always: boolean): RatchetStep | undefined {
    const later = this.#count - FIRST_MESSAGES + 1;
    const isNow = later <= 0 || later % LATER_MESSAGES === 0;
    this.#count += 1;
    return isNow || always ? { kind: this.kind, bytes: this.bytes } : undefined;
  }

  store(into: StateWriter): void {
    into.flag(this.kind === "key");
    into.bytes(this.bytes);
    into.u32(this.#count);
  }

  static restore(from: StateReader): StepCarrier {
    const kind = from.flag() ? "key" : "ciphertext";
    const carrier = new StepCarrier(kind, from.bytes());
    carrier.#count = from.u32();
    return carrier;
  }
}
