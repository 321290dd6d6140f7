import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { DirectoryAnswer } from "../../protocol/secure/peer.ts";
import { type LookedUp, Lookups } from "./lookups.ts";

const ANSWER = { devices: [] } as unknown as DirectoryAnswer;

/** A directory that answers when it is told to. */
function directory(t: TestContext, matters = true) {
  const questions: { answer(found: LookedUp): void; fail(): void }[] = [];
  const answers: (DirectoryAnswer | undefined)[] = [];
  const over = new AbortController();
  t.after(() => over.abort());
  const lookups = new Lookups({
    ask: () =>
      new Promise((resolve, reject) => {
        questions.push({ answer: resolve, fail: () => reject(new Error("the link is gone")) });
      }),
    answered: (_, answer) => void answers.push(answer),
    matters: () => matters,
    over: over.signal,
  });
  return { lookups, questions, answers };
}

async function until(isSo: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 8_000; !isSo(); ) {
    assert.ok(performance.now() < endMs, "in vain");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test("[SEC-35] a change that is told while an answer is on its way is asked for", async (t) => {
  const { lookups, questions, answers } = directory(t);
  lookups.ask("bob");
  lookups.ask("bob", 2);
  assert.equal(questions.length, 1);
  questions[0]?.answer({ revision: 1, answer: ANSWER });
  await until(() => questions.length === 2);
  questions[1]?.answer({ revision: 2, answer: ANSWER });
  await until(() => answers.length === 2);
});

test("[SEC-35] an answer of before the change is not the last word", async (t) => {
  const { lookups, questions, answers } = directory(t);
  lookups.ask("bob", 5);
  questions[0]?.answer({ revision: 4, answer: ANSWER });
  await until(() => questions.length === 2);
  questions[1]?.answer({ revision: 5, answer: ANSWER });
  await until(() => answers.length === 2);
  assert.equal(questions.length, 2);
});

test("[SEC-35] where a chat hangs on it, it is asked until there is an answer", async (t) => {
  const { lookups, questions, answers } = directory(t);
  lookups.ask("bob");
  questions[0]?.fail();
  await until(() => questions.length === 2);
  assert.deepEqual(answers, []);
  questions[1]?.answer({ revision: 1, answer: ANSWER });
  await until(() => answers.length === 1);
});

test("[SEC-32] who asks at the very moment of an answer is answered as well", async (t) => {
  const { lookups, questions, answers } = directory(t);
  lookups.ask("bob");
  questions[0]?.answer({ revision: 1, answer: ANSWER });
  for (let turn = 0; turn < 20; turn += 1) {
    await Promise.resolve();
    if (answers.length === 1) break;
  }
  lookups.ask("bob");
  await until(() => questions.length === 2);
});

test("[SEC-32] where nothing hangs on it, no answer is one", async (t) => {
  const { lookups, questions, answers } = directory(t, false);
  lookups.ask("eve");
  questions[0]?.fail();
  await until(() => answers.length === 1);
  assert.deepEqual(answers, [undefined]);
});
