import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type SessionEar,
  SignalNode,
  SignalSession,
  senderOf,
} from "../../fuzz/sim/signal-node.ts";
import {
  ConversationKind,
  ConversationRecordSchema,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import {
  PresenceAudience,
  PresencePolicySchema,
  PresenceState,
} from "../../gen/posthorn/v1/signal_pb.ts";
import { HINTS_BYTES_MAX, HINTS_EVERY_MS, WATCHED_USERS_MAX } from "../../protocol/limits.ts";
import { presencePolicyRef } from "../operations/presence.ts";
import { documentRefOf, logRefOf } from "../store/store.ts";
import { HINTS_PER_TURN_MAX } from "./presence.ts";

const MEMBER_COUNT = 10_000;
const WATCHED_COUNT = 100;
const RULES = { fanOutMembersMax: 500 };
const userOf = (index: number) => `u${index % MEMBER_COUNT}`;

/** What one device is told. */
class Ear implements SessionEar {
  frameCount = 0;
  byteCount = 0;
  largest = 0;
  hintCount = 0;
  readonly states = new Map<string, PresenceState>();
  readonly heads = new Map<string, number>();
  onTold: (hintCount: number) => void = () => {};

  heard(): void {}

  told({ presence, heads }: Parameters<SessionEar["told"]>[0], bytes: number): void {
    this.frameCount += 1;
    this.byteCount += bytes;
    this.largest = Math.max(this.largest, bytes);
    this.hintCount += presence.length + heads.length;
    for (const { userId, state } of presence) this.states.set(userId, state);
    for (const { conversationId, head } of heads) this.heads.set(conversationId, head);
    this.onTold(presence.length + heads.length);
  }
}

function everybodyShown(node: SignalNode): void {
  const policy = create(PresencePolicySchema, {
    stateTo: PresenceAudience.EVERYBODY,
    lastSeenTo: PresenceAudience.NOBODY,
  });
  const bytes = toBinary(PresencePolicySchema, policy);
  for (let index = 0; index < MEMBER_COUNT; index += 1) {
    node.put(presencePolicyRef("", userOf(index)), bytes);
  }
}

const [LARGE, SMALL, UNKNOWN] = ["large", "small", "unknown"].map(
  (name) => `g:${name.padEnd(26, "a")}`,
) as [string, string, string];

test("[SIG-17] [SIG-6] [SIG-10] ten thousand who come at once cost each a bounded number of frames", async () => {
  const node = new SignalNode(RULES);
  everybodyShown(node);
  const ears: Ear[] = [];
  const sessions: SignalSession[] = [];
  let told = 0;
  for (let index = 0; index < MEMBER_COUNT; index += 1) {
    const ear = new Ear();
    ear.onTold = (count) => {
      told += count;
    };
    ears.push(ear);
    sessions.push(new SignalSession(node, senderOf(userOf(index)), ear));
  }
  // Each watches the hundred behind it: a million watches, all that a node takes.
  const namesOf = (index: number) =>
    Array.from({ length: WATCHED_COUNT }, (_, offset) => userOf(index + offset + 1));
  sessions.forEach((session, index) => {
    session.say({ case: "watch", value: { userIds: namesOf(index) } });
  });
  assert.equal(told, 0, "nothing is told in the turn of whoever comes");
  const startMs = node.nowMs;
  const total = MEMBER_COUNT * WATCHED_COUNT;
  let toldMs = 0;
  let before = 0;
  await node.pass(10_000, () => {
    if (told > before) toldMs = node.nowMs - startMs;
    before = told;
  });
  assert.equal(told, total, "everybody is told of everybody once");
  ears.forEach((ear, index) => {
    const frames = 1 + Math.ceil(toldMs / HINTS_EVERY_MS);
    assert.ok(ear.frameCount <= frames, `${ear.frameCount} frames in ${toldMs} ms`);
    assert.ok(ear.largest <= HINTS_BYTES_MAX);
    for (const name of namesOf(index)) assert.equal(ear.states.get(name), PresenceState.ONLINE);
  });
  const frameCount = ears.reduce((sum, ear) => sum + ear.frameCount, 0);
  const byteCount = ears.reduce((sum, ear) => sum + ear.byteCount, 0);
  assert.ok(frameCount <= 10 * MEMBER_COUNT, `${frameCount} frames`);
  assert.ok(byteCount <= 16 * total, `${byteCount} bytes`);
  assert.ok(toldMs <= 100 + 40 * (total / HINTS_PER_TURN_MAX), `${toldMs} ms`);

  // All of them change what they say, and again and again: of each only the last is told.
  for (const ear of ears) Object.assign(ear, { frameCount: 0, hintCount: 0 });
  const states = [PresenceState.BUSY, PresenceState.ONLINE, PresenceState.AWAY];
  for (const state of states) {
    for (const session of sessions) session.say({ case: "setPresence", value: { state } });
  }
  await node.pass(10_000);
  for (const ear of ears) {
    assert.equal(ear.hintCount, WATCHED_COUNT, "each change once");
    assert.ok(ear.frameCount <= 10, `${ear.frameCount} frames`);
    for (const state of ear.states.values()) assert.equal(state, PresenceState.AWAY);
  }
});

test("[SIG-17] one turn tells no more than it may, whatever has come together", async () => {
  const node = new SignalNode(RULES);
  everybodyShown(node);
  let told = 0;
  const ear: SessionEar = { heard: () => {}, told: () => {} };
  const join = node.board;
  const members = Array.from({ length: 6_000 }, (_, index) => ({
    sender: senderOf(userOf(index)),
    hinted: (hints: readonly unknown[]) => {
      told += hints.length;
    },
  }));
  for (const member of members) join.join(member);
  const userIds = Array.from({ length: 40 }, (_, index) => userOf(7_000 + index));
  for (const member of members) join.signalled(member, { case: "watch", value: { userIds } });
  const turns: number[] = [];
  const note = () => {
    if (told > 0) turns.push(told);
    told = 0;
  };
  await node.pass(5_000, note);
  assert.equal(
    turns.reduce((sum, count) => sum + count, 0),
    6_000 * 40,
  );
  assert.ok(Math.max(...turns) <= HINTS_PER_TURN_MAX, `${Math.max(...turns)}`);
  turns.length = 0;
  const shown = userIds.map((userId) => new SignalSession(node, senderOf(userId), ear));
  await node.pass(5_000, note);
  assert.equal(
    turns.reduce((sum, count) => sum + count, 0),
    6_000 * 40,
  );
  assert.ok(Math.max(...turns) <= HINTS_PER_TURN_MAX, `${Math.max(...turns)}`);
  turns.length = 0;
  // Gone and back again is nothing at all.
  for (const session of shown) session.leave();
  for (const userId of userIds) new SignalSession(node, senderOf(userId), ear);
  await node.pass(20_000, note);
  assert.deepEqual(turns, []);
});

test("[SIG-12] no more users are watched than one link, one user and one node allow", async () => {
  const node = new SignalNode(RULES);
  everybodyShown(node);
  const ear = new Ear();
  const session = new SignalSession(node, senderOf("watcher"), ear);
  const userIds = Array.from({ length: 600 }, (_, index) => userOf(index));
  session.say({ case: "watch", value: { userIds: ["no user", ...userIds] } });
  await node.pass(2_000);
  assert.deepEqual([...ear.states.keys()], userIds.slice(0, WATCHED_USERS_MAX));
  const told = new Set<number>();
  for (let index = 0; index < MEMBER_COUNT + 5; index += 1) {
    const one = { sender: senderOf(`w${index}`), hinted: () => void told.add(index) };
    node.board.join(one);
    node.board.signalled(one, { case: "watch", value: { userIds: ["u9999"] } });
  }
  await node.pass(2_000);
  assert.equal(told.size, MEMBER_COUNT);
});

test("[SIG-18] a large conversation costs a device four frames a second, however fast it grows", async () => {
  const node = new SignalNode(RULES);
  const members = Array.from({ length: MEMBER_COUNT }, (_, index) => ({
    userId: userOf(index),
    role: MemberRole.MEMBER,
    ordinal: index,
    visibleFrom: 1n,
  }));
  const recordOf = (count: number) =>
    toBinary(
      ConversationRecordSchema,
      create(ConversationRecordSchema, {
        kind: ConversationKind.GROUP,
        members: members.slice(0, count),
        nextOrdinal: count,
      }),
    );
  node.put(documentRefOf("", `conversation:${LARGE}`), recordOf(MEMBER_COUNT));
  node.put(documentRefOf("", `conversation:${SMALL}`), recordOf(RULES.fanOutMembersMax));
  const ears = Array.from({ length: 1_000 }, () => new Ear());
  ears.forEach((ear, index) => void new SignalSession(node, senderOf(userOf(index)), ear));
  const outside = new Ear();
  new SignalSession(node, senderOf("stranger"), outside);
  let head = 0;
  for (let ms = 0; ms < 10_000; ms += 10) {
    head += 10;
    for (const id of [LARGE, SMALL, UNKNOWN]) node.grown(logRefOf("", id), head);
    await node.pass(10);
  }
  await node.pass(1_000);
  for (const ear of ears) {
    assert.ok(ear.frameCount <= 41, `${ear.frameCount} frames in 10 s`);
    assert.deepEqual([...ear.heads], [[LARGE, head]]);
  }
  assert.equal(outside.frameCount, 0);
});
