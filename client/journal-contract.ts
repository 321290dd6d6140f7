// biome-ignore-all lint/correctness/noNodejsModules: only tests import this, and they run in Node.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Defect, unreachable } from "../protocol/violation.ts";
import {
  EMPTY_JOURNAL,
  type Journal,
  type JournalCursor,
  type JournalState,
  type PendingSubmit,
} from "./journal.ts";

/** How a suite opens a journal, and opens it again after it was closed. */
export interface JournalFixture {
  open(): Promise<Journal>;
  /** Removes what was kept. */
  dispose(): Promise<void>;
}

export interface JournalContractOptions {
  /** How many random lives are compared with the model. */
  readonly numRuns: number;
  /** Why the suite cannot run here. */
  readonly skip?: string;
}

/** Every promise of {@link Journal}, for every implementation. */
export function journalContract(
  name: string,
  fixture: () => Promise<JournalFixture>,
  { numRuns, skip }: JournalContractOptions,
): void {
  describe(`journal contract: ${name}`, skip === undefined ? {} : { skip }, () => {
    const withLives = (title: string, body: (lives: Lives) => Promise<void>) =>
      test(title, async () => {
        const made = await fixture();
        const lives = await Lives.begin(made);
        try {
          await body(lives);
        } finally {
          await lives.journal.close();
          await made.dispose();
        }
      });

    withLives("[RES-9] a fresh journal holds nothing, and goes on holding it", fresh);
    withLives("[SEQ-7] a submit is kept byte for byte and raises next", appends);
    withLives("[SEQ-7] results drop the submits that they cover and no other", settles);
    withLives("[SES-7] [RES-11] a Welcome's state replaces all at once", installs);
    withLives("[SEQ-11] [RES-6] the cursor is one value (P14)", advances);
    withLives("[SEQ-7] changes that wait together take effect in order", together);
    withLives("[SEQ-7] promises resolve in the order of the calls", resolutionOrder);
    withLives("[SES-7] a number used again after a renumbering keeps its new submit", renumbered);
    withLives("[FRM-5] numbers around 2^31, 2^32 and 2^53-1 are exact (P31)", wideNumbers);
    withLives("[SEQ-7] close finishes what was begun and refuses what comes after", closes);
    withLives("[SEQ-1] what would break the outbox is refused and changes nothing", misuse);
    test(`[SEQ-7] [SEQ-11] [SES-7] ${numRuns} random lives equal the model`, () =>
      equalsModel(fixture, numRuns));
  });
}

/** A journal through its lives: closed and opened again. */
class Lives {
  readonly #fixture: JournalFixture;
  journal: Journal;

  constructor(fixture: JournalFixture, journal: Journal) {
    this.#fixture = fixture;
    this.journal = journal;
  }

  static async begin(fixture: JournalFixture): Promise<Lives> {
    return new Lives(fixture, await fixture.open());
  }

  async reopen(): Promise<Journal> {
    await this.journal.close();
    this.journal = await this.#fixture.open();
    return this.journal;
  }

  /** What this life says, and what the next one says. */
  async holds(expected: JournalState): Promise<void> {
    assert.deepEqual(await this.journal.load(), expected);
    assert.deepEqual(await (await this.reopen()).load(), expected);
  }
}

function submitOf(seq: number, text = `submit ${seq}`): PendingSubmit {
  return { seq, operation: new TextEncoder().encode(text) };
}

function submitsOf(from: number, to: number): PendingSubmit[] {
  return Array.from({ length: to - from + 1 }, (_, index) => submitOf(from + index));
}

async function appendAll(journal: Journal, submits: readonly PendingSubmit[]): Promise<void> {
  await Promise.all(submits.map((submit) => journal.append(submit)));
}

async function fresh(lives: Lives): Promise<void> {
  await lives.holds(EMPTY_JOURNAL);
}

async function appends(lives: Lives): Promise<void> {
  const every = Uint8Array.from({ length: 256 }, (_, index) => index);
  const operations = [
    every,
    new Uint8Array(0),
    // A part of a larger buffer, as a decoder cuts it.
    every.subarray(7, 70),
    Uint8Array.from({ length: 256 * 1024 }, (_, index) => index * 31),
  ];
  for (const [index, operation] of operations.entries()) {
    await lives.journal.append({ seq: index + 1, operation });
  }
  const pending = operations.map((bytes, index) => ({ seq: index + 1, operation: bytes.slice() }));
  await lives.holds({ ...EMPTY_JOURNAL, next: 5, pending });
  await lives.journal.append(submitOf(5));
  await lives.holds({ ...EMPTY_JOURNAL, next: 6, pending: [...pending, submitOf(5)] });
}

async function settles(lives: Lives): Promise<void> {
  await appendAll(lives.journal, submitsOf(1, 10));
  await lives.journal.settle(4);
  await lives.holds({ ...EMPTY_JOURNAL, next: 11, resultsThrough: 4, pending: submitsOf(5, 10) });
  await lives.journal.settle(4);
  await lives.holds({ ...EMPTY_JOURNAL, next: 11, resultsThrough: 4, pending: submitsOf(5, 10) });
  await lives.journal.settle(10);
  await lives.holds({ ...EMPTY_JOURNAL, next: 11, resultsThrough: 10 });
}

async function installs(lives: Lives): Promise<void> {
  await appendAll(lives.journal, submitsOf(1, 5));
  await lives.journal.advance({ epoch: 3, seq: 8 });
  const renumbered = {
    outboxEpoch: 7,
    resultsThrough: 0,
    next: 3,
    pending: [submitOf(1, "was 4"), submitOf(2, "was 5")],
    cursor: { epoch: 4, seq: 2 },
  };
  await lives.journal.install(renumbered);
  await lives.holds(renumbered);
  const ahead = { ...renumbered, resultsThrough: 900, next: 902, pending: [submitOf(901)] };
  await lives.journal.install(ahead);
  await lives.holds(ahead);
  await lives.journal.install(EMPTY_JOURNAL);
  await lives.holds(EMPTY_JOURNAL);
}

async function advances(lives: Lives): Promise<void> {
  await lives.journal.advance({ epoch: 5, seq: 1000 });
  await lives.holds({ ...EMPTY_JOURNAL, cursor: { epoch: 5, seq: 1000 } });
  await lives.journal.advance({ epoch: 6, seq: 1 });
  await lives.holds({ ...EMPTY_JOURNAL, cursor: { epoch: 6, seq: 1 } });
}

async function together(lives: Lives): Promise<void> {
  const { journal } = lives;
  const done = [
    ...submitsOf(1, 50).map((submit) => journal.append(submit)),
    journal.settle(20),
    journal.advance({ epoch: 1, seq: 1 }),
    journal.append(submitOf(51)),
    journal.settle(49),
    journal.advance({ epoch: 1, seq: 2 }),
  ];
  const expected = {
    ...EMPTY_JOURNAL,
    resultsThrough: 49,
    next: 52,
    pending: submitsOf(50, 51),
    cursor: { epoch: 1, seq: 2 },
  };
  assert.deepEqual(await journal.load(), expected, "what is loaded is what was asked for before");
  await Promise.all(done);
  await lives.holds(expected);
}

async function resolutionOrder({ journal }: Lives): Promise<void> {
  const resolved: number[] = [];
  const done: Promise<unknown>[] = [];
  const ask = (work: Promise<unknown>) => {
    const index = done.length;
    done.push(work.then(() => resolved.push(index)));
  };
  for (let seq = 1; seq <= 20; seq += 1) {
    ask(journal.append(submitOf(seq)));
    ask(journal.advance({ epoch: 1, seq }));
    ask(journal.settle(seq - 1));
    // Some wait together, some do not.
    if (seq % 5 === 0) await done.at(-1);
  }
  await Promise.all(done);
  const inOrder = Array.from({ length: 60 }, (_, index) => index);
  assert.deepEqual(resolved, inOrder);
}

async function renumbered(lives: Lives): Promise<void> {
  const { journal } = lives;
  await appendAll(journal, submitsOf(1, 6));
  const renewed = { ...EMPTY_JOURNAL, outboxEpoch: 2, next: 3 };
  const pending = [submitOf(1, "was 5"), submitOf(2, "was 6")];
  await Promise.all([
    journal.settle(4),
    journal.install({ ...renewed, pending }),
    journal.append(submitOf(3, "new")),
  ]);
  await lives.holds({ ...renewed, next: 4, pending: [...pending, submitOf(3, "new")] });
}

async function wideNumbers(lives: Lives): Promise<void> {
  for (const edge of [2 ** 31, 2 ** 32, 2 ** 53 - 3]) {
    const pending = submitsOf(edge - 2, edge + 1);
    const cursor = { epoch: edge + 1, seq: edge + 2 };
    const state = { outboxEpoch: edge + 2, resultsThrough: edge - 3, next: edge + 2, cursor };
    await lives.journal.install({ ...state, pending });
    await lives.holds({ ...state, pending });
    await lives.journal.settle(edge - 1);
    await lives.journal.advance({ epoch: edge + 2, seq: edge });
    await lives.holds({
      ...state,
      resultsThrough: edge - 1,
      pending: pending.slice(2),
      cursor: { epoch: edge + 2, seq: edge },
    });
  }
}

async function closes(lives: Lives): Promise<void> {
  const { journal } = lives;
  const work = [
    ...submitsOf(1, 30).map((submit) => journal.append(submit)),
    journal.advance({ epoch: 1, seq: 9 }),
    journal.load(),
  ];
  await Promise.all([journal.close(), journal.close()]);
  await Promise.all(work);
  await assert.rejects(journal.append(submitOf(31)), TypeError);
  await assert.rejects(journal.advance({ epoch: 1, seq: 10 }), TypeError);
  await assert.rejects(journal.load(), TypeError);
  await lives.reopen();
  const cursor = { epoch: 1, seq: 9 };
  await lives.holds({ ...EMPTY_JOURNAL, next: 31, pending: submitsOf(1, 30), cursor });
}

async function misuse(lives: Lives): Promise<void> {
  const { journal } = lives;
  await appendAll(journal, submitsOf(1, 5));
  await journal.settle(2);
  const wrong: (() => Promise<void>)[] = [
    () => journal.append(submitOf(5)),
    () => journal.append(submitOf(7)),
    () => journal.settle(1),
    () => journal.settle(6),
    () => journal.settle(2.5),
    () => journal.advance({ epoch: 1, seq: 2 ** 53 }),
    () => journal.advance({ epoch: -1, seq: 1 }),
    () => journal.install({ ...EMPTY_JOURNAL, next: 3, pending: submitsOf(2, 2) }),
    () => journal.install({ ...EMPTY_JOURNAL, next: 3, pending: [submitOf(2), submitOf(1)] }),
    () => journal.install({ ...EMPTY_JOURNAL, next: 0 }),
    () => journal.install({ ...EMPTY_JOURNAL, resultsThrough: 3, next: 3 }),
  ];
  for (const attempt of wrong) await assert.rejects(attempt(), Defect, attempt.toString());
  await journal.append(submitOf(6));
  await lives.holds({ ...EMPTY_JOURNAL, resultsThrough: 2, next: 7, pending: submitsOf(3, 6) });
  const last = { ...EMPTY_JOURNAL, resultsThrough: 2 ** 53 - 2, next: 2 ** 53 - 1 };
  await lives.journal.install(last);
  await assert.rejects(lives.journal.append(submitOf(2 ** 53 - 1)), Defect);
  await lives.holds(last);
}

/** What a device does to its journal; shares choose among what is possible. */
export type JournalChange =
  | { readonly kind: "append"; readonly operation: Uint8Array }
  | { readonly kind: "settle"; readonly share: number }
  | {
      readonly kind: "install";
      readonly positions: Pick<JournalState, "outboxEpoch" | "resultsThrough" | "cursor">;
      readonly share: number;
    }
  | { readonly kind: "advance"; readonly cursor: JournalCursor };
type Step = JournalChange | { readonly kind: "await" | "load" | "reopen" };

const share = fc.double({ min: 0, max: 1, noNaN: true });
const counter = fc.oneof(fc.nat(20), fc.nat(2 ** 53 - 100));
const plain = { noNullPrototype: true };
const cursor = fc.record({ epoch: counter, seq: counter }, plain);
const positions = fc.record({ outboxEpoch: counter, resultsThrough: counter, cursor }, plain);
const operation = fc.uint8Array({ maxLength: 40 });
const kind = <Kind extends Step["kind"]>(value: Kind) => fc.constant(value);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 7, arbitrary: fc.record({ kind: kind("append"), operation }) },
  { weight: 3, arbitrary: fc.record({ kind: kind("settle"), share }) },
  { weight: 3, arbitrary: fc.record({ kind: kind("advance"), cursor }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("install"), positions, share }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("await") }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("load") }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("reopen") }) },
);

async function equalsModel(fixture: () => Promise<JournalFixture>, numRuns: number): Promise<void> {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
    const made = await fixture();
    const lives = await Lives.begin(made);
    try {
      await live(lives, steps);
    } finally {
      await lives.journal.close();
      await made.dispose();
    }
  });
  await fc.assert(property, { numRuns, seed: 20_261_120 });
}

async function live(lives: Lives, steps: readonly Step[]): Promise<void> {
  let model = EMPTY_JOURNAL;
  const work: Promise<void>[] = [];
  for (const one of steps) {
    switch (one.kind) {
      case "await":
        await Promise.all(work);
        break;
      case "load":
        assert.deepEqual(await lives.journal.load(), model);
        break;
      case "reopen":
        assert.deepEqual(await (await lives.reopen()).load(), model);
        break;
      default: {
        model = changedState(model, one);
        work.push(askFor(lives.journal, one, model));
      }
    }
  }
  await lives.holds(model);
  await Promise.all(work);
}

/** The model: what a change makes of a state, in the plainest words. */
export function changedState(state: JournalState, change: JournalChange): JournalState {
  const { pending, next } = state;
  switch (change.kind) {
    case "append": {
      const submit = { seq: next, operation: change.operation };
      return { ...state, next: next + 1, pending: [...pending, submit] };
    }
    case "settle": {
      const left = pending.slice(Math.round(change.share * pending.length));
      return { ...state, resultsThrough: next - 1 - left.length, pending: left };
    }
    case "install": {
      const left = pending.slice(Math.round(change.share * pending.length));
      const first = change.positions.resultsThrough + 1;
      const numbered = left.map(({ operation }, index) => ({ seq: first + index, operation }));
      return { ...change.positions, next: first + left.length, pending: numbered };
    }
    case "advance":
      return { ...state, cursor: change.cursor };
    default:
      return unreachable(change);
  }
}

/** Asks a journal for a change that makes its state another. */
export function askFor(
  journal: Journal,
  change: JournalChange,
  after: JournalState,
): Promise<void> {
  switch (change.kind) {
    case "append":
      return journal.append(after.pending.at(-1) as PendingSubmit);
    case "settle":
      return journal.settle(after.resultsThrough);
    case "install":
      return journal.install(after);
    case "advance":
      return journal.advance(after.cursor);
    default:
      return unreachable(change);
  }
}
