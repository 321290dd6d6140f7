import type { Env } from "./lmdb-folder.ts";

/** The store has reached its size: nothing of a group was written. */
export class StoreFull extends RangeError {
  override readonly name = "StoreFull";
}

/**
 * Writes that belong together: gathered, then handed to LMDB within one turn of the event loop,
 * which makes them one transaction (lmdb's event turn batching).
 */
export class GroupWrites {
  readonly #env: Env;
  readonly #puts: { readonly key: Buffer; readonly value: Uint8Array }[] = [];
  readonly #removals: Buffer[] = [];
  #bytes = 0;

  constructor(env: Env) {
    this.#env = env;
  }

  get putCount(): number {
    return this.#puts.length;
  }

  put(key: Buffer, value: Uint8Array): void {
    this.#puts.push({ key, value });
    this.#bytes += key.length + value.length;
  }

  remove(key: Buffer): void {
    this.#removals.push(key);
  }

  /**
   * Resolves when all writes are on disk together.
   *
   * @param mapBytes the most that the file may grow to; LMDB itself would grow it without end
   * @throws StoreFull, or of LMDB: none of them is then there
   */
  async commit(mapBytes: number): Promise<void> {
    const { lastPageNumber, pageSize } = this.#env.getStats() as EnvStats;
    // Each value may begin a page of its own; a few more are rewritten on the way to the root.
    const neededBytes = this.#bytes + (2 * this.#puts.length + 16) * pageSize;
    if ((lastPageNumber + 1) * pageSize + neededBytes > mapBytes) {
      throw new StoreFull(`the store has reached its size of ${mapBytes} bytes`);
    }
    const promises = new Set<Promise<boolean>>();
    for (const { key, value } of this.#puts) promises.add(this.#env.put(key, value));
    for (const key of this.#removals) promises.add(this.#env.remove(key));
    setImmediate(() => this.#hearOwnPromise());
    // A failed transaction rejects every promise that was given out, and one more that explains it.
    const outcomes = await Promise.allSettled(promises);
    for (const outcome of outcomes) {
      if (outcome.status !== "rejected") continue;
      const { commitError } = outcome.reason as { commitError?: Promise<unknown> };
      throw new Error("LMDB did not commit", { cause: await commitError?.catch((why) => why) });
    }
  }

  /**
   * LMDB closes a turn's transaction with a promise that nobody is given: unheard, its rejection
   * would end the process. By now it is the one that `committed` stands for.
   */
  #hearOwnPromise(): void {
    const ignore = () => {};
    this.#env.committed.then(ignore, ignore);
  }
}

interface EnvStats {
  readonly lastPageNumber: number;
  readonly pageSize: number;
}
