import assert from "node:assert/strict";
import { test } from "node:test";
import { PROPERTIES } from "../table.ts";
import { mutated } from "./plant.ts";
import { runClean, runMutants } from "./run.ts";
import { CANARY, MUTANTS } from "./table.ts";

/** Killed within a few cases each: one for each half of the session, one for the store. */
const SAMPLE = ["ack-before-commit", "gap-counted", "ack-ahead-accepted", "epoch-granted-twice"];
const OPTIONS = { seed: 1, seconds: 10, jobCount: 2 };

test("every mutant changes a text that is there exactly once, and names a property", () => {
  const names = new Set(PROPERTIES.map(({ name }) => name));
  for (const mutant of MUTANTS) {
    assert.notEqual(mutated(mutant), undefined);
    assert.match(mutant.title, /^\[[A-Z]{3}-\d+\]/);
    assert.ok(names.has(mutant.killedBy), `${mutant.name}: ${mutant.killedBy}`);
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
