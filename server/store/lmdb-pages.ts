import type { Env } from "../../platform/lmdb-folder.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { entryAt } from "./expiries.ts";
import { firstSeqOf, timelineKey } from "./keys.ts";
import type { LmdbLogs, OpenedRecord } from "./lmdb-logs.ts";
import { lastRecord } from "./lmdb-ranges.ts";
import type { LogRetention } from "./log-retention.ts";
import { decodeTimeline, type TimelineRun } from "./records.ts";
import {
  type LogEntry,
  type LogRef,
  type PageLimit,
  type TimelineBounds,
  type TimelineEntry,
  type TimelinePage,
  toldSeq,
  type UserRef,
} from "./store.ts";

/** Reads part of a timeline and joins the content that its entries refer to. */
export function loadPage(
  { env, logs }: { readonly env: Env; readonly logs: LmdbLogs },
  page: {
    readonly user: UserRef;
    readonly after: number;
    readonly limit: PageLimit;
    readonly bounds: TimelineBounds;
    /** Perishable content for whoever reads. */
    readonly contentAt?: ((seq: number) => Uint8Array | undefined) | undefined;
    /** When it is read. */
    readonly nowMs: number;
    readonly retention: LogRetention;
  },
): TimelinePage {
  const { user, limit, bounds } = page;
  const from = Math.max(page.after + 1, bounds.floor);
  const entries: TimelineEntry[] = [];
  if (from > bounds.head) return { bounds, entries };
  const reader = new LogReader(logs, page);
  let bytes = 0;
  for (const { seq, log, logSeq } of indexFrom(env, user, from)) {
    if (seq > bounds.head || entries.length >= limit.count) break;
    const { committedMs, event: stub } = reader.entry(log, logSeq);
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
 * in a log, or in one of a few. So a record is opened once for a page.
 */
class LogReader {
  readonly #logs: LmdbLogs;
  readonly #held = new BoundedCache<LogRef, OpenedRecord>(RECORDS_HELD_MAX);

  readonly #nowMs: number;
  readonly #retention: LogRetention;

  constructor(logs: LmdbLogs, read: { readonly nowMs: number; readonly retention: LogRetention }) {
    this.#logs = logs;
    this.#nowMs = read.nowMs;
    this.#retention = read.retention;
  }

  entry(log: LogRef, seq: number): LogEntry {
    const held = this.#held.get(log);
    const isHeld =
      held !== undefined && seq >= held.firstSeq && seq < held.firstSeq + held.events.length;
    const record = isHeld ? held : this.#read(log, seq);
    // When that was is gone with it.
    if (record === undefined) return { committedMs: 0, event: this.#retention.eventOf(log) };
    const { firstSeq, events, committedMs } = record;
    const stored = events[seq - firstSeq];
    if (stored === undefined)
      throw new RangeError("a timeline refers to what its log does not hold");
    return entryAt({ committedMs, ...stored }, this.#nowMs);
  }

  /** Undefined: it is not kept any more. */
  #read(log: LogRef, seq: number): OpenedRecord | undefined {
    const record = this.#logs.record({ log, seq });
    if (record === undefined && seq < this.#logs.floor(log)) return undefined;
    if (record === undefined) throw new RangeError("a timeline refers to a log that is not there");
    this.#held.set(log, record);
    return record;
  }
}
