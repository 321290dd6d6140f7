import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const MAIN = join(import.meta.dirname, "main.ts");

function bench(...args: readonly string[]) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
}

test("the envelope's bench prints a JSON line a result, ratios where there is a limit", () => {
  const { status, stdout, stderr } = bench("envelope", "--json", "--seconds", "0.05");
  assert.equal(status, 0, stderr);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  for (const { name, value, unit, limit } of lines) {
    assert.ok(typeof name === "string" && typeof unit === "string");
    assert.ok(value > 0, name);
    if (limit !== undefined) assert.ok(limit.value > 0 && limit.ratio > 0, name);
  }
  const names = lines.map(({ name }) => name);
  // Three algorithms, two sizes, two providers: limit, records, bytes.
  assert.equal(names.filter((name) => / \d+ B, /.test(name)).length, 36);
  // Four suites, two signatures, two providers, two sides.
  assert.equal(names.filter((name) => name.startsWith("handshake 0x")).length, 32);
});

test("an unknown job is answered with the jobs there are", () => {
  const { status, stdout } = bench("nothing");
  assert.equal(status, 2);
  assert.match(stdout, /^ {2}core .*\n {2}envelope /m);
});
