import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../random.ts";
import { planFaults } from "./faults.ts";
import { judgeTranscripts, type Spoken } from "./transcripts.ts";

test("a seed repeats its faults", () => {
  const plan = (seed: number) => planFaults(new SeededRandom(seed), 4);
  assert.deepEqual(plan(5), plan(5));
  assert.notDeepEqual(plan(5), plan(6));
});

/** One device that said a and b, and was shown some of it. */
function told(...shown: readonly (readonly [string, number])[]): Spoken {
  const transcript = shown.map(([text, seq]) => ({ from: "u/d", text, seq }));
  return { userId: "u", name: "d", accepted: ["a", "b"], transcript };
}

test("the judge tells loss, doubling and disorder apart: the demo can fail", () => {
  const good = { delivered: 2, lost: 0, duplicated: 0, misordered: 0 };
  assert.deepEqual(judgeTranscripts([told(["a", 1], ["b", 2])]), good);
  assert.equal(judgeTranscripts([told(["a", 1])]).lost, 1);
  assert.equal(judgeTranscripts([told(["a", 1], ["b", 2], ["b", 3])]).duplicated, 1);
  assert.ok(judgeTranscripts([told(["b", 1], ["a", 2])]).misordered > 0);
  assert.ok(judgeTranscripts([told(["a", 1], ["b", 3])]).misordered > 0);
});
