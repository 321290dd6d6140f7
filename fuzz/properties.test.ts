import assert from "node:assert/strict";
import { test } from "node:test";
import { PROPERTIES } from "./table.ts";

/** The same cases in every `npm test`; `npm run fuzz` takes fresh ones. */
const SEED = 20_261_121;

for (const { name, title, smokeRuns: numRuns, run } of PROPERTIES) {
  test(`${name}: ${title}`, async () => {
    const { failure, runCount } = await run({ numRuns, seed: SEED });
    const { seed, path } = failure?.replay ?? {};
    const again = `npm run fuzz -- --only ${name} --seed ${seed} --path ${path}`;
    assert.ok(failure === undefined, `${failure?.error}\n${failure?.kept ?? again}`);
    assert.ok(runCount >= numRuns);
  });
}
