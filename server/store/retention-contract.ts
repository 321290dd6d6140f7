import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StoreFixture } from "./contract.ts";
import { append, Bench, bytesOf, LOG, replacing } from "./log-contract.ts";
import type { LogRetention } from "./log-retention.ts";
import {
  documentNumbered,
  documentRefOf,
  logRefOf,
  unnumberedLogRefOf,
  userRefOf,
} from "./store.ts";

const NOTES = documentRefOf("", "notes/");
const KEPT_MS = 10_000;
const BOB = userRefOf("", "bob");
const RETENTION: LogRetention = {
  keptMs: KEPT_MS,
  eventOf: (log) => bytesOf(`gone from ${log}`),
  clearsOf: () => [NOTES],
};
const GONE = `gone from ${LOG}`;

/** What a store does not keep for ever, for every implementation. */
export function retentionContract(name: string, fixture: () => Promise<StoreFixture>): void {
  describe(`store contract, retention: ${name}`, () => {
    const withStore = (title: string, body: (bench: Bench) => Promise<void>) =>
      test(title, async () => {
        const bench = await Bench.open(await fixture(), { retention: RETENTION });
        try {
          await body(bench);
        } finally {
          await bench.close();
        }
      });

    withStore(
      "[CNV-103] [CNV-104] what is older goes, and the log says from where on it is",
      older,
    );
    withStore("[CNV-104] a log of which nothing is kept goes on with the next number", nothingKept);
    withStore("[CNV-105] a timeline is given in its place what it is told of that", inTimelines);
    withStore("[CNV-103] with an entry goes what belongs to it, and no other log", clears);
    withStore("[CNV-103] what is replaced at that very time is not lost", replacedMeanwhile);
    withStore("[CNV-103] much that is old goes with some sweeps", much);
  });
}

const floorOf = async ({ store }: Bench, log = LOG) => {
  const page = await store.loadLog(log, { from: 1, through: 1e9 }, { count: 1, bytes: 1e9 });
  const { floors, heads } = await store.loadForPlanning({ users: [], heads: [log] });
  assert.deepEqual([floors?.get(log), heads.get(log)], [page.floor, page.head]);
  return [page.floor, page.head];
};

/** Entries of two times. */
async function two(bench: Bench): Promise<void> {
  await bench.committed([append("one"), append("two")]);
  await bench.committed([append("three")]);
  bench.setMs(6_000);
  await bench.committed([append("four"), append("five")]);
}

async function older(bench: Bench): Promise<void> {
  await two(bench);
  bench.setMs(1_000 + KEPT_MS);
  await bench.store.sweep();
  assert.deepEqual(await floorOf(bench), [1, 5]);
  bench.setMs(1_001 + KEPT_MS);
  await bench.store.sweep();
  assert.deepEqual(await floorOf(bench), [4, 5]);
  assert.deepEqual(await bench.log(), ["four", "five"]);
  assert.deepEqual(await bench.log({ fromEnd: true }), ["four", "five"]);
  assert.deepEqual(await bench.log({ from: 1, through: 3 }), []);
  assert.deepEqual(await bench.log({ from: 1, through: 3, fromEnd: true }), []);
  const refs = [3, 4].map((seq) => ({ log: LOG, seq }));
  const { entries } = await bench.store.loadForPlanning({ users: [], entries: refs });
  assert.equal(entries.size, 1);
  assert.equal((await bench.commit([replacing(3, "three", "THREE")])).kind, "stale");
  await bench.reopen();
  assert.deepEqual(await floorOf(bench), [4, 5]);
  assert.deepEqual(await bench.log(), ["four", "five"]);
}

async function nothingKept(bench: Bench): Promise<void> {
  await two(bench);
  bench.setMs(1e6);
  await bench.store.sweep();
  assert.deepEqual(await floorOf(bench), [6, 5]);
  assert.deepEqual(await bench.log(), []);
  await bench.reopen();
  assert.deepEqual(await floorOf(bench), [6, 5]);
  const { results } = await bench.committed([append("six")]);
  assert.equal(results.at(-1)?.conversationSeq, 6);
  assert.deepEqual(await bench.log(), ["six"]);
  assert.deepEqual(await floorOf(bench), [6, 6]);
}

async function inTimelines(bench: Bench): Promise<void> {
  await two(bench);
  // It is old, and comes into timelines once more.
  await bench.committed([
    { kind: "repeat", entry: { log: LOG, seq: 2 }, timelines: [BOB] },
    append("six"),
  ]);
  bench.setMs(1_001 + KEPT_MS);
  await bench.store.sweep();
  const expected = [GONE, GONE, GONE, "four", "five", GONE, "six"];
  assert.deepEqual(await bench.timeline(BOB), expected);
  const page = await bench.store.loadTimeline(BOB, 0, { count: 3, bytes: 1e9 });
  assert.deepEqual(
    page.entries.map(({ seq, conversationSeq, committedMs }) => [
      seq,
      conversationSeq,
      committedMs,
    ]),
    [
      [1, 1, 0],
      [2, 2, 0],
      [3, 3, 0],
    ],
  );
  await bench.reopen();
  assert.deepEqual(await bench.timeline(BOB), expected);
}

async function clears(bench: Bench): Promise<void> {
  await two(bench);
  const happenings = unnumberedLogRefOf("", "happenings");
  const other = logRefOf("", "g:other");
  bench.setMs(1_000);
  await bench.committed([append("happens", { log: happenings })]);
  bench.setMs(8_000);
  await bench.committed([append("later", { log: other })]);
  const notes = [3, 4].map((seq) => documentNumbered(NOTES, seq));
  const puts = notes.map((ref) => ({ ref, bytes: bytesOf("x") }));
  await bench.committed([append("six", { puts })]);
  bench.setMs(1_001 + KEPT_MS);
  await bench.store.sweep();
  const [third, fourth] = await Promise.all(notes.map((ref) => bench.document(ref)));
  assert.deepEqual([third?.bytes.length, fourth?.bytes.length], [0, 1]);
  assert.deepEqual(await bench.log({}, undefined, other), ["later"]);
  bench.setMs(1e9);
  await bench.store.sweep();
  assert.deepEqual(await bench.log({}, undefined, other), []);
  assert.deepEqual(await bench.log({}, undefined, happenings), ["happens"], "it has no numbers");
}

async function replacedMeanwhile(bench: Bench): Promise<void> {
  await two(bench);
  bench.setMs(1_001 + KEPT_MS);
  const [outcome] = await Promise.all([
    bench.commit([replacing(2, "two", "TWO")], 1),
    bench.store.sweep(),
  ]);
  assert.equal(outcome.kind, "committed");
  const kept = await bench.log();
  const isKept = kept.length === 6;
  assert.deepEqual(kept, isKept ? ["one", "TWO", "three", ...kept.slice(3)] : kept.slice(-3));
  await bench.store.sweep();
  assert.deepEqual(await bench.log(), ["four", "five", "replaces 2"]);
  await bench.reopen();
  assert.deepEqual(await bench.log(), ["four", "five", "replaces 2"]);
}

async function much(bench: Bench): Promise<void> {
  const count = 50;
  for (let number = 1; number <= count; number += 1) await bench.committed([append(`${number}`)]);
  bench.setMs(1e6);
  await bench.committed([append("last")]);
  for (let round = 0; round < 4; round += 1) await bench.store.sweep();
  assert.deepEqual(await bench.log(), ["last"]);
  assert.deepEqual(await floorOf(bench), [count + 1, count + 1]);
}
