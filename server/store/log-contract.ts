import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { has } from "../../protocol/number-set.ts";
import { attach, prepareRequest, type StoreFixture } from "./contract.ts";
import { namesIn, numbersIn } from "./documents.ts";
import type { AppendPlan, EntryContent, Plan } from "./plans.ts";
import {
  type Attachment,
  type CommitOutcome,
  type DeviceRef,
  documentRefOf,
  entryName,
  type LogRange,
  type LogRun,
  logRefOf,
  type PageLimit,
  type Receipt,
  type Store,
  type StoredDocument,
  type UserRef,
  unnumberedLogRefOf,
  userRefOf,
} from "./store.ts";

const ALICE = userRefOf("", "alice");
const BOB = userRefOf("", "bob");
export const LOG = logRefOf("", "g:1");
const OTHER = logRefOf("", "g:2");
const DEVICES = [ALICE, BOB].map((user): DeviceRef => ({ user, deviceId: "phone" }));
const NAMES = documentRefOf("", "names");
const NUMBERS = documentRefOf("", "numbers");
const PAGE = { count: 1000, bytes: 10_000_000 };
const START_MS = 1_000;

/** Promise 11 of {@link Store}, and what it tells of logs, for every implementation. */
export function logContract(name: string, fixture: () => Promise<StoreFixture>): void {
  describe(`store contract, logs: ${name}`, () => {
    const withStore = (title: string, body: (bench: Bench) => Promise<void>) =>
      test(title, async () => {
        const bench = await Bench.open(await fixture());
        try {
          await body(bench);
        } finally {
          await bench.close();
        }
      });

    withStore("[CNV-63] new content is in the log and on every timeline, across reopen", replaced);
    withStore("[CNV-63] what one batch adds and replaces is there as replaced", replacedInBatch);
    withStore("[CNV-63] what one group adds and replaces is there as replaced", replacedInGroup);
    withStore("[CNV-63] what replaces may be larger than what a record holds", replacedByLarger);
    withStore("[CNV-63] entries of many records and logs are replaced at once", replacedAtOnce);
    withStore("[CNV-63] a plan on an entry that is not as it was is stale", staleEntries);
    withStore("[SEQ-4] a repeat of what replaced has no effect, and the same result", repeats);
    withStore("[SEQ-14] a plan on a log that has grown is stale, not on what is its own", heads);
    withStore("[SEC-86] names are added and dropped, numbers are added, none is stale", documents);
    withStore("[SEQ-16] a log is read from both ends, within limits", pages);
    withStore("[CAT-3] where a timeline's entries are is read without their content", runs);
    withStore("[CAT-3] [SEQ-16] entries of some numbers are read, within limits", someEntries);
    withStore("[SEQ-3] watchers of logs hear of what is durable already", watchers);
  });
}

export const bytesOf = (text: string) => new Uint8Array(Buffer.from(text));
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();

export function append(text: string, part: Partial<AppendPlan> = {}): AppendPlan {
  return { kind: "append", log: LOG, event: bytesOf(text), timelines: [ALICE, BOB], ...part };
}

const entry = (seq: number, text: string, log = LOG): EntryContent => ({
  log,
  seq,
  event: bytesOf(text),
});

/** What takes an entry's content away: it has to be what it was planned on. */
export function replacing(seq: number, before: string, after: string): AppendPlan {
  const part = { requiresEntries: [entry(seq, before)], replaces: [entry(seq, after)] };
  return append(`replaces ${seq}`, part);
}

type OpenOptions = NonNullable<Parameters<StoreFixture["open"]>[0]>;

export class Bench {
  readonly #made: StoreFixture;
  readonly #options: OpenOptions;
  readonly #attached: readonly Attachment[];
  readonly #seqs = DEVICES.map(() => 0);
  store: Store;

  static async open(made: StoreFixture, options: OpenOptions = {}): Promise<Bench> {
    made.setMs(START_MS);
    const store = await made.open(options);
    const attached: Attachment[] = [];
    for (const device of DEVICES) attached.push(await attach(store, prepareRequest(device)));
    return new Bench({ made, options }, store, attached);
  }

  private constructor(
    { made, options }: { readonly made: StoreFixture; readonly options: OpenOptions },
    store: Store,
    attached: readonly Attachment[],
  ) {
    this.#made = made;
    this.#options = options;
    this.store = store;
    this.#attached = attached;
  }

  async reopen(): Promise<void> {
    await this.store.close();
    this.store = await this.#made.open(this.#options);
  }

  async close(): Promise<void> {
    await this.store.close();
    await this.#made.dispose();
  }

  setMs(nowMs: number): void {
    this.#made.setMs(nowMs);
  }

  /** Commits plans as one batch of one of the devices. What is stale is not numbered. */
  async commit(plans: readonly Plan[], index = 0, first = 1): Promise<CommitOutcome> {
    const { generation, outbox } = this.#attached[index] as Attachment;
    const before = first === 1 ? (this.#seqs[index] as number) : first - 1;
    const submits = plans.map((plan, at) => ({ seq: before + 1 + at, digest: 7, plan }));
    this.#seqs[index] = before + plans.length;
    const device = DEVICES[index] as DeviceRef;
    const batch = { device, generation, outboxEpoch: outbox.epoch, submits };
    const outcome = await this.store.commit(batch);
    if (outcome.kind === "stale") this.#seqs[index] = before;
    return outcome;
  }

  async committed(plans: readonly Plan[], index = 0): Promise<Receipt> {
    const outcome = await this.commit(plans, index);
    assert.equal(outcome.kind, "committed");
    return (outcome as { readonly receipt: Receipt }).receipt;
  }

  async log(range: Partial<LogRange> = {}, limit: PageLimit = PAGE, log = LOG): Promise<string[]> {
    const { entries } = await this.store.loadLog(log, { from: 1, through: 1e9, ...range }, limit);
    entries.forEach(({ seq }, index) => {
      assert.equal(seq, (entries[0]?.seq ?? 0) + index);
    });
    return entries.map(({ event }) => textOf(event));
  }

  async timeline(user: UserRef): Promise<string[]> {
    const { entries } = await this.store.loadTimeline(user, 0, PAGE);
    return entries.map(({ event }) => textOf(event));
  }

  /** A log is the same from wherever it is read. */
  async sees(expected: readonly string[]): Promise<void> {
    assert.deepEqual(await this.log(), expected);
    assert.deepEqual(await this.log({ fromEnd: true }), expected);
    for (const user of [ALICE, BOB]) assert.deepEqual(await this.timeline(user), expected);
    const entries = expected.map((_, index) => ({ log: LOG, seq: index + 1 }));
    const planning = await this.store.loadForPlanning({ users: [], entries, heads: [LOG] });
    const planned = entries.map((ref) => planning.entries.get(entryName(ref))?.event);
    assert.deepEqual(
      planned.map((event) => event && textOf(event)),
      expected,
    );
    assert.equal(planning.heads.get(LOG), expected.length);
  }

  async document(ref: typeof NAMES): Promise<StoredDocument> {
    const { documents } = await this.store.loadForPlanning({ users: [], documents: [ref] });
    return documents.get(ref) as StoredDocument;
  }
}

async function replaced(bench: Bench): Promise<void> {
  await bench.committed([append("one"), append("two"), append("three")]);
  await bench.committed([append("four")], 1);
  bench.setMs(2_000);
  await bench.committed([replacing(2, "two", "TWO")], 1);
  await bench.sees(["one", "TWO", "three", "four", "replaces 2"]);
  const { entries } = await bench.store.loadLog(LOG, { from: 2, through: 2 }, PAGE);
  assert.equal(entries[0]?.committedMs, START_MS, "it keeps its time");
  await bench.committed([replacing(2, "TWO", ""), replacing(4, "four", "FOUR")]);
  const expected = ["one", "", "three", "FOUR", "replaces 2", "replaces 2", "replaces 4"];
  await bench.sees(expected);
  await bench.reopen();
  await bench.sees(expected);
  await bench.committed([replacing(1, "one", "ONE"), append("last")]);
  await bench.sees(["ONE", ...expected.slice(1), "replaces 1", "last"]);
}

async function replacedInBatch(bench: Bench): Promise<void> {
  await bench.committed([append("one")]);
  await bench.committed([
    append("two"),
    replacing(1, "one", "ONE"),
    replacing(2, "two", "TWO"),
    replacing(2, "TWO", "2"),
    replacing(1, "ONE", "1"),
    replacing(3, "replaces 1", "replaced 1"),
  ]);
  const notes = ["replaced 1", "replaces 2", "replaces 2", "replaces 1", "replaces 3"];
  await bench.sees(["1", "2", ...notes]);
  await bench.reopen();
  await bench.sees(["1", "2", ...notes]);
}

async function replacedInGroup(bench: Bench): Promise<void> {
  // Asked for at once, they are one group where a store makes groups.
  const outcomes = await Promise.all([
    bench.commit([append("one"), append("two")]),
    bench.commit([replacing(1, "one", "ONE")], 1),
    bench.commit([replacing(1, "ONE", "1")]),
    bench.commit([replacing(1, "one", "late")], 1),
  ]);
  const kinds = outcomes.map(({ kind }) => kind);
  assert.deepEqual(kinds, ["committed", "committed", "committed", "stale"]);
  await bench.sees(["1", "two", "replaces 1", "replaces 1"]);
  const more = await Promise.all([
    bench.commit([replacing(2, "two", "TWO")]),
    bench.commit([append("five"), replacing(2, "TWO", "2")], 1),
  ]);
  assert.deepEqual(
    more.map(({ kind }) => kind),
    ["committed", "committed"],
  );
  const expected = ["1", "2", "replaces 1", "replaces 1", "replaces 2", "five", "replaces 2"];
  await bench.sees(expected);
  await bench.reopen();
  await bench.sees(expected);
}

async function replacedByLarger(bench: Bench): Promise<void> {
  const texts = Array.from({ length: 10 }, (_, index) => `entry ${index + 1}`);
  await bench.committed(texts.map((text) => append(text)));
  const larger = texts.map((text) => text + "x".repeat(20_000));
  await bench.committed(
    texts.map((text, index) => replacing(index + 1, text, larger[index] as string)),
  );
  const notes = texts.map((_, index) => `replaces ${index + 1}`);
  await bench.sees([...larger, ...notes]);
  await bench.committed([replacing(7, larger[6] as string, "seven")]);
  await bench.reopen();
  await bench.sees([...larger.slice(0, 6), "seven", ...larger.slice(7), ...notes, "replaces 7"]);
}

async function replacedAtOnce(bench: Bench): Promise<void> {
  const texts = Array.from({ length: 40 }, (_, index) => `entry ${index + 1}`);
  for (const text of texts) await bench.committed([append(text)]);
  await bench.committed([append("elsewhere", { log: OTHER })]);
  const all = texts.map((text, index) => entry(index + 1, text));
  const requiresEntries = [...all, entry(1, "elsewhere", OTHER)];
  const after = requiresEntries.map((before) => ({ ...before, event: bytesOf("gone") }));
  const plan = append("clears", { requiresEntries, replaces: after, timelines: [] });
  await bench.committed([plan]);
  const expected = [...texts.map(() => "gone"), "clears"];
  assert.deepEqual(await bench.log(), expected);
  assert.deepEqual(await bench.log({}, PAGE, OTHER), ["gone"]);
  await bench.reopen();
  assert.deepEqual(await bench.log({ fromEnd: true }), expected);
  assert.deepEqual(await bench.timeline(BOB), [...texts.map(() => "gone"), "gone"]);
}

async function staleEntries(bench: Bench): Promise<void> {
  await bench.committed([append("one"), append("two")]);
  const refuse = (seq: number, text: string): Plan => ({
    kind: "refuse",
    code: ErrorCode.MESSAGE_EMPTY,
    requiresEntries: [entry(seq, text)],
  });
  const beyond = append("x", { replaces: [entry(9, "nine")] });
  const cases: readonly (readonly Plan[])[] = [
    [replacing(1, "other", "ONE")],
    [replacing(1, "one", "ONE"), replacing(1, "one", "again")],
    [append("x", { requiresEntries: [entry(3, "three")] })],
    [append("x", { requiresEntries: [entry(1, "one", OTHER)] })],
    [beyond],
    [append("three"), refuse(1, "ONE")],
    [refuse(1, "on")],
  ];
  for (const plans of cases) {
    assert.deepEqual(await bench.commit(plans), { kind: "stale" });
    await bench.sees(["one", "two"]);
  }
  await bench.committed([refuse(1, "one"), append("x", { requiresEntries: [entry(2, "two")] })]);
  await bench.sees(["one", "two", "x"]);
}

async function repeats(bench: Bench): Promise<void> {
  await bench.committed([append("one")]);
  const plan = replacing(1, "one", "ONE");
  const first = await bench.commit([plan], 0, 2);
  assert.equal(first.kind, "committed");
  assert.deepEqual(await bench.commit([plan], 0, 2), first);
  await bench.reopen();
  assert.deepEqual(await bench.commit([plan], 0, 2), first);
  await bench.sees(["ONE", "replaces 1"]);
}

async function heads(bench: Bench): Promise<void> {
  const at = (head: number, log = LOG) => ({ requiresHeads: [{ log, head }] });
  await bench.committed([append("one", at(0)), append("two", at(1))]);
  for (const head of [0, 1, 3]) {
    assert.deepEqual(await bench.commit([append("x", at(head))]), { kind: "stale" });
  }
  assert.deepEqual(await bench.commit([append("x", at(1, OTHER))]), { kind: "stale" });
  const outcomes = await Promise.all([
    bench.commit([append("three", at(2))]),
    bench.commit([append("x", at(2))], 1),
    bench.commit([append("four", at(3)), append("five", at(4))]),
  ]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["committed", "stale", "committed"],
  );
  await bench.sees(["one", "two", "three", "four", "five"]);
}

async function documents(bench: Bench): Promise<void> {
  const add = (name: string) => append("adds", { adds: [{ ref: NAMES, name, countMax: 3 }] });
  const drop = (name: string) => append("drops", { drops: [{ ref: NAMES, name }] });
  const mark = (from: number, through = from) =>
    append("marks", { marks: [{ ref: NUMBERS, numbers: [{ from, through }] }] });
  await Promise.all([
    bench.commit([add("a"), add("b")]),
    bench.commit([add("c"), drop("a"), drop("nobody")], 1),
    bench.commit([mark(5), mark(7, 9)]),
    bench.commit([mark(8, 12), mark(6)], 1),
  ]);
  const own = append("own", { marks: [{ ref: NUMBERS, numbers: "own" }] });
  assert.equal((await bench.log()).length, 9);
  await bench.committed([append("ten"), append("eleven"), append("12"), append("13"), own]);
  for (const isReopened of [false, true]) {
    if (isReopened) await bench.reopen();
    assert.deepEqual(namesIn(await bench.document(NAMES)), ["b", "c"]);
    assert.deepEqual(numbersIn(await bench.document(NUMBERS)), [{ from: 5, through: 12 }, at14]);
  }
  const { revision } = await bench.document(NUMBERS);
  await bench.committed([mark(6, 10), drop("a")]);
  assert.equal((await bench.document(NUMBERS)).revision, revision, "nothing new, no change");
  await bench.committed([drop("b"), drop("c")]);
  assert.deepEqual(namesIn(await bench.document(NAMES)), []);
}
const at14 = { from: 14, through: 14 };

async function pages(bench: Bench): Promise<void> {
  assert.deepEqual(await bench.store.loadLog(LOG, { from: 1, through: 9 }, PAGE), {
    head: 0,
    floor: 1,
    entries: [],
  });
  const texts = Array.from({ length: 30 }, (_, index) => `entry ${index + 1}`);
  for (let at = 0; at < 30; at += 3) {
    await bench.committed(texts.slice(at, at + 3).map((text) => append(text)));
  }
  for (const isReopened of [false, true]) {
    if (isReopened) await bench.reopen();
    for (const fromEnd of [false, true]) {
      for (const [from, through] of [
        [1, 30],
        [2, 29],
        [3, 3],
        [4, 6],
        [5, 17],
        [30, 30],
        [28, 99],
        [31, 40],
        [9, 8],
      ] as const) {
        const expected = texts.slice(from - 1, through);
        assert.deepEqual(await bench.log({ from, through, fromEnd }), expected);
        const some = fromEnd ? expected.slice(-4) : expected.slice(0, 4);
        assert.deepEqual(await bench.log({ from, through, fromEnd }, { ...PAGE, count: 4 }), some);
      }
      const limit = { count: 9, bytes: 17 };
      assert.deepEqual(
        await bench.log({ fromEnd }, limit),
        fromEnd ? texts.slice(-2) : texts.slice(0, 2),
      );
      const [one] = fromEnd ? texts.slice(-1) : texts;
      assert.deepEqual(await bench.log({ fromEnd }, { count: 9, bytes: 1 }), [one]);
    }
    assert.equal((await bench.store.loadLog(LOG, { from: 3, through: 4 }, PAGE)).head, 30);
  }
}

const UNNUMBERED = unnumberedLogRefOf("", "happenings");

/** Ten entries of three logs, and one of them again. */
async function mixed(bench: Bench): Promise<void> {
  const happening = append("happening", { log: UNNUMBERED });
  await bench.committed([append("one"), append("two"), append("other", { log: OTHER })]);
  await bench.committed([happening, append("three"), append("four")]);
  await bench.committed([append("five")], 1);
  const entryOne = { kind: "repeat", entry: { log: LOG, seq: 1 }, timelines: [BOB] } as const;
  await bench.committed([entryOne, happening, append("six")]);
}

async function runs(bench: Bench): Promise<void> {
  await mixed(bench);
  for (const isAgain of [false, true]) {
    if (isAgain) await bench.reopen();
    const { bounds, runs: all } = await bench.store.loadRuns(BOB, 0, 1_000);
    assert.deepEqual([bounds.floor, bounds.head], [1, 10]);
    const expected = [
      ...[1, 2].map((logSeq) => [LOG, logSeq]),
      [OTHER, 1],
      [UNNUMBERED, 1],
      ...[3, 4, 5, 1].map((logSeq) => [LOG, logSeq]),
      [UNNUMBERED, 2],
      [LOG, 6],
    ];
    assert.deepEqual(placesOf(all), expected);
    for (let after = 0; after <= 10; after += 1) {
      for (const countMax of [1, 2, 5]) {
        const part = await bench.store.loadRuns(BOB, after, countMax);
        assert.deepEqual(placesOf(part.runs), expected.slice(after, after + countMax));
        assert.equal(part.runs[0]?.firstSeq ?? after + 1, after + 1);
      }
    }
  }
}

/** Entry by entry: implementations may cut runs where they like. */
function placesOf(all: readonly LogRun[]) {
  let next = all[0]?.firstSeq ?? 0;
  return all.flatMap(({ firstSeq, log, firstLogSeq, count }) => {
    assert.equal(firstSeq, next, "runs are contiguous");
    next += count;
    return Array.from({ length: count }, (_, index) => [log, firstLogSeq + index]);
  });
}

async function someEntries(bench: Bench): Promise<void> {
  await mixed(bench);
  const all = (await bench.store.loadTimeline(BOB, 0, PAGE)).entries;
  assert.equal(all.length, 10);
  const sets = [
    [],
    [{ from: 1, through: 1 }],
    [{ from: 2, through: 4 }],
    [
      { from: 1, through: 2 },
      { from: 4, through: 4 },
      { from: 6, through: 8 },
      { from: 10, through: 900 },
    ],
    [{ from: 11, through: 12 }],
  ];
  for (const numbers of sets) {
    const wanted = all.filter(({ seq }) => has(numbers, seq));
    const { bounds, entries } = await bench.store.loadTimeline(BOB, numbers, PAGE);
    assert.deepEqual(entries, wanted);
    assert.equal(bounds.head, 10);
    const two = await bench.store.loadTimeline(BOB, numbers, { count: 2, bytes: 1_000 });
    assert.deepEqual(two.entries, wanted.slice(0, 2));
    const small = await bench.store.loadTimeline(BOB, numbers, { count: 9, bytes: 1 });
    assert.deepEqual(small.entries, wanted.slice(0, 1));
  }
}

async function watchers(bench: Bench): Promise<void> {
  const heard: [string, number][] = [];
  const seen: Promise<string[]>[] = [];
  const unwatch = bench.store.watchLogs((log, head) => {
    heard.push([log, head]);
    seen.push(bench.log({ from: head }, PAGE, log));
  });
  await bench.committed([append("one"), append("two")]);
  await bench.committed([append("elsewhere", { log: OTHER, timelines: [] })]);
  await bench.committed([replacing(1, "one", "ONE")]);
  unwatch();
  await bench.committed([append("unheard")]);
  assert.deepEqual(heard, [
    [LOG, 2],
    [OTHER, 1],
    [LOG, 3],
  ]);
  assert.deepEqual(await Promise.all(seen), [["two"], ["elsewhere"], ["replaces 1"]]);
}
