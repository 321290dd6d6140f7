import { copyOf } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { assert } from "../violation.ts";
import { COUNTER_MAX } from "./message.ts";
import { messageKey, nextChainKey, SECRET_BYTES } from "./schedule.ts";
import type { StateReader, StateWriter } from "./stored-state.ts";

/** How many keys one message may skip. [SEC-53] */
export const JUMP_MAX = 256;
/** How long a chain is kept that the other side has left. [SEC-61] */
export const OLD_CHAIN_MS = 3600 * 1000;

interface SendingState {
  readonly epoch: number;
  /** How many messages the chain before has sealed. */
  readonly pn: number;
  /** Owned by the chain from here on. */
  readonly key: Uint8Array;
  readonly n?: number;
}

/** The chain with which we send in the present epoch. [SEC-40] */
export class SendingChain {
  readonly epoch: number;
  readonly pn: number;
  readonly #key: Uint8Array;
  #n: number;

  constructor({ epoch, pn, key, n = 0 }: SendingState) {
    this.epoch = epoch;
    this.pn = pn;
    this.#key = key;
    this.#n = n;
  }

  /** The number of the next message. */
  get n(): number {
    return this.#n;
  }

  /** The key of the next message, whose number is used up for good. [SEC-42] */
  take(crypto: CryptoProvider): Uint8Array {
    assert(this.#n <= COUNTER_MAX, "positions do not wrap [SEC-43]");
    const key = messageKey(crypto, this.#key, this.#n);
    const next = nextChainKey(crypto, this.#key, this.#n);
    this.#key.set(next);
    next.fill(0);
    this.#n += 1;
    return key;
  }

  erase(): void {
    this.#key.fill(0);
  }

  store(into: StateWriter): void {
    into.u32(this.epoch);
    into.u32(this.pn);
    into.bytes(this.#key);
    into.u64(this.#n);
  }

  static restore(from: StateReader): SendingChain {
    const epoch = from.u32();
    const pn = from.u32();
    return new SendingChain({ epoch, pn, key: from.bytes(SECRET_BYTES), n: from.u64() });
  }
}

/** A way along a receiving chain, on copies: nothing of it counts before it is committed. */
export interface Reach {
  readonly n: number;
  /** Of the message at n. */
  readonly messageKey: Uint8Array;
  /** The chain's keys from where it stands to n. */
  readonly trail: readonly Uint8Array[];
  /** The chain's key behind n. */
  readonly after: Uint8Array;
}

export function eraseReach({ messageKey: key, trail, after }: Reach): void {
  key.fill(0);
  for (const passed of trail) passed.fill(0);
  after.fill(0);
}

/** One chain of the other side. [SEC-40] */
export class ReceivingChain {
  readonly epoch: number;
  #key: Uint8Array | undefined;
  #next = 0;
  #end: number | undefined;
  #oldSinceMs: number | undefined;
  /** The pn of its messages, as the first one said. [SEC-60] */
  pn: number | undefined;
  /** Hash of the one key that was offered in it. [SEC-59] */
  offered: Uint8Array | undefined;
  /** Hash of the one ciphertext that began it. [SEC-59] */
  answered: Uint8Array | undefined;

  /** @param key owned by the chain from here on */
  constructor(epoch: number, key: Uint8Array | undefined) {
    this.epoch = epoch;
    this.#key = key;
  }

  /** The number behind the highest one that was opened. */
  get next(): number {
    return this.#next;
  }

  /** When it is to be erased because the other side has left it; Infinity before. [SEC-61] */
  get deadlineMs(): number {
    const isKept = this.#key !== undefined && this.#oldSinceMs !== undefined;
    return isKept ? (this.#oldSinceMs as number) + OLD_CHAIN_MS : Number.POSITIVE_INFINITY;
  }

  /** Whether a number not passed yet is near enough, and below the chain's known end. [SEC-53] */
  isWithin(n: number, nowMs: number): boolean {
    const isBeforeEnd = this.#end === undefined || n < this.#end;
    const isKept = this.#key !== undefined && nowMs < this.deadlineMs;
    return isKept && isBeforeEnd && n - this.#next <= JUMP_MAX;
  }

  /** Goes to a number that is within, on copies. [SEC-51] */
  reach(crypto: CryptoProvider, n: number): Reach {
    assert(this.#key !== undefined && n >= this.#next, "the way goes forward");
    const trail = [copyOf(this.#key)];
    for (let at = this.#next; at < n; at += 1) {
      trail.push(nextChainKey(crypto, trail.at(-1) as Uint8Array, at));
    }
    const last = trail.at(-1) as Uint8Array;
    const after = nextChainKey(crypto, last, n);
    return { n, messageKey: messageKey(crypto, last, n), trail, after };
  }

  /** The message at the end of the way was right: goes it, and hands over what was skipped. */
  commit(crypto: CryptoProvider, way: Reach, keep: (n: number, key: Uint8Array) => void): void {
    for (const [index, passed] of way.trail.slice(0, -1).entries()) {
      const n = this.#next + index;
      keep(n, messageKey(crypto, passed, n));
    }
    this.#key?.set(way.after);
    this.#next = way.n + 1;
    eraseReach(way);
    this.#eraseAtEnd();
  }

  /** The other side sends with a later chain now. @param pn this chain's length, where known */
  becomeOld(nowMs: number, pn: number | undefined): void {
    this.#oldSinceMs ??= nowMs;
    this.#end ??= pn;
    this.#eraseAtEnd();
  }

  /** Erases the key; what was said in the chain is remembered. */
  erase(): void {
    this.#key?.fill(0);
    this.#key = undefined;
  }

  store(into: StateWriter): void {
    const number = (value: number) => into.u64(value);
    const bytes = (value: Uint8Array) => into.bytes(value);
    into.u32(this.epoch);
    into.maybe(this.#key, bytes);
    into.u64(this.#next);
    into.maybe(this.#end, number);
    into.maybe(this.#oldSinceMs, number);
    into.maybe(this.pn, number);
    into.maybe(this.offered, bytes);
    into.maybe(this.answered, bytes);
  }

  static restore(from: StateReader): ReceivingChain {
    const number = () => from.u64();
    const secret = () => from.bytes(SECRET_BYTES);
    const epoch = from.u32();
    const chain = new ReceivingChain(epoch, from.maybe(secret));
    chain.#next = from.u64();
    chain.#end = from.maybe(number);
    chain.#oldSinceMs = from.maybe(number);
    chain.pn = from.maybe(number);
    chain.offered = from.maybe(secret);
    chain.answered = from.maybe(secret);
    return chain;
  }

  #eraseAtEnd(): void {
    if (this.#end !== undefined && this.#next >= this.#end) this.erase();
  }
}
