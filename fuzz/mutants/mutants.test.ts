import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PROPERTIES } from "../table.ts";
import { mutated } from "./plant.ts";
import { runClean, runMutants } from "./run.ts";
import { CANARY, MUTANTS } from "./table.ts";
import { isTestFile, runTestFile } from "./test-file.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Killed within a few cases each: one for each half of the session, one for the store. */
const SAMPLE = ["ack-before-commit", "gap-counted", "ack-ahead-accepted", "epoch-granted-twice"];
const OPTIONS = { seed: 1, seconds: 10, jobCount: 2 };

test("every mutant changes a text that is there exactly once, and names what kills it", () => {
  const names = new Set(PROPERTIES.map(({ name }) => name));
  for (const mutant of MUTANTS) {
    assert.notEqual(mutated(mutant), undefined);
    assert.match(mutant.title, /^\[[A-Z]{3}-\d+\]/);
    const { name, killedBy } = mutant;
    const isThere = isTestFile(killedBy) ? existsSync(join(ROOT, killedBy)) : names.has(killedBy);
    assert.ok(isThere, `${name}: ${killedBy}`);
  }
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  assert.ok(MUTANTS.length >= 30);
});

test("a sample of the mutants is killed; npm run mutants plants them all", async () => {
  const sample = MUTANTS.filter(({ name }) => SAMPLE.includes(name));
  assert.equal(sample.length, SAMPLE.length);
  const verdicts = await runMutants(sample, { ...OPTIONS, done: () => {} });
  const survived = verdicts.filter(({ isKilled }) => !isKilled).map(({ mutant }) => mutant.name);
  assert.deepEqual(survived, []);
});

test("the canary fails, and what is planted wrongly is no kill", async () => {
  const unsound = await runClean([CANARY], { ...OPTIONS, seconds: 1 });
  assert.equal(unsound.length, 1, "a property that is false was not found out");
  const known = MUTANTS.find(({ name }) => name === "gap-counted");
  assert.ok(known !== undefined);
  const rotten = { ...known, find: "a text that is nowhere" };
  assert.throws(() => mutated(rotten), /0 times/);
  const [verdict] = await runMutants([{ ...known, name: "unheard of" }], {
    ...OPTIONS,
    done: () => {},
  });
  assert.equal(verdict?.isKilled, false, "a process that cannot start proves nothing");
});

test("a test file kills what it tests, and no other mutant", async () => {
  const access = "server/services/access.test.ts";
  const named = (name: string) => MUTANTS.filter((mutant) => mutant.name === name);
  const [role] = named("services-every-role");
  const [bucket] = named("limits-overfull");
  assert.ok(role?.killedBy === access && bucket !== undefined);
  const planted = [role, { ...bucket, killedBy: access }, { ...role, name: "unheard of" }];
  const verdicts = await runMutants(planted, { ...OPTIONS, jobCount: 1, done: () => {} });
  const killed = verdicts.map(({ isKilled, why }) => [isKilled, why.slice(0, 7)]);
  assert.deepEqual(killed[0], [true, "[SVC-4]"]);
  assert.deepEqual(killed[1], [false, ""]);
  assert.equal(killed[2]?.[0], false, "a process that cannot start proves nothing");
  assert.equal((await runTestFile(access, { timeoutMs: 60_000 })).failure, undefined);
  const late = await runTestFile(access, { timeoutMs: 1 });
  assert.deepEqual([late.testCount, late.failure], [0, "not over in 0.001 s"]);
});
