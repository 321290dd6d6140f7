import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attach, prepareRequest, type StoreFixture } from "./contract.ts";
import type { Plan } from "./plans.ts";
import {
  type Attachment,
  type DeviceRef,
  documentRefOf,
  entryName,
  logRefOf,
  type PlannedSubmit,
  type PlanningState,
  type Replanning,
  type Store,
  userRefOf,
} from "./store.ts";

const ALICE = userRefOf("", "alice");
const PHONE: DeviceRef = { user: ALICE, deviceId: "phone" };
const LAPTOP: DeviceRef = { user: ALICE, deviceId: "laptop" };
const LOG = logRefOf("", "d:alice:bob");
const COUNT = documentRefOf("", "count");
const PAGE = { count: 1000, bytes: 1_000_000 };
const FIRST = { log: LOG, seq: 1 };
const READS = { users: [ALICE], documents: [COUNT], entries: [FIRST], heads: [LOG] };

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text));
const textOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

/** Says how many there were before, and relies on everything that it says. */
function counting({ heads, documents, entries, knownUsers }: PlanningState, name: string): Plan {
  const head = heads.get(LOG) ?? 0;
  const document = documents.get(COUNT);
  const first = entries.get(entryName(FIRST));
  const known = knownUsers.has(ALICE) ? "" : " of nobody";
  const said = `${name}: ${head}, ${textOf(document?.bytes)}, ${textOf(first?.event)}${known}`;
  return {
    kind: "append",
    log: LOG,
    event: bytesOf(said),
    timelines: [ALICE],
    requiresHeads: [{ log: LOG, head }],
    requires: [{ ref: COUNT, revision: document?.revision ?? 0 }],
    requiresEntries: first === undefined ? [] : [{ ...FIRST, event: first.event }],
    puts: [{ ref: COUNT, bytes: bytesOf(`${head + 1}`) }],
  };
}

/** Promise 9 of {@link Store}, for who plans anew, for every implementation. */
export function replanningContract(name: string, fixture: () => Promise<StoreFixture>): void {
  describe(`store contract, planning anew: ${name}`, () => {
    const withBench = (title: string, body: (bench: Bench) => Promise<void>) =>
      test(title, async () => {
        const made = await fixture();
        const store = await made.open();
        try {
          const attached = [PHONE, LAPTOP].map((device) => attach(store, prepareRequest(device)));
          await body(new Bench(store, await Promise.all(attached)));
        } finally {
          await store.close();
          await made.dispose();
        }
      });
    withBench("[CNV-88] whoever plans anew is never stale, however many commit", flooded);
    withBench("[CNV-88] what was committed before is not planned again", repeated);
    withBench("[CNV-88] a plan that does not hold when it is made is stale all the same", hopeless);
  });
}

class Bench {
  readonly store: Store;
  readonly #attached: readonly Attachment[];
  readonly #next = [1, 1];

  constructor(store: Store, attached: readonly Attachment[]) {
    this.store = store;
    this.#attached = attached;
  }

  /** @param device 0 or 1 */
  commit(device: number, plans: readonly Plan[], replanning?: Replanning, first?: number) {
    const { generation, outbox } = this.#attached[device] as Attachment;
    const from = first ?? (this.#next[device] as number);
    this.#next[device] = from + plans.length;
    const submits = plans.map((plan, index) => ({ seq: from + index, digest: 1, plan }));
    const ref = [PHONE, LAPTOP][device] as DeviceRef;
    const batch = { device: ref, generation, outboxEpoch: outbox.epoch, submits };
    return this.store.commit({ ...batch, replanning });
  }

  plan(): Promise<PlanningState> {
    return this.store.loadForPlanning(READS);
  }

  async lines(): Promise<string[]> {
    const { entries } = await this.store.loadLog(LOG, { from: 1, through: 1e9 }, PAGE);
    return entries.map(({ event }) => textOf(event));
  }
}

const replanned = (name: string, calls: number[] = []): Replanning => ({
  reads: READS,
  plan: (state, fresh) => {
    calls.push(fresh.length);
    return fresh.map((submit) => ({ ...submit, plan: counting(state, name) }));
  },
});

async function flooded(bench: Bench): Promise<void> {
  const state = await bench.plan();
  const calls: number[] = [];
  // All at once, so that others of one group are between as well as others of an earlier one.
  const outcomes = await Promise.all([
    ...[1, 2, 3].map(() => bench.commit(1, [counting(state, "flood")], replanned("flood"))),
    bench.commit(0, [counting(state, "slow")], replanned("slow", calls)),
    bench.commit(1, [counting(state, "flood")], replanned("flood")),
  ]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    new Array(5).fill("committed"),
  );
  assert.deepEqual(calls, [1], "once");
  const first = "flood: 0, , ";
  assert.deepEqual(await bench.lines(), [
    first,
    `flood: 1, 1, ${first}`,
    `flood: 2, 2, ${first}`,
    `slow: 3, 3, ${first}`,
    `flood: 4, 4, ${first}`,
  ]);
}

async function repeated(bench: Bench): Promise<void> {
  const state = await bench.plan();
  const both = [counting(state, "one"), counting(state, "two")];
  const calls: number[] = [];
  await bench.commit(0, both.slice(0, 1));
  const outcome = await bench.commit(0, both, replanned("again", calls), 1);
  assert.ok(outcome.kind === "committed");
  assert.deepEqual(
    outcome.receipt.results.map(({ conversationSeq }) => conversationSeq),
    [1, 2],
  );
  assert.deepEqual(calls, [1]);
  assert.deepEqual(await bench.lines(), ["one: 0, , ", "again: 1, 1, one: 0, , "]);
}

async function hopeless(bench: Bench): Promise<void> {
  const state = await bench.plan();
  await bench.commit(1, [counting(state, "first")]);
  const stubborn: Replanning = {
    reads: READS,
    plan: (_, fresh): readonly PlannedSubmit[] => fresh,
  };
  const outcome = await bench.commit(0, [counting(state, "late")], stubborn);
  assert.deepEqual(outcome, { kind: "stale" });
  assert.deepEqual(await bench.lines(), ["first: 0, , "]);
}
