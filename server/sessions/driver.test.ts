import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ACK, nodeOf, Peer, READY, rest } from "../../fuzz/store/session-peer.ts";
import { ConversationKind, MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { madeConversationId } from "../../protocol/conversation-id.ts";
import type { Frame } from "../../protocol/frames.ts";
import type { SignalPlain } from "../../protocol/session/received-signals.ts";
import type { SignalMember } from "../signals/attendance.ts";
import { MemoryStore } from "../store/memory.ts";
import { logRefOf, type SubmitBatch, userRefOf } from "../store/store.ts";
import { Alarms } from "./alarms.ts";

/** A store whose writes wait until they are let through. */
function heldStore() {
  const waiting: (() => void)[] = [];
  let isHeld = false;
  const store = new MemoryStore({
    nowMs: () => 1,
    newSessionId: () => new Uint8Array(16),
    newTimelineEpoch: () => 1,
    flush: async (write) => {
      if (isHeld) await new Promise<void>((resolve) => waiting.push(resolve));
      write();
    },
  });
  const hold = (held: boolean) => {
    isHeld = held;
    for (const go of waiting.splice(0)) go();
  };
  return { store, hold };
}

test("[SES-1] [ENV-61] a handshake's time counts from its link's opening", () => {
  let nowMs = 10_000;
  let ring: (() => void) | undefined;
  const timer = (_: number, callback: () => void) => {
    ring = callback;
    return () => {};
  };
  const node = { ...nodeOf(heldStore().store), alarms: new Alarms({ nowMs: () => nowMs, timer }) };
  const peers = [new Peer(node, { openedMs: 9_100 }), new Peer(node)];
  nowMs += 200;
  ring?.();
  const closes = peers.map(({ closedWith }) => closedWith);
  assert.deepEqual(closes, [ErrorCode.TOO_SLOW, undefined]);
});

test("[SES-6] a link that dies before its attach is durable fences the older one all the same", async () => {
  const { store, hold } = heldStore();
  const node = nodeOf(store);
  const [older, newer] = [new Peer(node), new Peer(node)];
  await older.hello(0);
  await older.say(READY);
  await newer.hello(1);
  hold(true);
  await newer.say(READY);
  newer.cut();
  assert.equal(older.closedWith, undefined, "not in force yet");
  hold(false);
  await rest();
  assert.equal(older.closedWith, ErrorCode.SUPERSEDED);
});

test("[SES-6] [SES-18] an attach that is overtaken tells the one that it fenced off", async () => {
  const { store } = heldStore();
  const node = nodeOf(store);
  const [older, newer] = [new Peer(node), new Peer(node)];
  await older.hello(0);
  await older.say(READY);
  await newer.hello(1);
  await older.say({ kind: "submit", value: { seq: 1, operation: Uint8Array.of(0xff) } });
  await newer.say(READY);
  assert.equal(newer.closedWith, ErrorCode.ATTACH_OVERTAKEN);
  assert.equal(older.closedWith, ErrorCode.SUPERSEDED);
});

test("[SIG-1] nothing is heard before the attachment is in force, whatever comes behind Ready", async () => {
  const { store, hold } = heldStore();
  const node = nodeOf(store);
  const heard: string[] = [];
  const signals = {
    join: () => () => {},
    committed: () => {},
    signalled: ({ sender }: SignalMember, signal: SignalPlain) => {
      heard.push(`${sender.userId} ${signal.case}`);
    },
  };
  const peer = new Peer({ ...node, signals });
  await peer.hello(0);
  hold(true);
  const value = { conversationId: "d:alice:bob", active: true };
  const typing: Frame = { kind: "signal", value: { kind: { case: "typing", value } } };
  await peer.say(READY, typing, { kind: "signal", value: { kind: { case: undefined } } });
  assert.deepEqual(heard, []);
  hold(false);
  await rest();
  assert.deepEqual(heard, ["alice typing"]);
});

/** A store in which somebody says something just before the commits of one user. */
class FloodedStore extends MemoryStore {
  /** What says it. */
  flood: (() => void) | undefined;
  floods = 0;

  override commit(batch: SubmitBatch): ReturnType<MemoryStore["commit"]> {
    if (batch.device.user.endsWith("/alice") && this.flood !== undefined) {
      this.floods += 1;
      this.flood();
    }
    return super.commit(batch);
  }
}

test("[CNV-88] [CNV-7] a newcomer comes in, and sees nothing of before, however others talk", async () => {
  const store = new FloodedStore({
    nowMs: () => 1,
    newSessionId: () => new Uint8Array(16),
    newTimelineEpoch: () => 1,
  });
  const node = nodeOf(store);
  const [alice, cyd] = [new Peer(node), new Peer(node, {}, "cyd")];
  for (const peer of [alice, cyd, new Peer(node, {}, "bob")]) await peer.attach(0);
  const nonce = new Uint8Array(16);
  const conversationId = madeConversationId(NATIVE_CRYPTO.sha256, "alice", nonce) as string;
  const members = [{ userId: "bob", role: MemberRole.MEMBER }];
  const made = { nonce, kind: ConversationKind.GROUP, settings: { title: "loud" }, members };
  alice.submit(1, { case: "createConversation", value: made });
  await rest();
  let said = 0;
  store.flood = () => {
    said += 1;
    const plan = {
      kind: "append" as const,
      log: logRefOf("", conversationId),
      event: new Uint8Array(0),
      timelines: [],
    };
    const device = { user: userRefOf("", "bob"), deviceId: "phone" };
    const submits = [{ seq: said, digest: 0, plan }];
    void store.commit({ device, generation: 1, outboxEpoch: 1, submits });
  };
  const set = [{ userId: "cyd", role: MemberRole.MEMBER }];
  alice.submit(2, { case: "changeMembers", value: { conversationId, set } });
  await rest();
  assert.equal(store.floods, 1, "at the first attempt");
  const told = cyd.heard.filter((frame) => frame.kind === "deliver");
  const [entry] = told.map(({ value }) => fromBinary(EventSchema, value.event).kind);
  assert.ok(entry?.case === "conversationChanged");
  assert.deepEqual(
    entry.value.members.map(({ userId, visibleFrom }) => [userId, visibleFrom]),
    [["cyd", 2n]],
  );
});

test("[SES-6] a session that another node fenced off learns it with its next Ack", async () => {
  const { store } = heldStore();
  const [older, newer] = [new Peer(nodeOf(store)), new Peer(nodeOf(store))];
  await older.hello(0);
  await older.say(READY, ACK);
  assert.equal(older.closedWith, undefined);
  await newer.hello(1);
  await newer.say(READY);
  assert.equal(older.closedWith, undefined, "nobody told it");
  await older.say(ACK);
  assert.equal(older.closedWith, ErrorCode.SUPERSEDED);
  assert.equal(newer.closedWith, undefined);
});
