import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { attach, prepareRequest, type StoreFixture } from "./contract.ts";
import { namesIn } from "./documents.ts";
import { PERISHABLES_MAX } from "./perishables.ts";
import type { AppendPlan, PerishableQueue, Plan } from "./plans.ts";
import {
  type Attachment,
  type CommitOutcome,
  type DeviceRef,
  documentRefOf,
  type Receipt,
  type Store,
  type StoredDocument,
  unnumberedLogRefOf,
  userRefOf,
} from "./store.ts";

const ALICE = userRefOf("", "alice");
const BOB = userRefOf("", "bob");
const PHONE: DeviceRef = { user: ALICE, deviceId: "phone" };
const TABLET: DeviceRef = { user: BOB, deviceId: "tablet" };
const LAPTOP: DeviceRef = { user: BOB, deviceId: "laptop" };
const PAGE = { count: 1000, bytes: 1_000_000 };
const START_MS = 1_000;
const QUEUE: PerishableQueue = { name: "all", countMax: 3, bytesMax: 100 };

/** Promises 9 and 10 of {@link Store}, for every implementation. */
export function perishableContract(name: string, fixture: () => Promise<StoreFixture>): void {
  describe(`store contract, documents and perishable content: ${name}`, () => {
    const withStore = (title: string, body: (bench: Bench) => Promise<void>) =>
      test(title, async () => {
        const made = await fixture();
        const bench = await Bench.open(made);
        try {
          await body(bench);
        } finally {
          await bench.store.close();
          await made.dispose();
        }
      });

    withStore("[SEC-83] a document changes from its revision or not at all", revisions);
    withStore("[SEC-83] documents are there after reopen", documentsReopened);
    withStore(
      "[SEC-86] names are added once and renewed on use, the oldest go, nothing is stale",
      names,
    );
    withStore("[SEC-83] a batch that stands on its own changes is taken whole", ownChanges);
    withStore("[SEC-89] only its device reads the content, the others the stub", readers);
    withStore("[SEC-89] the content survives reopen until it is passed", keptReopened);
    withStore("[SEC-89] a passed number ends the content, another device's does not", passed);
    withStore("[SEC-91] what has expired is read by nobody", expired);
    withStore("[SEC-90] a full queue refuses, and has room again after it was read", queues);
    withStore("[SEC-90] one batch cannot fill a queue beyond its bounds", queuesInBatch);
    withStore("[SEC-97] a queue of all devices has its share of the room that is left", shares);
    withStore("[SEC-92] content of a device that is taken out goes with the commit", takenOut);
    withStore("[SES-6] a fenced device's acknowledgement ends nothing", fenced);
  });
}

class Bench {
  readonly #made: StoreFixture;
  store: Store;
  phone: Attachment;
  tablet: Attachment;
  #seq = 0;

  static async open(made: StoreFixture): Promise<Bench> {
    made.setMs(START_MS);
    const store = await made.open();
    const tablet = await attach(store, prepareRequest(TABLET));
    return new Bench(made, store, { tablet, phone: await attach(store, prepareRequest(PHONE)) });
  }

  private constructor(
    made: StoreFixture,
    store: Store,
    attached: { readonly phone: Attachment; readonly tablet: Attachment },
  ) {
    this.#made = made;
    this.store = store;
    this.phone = attached.phone;
    this.tablet = attached.tablet;
  }

  async reopen(): Promise<void> {
    await this.store.close();
    this.store = await this.#made.open();
  }

  setMs(nowMs: number): void {
    this.#made.setMs(nowMs);
  }

  /** Commits plans of the phone as one batch. */
  async commit(...plans: readonly Plan[]): Promise<CommitOutcome> {
    const submits = plans.map((plan, index) => {
      const seq = this.#seq + index + 1;
      return { seq, digest: seq, plan };
    });
    const { generation, outbox } = this.phone;
    const batch = { device: PHONE, generation, outboxEpoch: outbox.epoch, submits };
    const outcome = await this.store.commit(batch);
    if (outcome.kind === "committed") this.#seq += plans.length;
    return outcome;
  }

  /** The codes of a batch that is committed. */
  async codes(...plans: readonly Plan[]): Promise<readonly ErrorCode[]> {
    const outcome = await this.commit(...plans);
    assert.equal(outcome.kind, "committed");
    const { results } = (outcome as { receipt: Receipt }).receipt;
    for (const { conversationSeq } of results) assert.equal(conversationSeq, 0);
    return results.slice(-plans.length).map(({ code }) => code);
  }

  async texts(device: DeviceRef): Promise<readonly string[]> {
    const { entries } = await this.store.loadTimeline(device.user, 0, PAGE, device.deviceId);
    return entries.map(({ event, conversationSeq }) => {
      assert.equal(conversationSeq, 0, "nothing here is in a conversation");
      return new TextDecoder().decode(event);
    });
  }

  async document(ref: ReturnType<typeof documentRefOf>): Promise<StoredDocument> {
    const { documents } = await this.store.loadForPlanning({ users: [], documents: [ref] });
    return documents.get(ref) as StoredDocument;
  }

  /** The tablet holds its timeline up to a number. */
  async passes(deliveredThrough: number, attachment: Attachment = this.tablet): Promise<string> {
    const { generation, outbox } = attachment;
    const device = TABLET;
    const outboxEpoch = outbox.epoch;
    const position = { device, generation, outboxEpoch, deliveredThrough, resultsThrough: 0 };
    return await this.store.advance(position);
  }
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function appendOf(text: string, part: Partial<AppendPlan> = {}): AppendPlan {
  const log = unnumberedLogRefOf("", "user:bob");
  return { kind: "append", log, event: bytesOf(text), timelines: [BOB], ...part };
}

function perishableOf(
  text: string,
  part: Partial<NonNullable<AppendPlan["perishable"]>> = {},
): AppendPlan {
  const perishable = {
    device: TABLET,
    event: bytesOf(text),
    expiresMs: START_MS + 10_000,
    queues: [QUEUE],
    full: ErrorCode.PACKET_QUEUE_FULL,
    ...part,
  };
  return appendOf("stub", { perishable });
}

const REF = documentRefOf("", "notes");
const OK = ErrorCode.UNSPECIFIED;
const FULL = ErrorCode.PACKET_QUEUE_FULL;

function putOf(revision: number, text: string): AppendPlan {
  const requires = [{ ref: REF, revision }];
  return appendOf(text, { requires, puts: [{ ref: REF, bytes: bytesOf(text) }] });
}

async function revisions(bench: Bench): Promise<void> {
  assert.deepEqual(await bench.document(REF), { revision: 0, bytes: new Uint8Array(0) });
  assert.deepEqual(await bench.codes(putOf(0, "one")), [OK]);
  assert.equal((await bench.document(REF)).revision, 1);
  assert.deepEqual(await bench.commit(putOf(0, "two")), { kind: "stale" });
  const code = ErrorCode.DIRECTORY_CHANGED;
  const refusal = { kind: "refuse" as const, code, requires: [{ ref: REF, revision: 0 }] };
  assert.deepEqual(await bench.commit(refusal), { kind: "stale" }, "a refusal relies on it too");
  assert.deepEqual(await bench.codes(putOf(1, "two")), [OK]);
  assert.deepEqual(await bench.texts(TABLET), ["one", "two"], "a stale plan has no effect");
}

async function documentsReopened(bench: Bench): Promise<void> {
  await bench.codes(putOf(0, "kept"));
  await bench.reopen();
  assert.deepEqual(await bench.document(REF), { revision: 1, bytes: bytesOf("kept") });
}

async function names(bench: Bench): Promise<void> {
  const add = (name: string) => appendOf(name, { adds: [{ ref: REF, name, countMax: 4 }] });
  const listed = async () => namesIn(await bench.document(REF)).join("");
  assert.deepEqual(await bench.codes(add("a"), add("b"), add("a")), [OK, OK, OK]);
  assert.equal(await listed(), "ab");
  assert.equal((await bench.document(REF)).revision, 2, "a newer name that is there stays");
  assert.deepEqual(await bench.codes(add("c"), add("d"), add("a")), [OK, OK, OK]);
  assert.equal(await listed(), "bcda", "one of the older half is renewed");
  assert.deepEqual(await bench.codes(add("e")), [OK]);
  assert.equal(await listed(), "cdae");
}

async function ownChanges(bench: Bench): Promise<void> {
  assert.deepEqual(await bench.codes(putOf(0, "one"), putOf(1, "two")), [OK, OK]);
  assert.deepEqual(await bench.commit(putOf(2, "three"), putOf(2, "four")), { kind: "stale" });
  assert.deepEqual(await bench.document(REF), { revision: 2, bytes: bytesOf("two") });
}

async function readers(bench: Bench): Promise<void> {
  assert.deepEqual(await bench.codes(perishableOf("secret"), appendOf("plain")), [OK, OK]);
  assert.deepEqual(await bench.texts(TABLET), ["secret", "plain"]);
  assert.deepEqual(await bench.texts(TABLET), ["secret", "plain"], "as often as it asks");
  assert.deepEqual(await bench.texts(LAPTOP), ["stub", "plain"]);
  const { entries } = await bench.store.loadTimeline(BOB, 0, PAGE);
  assert.deepEqual(entries[0]?.event.length, "stub".length, "nobody in particular reads the stub");
}

async function keptReopened(bench: Bench): Promise<void> {
  await bench.codes(perishableOf("secret"));
  await bench.store.sweep();
  await bench.reopen();
  assert.deepEqual(await bench.texts(TABLET), ["secret"]);
  await bench.passes(1);
  await bench.store.sweep();
  await bench.reopen();
  assert.deepEqual(await bench.texts(TABLET), ["stub"]);
}

async function passed(bench: Bench): Promise<void> {
  await bench.codes(
    perishableOf("one"),
    perishableOf("for the laptop", { device: LAPTOP }),
    perishableOf("two"),
  );
  assert.equal(await bench.passes(2), "noted");
  assert.deepEqual(await bench.texts(TABLET), ["stub", "stub", "two"]);
  assert.deepEqual(await bench.texts(LAPTOP), ["stub", "for the laptop", "stub"]);
  await bench.store.sweep();
  assert.deepEqual(await bench.texts(LAPTOP), ["stub", "for the laptop", "stub"]);
}

async function expired(bench: Bench): Promise<void> {
  const later = { expiresMs: START_MS + 20_000 };
  await bench.codes(perishableOf("short"), perishableOf("long", later));
  bench.setMs(START_MS + 9_999);
  assert.deepEqual(await bench.texts(TABLET), ["short", "long"]);
  bench.setMs(START_MS + 10_000);
  assert.deepEqual(await bench.texts(TABLET), ["stub", "long"]);
  await bench.store.sweep();
  assert.deepEqual(await bench.texts(TABLET), ["stub", "long"]);
  bench.setMs(START_MS + 20_000);
  await bench.store.sweep();
  assert.deepEqual(await bench.texts(TABLET), ["stub", "stub"]);
}

async function queues(bench: Bench): Promise<void> {
  const narrow = { queues: [QUEUE, { name: "narrow", countMax: 2, bytesMax: 100 }] };
  assert.deepEqual(await bench.codes(perishableOf("a", narrow)), [OK]);
  assert.deepEqual(await bench.codes(perishableOf("b", narrow)), [OK]);
  assert.deepEqual(await bench.codes(perishableOf("c", narrow)), [FULL]);
  assert.deepEqual(await bench.codes(perishableOf("d")), [OK]);
  assert.deepEqual(await bench.codes(perishableOf("e")), [FULL]);
  const other = { device: LAPTOP };
  assert.deepEqual(await bench.codes(perishableOf("f", other)), [OK], "each device has its own");
  await bench.reopen();
  assert.deepEqual(await bench.codes(perishableOf("g")), [FULL], "counted after reopen too");
  assert.deepEqual(await bench.texts(TABLET), ["a", "b", "d", "stub"]);
  await bench.passes(1);
  assert.deepEqual(await bench.codes(perishableOf("x".repeat(99))), [FULL], "bytes count too");
  assert.deepEqual(await bench.codes(perishableOf("x".repeat(98))), [OK]);
}

async function shares(bench: Bench): Promise<void> {
  // 3 in the empty store.
  const shareOf = Math.floor(PERISHABLES_MAX / 3.5);
  const of = (text: string, name: string, device = TABLET) => {
    const queues = [{ name, countMax: 100, bytesMax: 1_000, shareOf }];
    return perishableOf(text, { queues, device });
  };
  assert.deepEqual(await bench.codes(of("a", "eve"), of("b", "eve", LAPTOP)), [OK, OK]);
  assert.deepEqual(await bench.codes(of("c", "eve", LAPTOP), of("d", "eve")), [OK, FULL]);
  await bench.reopen();
  assert.deepEqual(await bench.codes(of("d", "eve", LAPTOP)), [FULL], "counted after reopen too");
  assert.deepEqual(await bench.codes(of("e", "ann")), [OK], "of its own");
  await bench.passes(1);
  await bench.store.sweep();
  assert.deepEqual(await bench.codes(of("f", "eve"), of("g", "eve")), [OK, FULL]);
}

async function queuesInBatch(bench: Bench): Promise<void> {
  const plans = ["a", "b", "c", "d"].map((text) => perishableOf(text));
  assert.deepEqual(await bench.codes(...plans), [OK, OK, OK, FULL]);
  assert.deepEqual(await bench.texts(TABLET), ["a", "b", "c"]);
}

async function takenOut(bench: Bench): Promise<void> {
  await bench.codes(perishableOf("one"), perishableOf("kept", { device: LAPTOP }));
  assert.deepEqual(await bench.codes(perishableOf("two"), appendOf("out", { erases: [TABLET] })), [
    OK,
    OK,
  ]);
  assert.deepEqual(await bench.texts(TABLET), ["stub", "stub", "stub", "out"]);
  assert.deepEqual(await bench.texts(LAPTOP), ["stub", "kept", "stub", "out"]);
  await bench.reopen();
  assert.deepEqual(await bench.texts(TABLET), ["stub", "stub", "stub", "out"]);
  const again = ["a", "b", "c"].map((text) => perishableOf(text));
  assert.deepEqual(await bench.codes(...again), [OK, OK, OK], "its queues are empty");
}

async function fenced(bench: Bench): Promise<void> {
  await bench.codes(perishableOf("one"));
  const { epoch, through } = bench.tablet.outbox;
  const outbox = { epoch, resultsThrough: through, next: through + 1 };
  const newer = await attach(bench.store, prepareRequest(TABLET, { outbox }));
  assert.equal(await bench.passes(1), "fenced");
  assert.deepEqual(await bench.texts(TABLET), ["one"]);
  assert.equal(await bench.passes(1, newer), "noted");
  assert.deepEqual(await bench.texts(TABLET), ["stub"]);
}
