import assert from "node:assert/strict";
import { test } from "node:test";
import { retryWaitMs } from "./webhook-retry.ts";

const RETRY = { minMs: 1_000, maxMs: 900_000 };
const NOW_MS = Date.parse("Sat, 21 Nov 2026 12:00:00 GMT");

function waited(failureCount: number, retryAfter?: string, random = 0): number {
  return retryWaitMs({ failureCount, retryAfter, nowMs: NOW_MS, random }, RETRY);
}

test("[BCK-19] waits double up to their limit, and half of them is by chance", () => {
  const counts = [1, 2, 3, 10, 11, 1_000_000];
  const least = [500, 1_000, 2_000, 256_000, 450_000, 450_000];
  assert.deepEqual(
    counts.map((count) => waited(count)),
    least,
  );
  for (const [index, count] of counts.entries()) {
    const most = waited(count, undefined, 0.999_999);
    assert.ok(most > (least[index] as number) * 1.99 && most <= (least[index] as number) * 2);
  }
});

test("[BCK-19] a receiver may ask for more, by seconds or a date, up to the limit", () => {
  const asked: Readonly<Record<string, number>> = {
    "60": 60_000,
    "0": 500,
    "900": 900_000,
    "901": 900_000,
    "999999999": 900_000,
    "Sat, 21 Nov 2026 12:01:00 GMT": 60_000,
    "Sat, 21 Nov 2026 11:00:00 GMT": 500,
    "Sat, 21 Nov 9999 12:00:00 GMT": 900_000,
  };
  for (const [text, ms] of Object.entries(asked)) assert.equal(waited(1, text), ms, text);
  for (const nothing of [
    "",
    "soon",
    "-1",
    "1.5",
    "1e9",
    "0x10",
    "9999999999",
    "2026-11-21",
    "NaN",
  ]) {
    assert.equal(waited(1, nothing), 500, nothing);
  }
});
