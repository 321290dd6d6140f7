import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { durationMs, valueFromText, valueText } from "./config-values.ts";

test("times are read with their unit, and nothing else is", () => {
  const good = { "0": 0, "15": 15, "200ms": 200, "25s": 25_000, "90m": 5_400_000, "2h": 7_200_000 };
  for (const [text, ms] of Object.entries(good)) assert.equal(durationMs(text), ms);
  assert.equal(durationMs("30d"), 30 * 86_400_000);
  const bad = ["", "s", "1.5s", "-1s", "1 s", "1S", "1KiB", "1constructor", "1__proto__", "1s1s"];
  for (const text of bad) assert.equal(durationMs(text), undefined, text);
  assert.equal(durationMs("9".repeat(16)), undefined);
});

test("what a value is written as reads back as the value, in its largest exact unit", () => {
  const max = Number.MAX_SAFE_INTEGER;
  const value = fc.oneof(
    fc.nat({ max }),
    fc.nat({ max: 2 ** 20 }).map((count) => count * 1024),
    fc.nat({ max: 2 ** 20 }).map((count) => count * 1000),
  );
  const kind = fc.constantFrom("integer" as const, "bytes" as const, "duration" as const);
  const property = fc.property(kind, value, (kind, value) => {
    fc.pre(value < 1e15);
    const type = { kind, min: 0, max };
    assert.equal(valueFromText("key", type, valueText(type, value)), value);
  });
  fc.assert(property, { numRuns: 300 });
  const text = (kind: "bytes" | "duration", count: number) =>
    valueText({ kind, min: 0, max }, count);
  assert.equal(text("bytes", 256 * 1024), "256KiB");
  assert.equal(text("bytes", 64 * 1024 ** 3), "64GiB");
  assert.equal(text("bytes", 1025), "1025");
  assert.equal(text("duration", 25_000), "25s");
  assert.equal(text("duration", 90_000), "90s");
  assert.equal(text("duration", 1500), "1500ms");
  assert.equal(text("duration", 0), "0");
});
