import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { DirectoryAnswer } from "../../protocol/secure/peer.ts";
import { SteadyClock } from "../steady-clock.ts";
import { LOOKUPS_PER_MINUTE, LookupBudget } from "./lookup-budget.ts";
import { type LookedUp, Lookups, type LookupsOptions } from "./lookups.ts";

const ANSWER = { devices: [] } as unknown as DirectoryAnswer;

/** A directory that answers when it is told to. */
function directory(
  t: TestContext,
  matters = true,
  how: Partial<Pick<LookupsOptions, "clock" | "pause">> = {},
) {
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
    clock: new SteadyClock(),
    over: over.signal,
    ...how,
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

test("[SEC-102] one user is asked for so often a minute, and then waits for its turn", async (t) => {
  const time = { nowMs: 1_000 };
  const waits: { ms: number; goOn: () => void }[] = [];
  const pause = (ms: number) =>
    new Promise<void>((goOn) => {
      waits.push({ ms, goOn });
    });
  const clock = { nowMs: () => time.nowMs };
  const { lookups, questions, answers } = directory(t, false, { clock, pause });
  const askAndAnswer = async () => {
    const count = answers.length + 1;
    lookups.ask("eve");
    await until(() => questions.length === count);
    questions.at(-1)?.answer({ revision: 1, answer: ANSWER });
    await until(() => answers.length === count);
  };
  for (let count = 0; count < LOOKUPS_PER_MINUTE; count += 1) {
    time.nowMs += 100;
    await askAndAnswer();
  }
  lookups.ask("eve");
  await until(() => waits.length === 1);
  lookups.ask("bob");
  assert.equal(questions.length, LOOKUPS_PER_MINUTE + 1, "nobody else waits");
  assert.equal(waits[0]?.ms, 60_000 - 1_900, "until the first of them is a minute old");
  time.nowMs += 58_100;
  waits[0]?.goOn();
  await until(() => questions.length === LOOKUPS_PER_MINUTE + 2);
});

test("[SEC-102] what is known of who was asked about is forgotten", () => {
  const budget = new LookupBudget();
  for (let count = 0; count < LOOKUPS_PER_MINUTE; count += 1) assert.equal(budget.take("a", 0), 0);
  assert.equal(budget.take("a", 59_999), 1);
  assert.equal(budget.take("a", 60_000), 0);
  // As many others as nobody could remember: the oldest go.
  for (let count = 1; count < LOOKUPS_PER_MINUTE; count += 1) budget.take("a", 60_000);
  assert.ok(budget.take("a", 60_001) > 0);
  for (let user = 0; user < 10_000; user += 1) assert.equal(budget.take(`user${user}`, 60_002), 0);
  assert.equal(budget.take("a", 60_003), 0);
});
