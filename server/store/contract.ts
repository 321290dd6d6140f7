import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { LogRetention } from "./log-retention.ts";
import {
  type Attachment,
  type DeviceRef,
  logRefOf,
  type PlannedSubmit,
  type PrepareRequest,
  type Receipt,
  type Store,
  type SubmitBatch,
  type UserRef,
  userRefOf,
} from "./store.ts";

/** How a suite opens a store, and opens it again after it was closed or its process died. */
export interface StoreFixture {
  open(options?: {
    readonly timelineEventsMax?: number;
    readonly retention?: LogRetention;
    readonly devicesMax?: number;
  }): Promise<Store>;
  /** Sets the clock of the stores that it opens. */
  setMs(nowMs: number): void;
  /** Removes what was stored. */
  dispose(): Promise<void>;
}

const ALICE = userRefOf("", "alice");
const BOB = userRefOf("", "bob");
const LOG = logRefOf("", "d:alice:bob");
const PHONE: DeviceRef = { user: ALICE, deviceId: "phone" };
const TABLET: DeviceRef = { user: BOB, deviceId: "tablet" };
const PAGE = { count: 1000, bytes: 1_000_000 };

export function prepareRequest(
  device: DeviceRef,
  part: Partial<PrepareRequest> = {},
): PrepareRequest {
  return {
    device,
    outbox: { epoch: 0, resultsThrough: 0, next: 1 },
    cursor: { epoch: 0, seq: 0, start: "earliest" },
    ...part,
  };
}

export function sendPlan(seq: number, text: string, timelines: UserRef[] = [BOB, ALICE]) {
  const event = new TextEncoder().encode(text);
  const plan = { kind: "append", log: LOG, event, timelines } as const;
  return { seq, digest: seq * 7 + text.length, plan } satisfies PlannedSubmit;
}

/** Every promise of {@link Store}, for every implementation. */
export function storeContract(name: string, fixture: () => Promise<StoreFixture>): void {
  describe(`store contract: ${name}`, () => {
    const withStore = (title: string, body: (store: Store, again: Reopen) => Promise<void>) =>
      test(title, async () => {
        const made = await fixture();
        let store = await made.open();
        try {
          await body(store, async (options) => {
            await store.close();
            store = await made.open(options);
            return store;
          });
        } finally {
          await store.close();
          await made.dispose();
        }
      });

    withStore("[ENV-56] the newest registration is kept, across reopen", registrations);
    withStore("[BCK-4] a user is made once, with a timeline and without a device", usersMade);
    withStore("[BCK-17] positions are durable once they are kept", positionsKept);
    withStore("[SES-6] each attach raises the generation and fences the older (P11)", fencing);
    withStore("[SEQ-4] a repeat has one effect and the same result (P19, P20)", repeats);
    withStore("[SES-18] a Hello alone disturbs nobody, a late Ready neither (P11)", overtaken);
    withStore("[SEQ-4] repeats across attach and reopen keep their results (P9)", repeatsReopened);
    withStore("[SEQ-5] other content under a used number is a conflict", conflicts);
    withStore("[SEQ-6] a refused operation consumes its number", refusals);
    withStore("[LIM-3] a refusal keeps its time, across attach and reopen", refusalTimes);
    withStore("[SEQ-8] results are kept until acknowledged, then dropped", resultsDropped);
    withStore("[SEQ-14] delivered order is committed order on every timeline (P17)", order);
    withStore("[SEQ-14] numbers go on after reopen; pages join content (P18)", pagesReopened);
    withStore("[SEQ-15] an unknown receiver makes the plan stale, nothing takes effect", stale);
    withStore("[RES-7] a cursor ahead of the head is refused and fences nobody (P8)", cursorAhead);
    withStore("[RES-9] [RES-10] outbox epochs only rise (P14)", epochs);
    withStore("[RES-13] results acknowledged beyond the outbox are refused (P8)", resultsAhead);
    withStore("[RES-4] retention raises the floor and keeps what it promises", retention);
    withStore("[SEQ-3] watchers hear of what is durable already", watchers);
    withStore("[SEQ-16] a page keeps its limits and holds at least one entry", pageLimits);
  });
}

const LOGIN = {
  publicKey: new Uint8Array(32).fill(1),
  registrationSecret: new Uint8Array(32).fill(2),
  registeredMs: 5_000_000,
};

async function positionsKept(store: Store, reopen: Reopen): Promise<void> {
  const devices = [PHONE, { ...PHONE, deviceId: "pad" }, TABLET];
  const positions = [];
  for (const [index, device] of devices.entries()) {
    const { generation, outbox } = await attach(store, prepareRequest(device));
    const outboxEpoch = outbox.epoch;
    const deliveredThrough = 3 + index;
    positions.push({ device, generation, outboxEpoch, deliveredThrough, resultsThrough: 0 });
  }
  await store.keep(positions);
  const kept = async (from: Store) => {
    const known = [...(await from.loadDevices(ALICE)), ...(await from.loadDevices(BOB))];
    return known.map(({ deviceId, deliveredThrough }) => `${deviceId} ${deliveredThrough}`);
  };
  assert.deepEqual(await kept(store), ["pad 4", "phone 3", "tablet 5"], "it is told at once");
  const [first, ...others] = positions.map((one) => ({ ...one, deliveredThrough: 4 }));
  // One that is behind changes nothing, nor does one of an older attachment.
  await store.keep([...others, { ...first, generation: 0 } as (typeof positions)[number]]);
  const again = await reopen();
  assert.deepEqual(await kept(again), ["pad 4", "phone 3", "tablet 5"]);
}

async function usersMade(store: Store, reopen: Reopen): Promise<void> {
  const together = await Promise.all([ALICE, BOB, ALICE].map((user) => store.ensureUser(user)));
  assert.deepEqual(together, [true, true, false]);
  const { bounds } = await store.loadTimeline(BOB, 0, PAGE);
  assert.deepEqual([bounds.head, bounds.floor], [0, 1]);
  const again = await reopen();
  assert.equal(await again.ensureUser(BOB), false);
  assert.deepEqual((await again.loadTimeline(BOB, 0, PAGE)).bounds, bounds);
  assert.deepEqual(await again.loadDevices(BOB), []);
  // A user that was made is one to send to, and attaches like any other.
  const attachment = await attach(again, prepareRequest(PHONE));
  await commit(again, batchOf(attachment, [sendPlan(1, "one")]));
  assert.equal((await again.loadTimeline(BOB, 0, PAGE)).bounds.head, 1);
  const tablet = await attach(again, prepareRequest(TABLET));
  assert.equal(tablet.timeline.epoch, bounds.epoch);
}

async function registrations(store: Store, reopen: Reopen): Promise<void> {
  assert.equal(await store.loadLogin(PHONE), undefined);
  // Before it ever attaches, and refused or not, a device without one has none.
  await prepare(store, prepareRequest(PHONE));
  assert.equal(await store.loadLogin(PHONE), undefined);
  await prepare(store, prepareRequest(PHONE, { login: LOGIN }));
  assert.deepEqual(await store.loadLogin(PHONE), LOGIN);
  assert.equal(await store.loadLogin(TABLET), undefined);
  // Whatever else happens to the device, it stays.
  const attachment = await attach(store, prepareRequest(PHONE));
  await commit(store, batchOf(attachment, [sendPlan(1, "one", [ALICE])]));
  const again = await reopen();
  assert.deepEqual(await again.loadLogin(PHONE), LOGIN);
  const ahead = { epoch: attachment.timeline.epoch, seq: 9, start: "earliest" } as const;
  const fresh = { ...LOGIN, publicKey: new Uint8Array(32).fill(3) };
  const refused = await again.prepare(prepareRequest(PHONE, { cursor: ahead, login: fresh }));
  assert.equal(refused.kind, "refused");
  assert.deepEqual(await again.loadLogin(PHONE), LOGIN);
  const soon = { ...LOGIN, registeredMs: LOGIN.registeredMs + 1 };
  await prepare(again, prepareRequest(PHONE, { login: soon }));
  assert.deepEqual(await again.loadLogin(PHONE), LOGIN, "costs no write");
  const later = { ...LOGIN, registeredMs: LOGIN.registeredMs + 3_600_000 };
  for (const login of [later, fresh, { ...fresh, registrationSecret: new Uint8Array(32) }]) {
    await prepare(again, prepareRequest(PHONE, { login }));
    assert.deepEqual(await again.loadLogin(PHONE), login);
  }
}

type Reopen = (options?: { readonly timelineEventsMax?: number }) => Promise<Store>;

/** Prepares an attachment and puts it into force, as Hello and Ready do. */
export async function attach(store: Store, request: PrepareRequest): Promise<Attachment> {
  const { device } = request;
  const prepared = await prepare(store, request);
  const { generation } = prepared;
  const attached = { kind: "attached", generation };
  assert.deepEqual(await store.attach({ device, attachment: prepared }), attached);
  return prepared;
}

async function prepare(store: Store, request: PrepareRequest): Promise<Attachment> {
  const outcome = await store.prepare(request);
  assert.equal(outcome.kind, "prepared");
  return (outcome as { attachment: Attachment }).attachment;
}

async function both(store: Store): Promise<{ phone: Attachment; tablet: Attachment }> {
  const tablet = await attach(store, prepareRequest(TABLET));
  return { phone: await attach(store, prepareRequest(PHONE)), tablet };
}

function batchOf(attachment: Attachment, submits: readonly PlannedSubmit[]): SubmitBatch {
  const { generation, outbox } = attachment;
  return { device: PHONE, generation, outboxEpoch: outbox.epoch, submits };
}

async function commit(store: Store, batch: SubmitBatch): Promise<Receipt> {
  const outcome = await store.commit(batch);
  assert.equal(outcome.kind, "committed");
  return (outcome as { receipt: Receipt }).receipt;
}

async function texts(store: Store, user: UserRef, after = 0): Promise<string[]> {
  const { entries } = await store.loadTimeline(user, after, PAGE);
  entries.forEach((entry, index) => {
    assert.equal(entry.seq, (entries[0]?.seq ?? 0) + index);
  });
  return entries.map(({ event }) => new TextDecoder().decode(event));
}

async function fencing(store: Store): Promise<void> {
  const { phone } = await both(store);
  const newer = await attach(store, resumed(phone));
  assert.equal(newer.generation, phone.generation + 1);
  assert.deepEqual(newer.sessionId, phone.sessionId);
  assert.deepEqual(await store.commit(batchOf(phone, [sendPlan(1, "old")])), { kind: "fenced" });
  await commit(store, batchOf(newer, [sendPlan(1, "new")]));
  const { generation, outbox } = phone;
  const stale = { device: PHONE, generation, outboxEpoch: outbox.epoch };
  const told = await store.advance({ ...stale, deliveredThrough: 1, resultsThrough: 1 });
  assert.equal(told, "fenced", "it is told so");
  const third = await attach(store, resumed(newer));
  assert.equal(third.outbox.results.length, 1, "an old generation's acknowledgement has no effect");
  assert.deepEqual(await texts(store, BOB), ["new"]);
}

async function overtaken(store: Store): Promise<void> {
  const { phone } = await both(store);
  const device = PHONE;
  const late = await prepare(store, resumed(phone));
  await prepare(store, prepareRequest(PHONE));
  await commit(store, batchOf(phone, [sendPlan(1, "undisturbed")]));
  // What the late one was told is not true any more: it comes to nothing, but fences the older one.
  const overtaken = { kind: "overtaken", generation: late.generation };
  assert.deepEqual(await store.attach({ device, attachment: late }), overtaken);
  assert.deepEqual(await store.commit(batchOf(phone, [sendPlan(2, "x")])), { kind: "fenced" });
  const second = await prepare(store, resumed(phone));
  const third = await attach(store, resumed(phone));
  const { generation } = third;
  const again = await store.attach({ device, attachment: second });
  assert.deepEqual(again, { kind: "overtaken", generation });
  await commit(store, batchOf(third, [sendPlan(2, "undisturbed too")]));
  assert.deepEqual(await texts(store, BOB), ["undisturbed", "undisturbed too"]);
}

function resumed(attachment: Attachment, resultsThrough = 0): PrepareRequest {
  const { epoch, through } = attachment.outbox;
  const outbox = { epoch, resultsThrough, next: through + 1 };
  return prepareRequest(PHONE, { outbox: { ...outbox, next: Math.max(outbox.next, 1) } });
}

async function repeats(store: Store): Promise<void> {
  const { phone } = await both(store);
  const first = await commit(store, batchOf(phone, [sendPlan(1, "a"), sendPlan(2, "b")]));
  const again = [sendPlan(1, "a"), sendPlan(2, "b"), sendPlan(3, "c")];
  const second = await commit(store, batchOf(phone, again));
  assert.equal(second.through, 3);
  assert.deepEqual(second.results.slice(0, 2), first.results);
  const third = await commit(store, batchOf(phone, [sendPlan(2, "b")]));
  assert.deepEqual(third.results, second.results.slice(1));
  assert.deepEqual(await texts(store, BOB), ["a", "b", "c"]);
}

async function repeatsReopened(store: Store, reopen: Reopen): Promise<void> {
  const { phone } = await both(store);
  const first = await commit(store, batchOf(phone, [sendPlan(1, "a"), sendPlan(2, "b")]));
  let current = await reopen();
  for (let life = 0; life < 5; life += 1) {
    const attachment = await attach(current, resumed(phone));
    assert.equal(attachment.generation, phone.generation + 1 + life);
    assert.deepEqual(attachment.outbox.results, first.results);
    const again = await commit(current, batchOf(attachment, [sendPlan(2, "b")]));
    assert.deepEqual(again, { through: 2, results: first.results.slice(1) });
    current = await reopen();
  }
  assert.deepEqual(await texts(current, BOB), ["a", "b"]);
}

async function conflicts(store: Store): Promise<void> {
  const { phone } = await both(store);
  await commit(store, batchOf(phone, [sendPlan(1, "a")]));
  const outcome = await store.commit(batchOf(phone, [sendPlan(1, "other"), sendPlan(2, "b")]));
  assert.deepEqual(outcome, { kind: "conflict", seq: 1 });
  assert.deepEqual(await texts(store, BOB), ["a"], "nothing of the batch took effect");
}

async function refusals(store: Store): Promise<void> {
  const { phone } = await both(store);
  const refused: PlannedSubmit = {
    seq: 1,
    digest: 9,
    plan: { kind: "refuse", code: ErrorCode.MESSAGE_EMPTY },
  };
  const receipt = await commit(store, batchOf(phone, [refused, sendPlan(2, "b")]));
  assert.equal(receipt.through, 2);
  const codes = receipt.results.map(({ code }) => code);
  assert.deepEqual(codes, [ErrorCode.MESSAGE_EMPTY, ErrorCode.UNSPECIFIED]);
  assert.deepEqual(await texts(store, ALICE), ["b"]);
}

async function refusalTimes(store: Store, reopen: Reopen): Promise<void> {
  const { phone } = await both(store);
  const plan = { kind: "refuse", code: ErrorCode.TOO_OFTEN, retryAfterMs: 86_400_000 } as const;
  const submits = [{ seq: 1, digest: 9, plan }, sendPlan(2, "b")];
  const { results } = await commit(store, batchOf(phone, submits));
  const told = results.map(({ conversationSeq, retryAfterMs }) => [conversationSeq, retryAfterMs]);
  assert.deepEqual(told, [
    [0, 86_400_000],
    [1, 0],
  ]);
  const attachment = await attach(await reopen(), resumed(phone));
  assert.deepEqual(attachment.outbox.results, results);
}

async function resultsDropped(store: Store): Promise<void> {
  const { phone } = await both(store);
  await commit(store, batchOf(phone, [sendPlan(1, "a"), sendPlan(2, "b"), sendPlan(3, "c")]));
  const { generation, outbox } = phone;
  const position = { device: PHONE, generation, outboxEpoch: outbox.epoch };
  const noted = await store.advance({ ...position, deliveredThrough: 0, resultsThrough: 2 });
  assert.equal(noted, "noted");
  await commit(store, batchOf(phone, [sendPlan(4, "d")]));
  const attachment = await attach(store, resumed(phone));
  assert.equal(attachment.outbox.resultsThrough, 2);
  assert.equal(attachment.outbox.results.length, 2);
  const told = await attach(store, resumed(attachment, 4));
  assert.equal(told.outbox.results.length, 0, "Hello acknowledges results too");
}

async function order(store: Store): Promise<void> {
  const { phone, tablet } = await both(store);
  const batches = Array.from({ length: 30 }, (_, index) => index);
  await Promise.all(
    batches.flatMap((index) => [
      commit(store, batchOf(phone, [sendPlan(index + 1, `a${index}`)])),
      commit(store, {
        device: TABLET,
        generation: tablet.generation,
        outboxEpoch: tablet.outbox.epoch,
        submits: [sendPlan(index + 1, `b${index}`)],
      }),
    ]),
  );
  const atBob = await texts(store, BOB);
  assert.deepEqual(await texts(store, ALICE), atBob);
  const fromAlice = atBob.filter((text) => text.startsWith("a"));
  assert.deepEqual(
    fromAlice,
    batches.map((index) => `a${index}`),
  );
  const { entries } = await store.loadTimeline(BOB, 0, PAGE);
  assert.deepEqual(
    entries.map((entry) => entry.conversationSeq),
    entries.map((_, index) => index + 1),
  );
}

async function pagesReopened(store: Store, reopen: Reopen): Promise<void> {
  const { phone } = await both(store);
  for (let seq = 1; seq <= 6; seq += 2) {
    const submits = [sendPlan(seq, `m${seq}`), sendPlan(seq + 1, `m${seq + 1}`)];
    await commit(store, batchOf(phone, submits));
  }
  const again = await reopen();
  await commit(again, batchOf(phone, [sendPlan(7, "m7")]));
  for (let after = 0; after <= 7; after += 1) {
    const expected = [1, 2, 3, 4, 5, 6, 7].slice(after).map((seq) => `m${seq}`);
    assert.deepEqual(await texts(again, BOB, after), expected);
  }
}

async function stale(store: Store): Promise<void> {
  const { phone } = await both(store);
  const nobody = userRefOf("", "nobody");
  assert.deepEqual(
    await store.commit(batchOf(phone, [sendPlan(1, "a"), sendPlan(2, "b", [nobody, ALICE])])),
    { kind: "stale" },
  );
  const { knownUsers } = await store.loadForPlanning({ users: [nobody, BOB] });
  assert.deepEqual([...knownUsers], [BOB]);
  assert.deepEqual(await texts(store, ALICE), []);
  assert.equal((await commit(store, batchOf(phone, [sendPlan(1, "a")]))).through, 1);
}

async function cursorAhead(store: Store): Promise<void> {
  const { phone } = await both(store);
  const { epoch } = phone.timeline;
  const request = { ...resumed(phone), cursor: { epoch, seq: 1, start: "earliest" as const } };
  const refused = await store.prepare(request);
  assert.deepEqual(refused, {
    kind: "refused",
    code: ErrorCode.CURSOR_AHEAD,
    requirement: "RES-7",
  });
  await commit(store, batchOf(phone, [sendPlan(1, "still here")]));
}

async function epochs(store: Store, reopen: Reopen): Promise<void> {
  const { phone } = await both(store);
  assert.equal(phone.outbox.epoch, 1);
  await commit(store, batchOf(phone, [sendPlan(1, "a")]));
  const fresh = await attach(store, prepareRequest(PHONE));
  assert.equal(fresh.outbox.epoch, 2);
  assert.equal(fresh.outbox.through, 0);
  assert.notDeepEqual(fresh.sessionId, phone.sessionId);
  const again = await reopen();
  const old = await again.prepare(resumed(phone));
  assert.deepEqual(old, {
    kind: "refused",
    code: ErrorCode.OUTBOX_EPOCH_STALE,
    requirement: "RES-10",
  });
  const outbox = { epoch: 40, resultsThrough: 3, next: 9 };
  const foreign = await attach(again, prepareRequest(PHONE, { outbox }));
  assert.equal(foreign.outbox.epoch, 41);
}

async function resultsAhead(store: Store): Promise<void> {
  const { phone } = await both(store);
  const outbox = { epoch: phone.outbox.epoch, resultsThrough: 1, next: 2 };
  const refused = await store.prepare(prepareRequest(PHONE, { outbox }));
  assert.deepEqual(refused, {
    kind: "refused",
    code: ErrorCode.ACK_BEYOND_SENT,
    requirement: "RES-13",
  });
}

async function retention(first: Store, reopen: Reopen): Promise<void> {
  await first.loadForPlanning({ users: [] });
  const store = await reopen({ timelineEventsMax: 32 });
  const { phone } = await both(store);
  for (let seq = 1; seq <= 200; seq += 1) {
    await commit(store, batchOf(phone, [sendPlan(seq, `m${seq}`)]));
    const { generation, outbox } = phone;
    const position = { device: PHONE, generation, outboxEpoch: outbox.epoch };
    await store.advance({ ...position, deliveredThrough: 0, resultsThrough: seq });
  }
  const { bounds, entries } = await store.loadTimeline(BOB, 0, PAGE);
  assert.equal(bounds.head, 200);
  assert.ok(bounds.floor > 100 && bounds.floor <= 200 - 32 + 1, `floor ${bounds.floor}`);
  assert.equal(entries[0]?.seq, bounds.floor);
  assert.equal(entries.length, 200 - bounds.floor + 1);
  const again = await reopen({ timelineEventsMax: 32 });
  assert.deepEqual((await again.loadTimeline(BOB, 0, PAGE)).bounds, bounds);
  assert.equal((await texts(again, BOB, bounds.floor))[0], `m${bounds.floor + 1}`);
}

async function watchers(store: Store): Promise<void> {
  const { phone } = await both(store);
  const heads: number[] = [];
  const pages: Promise<string[]>[] = [];
  const unwatch = store.watch(BOB, (head) => {
    heads.push(head);
    pages.push(texts(store, BOB, head - 1));
  });
  await commit(store, batchOf(phone, [sendPlan(1, "a")]));
  await commit(store, batchOf(phone, [sendPlan(2, "b")]));
  unwatch();
  await commit(store, batchOf(phone, [sendPlan(3, "c")]));
  assert.deepEqual(heads, [1, 2]);
  assert.deepEqual(await Promise.all(pages), [["a"], ["b"]]);
}

async function pageLimits(store: Store): Promise<void> {
  const { phone } = await both(store);
  const long = "x".repeat(500);
  const submits = [1, 2, 3, 4].map((seq) => sendPlan(seq, long));
  await commit(store, batchOf(phone, submits));
  const lengthOf = async (limit: { count: number; bytes: number }) =>
    (await store.loadTimeline(BOB, 0, limit)).entries.length;
  assert.equal(await lengthOf({ count: 3, bytes: 1_000_000 }), 3);
  assert.equal(await lengthOf({ count: 10, bytes: 1100 }), 2);
  assert.equal(await lengthOf({ count: 10, bytes: 1 }), 1);
}
