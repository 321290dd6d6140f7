import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_JOURNAL } from "./journal.ts";
import { journalContract } from "./journal-contract.ts";
import { memoryJournal } from "./memory-journal.ts";

journalContract(
  "memory",
  async () => {
    let state = EMPTY_JOURNAL;
    return {
      open: async () => {
        const journal = memoryJournal(state);
        return {
          ...journal,
          close: async () => {
            await journal.close();
            state = journal.state;
          },
        };
      },
      dispose: async () => {},
    };
  },
  { numRuns: 300 },
);

test("[RES-12] an older state begins a life that knows nothing of what came after it", async () => {
  const first = memoryJournal();
  await first.append({ seq: 1, operation: Uint8Array.of(1) });
  const older = first.state;
  await first.append({ seq: 2, operation: Uint8Array.of(2) });
  await first.settle(1);
  const restored = memoryJournal(older);
  assert.deepEqual(await restored.load(), older);
  await restored.append({ seq: 2, operation: Uint8Array.of(9) });
  assert.deepEqual(restored.state.pending, [
    { seq: 1, operation: Uint8Array.of(1) },
    { seq: 2, operation: Uint8Array.of(9) },
  ]);
  assert.deepEqual(first.state.pending, [{ seq: 2, operation: Uint8Array.of(2) }]);
});

test("[SEQ-7] a state that no journal can hold begins no life", () => {
  assert.throws(() => memoryJournal({ ...EMPTY_JOURNAL, next: 3 }));
});
