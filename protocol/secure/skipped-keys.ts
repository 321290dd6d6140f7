import type { StateReader, StateWriter } from "./stored-state.ts";

/** The most keys that are kept for messages that did not come yet. [SEC-53] */
export const SKIPPED_KEYS_MAX = 512;
/** How long one is kept. [SEC-53] */
export const SKIPPED_KEY_MS = 24 * 3600 * 1000;

const KEY_BYTES = 64;

interface SkippedKey {
  readonly epoch: number;
  readonly n: number;
  /** The message key. */
  readonly key: Uint8Array;
  readonly untilMs: number;
}

/** Keys of messages that were overtaken: each for one message, few, and not for long. [SEC-53] */
export class SkippedKeys {
  /** From the oldest to the newest. */
  #kept = new Map<string, SkippedKey>();

  get count(): number {
    return this.#kept.size;
  }

  /** When the next one is to be erased; Infinity while there is none. */
  get deadlineMs(): number {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const { untilMs } of this.#kept.values()) earliestMs = Math.min(earliestMs, untilMs);
    return earliestMs;
  }

  /** The key itself, not a copy; undefined when it is not here, or not any more. */
  find(epoch: number, n: number, nowMs: number): Uint8Array | undefined {
    const skipped = this.#kept.get(nameOf(epoch, n));
    return skipped !== undefined && nowMs < skipped.untilMs ? skipped.key : undefined;
  }

  /** Keeps a key, which is this object's from here on; the oldest makes room. */
  keep(epoch: number, n: number, key: Uint8Array, nowMs: number): void {
    this.#kept.set(nameOf(epoch, n), { epoch, n, key, untilMs: nowMs + SKIPPED_KEY_MS });
    for (const name of this.#kept.keys()) {
      if (this.#kept.size <= SKIPPED_KEYS_MAX) return;
      this.#erase(name);
    }
  }

  /** A key was used, for the only time. [SEC-42] */
  used(epoch: number, n: number): void {
    this.#erase(nameOf(epoch, n));
  }

  /** Time has passed: erases what is too old. */
  elapsed(nowMs: number): void {
    for (const [name, { untilMs }] of this.#kept) if (nowMs >= untilMs) this.#erase(name);
  }

  erase(): void {
    for (const name of this.#kept.keys()) this.#erase(name);
  }

  store(into: StateWriter): void {
    into.list([...this.#kept.values()], ({ epoch, n, key, untilMs }) => {
      into.u32(epoch);
      into.u32(n);
      into.bytes(key);
      into.u64(untilMs);
    });
  }

  restore(from: StateReader): void {
    from.list(SKIPPED_KEYS_MAX, () => {
      const epoch = from.u32();
      const n = from.u32();
      const key = from.bytes(KEY_BYTES);
      this.#kept.set(nameOf(epoch, n), { epoch, n, key, untilMs: from.u64() });
    });
  }

  #erase(name: string): void {
    this.#kept.get(name)?.key.fill(0);
    this.#kept.delete(name);
  }
}

function nameOf(epoch: number, n: number): string {
  return `${epoch}/${n}`;
}
