import type { Env } from "../../platform/lmdb-folder.ts";
import { intersection, type NumberSet, numbersFrom } from "../../protocol/number-set.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { entryAt } from "./expiries.ts";
import { firstSeqOf, timelineKey } from "./keys.ts";
import type { LmdbLogs, OpenedRecord } from "./lmdb-logs.ts";
import { lastRecord } from "./lmdb-ranges.ts";
import type { LogRetention } from "./log-retention.ts";
import { decodeTimeline } from "./records.ts";
import {
  type LogEntry,
  type LogRef,
  type LogRun,
  type PageLimit,
  type TimelineBounds,
  type TimelineEntry,
  type TimelinePage,
  type TimelineRuns,
  toldSeq,
  type UserRef,
} from "./store.ts";

/** Reads part of a timeline and joins the content that its entries refer to. */
export function loadPage(
  { env, logs }: { readonly env: Env; readonly logs: LmdbLogs },
  page: {
    readonly user: UserRef;
    /** After a number, or of some. */
    readonly asked: number | NumberSet;
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
  const numbers = numbersIn(bounds, page.asked);
  const entries: TimelineEntry[] = [];
  const reader = new LogReader(logs, page);
  let bytes = 0;
  for (const { seq, log, logSeq } of indexOf(env, user, numbers)) {
    if (entries.length >= limit.count) break;
    const { committedMs, event: stub } = reader.entry(log, logSeq);
    const event = page.contentAt?.(seq) ?? stub;
    bytes += event.length;
    if (entries.length > 0 && bytes > limit.bytes) break;
    entries.push({ seq, conversationSeq: toldSeq(log, logSeq), committedMs, event });
  }
  return { bounds, entries };
}

/** What is there of what is asked for. */
export function numbersIn({ floor, head }: TimelineBounds, asked: number | NumberSet): NumberSet {
  const numbers = typeof asked === "number" ? numbersFrom(asked + 1, head) : asked;
  return intersection(numbers, numbersFrom(floor, head));
}

/** Reads where part of a timeline is. */
export function loadRuns(
  env: Env,
  asked: {
    readonly user: UserRef;
    readonly after: number;
    readonly countMax: number;
    readonly bounds: TimelineBounds;
  },
): TimelineRuns {
  const { user, countMax, bounds } = asked;
  const from = Math.max(asked.after + 1, bounds.floor);
  const through = Math.min(bounds.head, from + countMax - 1);
  const runs: LogRun[] = [];
  if (from > through) return { bounds, runs };
  for (const { firstSeq, run } of runsFrom(env, user, from)) {
    if (firstSeq > through) break;
    const skipped = Math.max(0, from - firstSeq);
    const count = Math.min(run.count, through - firstSeq + 1) - skipped;
    if (count <= 0) continue;
    const { log, firstLogSeq } = run;
    runs.push({ firstSeq: firstSeq + skipped, log, firstLogSeq: firstLogSeq + skipped, count });
  }
  return { bounds, runs };
}

function* indexOf(env: Env, user: UserRef, numbers: NumberSet) {
  let at = 0;
  const [first] = numbers;
  if (first === undefined) return;
  for (const { firstSeq, run } of runsFrom(env, user, first.from)) {
    const last = firstSeq + run.count - 1;
    for (;;) {
      const range = numbers[at];
      if (range === undefined) return;
      const through = Math.min(range.through, last);
      for (let seq = Math.max(range.from, firstSeq); seq <= through; seq += 1) {
        yield { seq, log: run.log, logSeq: run.firstLogSeq + seq - firstSeq };
      }
      if (range.through > last) break;
      at += 1;
    }
  }
}

/** From the record on that holds a number. */
function* runsFrom(env: Env, user: UserRef, from: number) {
  const covering = lastRecord(env, timelineKey(user, 0), timelineKey(user, from));
  const start = timelineKey(user, covering?.firstSeq ?? from);
  for (const { key, value } of env.getRange({ start, end: timelineKey(user, 2 ** 53) })) {
    let firstSeq = firstSeqOf(key);
    for (const run of decodeTimeline(value)) {
      yield { firstSeq, run };
      firstSeq += run.count;
    }
  }
}

/**
 * Logs of a page whose last record is kept, while it is read: records are bounded, and one page is
 * read at a time. As many as an index names conversations.
 */
const RECORDS_HELD_MAX = 256;

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
