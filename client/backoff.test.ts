import assert from "node:assert/strict";
import { test } from "node:test";
import { BACKOFF_DEFAULT, Backoff } from "./backoff.ts";

const CLIENTS = 10_000;
/** Numerical Recipes' generator: the same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test("[SES-16] ten thousand clients that were cut at once do not come back at once (P30)", () => {
  const random = seeded(1);
  const bucketMs = 100;
  const counts = new Map<number, number>();
  const windowMs = 60_000;
  for (let client = 0; client < CLIENTS; client += 1) {
    const backoff = new Backoff(BACKOFF_DEFAULT, random);
    // Each attach fails, at once: the worst that a herd can do.
    for (let atMs = backoff.nextMs(); atMs < windowMs; atMs += backoff.nextMs() + 1) {
      const bucket = Math.floor(atMs / bucketMs);
      counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
    }
  }
  const late = [...counts].filter(([bucket]) => bucket * bucketMs >= 15_000);
  const peak = Math.max(...late.map(([, count]) => count));
  const mean = late.reduce((sum, [, count]) => sum + count, 0) / late.length;
  assert.ok(peak < mean * 3, `a peak of ${peak} attaches in ${bucketMs} ms, ${mean} in the mean`);
  assert.ok(peak < CLIENTS / 20, `${peak} of ${CLIENTS} in ${bucketMs} ms`);
});

test("[SES-16] the delay grows to its cap with failures, and only progress ends that (P15)", () => {
  const backoff = new Backoff({ baseMs: 100, capMs: 1_000 }, () => 0.999);
  const delays = Array.from({ length: 6 }, () => backoff.nextMs());
  assert.deepEqual(delays, [99, 199, 399, 799, 999, 999]);
  assert.equal(backoff.failures, 6);
  backoff.progressed();
  assert.equal(backoff.nextMs(), 99);
});
