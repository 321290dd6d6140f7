import type { Env } from "../../platform/lmdb-folder.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { firstSeqOf, logKey, timelineKey } from "./keys.ts";
import { decodeLog, decodeTimeline, type LogRecord, type TimelineRun } from "./records.ts";
import {
  type LogRef,
  type PageLimit,
  type TimelineBounds,
  type TimelineEntry,
  type TimelinePage,
  toldSeq,
  type UserRef,
} from "./store.ts";

export interface FoundRecord {
  readonly firstSeq: number;
  readonly value: Buffer;
}

/** The last record with a key from `first` up to and including `last`. */
export function lastRecord(env: Env, first: Buffer, last: Buffer): FoundRecord | undefined {
  for (const { key, value } of env.getRange({ start: last, end: first, reverse: true, limit: 1 })) {
    return { firstSeq: firstSeqOf(key), value: value as Buffer };
  }
  return undefined;
}

/** Records with keys of a range, in order or against it. */
export function* recordsFrom(
  env: Env,
  { start, end }: { readonly start: Buffer; readonly end: Buffer },
  reverse: boolean,
): Generator<FoundRecord> {
  // Backwards, the end is the first key that is read, and would be in it.
  const range = reverse ? { start: end, end: start, reverse } : { start, end };
  for (const { key, value } of env.getRange(range)) {
    if (reverse && (key as Buffer).equals(end)) continue;
    yield { firstSeq: firstSeqOf(key), value: value as Buffer };
  }
  if (!reverse) return;
  const last = env.getBinary(start);
  if (last !== undefined) yield { firstSeq: firstSeqOf(start), value: last };
}

/** Reads part of a timeline and joins the content that its entries refer to. */
export function loadPage(
  env: Env,
  page: {
    readonly user: UserRef;
    readonly after: number;
    readonly limit: PageLimit;
    readonly bounds: TimelineBounds;
    /** Perishable content for whoever reads. */
    readonly contentAt?: ((seq: number) => Uint8Array | undefined) | undefined;
  },
): TimelinePage {
  const { user, limit, bounds } = page;
  const from = Math.max(page.after + 1, bounds.floor);
  const entries: TimelineEntry[] = [];
  if (from > bounds.head) return { bounds, entries };
  const logs = new LogReader(env);
  let bytes = 0;
  for (const { seq, log, logSeq } of indexFrom(env, user, from)) {
    if (seq > bounds.head || entries.length >= limit.count) break;
    const { committedMs, event: stub } = logs.entry(log, logSeq);
    const event = page.contentAt?.(seq) ?? stub;
    bytes += event.length;
    if (entries.length > 0 && bytes > limit.bytes) break;
    entries.push({ seq, conversationSeq: toldSeq(log, logSeq), committedMs, event });
  }
  return { bounds, entries };
}

function* indexFrom(env: Env, user: UserRef, from: number) {
  const covering = lastRecord(env, timelineKey(user, 0), timelineKey(user, from));
  const start = timelineKey(user, covering?.firstSeq ?? from);
  for (const { key, value } of env.getRange({ start, end: timelineKey(user, 2 ** 53) })) {
    let seq = firstSeqOf(key);
    for (const run of decodeTimeline(value)) {
      const skipped = Math.min(run.count, Math.max(0, from - seq));
      for (let index = skipped; index < run.count; index += 1) {
        yield indexEntry(run, seq + index, index);
      }
      seq += run.count;
    }
  }
}

function indexEntry(run: TimelineRun, seq: number, index: number) {
  return { seq, log: run.log, logSeq: run.firstLogSeq + index };
}

/** Logs of a page whose last record is kept; records are bounded. */
const RECORDS_HELD_MAX = 64;

/**
 * Reads log entries, keeping the last record of each log: neighbours in a timeline are neighbours
 * in a log, or in one of a few.
 */
class LogReader {
  readonly #env: Env;
  readonly #held = new BoundedCache<LogRef, HeldRecord>(RECORDS_HELD_MAX);

  constructor(env: Env) {
    this.#env = env;
  }

  entry(log: LogRef, seq: number): { readonly committedMs: number; readonly event: Uint8Array } {
    const held = this.#held.get(log);
    const isHeld =
      held !== undefined && seq >= held.firstSeq && seq < held.firstSeq + held.record.events.length;
    const { firstSeq, record } = isHeld ? held : this.#read(log, seq);
    const event = record.events[seq - firstSeq];
    if (event === undefined)
      throw new RangeError("a timeline refers to what its log does not hold");
    return { committedMs: record.committedMs, event };
  }

  #read(log: LogRef, seq: number): HeldRecord {
    const found = lastRecord(this.#env, logKey(log, 0), logKey(log, seq));
    if (found === undefined) throw new RangeError("a timeline refers to a log that is not there");
    const held = { firstSeq: found.firstSeq, record: decodeLog(found.value) };
    this.#held.set(log, held);
    return held;
  }
}

interface HeldRecord {
  readonly firstSeq: number;
  readonly record: LogRecord;
}
