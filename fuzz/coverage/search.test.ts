import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type GuardOptions, guardedSearch } from "./guard.ts";

const TOYS: GuardOptions = {
  target: "magic",
  table: join(import.meta.dirname, "testdata/toys.ts"),
  corpus: [],
  seed: 7,
  runs: 60_000,
  seconds: 60,
  isBlind: false,
  isDistilled: false,
  hangMs: 30_000,
  heapMib: 256,
};

test("led by blocks, a search finds what one without never does, and makes it small", async () => {
  const [guided, blind] = await Promise.all([
    guardedSearch(TOYS),
    guardedSearch({ ...TOYS, isBlind: true }),
  ]);
  assert.match(guided.failure?.error ?? "", /found after 3 bytes/);
  assert.equal(Buffer.from(guided.failure?.input ?? []).toString("latin1"), "pos");
  assert.equal(blind.failure, undefined);
  assert.ok(blind.runCount >= TOYS.runs && guided.runCount < blind.runCount);
});

test("the same seed takes the same inputs, another one others", async () => {
  const picky = { ...TOYS, target: "picky" };
  const [one, same, other] = await Promise.all(
    [7, 7, 8].map(async (seed) => {
      const { runCount, corpus, failure } = await guardedSearch({ ...picky, seed });
      assert.match(failure?.error ?? "", /is one/);
      return { runCount, corpus, input: failure?.input };
    }),
  );
  assert.deepEqual(one, same);
  assert.notDeepEqual(one, other);
});

test("the same seed keeps the same inputs", async () => {
  const bounded = { ...TOYS, runs: 3_000 };
  const [one, same] = await Promise.all([guardedSearch(bounded), guardedSearch(bounded)]);
  assert.ok(one.corpus.length > 1, "something was kept");
  assert.deepEqual({ ...one, ms: 0 }, { ...same, ms: 0 });
});

test("a search goes on from its corpus, and keeps of it what reaches something", async () => {
  const corpus = ["pox", "po", "poy"].map((text) => new Uint8Array(Buffer.from(text)));
  const report = await guardedSearch({ ...TOYS, corpus, runs: 1 });
  assert.deepEqual(report.corpus.map(textOf), ["", "po"], "the smallest that reaches it");
});

test("a corpus that is distilled reaches the same with less", async () => {
  const corpus = ["p with noise", "p\u00ffo", "po, and more noise"].map((text) => {
    return new Uint8Array(Buffer.from(text, "latin1"));
  });
  const report = await guardedSearch({ ...TOYS, corpus, runs: 1, isDistilled: true });
  assert.deepEqual(report.corpus.map(textOf), ["", "p", "po"]);
});

function textOf(input: Uint8Array): string {
  return Buffer.from(input).toString("latin1");
}

test("a target that promises is waited for, and its failure is made small", async () => {
  const { failure } = await guardedSearch({ ...TOYS, target: "late-magic" });
  assert.match(failure?.error ?? "", /found with 3 bytes/);
  assert.deepEqual([...(failure?.input ?? [])], [0x70, 0x6f, 0]);
});

test("an input that never ends is found and named", async () => {
  const { failure } = await guardedSearch({ ...TOYS, target: "endless", hangMs: 400 });
  assert.match(failure?.error ?? "", /no end within 400 ms/);
  assert.equal(failure?.input[0], 0xff);
});

test("an input that takes all memory is found and named", async () => {
  const { failure } = await guardedSearch({ ...TOYS, target: "hungry", heapMib: 32 });
  assert.match(failure?.error ?? "", /memory/);
  assert.equal(failure?.input[0], 0xff);
});

test("what cannot be loaded is an error, not a failure of a target", async () => {
  await assert.rejects(guardedSearch({ ...TOYS, target: "unheard-of" }), /no target unheard-of/);
});
