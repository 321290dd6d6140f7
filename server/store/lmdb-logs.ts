import { createSecretKey } from "node:crypto";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { SlotKey } from "../../platform/erasable-keys.ts";
import type { Env } from "../../platform/lmdb-folder.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { eventAt, type StoredEntry, type StoredEvent } from "./expiries.ts";
import type { CommitGroup } from "./group.ts";
import { floorKey, LOGS_END, LOGS_START, logKey, logOf } from "./keys.ts";
import { type FoundRecord, lastRecord, recordsFrom } from "./lmdb-ranges.ts";
import { LogKeys } from "./log-keys.ts";
import { isNumbered, type LogCut } from "./log-retention.ts";
import { logRecords } from "./record-bounds.ts";
import {
  decodeFloor,
  decodeLog,
  decodeLogHead,
  encodeFloor,
  encodeLog,
  encodeLogHead,
  type LogRecord,
} from "./records.ts";
import { openSealed, sealOnce } from "./sealing.ts";
import {
  type EntryRef,
  type LogPage,
  type LogRange,
  type LogRef,
  type PageLimit,
  StoreError,
} from "./store.ts";

/** A record as it was before it was sealed. */
export interface OpenedRecord extends LogRecord {
  readonly firstSeq: number;
}

/** With the bytes of each: 8 MiB of events. */
const RECORDS_HELD_MAX = 512;
const HELD_BYTES_MAX = 16 * 1024;

/** What is looked through for what is old with one sweep: bounds how long others wait. */
const LOGS_PER_ROUND = 64;
/** Records of one log that go with one sweep. */
const RECORDS_PER_CUT = 16;

/** Records of a group that are to be written: sealed, their keys on disk. */
export interface SealedLogs {
  readonly puts: readonly { readonly key: Buffer; readonly value: Uint8Array }[];
  /** Keys of records that go. */
  readonly removals: readonly Buffer[];
  /** Logs that they are of. */
  readonly cuts: readonly LogRef[];
  readonly records: readonly NewRecord[];
  /** Slots of their keys. */
  readonly taken: readonly number[];
  /** Slots of the records that others take the place of. */
  readonly left: readonly number[];
}

/**
 * Logs in LMDB, whose freed pages keep what was replaced: each record is sealed under a key of its
 * own, which stands in a file that is written over in place. [CNV-61]
 *
 * A key is on disk before the record that needs it, and erased after the record that takes its
 * record's place is on disk: a crash in between leaves a key that nothing refers to, erased at the
 * next start. [CNV-62]
 */
export class LmdbLogs {
  readonly #env: Env;
  readonly keys: LogKeys;
  /** The newest record of a log that was read or written: most are read soon, by several. */
  readonly #held = new BoundedCache<LogRef, OpenedRecord>(RECORDS_HELD_MAX);

  /** @throws LackingKeys, or of the file system */
  static async open(env: Env, folder: string): Promise<LmdbLogs> {
    return new LmdbLogs(env, await LogKeys.open(env, folder));
  }

  private constructor(env: Env, keys: LogKeys) {
    this.#env = env;
    this.keys = keys;
  }

  /** The number of a log's newest entry, also of one that is not kept any more; 0: none. */
  head(log: LogRef): number {
    const last = lastRecord(this.#env, logKey(log, 0), logKey(log, 2 ** 53));
    if (last === undefined) return this.floor(log) - 1;
    return last.firstSeq - 1 + decodeLogHead(last.value).count;
  }

  /** The number of the oldest entry that is kept. */
  floor(log: LogRef): number {
    const stored = this.#env.getBinary(floorKey(log));
    return stored === undefined ? 1 : decodeFloor(stored);
  }

  /**
   * Logs with records that were committed before a time, and up to where: some records of some
   * logs.
   *
   * @param from where to begin: a key
   */
  older(beforeMs: number, from: Buffer): { readonly cuts: LogCut[]; readonly next: Buffer } {
    const cuts: LogCut[] = [];
    let next = from;
    for (let count = 0; count < LOGS_PER_ROUND; count += 1) {
      const [key] = this.#env.getKeys({ start: next, end: LOGS_END, limit: 1 });
      // All of them were looked at: it begins with the first again.
      if (key === undefined) return { cuts, next: LOGS_START };
      const log = logOf(key as unknown as Buffer);
      next = logKey(log, 2 ** 53);
      if (!isNumbered(log)) continue;
      const floor = this.#olderIn(log, beforeMs);
      if (floor > this.floor(log)) cuts.push({ log, floor });
    }
    return { cuts, next };
  }

  /** The first number of a log that is not older, or where it is enough for once. */
  #olderIn(log: LogRef, beforeMs: number): number {
    let floor = 0;
    let count = 0;
    for (const found of recordsFrom(this.#env, wholeOf(log), false)) {
      const { committedMs, events, firstSeq } = this.#opened(log, found);
      if (committedMs >= beforeMs || count === RECORDS_PER_CUT) break;
      floor = firstSeq + events.length;
      count += 1;
    }
    return floor;
  }

  /** What a log holds under a number; undefined where it holds none. */
  entry({ log, seq }: EntryRef): StoredEntry | undefined {
    const record = this.record({ log, seq });
    const stored = record?.events[seq - record.firstSeq];
    return record && stored && { committedMs: record.committedMs, ...stored };
  }

  /** The record that holds an entry, or the one before where none does. */
  record({ log, seq }: EntryRef): OpenedRecord | undefined {
    const held = this.#held.get(log);
    if (held !== undefined && seq >= held.firstSeq && seq < held.firstSeq + held.events.length) {
      return held;
    }
    const found = this.#covering({ log, seq });
    if (found === undefined) return undefined;
    const record = this.#opened(log, found);
    if (held === undefined || record.firstSeq > held.firstSeq) this.#hold(log, record);
    return record;
  }

  /** Part of a log, as it is at a time. @param head of the log */
  page(
    head: number,
    asked: {
      readonly log: LogRef;
      readonly range: LogRange;
      readonly limit: PageLimit;
      readonly nowMs: number;
    },
  ): LogPage {
    const { log, range, limit, nowMs } = asked;
    const entries: LogPage["entries"][number][] = [];
    const through = Math.min(range.through, head);
    let bytes = 0;
    for (const { seq, committedMs, stored } of this.#entriesIn(log, { ...range, through })) {
      const event = eventAt(stored, nowMs);
      bytes += event.length;
      if (entries.length >= limit.count || (entries.length > 0 && bytes > limit.bytes)) break;
      entries.push({ seq, committedMs, event });
    }
    return { head, floor: this.floor(log), entries: range.fromEnd ? entries.reverse() : entries };
  }

  /** Seals what a group appends and replaces. Resolves when the keys are on disk. */
  async seal(group: CommitGroup): Promise<SealedLogs> {
    const { records, left } = this.#replaced(group);
    for (const [log, append] of group.logs) {
      for (const { firstSeq, events } of logRecords(append)) {
        records.push({ log, firstSeq, committedMs: group.committedMs, events });
      }
    }
    const { removals, slots: cut } = this.#cut(group);
    left.push(...cut);
    const taken = await this.keys.take(records.length);
    const slots = taken.map(({ slot }) => slot);
    const puts = records.map((record, index) => sealed(record, taken[index] as SlotKey));
    for (const [log, floor] of group.cuts) {
      puts.push({ key: floorKey(log), value: Buffer.from(encodeFloor(floor)) });
    }
    puts.push(...this.keys.usedPuts(slots, left));
    return { puts, removals, records, taken: slots, left, cuts: [...group.cuts.keys()] };
  }

  /** The records of what goes, and the slots of their keys. */
  #cut({ cuts }: CommitGroup): { readonly removals: Buffer[]; readonly slots: number[] } {
    const removals: Buffer[] = [];
    const slots: number[] = [];
    for (const [log, floor] of cuts) {
      const below = { start: logKey(log, 0), end: logKey(log, floor) };
      for (const { firstSeq, value } of recordsFrom(this.#env, below, false)) {
        removals.push(logKey(log, firstSeq));
        slots.push(decodeLogHead(value).slot);
      }
    }
    return { removals, slots };
  }

  /** What was sealed is durable. */
  publish({ records, left, cuts }: SealedLogs): void {
    for (const log of cuts) this.#held.delete(log);
    for (const record of records) {
      // Also where a record before it was replaced: what is held may be that one.
      this.#held.delete(record.log);
      this.#hold(record.log, record);
    }
    this.keys.leave(left);
  }

  /** What was sealed is not. @param isUnwritten nothing of it went to LMDB */
  abandon({ taken }: SealedLogs, isUnwritten: boolean): void {
    this.keys.abandon(taken, isUnwritten);
  }

  /** The records that hold what a group replaces, with the new content: as many as it takes. */
  #replaced(group: CommitGroup): { records: NewRecord[]; left: number[] } {
    const changed = new Map<
      string,
      { slot: number; record: NewRecord & { events: StoredEvent[] } }
    >();
    for (const { log, seq, ...stored } of group.replaced.values()) {
      const found = this.#covering({ log, seq });
      if (found === undefined) throw new RangeError(MISSING);
      const { firstSeq } = found;
      const name = `${log}\0${firstSeq}`;
      const held = changed.get(name) ?? {
        slot: decodeLogHead(found.value).slot,
        record: { log, ...this.#opened(log, found) },
      };
      if (seq - firstSeq >= held.record.events.length) throw new RangeError(MISSING);
      changed.set(name, held);
      held.record.events[seq - firstSeq] = stored;
    }
    const all = [...changed.values()];
    const records = all.flatMap(({ record: { log, committedMs, firstSeq, events } }) =>
      [...logRecords({ firstSeq, events })].map((part) => ({ log, committedMs, ...part })),
    );
    return { records, left: all.map(({ slot }) => slot) };
  }

  *#entriesIn(log: LogRef, { from, through, fromEnd = false }: LogRange) {
    if (through < from) return;
    const first = this.#covering({ log, seq: from })?.firstSeq ?? from;
    const keys = { start: logKey(log, first), end: logKey(log, through + 1) };
    for (const found of recordsFrom(this.#env, keys, fromEnd)) {
      const { committedMs, events, firstSeq } = this.#opened(log, found);
      for (let step = 0; step < events.length; step += 1) {
        const index = fromEnd ? events.length - 1 - step : step;
        const seq = firstSeq + index;
        if (seq < from || seq > through) continue;
        yield { seq, committedMs, stored: events[index] as StoredEvent };
      }
    }
  }

  /** The record that holds an entry, if any does. */
  #covering({ log, seq }: EntryRef): FoundRecord | undefined {
    return lastRecord(this.#env, logKey(log, 0), logKey(log, seq));
  }

  #hold(log: LogRef, record: OpenedRecord): void {
    let bytes = 0;
    for (const { event } of record.events) bytes += event.length;
    if (bytes <= HELD_BYTES_MAX) this.#held.set(log, record);
  }

  /** @throws StoreError when its key is not there or another one */
  #opened(log: LogRef, { firstSeq, value }: FoundRecord): OpenedRecord & { events: StoredEvent[] } {
    const { slot, sealed } = decodeLogHead(value);
    const bytes = this.keys.read(slot);
    if (bytes === undefined) throw damaged();
    const key = createSecretKey(bytes);
    bytes.fill(0);
    try {
      return { firstSeq, ...decodeLog(openSealed(key, logKey(log, firstSeq), sealed)) };
    } catch (cause) {
      throw damaged(cause);
    }
  }
}

function wholeOf(log: LogRef): { readonly start: Buffer; readonly end: Buffer } {
  return { start: logKey(log, 0), end: logKey(log, 2 ** 53) };
}

const MISSING = "what is replaced is not there";

interface NewRecord extends OpenedRecord {
  readonly log: LogRef;
}

function sealed({ log, firstSeq, committedMs, events }: NewRecord, { slot, key }: SlotKey) {
  const place = logKey(log, firstSeq);
  const head = encodeLogHead({ slot, count: events.length });
  const secret = createSecretKey(key);
  key.fill(0);
  return { key: place, value: sealOnce(secret, place, encodeLog({ committedMs, events }), head) };
}

function damaged(cause?: unknown): StoreError {
  const why = "a record of a log does not open: its file of keys is not the one of the store";
  return new StoreError(ErrorCode.DATA_DAMAGED, why, { cause });
}
