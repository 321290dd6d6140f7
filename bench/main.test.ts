import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const MAIN = join(import.meta.dirname, "main.ts");

function bench(...args: readonly string[]) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
}

/** The results that a job prints. */
function resultsOf(job: string) {
  const { status, stdout, stderr } = bench(job, "--json", "--seconds", "0.05");
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
  return lines;
}

test("the envelope's bench prints a JSON line a result, ratios where there is a limit", () => {
  const names = resultsOf("envelope").map(({ name }) => name);
  // Three algorithms, two sizes, two providers: limit, records, bytes.
  assert.equal(names.filter((name) => / \d+ B, /.test(name)).length, 36);
  // Four suites, two signatures, two providers, two sides.
  assert.equal(names.filter((name) => name.startsWith("handshake 0x")).length, 32);
});

test("the bench of secure chats says rates of both providers, and shares of the whole", () => {
  const lines = resultsOf("secure");
  const names = lines.map(({ name }) => name);
  assert.equal(names.filter((name) => name.startsWith("handshake, ")).length, 4);
  assert.equal(names.filter((name) => name.startsWith("messages of ")).length, 8);
  for (const what of ["handshake, node", "handshake, noble", "message, node", "message, noble"]) {
    const shares = lines.filter(({ name }) => name.startsWith(`share of a ${what}: `));
    const whole = shares.reduce((sum, { value }) => sum + value, 0);
    assert.ok(Math.abs(whole - 100) < 1, `${what}: ${whole} %`);
  }
});

test("an unknown job is answered with the jobs there are", () => {
  const { status, stdout } = bench("nothing");
  assert.equal(status, 2);
  assert.match(stdout, /^ {2}core .*\n {2}envelope /m);
});
