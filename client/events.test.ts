import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { DeviceChange, EventSchema } from "../gen/posthorn/v1/event_pb.ts";
import type { WelcomePlain } from "../protocol/session/client-effects.ts";
import { EventQueue } from "./events.ts";

const delivery = (seq: number) => ({
  seq,
  conversationSeq: seq,
  committedMs: 1,
  event: Uint8Array.of(0xff),
});

/** The parts of a Welcome that events depend on. */
function welcome(outcome: object): WelcomePlain {
  const timeline = { epoch: 7, head: 5, floor: 1 };
  return { timeline, resume: { cursor: 0, outcome }, userId: "alice" } as WelcomePlain;
}

test("[RES-15] what was handled since Hello is not told as lost", async () => {
  const handled: number[] = [];
  const queue = new EventQueue("phone", ({ seq }) => handled.push(seq));
  queue.installed({ welcome: welcome({ case: "resumed", value: {} }), cursorMoved: false });
  queue.push([1, 2, 3, 4, 5].map(delivery));
  const events = queue.iterate(undefined);
  for (const seq of [1, 2, 3]) assert.deepEqual((await events.next()).value?.seq, seq);
  assert.deepEqual(handled, [1, 2]);
  const lost = { case: "lost", value: { from: 1, to: 3, reason: 1 } };
  queue.installed({ welcome: welcome(lost), cursorMoved: true });
  queue.push([4, 5].map(delivery));
  assert.deepEqual((await events.next()).value, { kind: "lost", from: 3, to: 3 });
  assert.equal((await events.next()).value?.seq, 4);
  assert.deepEqual(handled, [1, 2], "3 was in hand when the timeline moved");
});

test("[DEV-7] what became of a device is an event of its own", async () => {
  const queue = new EventQueue("phone", () => {});
  queue.installed({ welcome: welcome({ case: "resumed", value: {} }), cursorMoved: false });
  const changes = [DeviceChange.ENDED, DeviceChange.NAMED, DeviceChange.UNSPECIFIED];
  const deliveries = changes.map((change, index) => {
    const kind = { case: "deviceChanged" as const, value: { deviceId: "d", change, name: "n" } };
    const event = toBinary(EventSchema, create(EventSchema, { kind }));
    return { ...delivery(index + 1), event };
  });
  queue.push(deliveries);
  const events = queue.iterate(undefined);
  const told = { kind: "device", deviceId: "d", name: "n" };
  assert.deepEqual((await events.next()).value, { ...told, seq: 1, change: "ended" });
  assert.deepEqual((await events.next()).value, { ...told, seq: 2, change: "named" });
  assert.equal((await events.next()).value?.kind, "unknown");
});

test("[SEC-86] [SEC-89] packets and changes of directories are events of their own", async () => {
  const queue = new EventQueue("phone", () => {});
  queue.installed({ welcome: welcome({ case: "resumed", value: {} }), cursorMoved: false });
  const arrived = {
    senderUserId: "bob",
    senderDeviceId: "tablet",
    toDeviceId: "phone",
    expiresMs: 5_000n,
  };
  const packet = Uint8Array.of(1, 2, 3);
  const kinds = [
    { case: "packetArrived", value: { ...arrived, packet } },
    { case: "packetArrived", value: arrived },
    { case: "directoryChanged", value: { userId: "bob", revision: 3n } },
  ] as const;
  const deliveries = kinds.map((kind, index) => ({
    ...delivery(index + 1),
    event: toBinary(EventSchema, create(EventSchema, { kind })),
  }));
  queue.push(deliveries);
  const events = queue.iterate(undefined);
  const told = { ...arrived, kind: "packet", committedMs: 1, expiresMs: 5_000 };
  assert.deepEqual((await events.next()).value, { ...told, seq: 1, packet });
  assert.deepEqual((await events.next()).value, { ...told, seq: 2, packet: undefined });
  const changed = { kind: "directory", seq: 3, userId: "bob", revision: 3 };
  assert.deepEqual((await events.next()).value, changed);
});

test("[CAT-10] the cursor moves over an index as its parts are handled", async () => {
  const handled: number[] = [];
  const queue = new EventQueue("phone", ({ seq }) => handled.push(seq));
  queue.installed({ welcome: welcome({ case: "resumed", value: {} }), cursorMoved: false });
  const told = { conversationId: "d:ann:bob", told: [{ from: 1, through: 1 }], read: [] };
  const index = (firstSeq: number, seq: number, events: readonly number[]) =>
    queue.pushIndex({ firstSeq, seq, conversations: [told], events: events.map(delivery) });
  index(1, 9, [4, 7]);
  index(10, 20, [10, 20]);
  index(21, 30, []);
  queue.push([delivery(31)]);
  const events = queue.iterate(undefined);
  const seen: string[] = [];
  for (let count = 0; count < 8; count += 1) {
    const { value } = await events.next();
    seen.push(`${value.kind} ${value.seq}`);
  }
  const unknown = (seq: number) => `unknown ${seq}`;
  assert.deepEqual(seen, [
    ...["indexed 9", unknown(4), unknown(7)],
    ...["indexed 20", unknown(10), unknown(20), "indexed 30", unknown(31)],
  ]);
  assert.deepEqual(handled, [3, 6, 9, 9, 19, 20, 30]);
});
