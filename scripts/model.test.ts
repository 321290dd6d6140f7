import assert from "node:assert/strict";
import { test } from "node:test";
import { MODELS, SYMBOLIC_MODELS } from "./model/models.ts";
import { proveModel, symbolicRecord, unrecordedModels } from "./model/proverif.ts";
import { checkModel } from "./model/spin.ts";
import { missingTools } from "./model.ts";

const missing = missingTools(["spin", "cc"]);
const skip = missing.length > 0 && `${missing.join(", ")} is not installed`;
/** Seconds each; npm run model checks the others as well. */
const SAMPLE: Readonly<Record<string, readonly string[]>> = {
  "[SEQ-3] [SEQ-4] [SES-6] [SES-18]": [
    "small",
    "drains",
    "no-dedupe",
    "no-fence",
    "attach-on-hello",
  ],
  "[ENV-6] [ENV-7]": [
    "sealing",
    "sealing-allot-late",
    "sealing-unordered",
    "sealing-anew",
    "sealing-state-copied",
  ],
  "[ENV-6] [ENV-37] [ENV-39] [ENV-40] [ENV-50] [ENV-51]": [
    "records-short",
    "records-drain",
    "records-no-order",
    "records-epoch-wraps",
    "records-ask-back",
    "records-end-is-close",
  ],
  "[ENV-44] [ENV-47]": [
    "tickets",
    "tickets-read-then-delete",
    "tickets-delete-after-answer",
    "tickets-wrong-by-node",
    "tickets-not-revoked",
  ],
  "chapter 13.4:": [
    "ratchet-small",
    "ratchet-no-repeat",
    "ratchet-fresh-keys",
    "ratchet-offers-any-time",
    "ratchet-out-of-turn",
    "ratchet-forgets-answer",
    "ratchet-answers-twice",
    "ratchet-commits-before-tag",
    "ratchet-no-reply",
  ],
};

for (const [checks, names] of Object.entries(SAMPLE)) {
  for (const model of MODELS.filter(({ name }) => names.includes(name))) {
    test(`${checks} the model ${model.name} ${model.expected}`, { skip }, async () => {
      const { found, states, detail } = await checkModel(model);
      assert.equal(found, model.expected, detail);
      assert.ok(states > 0);
    });
  }
}

test("what ProVerif has shown is of these files, switches and expectations", async () => {
  assert.deepEqual(await unrecordedModels(symbolicRecord()), []);
});

// No test where it cannot be had: a skipped test is a failed one in CI. The record above stands in.
if (missingTools(["cc", "proverif"]).length === 0) {
  for (const model of SYMBOLIC_MODELS.filter(({ name }) => !name.startsWith("chat"))) {
    test(`the symbolic model ${model.name} is as expected`, async () => {
      const { found, detail } = await proveModel(model);
      assert.equal(found, model.expected, detail);
    });
  }
}
