import assert from "node:assert/strict";
import { test } from "node:test";
import { checkModel, MODELS, missingTools } from "./model.ts";

const missing = missingTools();
const skip = missing.length > 0 && `${missing.join(", ")} is not installed`;
/** Seconds in all; npm run model checks the others as well. */
const SAMPLE = ["small", "drains", "no-dedupe", "no-fence", "attach-on-hello"];

for (const model of MODELS.filter(({ name }) => SAMPLE.includes(name))) {
  const title = `[SEQ-3] [SEQ-4] [SES-6] [SES-18] the model ${model.name} ${model.expected}`;
  test(title, { skip }, async () => {
    const { found, states, detail } = await checkModel(model);
    assert.equal(found, model.expected, detail);
    assert.ok(states > 0);
  });
}
