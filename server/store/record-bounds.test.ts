import assert from "node:assert/strict";
import { test } from "node:test";
import { logRecords, timelineRecords } from "./record-bounds.ts";
import type { LogRef } from "./store.ts";

test("[SEQ-16] a log's records are bounded in events and bytes, and hold all in order", () => {
  const sizes = [...Array.from({ length: 600 }, () => 1), 70_000, 1, 65_536, 1, 40_000, 40_000];
  const events = sizes.map((size) => ({ event: new Uint8Array(size) }));
  const records = [...logRecords({ firstSeq: 5, events })];
  assert.deepEqual(
    records.flatMap((record) => record.events),
    events,
  );
  let next = 5;
  for (const { firstSeq, events: held } of records) {
    assert.equal(firstSeq, next);
    next += held.length;
    const bytes = held.reduce((sum, { event }) => sum + event.length, 0);
    assert.ok(held.length <= 256 && (bytes <= 65_536 || held.length === 1), `${bytes} bytes`);
  }
  assert.equal(records.length, 8);
});

test("[SEQ-16] a timeline's records are bounded in runs, and hold all in order", () => {
  const runs = Array.from({ length: 600 }, (_, index) => ({
    log: `l${index % 2}` as LogRef,
    firstLogSeq: 1 + index,
    count: 1 + (index % 3),
  }));
  const records = [...timelineRecords({ firstSeq: 9, runs })];
  assert.deepEqual(
    records.flatMap((record) => record.runs),
    runs,
  );
  const firsts = records.map(({ firstSeq }) => firstSeq);
  assert.deepEqual(firsts, [9, 9 + 511, 9 + 1023]);
});
