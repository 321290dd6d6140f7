import type { Env } from "../../platform/lmdb-folder.ts";
import { logKey } from "./keys.ts";
import { type FoundRecord, lastRecord, recordsFrom } from "./lmdb-pages.ts";
import { decodeLog, encodeLog, type LogRecord } from "./records.ts";
import type {
  EntryContent,
  EntryRef,
  LogEntry,
  LogPage,
  LogRange,
  LogRef,
  PageLimit,
} from "./store.ts";

/** What a log holds under a number; undefined where it holds none. */
export function loadEntry(env: Env, { log, seq }: EntryRef): LogEntry | undefined {
  const found = covering(env, { log, seq });
  if (found === undefined) return undefined;
  const { committedMs, events } = decodeLog(found.value);
  const event = events[seq - found.firstSeq];
  return event && { committedMs, event };
}

/** The records that hold entries, with those entries' new content. */
export function* replacedRecords(
  env: Env,
  contents: Iterable<EntryContent>,
): Generator<{ readonly key: Buffer; readonly value: Uint8Array }> {
  const records = new Map<string, { key: Buffer; record: LogRecord & { events: Uint8Array[] } }>();
  for (const content of contents) {
    const found = covering(env, content);
    if (found === undefined) throw new RangeError("what is replaced is not there");
    const name = `${content.log}\0${found.firstSeq}`;
    const { committedMs, events } = decodeLog(found.value);
    const held = records.get(name) ?? {
      key: logKey(content.log, found.firstSeq),
      record: { committedMs, events: [...events] },
    };
    held.record.events[content.seq - found.firstSeq] = content.event;
    records.set(name, held);
  }
  for (const { key, record } of records.values()) yield { key, value: encodeLog(record) };
}

/** Part of a log. @param head of the log */
export function loadLogPage(
  env: Env,
  head: number,
  asked: { readonly log: LogRef; readonly range: LogRange; readonly limit: PageLimit },
): LogPage {
  const { log, range, limit } = asked;
  const entries: LogPage["entries"][number][] = [];
  const through = Math.min(range.through, head);
  let bytes = 0;
  for (const entry of entriesIn(env, log, { ...range, through })) {
    bytes += entry.event.length;
    if (entries.length >= limit.count || (entries.length > 0 && bytes > limit.bytes)) break;
    entries.push(entry);
  }
  return { head, entries: range.fromEnd ? entries.reverse() : entries };
}

function* entriesIn(env: Env, log: LogRef, { from, through, fromEnd = false }: LogRange) {
  if (through < from) return;
  const first = covering(env, { log, seq: from })?.firstSeq ?? from;
  const keys = { start: logKey(log, first), end: logKey(log, through + 1) };
  for (const { firstSeq, value } of recordsFrom(env, keys, fromEnd)) {
    const { committedMs, events } = decodeLog(value);
    for (let step = 0; step < events.length; step += 1) {
      const index = fromEnd ? events.length - 1 - step : step;
      const seq = firstSeq + index;
      if (seq < from || seq > through) continue;
      yield { seq, committedMs, event: Uint8Array.from(events[index] as Uint8Array) };
    }
  }
}

/** The record that holds an entry, if any does. */
function covering(env: Env, { log, seq }: EntryRef): FoundRecord | undefined {
  return lastRecord(env, logKey(log, 0), logKey(log, seq));
}
