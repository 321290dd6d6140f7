import type { Env } from "../../platform/lmdb-folder.ts";
import type { GroupWrites } from "../../platform/lmdb-writes.ts";
import type { NumberSet } from "../../protocol/number-set.ts";
import type { ExpiringEntry } from "./expiries.ts";
import type { CommitGroup } from "./group.ts";
import { EXPIRIES_START, expiringOf, expiryKey, firstSeqOf, logExpiryKey } from "./keys.ts";
import type { LogRef } from "./store.ts";

/** What stands under a key that says everything itself. */
const THERE: Buffer = Buffer.from([1]);

/**
 * Which entries of logs expire, by time, and by log and time: written with the entries themselves,
 * so that nothing of it has to be in memory. One that does not expire any more, since it was
 * replaced, stays until its time.
 */
export class LmdbExpiries {
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  write({ expiring, expired }: CommitGroup, writes: GroupWrites): void {
    for (const entry of expiring) {
      writes.put(expiryKey(entry.expiresMs, entry), THERE);
      writes.put(logExpiryKey(entry), THERE);
    }
    for (const entry of expired) {
      writes.remove(expiryKey(entry.expiresMs, entry));
      writes.remove(logExpiryKey(entry));
    }
  }

  /** Those whose time has come, the earliest first. */
  due(nowMs: number, limit: number): readonly ExpiringEntry[] {
    const range = { start: EXPIRIES_START, end: expiryKey(nowMs + 1), limit };
    return [...this.#env.getKeys(range)].map((key) => expiringOf(key as unknown as Buffer));
  }

  /** The numbers of those of a log. */
  dueIn(log: LogRef, nowMs: number): NumberSet {
    const start = logExpiryKey({ log, seq: 0, expiresMs: 0 });
    const end = logExpiryKey({ log, seq: 0, expiresMs: nowMs + 1 });
    const keys = [...this.#env.getKeys({ start, end })];
    const seqs = keys.map((key) => firstSeqOf(key as unknown as Buffer)).sort((a, b) => a - b);
    const ranges: { from: number; through: number }[] = [];
    for (const seq of seqs) {
      const last = ranges.at(-1);
      if (last?.through === seq - 1) last.through = seq;
      else ranges.push({ from: seq, through: seq });
    }
    return ranges;
  }
}
