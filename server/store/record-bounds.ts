import { type LogAppend, runsLength, type TimelineAppend } from "./group.ts";

// A reader decodes whole records: these bound what one entry can cost it.
const LOG_RECORD_EVENTS_MAX = 256;
/** A larger event is a record of its own. */
const LOG_RECORD_BYTES_MAX = 64 * 1024;
const TIMELINE_RECORD_RUNS_MAX = 256;

/** Cuts what a group appends to a log into records. */
export function* logRecords({ firstSeq, events }: LogAppend): Generator<LogAppend> {
  let from = 0;
  let bytes = 0;
  for (const [index, { event, expiry }] of events.entries()) {
    const isFull = index - from === LOG_RECORD_EVENTS_MAX;
    const eventBytes = event.length + (expiry?.event.length ?? 0);
    if (index > from && (isFull || bytes + eventBytes > LOG_RECORD_BYTES_MAX)) {
      yield { firstSeq: firstSeq + from, events: events.slice(from, index) };
      from = index;
      bytes = 0;
    }
    bytes += eventBytes;
  }
  yield { firstSeq: firstSeq + from, events: events.slice(from) };
}

/** Cuts what a group appends to a timeline into records. */
export function* timelineRecords({ firstSeq, runs }: TimelineAppend): Generator<TimelineAppend> {
  let seq = firstSeq;
  for (let from = 0; from < runs.length; from += TIMELINE_RECORD_RUNS_MAX) {
    const part = runs.slice(from, from + TIMELINE_RECORD_RUNS_MAX);
    yield { firstSeq: seq, runs: part };
    seq += runsLength(part);
  }
}
