import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { attach, prepareRequest, type StoreFixture, sendPlan } from "./contract.ts";
import {
  type Attachment,
  type CommitOutcome,
  type DeviceRef,
  type PlannedSubmit,
  type PrepareRequest,
  type Receipt,
  type Store,
  unnumberedLogRefOf,
  userRefOf,
} from "./store.ts";

const ALICE = userRefOf("", "alice");
/** A user whose name goes on where another one's ends. */
const ALICE2 = userRefOf("", "alice2");
const BOB = userRefOf("", "bob");
const PHONE: DeviceRef = { user: ALICE, deviceId: "phone" };
const LAPTOP: DeviceRef = { user: ALICE, deviceId: "laptop" };
const OWN = unnumberedLogRefOf("", "user:alice");
const PAGE = { count: 1000, bytes: 1_000_000 };
const LOGIN = {
  publicKey: new Uint8Array(32).fill(1),
  registrationSecret: new Uint8Array(32).fill(2),
  registeredMs: 5_000,
};

interface Bench {
  readonly store: Store;
  readonly made: StoreFixture;
  reopen(devicesMax?: number): Promise<Store>;
}

/** Promises 12 and 13 of {@link Store}, for every implementation. */
export function deviceContract(name: string, fixture: () => Promise<StoreFixture>): void {
  describe(`store contract, devices: ${name}`, () => {
    const withStore = (title: string, body: (bench: Bench) => Promise<void>) =>
      test(title, async () => {
        const made = await fixture();
        made.setMs(1_000);
        let store = await made.open();
        try {
          await body({
            store,
            made,
            reopen: async (devicesMax) => {
              await store.close();
              store = await made.open(devicesMax === undefined ? {} : { devicesMax });
              return store;
            },
          });
        } finally {
          await store.close();
          await made.dispose();
        }
      });

    withStore("[DEV-1] devices are listed with their times, each user's own, after reopen", listed);
    withStore("[DEV-1] only an attachment in force counts as one", attachedTimes);
    withStore("[DEV-13] a new device is announced with its first attachment, once", announced);
    withStore("[DEV-13] of devices that come at once all but one are announced", announcedAtOnce);
    withStore("[DEV-4] an end raises the generation and drops what is kept, after reopen", ended);
    withStore("[DEV-5] an ended device's submits and reports have no effect", fenced);
    withStore(
      "[DEV-6] a device that was ended is refused at Hello and at Ready, for ever",
      refused,
    );
    withStore("[DEV-3] who ends itself has its result, and nothing after it has any", endsItself);
    withStore("[DEV-4] a plan to end what was ended, or never was, is stale", stale);
    withStore("[DEV-11] packets for an ended device go, and no more come", packets);
    withStore("[DEV-8] as many as the limit says, and known ones always", limited);
    withStore("[DEV-8] of new devices that come at once only the last place's one comes in", raced);
    withStore("[DEV-8] ended ones make room, four times as many at most", endedCount);
  });
}

async function listed({ store, made, reopen }: Bench): Promise<void> {
  assert.deepEqual(await store.loadDevices(ALICE), []);
  const phone = await attach(store, prepareRequest(PHONE));
  await attach(store, prepareRequest({ user: ALICE2, deviceId: "other" }));
  await attach(store, prepareRequest({ user: userRefOf("", "alic"), deviceId: "e" }));
  made.setMs(2_000);
  const laptop = await attach(store, prepareRequest(LAPTOP));
  made.setMs(3_000);
  await attach(store, resumed(LAPTOP, laptop));
  await commit(store, PHONE, phone, [sendPlan(1, "x", [ALICE])]);
  await store.advance({ ...positionOf(PHONE, phone), deliveredThrough: 1, resultsThrough: 1 });
  await commit(store, PHONE, phone, [sendPlan(2, "y", [ALICE])]);
  const expected = [
    { deviceId: "laptop", generation: 2, deliveredThrough: 0, ...times(2_000, 3_000) },
    { deviceId: "phone", generation: 1, deliveredThrough: 1, ...times(1_000, 1_000) },
  ];
  assert.deepEqual(await store.loadDevices(ALICE), expected);
  assert.deepEqual(await (await reopen()).loadDevices(ALICE), expected);
}

function times(firstAttachedMs: number, lastAttachedMs: number) {
  return { firstAttachedMs, lastAttachedMs, isEnded: false };
}

/** Attaches, and says who it is. */
async function announcing(store: Store, device: DeviceRef, request = prepareRequest(device)) {
  const prepared = await store.prepare(request);
  assert.ok(prepared.kind === "prepared");
  const { attachment } = prepared;
  const announces = { log: OWN, event: new Uint8Array(Buffer.from(device.deviceId)) };
  return async () => {
    const { kind } = await store.attach({ device, attachment, announces });
    return { kind, attachment };
  };
}

async function announcedTo(store: Store): Promise<string[]> {
  const { entries } = await store.loadTimeline(ALICE, 0, PAGE);
  return entries.map(({ seq, conversationSeq, event }) => {
    return `${seq} ${conversationSeq} ${Buffer.from(event)}`;
  });
}

async function announced({ store, reopen }: Bench): Promise<void> {
  await (await announcing(store, { user: ALICE2, deviceId: "other" }))();
  const phone = await (await announcing(store, PHONE))();
  assert.deepEqual(await announcedTo(store), [], "there was none before");
  const late = await announcing(store, LAPTOP);
  const laptop = await (await announcing(store, LAPTOP))();
  assert.equal((await late()).kind, "overtaken");
  await (await announcing(store, LAPTOP, resumed(LAPTOP, laptop.attachment)))();
  await (await announcing(store, PHONE, resumed(PHONE, phone.attachment)))();
  assert.deepEqual(await announcedTo(store), ["1 0 laptop"]);
  const again = await reopen();
  await (await announcing(again, { user: ALICE, deviceId: "tablet" }))();
  await (await announcing(again, LAPTOP))();
  assert.deepEqual(await announcedTo(again), ["1 0 laptop", "2 0 tablet"]);
  await attach(again, prepareRequest({ user: ALICE, deviceId: "watch" }));
  assert.equal((await announcedTo(again)).length, 2, "where nobody says what to tell");
}

async function announcedAtOnce({ store }: Bench): Promise<void> {
  const names = ["a", "b", "c"];
  const devices = names.map((deviceId) => ({ user: ALICE, deviceId }));
  const ready = await Promise.all(
    [...devices, ...devices].map((device) => announcing(store, device)),
  );
  const kinds = await Promise.all(ready.map(async (goes) => (await goes()).kind));
  assert.deepEqual(kinds, [...names.map(() => "attached"), ...names.map(() => "overtaken")]);
  assert.deepEqual(await announcedTo(store), ["1 0 b", "2 0 c"]);
}

async function attachedTimes({ store, made }: Bench): Promise<void> {
  const prepared = await store.prepare(prepareRequest(PHONE));
  assert.ok(prepared.kind === "prepared");
  const [welcomed] = await store.loadDevices(ALICE);
  assert.deepEqual(welcomed?.lastAttachedMs, 0, "it exists, and was never attached");
  const first = await attach(store, prepareRequest(PHONE));
  made.setMs(5_000);
  const late = await store.prepare(resumed(PHONE, first));
  assert.ok(late.kind === "prepared");
  await commit(store, PHONE, first, [sendPlan(1, "meanwhile", [ALICE])]);
  const outcome = await store.attach({ device: PHONE, attachment: late.attachment });
  assert.equal(outcome.kind, "overtaken");
  const [device] = await store.loadDevices(ALICE);
  assert.deepEqual([device?.generation, device?.lastAttachedMs], [2, 1_000]);
}

async function ended({ store, reopen }: Bench): Promise<void> {
  const phone = await attach(store, prepareRequest(PHONE, { login: LOGIN }));
  const laptop = await attach(store, prepareRequest(LAPTOP, { login: LOGIN }));
  await commit(store, LAPTOP, laptop, [sendPlan(1, "kept", [ALICE])]);
  await commit(store, PHONE, phone, [endPlan(1, LAPTOP)]);
  for (const open of [() => store, reopen]) {
    const one = await open();
    const [gone, here] = await one.loadDevices(ALICE);
    assert.deepEqual([gone?.isEnded, gone?.generation], [true, laptop.generation + 1]);
    assert.deepEqual([here?.isEnded, here?.generation], [false, phone.generation]);
    // Its key says who may be told; nothing secret is left.
    const login = await one.loadLogin(LAPTOP);
    assert.deepEqual(login, { ...LOGIN, registrationSecret: new Uint8Array(0) });
    assert.deepEqual(await one.loadLogin(PHONE), LOGIN);
    const { devices } = await one.loadForPlanning({
      users: [],
      devices: [LAPTOP, PHONE, { user: ALICE, deviceId: "none" }],
    });
    assert.deepEqual(devices, [
      { ...LAPTOP, isEnded: true },
      { ...PHONE, isEnded: false },
    ]);
  }
}

async function fenced({ store }: Bench): Promise<void> {
  const phone = await attach(store, prepareRequest(PHONE));
  const laptop = await attach(store, prepareRequest(LAPTOP));
  const batch = (submits: readonly PlannedSubmit[]) =>
    store.commit({ ...positionOf(LAPTOP, laptop), submits });
  const before = batch([sendPlan(1, "before", [ALICE])]);
  const end = commit(store, PHONE, phone, [endPlan(1, LAPTOP)]);
  const after = batch([sendPlan(2, "after", [ALICE])]);
  assert.equal((await before).kind, "committed");
  await end;
  assert.deepEqual(await after, { kind: "ended" });
  assert.deepEqual(await batch([sendPlan(1, "before", [ALICE])]), { kind: "ended" }, "a repeat");
  assert.deepEqual(await texts(store), ["before", "ended laptop"]);
  const report = { ...positionOf(LAPTOP, laptop), deliveredThrough: 2, resultsThrough: 1 };
  assert.equal(await store.advance(report), "ended");
  await commit(store, PHONE, phone, [sendPlan(2, "a group", [ALICE])]);
  assert.equal((await store.loadDevices(ALICE))[0]?.deliveredThrough, 0);
}

async function refused({ store, reopen }: Bench): Promise<void> {
  const phone = await attach(store, prepareRequest(PHONE));
  const laptop = await attach(store, prepareRequest(LAPTOP));
  const welcomed = await store.prepare(resumed(LAPTOP, laptop));
  assert.ok(welcomed.kind === "prepared");
  await commit(store, PHONE, phone, [endPlan(1, LAPTOP)]);
  const { attachment } = welcomed;
  assert.equal((await store.attach({ device: LAPTOP, attachment })).kind, "ended");
  for (const open of [() => store, reopen, reopen]) {
    const one = await open();
    for (const request of [
      prepareRequest(LAPTOP),
      prepareRequest(LAPTOP, { login: LOGIN }),
      resumed(LAPTOP, laptop),
    ]) {
      const outcome = await one.prepare(request);
      assert.deepEqual(outcome, {
        kind: "refused",
        code: ErrorCode.DEVICE_ENDED,
        requirement: "DEV-6",
      });
    }
    // Of a generation as the end has made it.
    const next = { ...attachment, generation: laptop.generation + 2 };
    assert.equal((await one.attach({ device: LAPTOP, attachment: next })).kind, "ended");
    const submits = [sendPlan(1, "x", [ALICE])];
    const outcome = await one.commit({ ...positionOf(LAPTOP, next), submits });
    assert.deepEqual(outcome, { kind: "ended" });
  }
}

async function endsItself({ store, reopen }: Bench): Promise<void> {
  const phone = await attach(store, prepareRequest(PHONE));
  const submits = [
    sendPlan(1, "one", [ALICE]),
    endPlan(2, PHONE),
    sendPlan(3, "three", [ALICE]),
    sendPlan(4, "four", [ALICE]),
  ];
  const { through, results } = await commit(store, PHONE, phone, submits);
  assert.equal(through, 2);
  assert.deepEqual(
    results.map(({ code }) => code),
    [ErrorCode.UNSPECIFIED, ErrorCode.UNSPECIFIED],
  );
  const again = await reopen();
  assert.deepEqual(await texts(again), ["one", "ended phone"]);
  const [device] = await again.loadDevices(ALICE);
  assert.deepEqual([device?.isEnded, device?.generation], [true, phone.generation + 1]);
}

async function stale({ store }: Bench): Promise<void> {
  const phone = await attach(store, prepareRequest(PHONE));
  const laptop = await attach(store, prepareRequest(LAPTOP));
  const asPhone = (submits: readonly PlannedSubmit[]) =>
    store.commit({ ...positionOf(PHONE, phone), submits });
  const none = { user: ALICE, deviceId: "none" };
  assert.deepEqual(await asPhone([sendPlan(1, "x"), endPlan(2, none)]), { kind: "stale" });
  assert.deepEqual(await asPhone([endPlan(1, LAPTOP), endPlan(2, LAPTOP)]), { kind: "stale" });
  await commit(store, LAPTOP, laptop, [sendPlan(1, "alive", [ALICE])]);
  await commit(store, PHONE, phone, [endPlan(1, LAPTOP)]);
  assert.deepEqual(await asPhone([endPlan(2, LAPTOP)]), { kind: "stale" });
  assert.deepEqual(await texts(store), ["alive", "ended laptop"]);
}

async function packets({ store }: Bench): Promise<void> {
  const phone = await attach(store, prepareRequest(PHONE));
  await attach(store, prepareRequest(LAPTOP));
  const packet = (seq: number) => {
    const { plan, digest } = sendPlan(seq, "stub", [ALICE]);
    const queues = [{ name: "q", countMax: 9, bytesMax: 999 }];
    const event = new TextEncoder().encode("packet");
    const full = ErrorCode.PACKET_QUEUE_FULL;
    const perishable = { device: LAPTOP, event, expiresMs: 9_000, queues, full };
    return { seq, digest, plan: { ...plan, perishable } };
  };
  await commit(store, PHONE, phone, [packet(1)]);
  assert.deepEqual(await texts(store, "laptop"), ["packet"]);
  await commit(store, PHONE, phone, [packet(2), endPlan(3, LAPTOP)]);
  assert.deepEqual(await texts(store, "laptop"), ["stub", "stub", "ended laptop"]);
  const { results } = await commit(store, PHONE, phone, [packet(4)]);
  assert.deepEqual(
    results.map(({ code }) => code),
    [ErrorCode.DEVICE_UNKNOWN],
  );
  assert.equal((await texts(store, "laptop")).length, 3);
}

async function limited({ reopen }: Bench): Promise<void> {
  const store = await reopen(2);
  const [phone, laptop] = [await attach(store, prepareRequest(PHONE)), prepareRequest(LAPTOP)];
  await attach(store, laptop);
  const tablet = prepareRequest({ user: ALICE, deviceId: "tablet" });
  const full = { kind: "refused", code: ErrorCode.DEVICES_FULL, requirement: "DEV-8" };
  assert.deepEqual(await store.prepare(tablet), full);
  await attach(store, prepareRequest({ user: BOB, deviceId: "tablet" }));
  await attach(store, resumed(PHONE, phone));
  const fewer = await reopen(1);
  await attach(fewer, prepareRequest(LAPTOP));
  assert.deepEqual(await fewer.prepare(tablet), full);
  assert.equal((await fewer.loadDevices(ALICE)).length, 2, "a refused one leaves nothing behind");
}

async function raced({ reopen }: Bench): Promise<void> {
  const store = await reopen(3);
  await attach(store, prepareRequest(PHONE));
  const names = ["a", "b", "c", "d", "e"];
  const outcomes = await Promise.all(
    names.map((deviceId) => store.prepare(prepareRequest({ user: ALICE, deviceId }))),
  );
  const kinds = outcomes.map(({ kind }) => kind);
  assert.deepEqual(kinds, ["prepared", "prepared", "refused", "refused", "refused"]);
  const again = await Promise.all(
    names.map((deviceId) => store.prepare(prepareRequest({ user: ALICE, deviceId }))),
  );
  assert.deepEqual(
    again.map(({ kind }) => kind),
    kinds,
    "who came in stays in",
  );
}

async function endedCount({ reopen }: Bench): Promise<void> {
  const store = await reopen(2);
  const phone = await attach(store, prepareRequest(PHONE));
  let seq = 0;
  for (const deviceId of ["a", "b", "c", "d", "e", "f", "g"]) {
    const device = { user: ALICE, deviceId };
    await attach(store, prepareRequest(device));
    seq += 1;
    await commit(store, PHONE, phone, [endPlan(seq, device)]);
  }
  // Eight in all: four times the limit.
  const outcome = await store.prepare(prepareRequest({ user: ALICE, deviceId: "h" }));
  assert.equal(outcome.kind, "refused");
  await attach(store, resumed(PHONE, phone));
}

function endPlan(seq: number, device: DeviceRef): PlannedSubmit {
  const event = new TextEncoder().encode(`ended ${device.deviceId}`);
  const plan = { kind: "append", log: OWN, event, timelines: [ALICE], ends: [device] } as const;
  return { seq, digest: seq, plan };
}

function positionOf(device: DeviceRef, { generation, outbox }: Attachment) {
  return { device, generation, outboxEpoch: outbox.epoch };
}

function resumed(device: DeviceRef, { outbox }: Attachment): PrepareRequest {
  const { epoch, through } = outbox;
  return prepareRequest(device, { outbox: { epoch, resultsThrough: 0, next: through + 1 } });
}

async function commit(
  store: Store,
  device: DeviceRef,
  attachment: Attachment,
  submits: readonly PlannedSubmit[],
): Promise<Receipt> {
  const outcome: CommitOutcome = await store.commit({
    ...positionOf(device, attachment),
    submits,
  });
  assert.ok(outcome.kind === "committed", outcome.kind);
  return outcome.receipt;
}

async function texts(store: Store, readerId = ""): Promise<string[]> {
  const { entries } = await store.loadTimeline(ALICE, 0, PAGE, readerId);
  return entries.map(({ event }) => new TextDecoder().decode(event));
}
