import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type SessionEar,
  SignalNode,
  SignalSession,
  START_MS,
  senderOf,
} from "../../fuzz/sim/signal-node.ts";
import {
  ConversationKind,
  ConversationRecordSchema,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ChangeBlocksSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import {
  PresenceAudience,
  PresencePolicySchema,
  PresenceState,
} from "../../gen/posthorn/v1/signal_pb.ts";
import { blocksRef } from "../operations/blocks.ts";
import { conversationRef } from "../operations/conversations.ts";
import { contactsRef, presencePolicyRef } from "../operations/presence.ts";

const { EVERYBODY, CONTACTS } = PresenceAudience;
const { MEMBER } = MemberRole;
const { OFFLINE, AWAY, BUSY, ONLINE } = PresenceState;

/** What one device is told of others. */
class Ear implements SessionEar {
  readonly #told: (readonly [userId: string, state: PresenceState, lastSeenMs: number])[] = [];
  /** In which conversations somebody types. */
  readonly typing: string[] = [];

  heard(): void {}

  told({ presence, typing }: Parameters<SessionEar["told"]>[0]): void {
    for (const { conversationId, userId } of typing) {
      this.typing.push(`${userId} in ${conversationId}`);
    }
    for (const { userId, state, lastSeenMs } of presence) {
      this.#told.push([userId, state, lastSeenMs]);
    }
  }

  take() {
    return this.#told.splice(0);
  }
}

/** A watcher of alice, who shows her state to everybody and when she was there to her contacts. */
async function watching(watcher: string) {
  const node = new SignalNode({ fanOutMembersMax: 500 });
  const policy = create(PresencePolicySchema, { stateTo: EVERYBODY, lastSeenTo: CONTACTS });
  node.put(presencePolicyRef("", "alice"), toBinary(PresencePolicySchema, policy));
  node.put(contactsRef("", "alice"), Buffer.from("bob"));
  const ear = new Ear();
  const session = new SignalSession(node, senderOf(watcher), ear);
  session.say({ case: "watch", value: { userIds: ["alice"] } });
  await node.pass(1_000);
  assert.deepEqual(ear.take(), [["alice", OFFLINE, 0]]);
  const attach = (deviceId: string) =>
    new SignalSession(node, senderOf("alice", deviceId), new Ear());
  return { node, ear, session, attach };
}

test("[SIG-10] the best of a user's devices counts, and moving to another link is not leaving", async () => {
  const { node, ear, attach } = await watching("bob");
  const phone = attach("phone");
  const laptop = attach("laptop");
  phone.say({ case: "setPresence", value: { state: AWAY } });
  await node.pass(1_000);
  assert.deepEqual(ear.take(), [["alice", ONLINE, 0]]);
  laptop.say({ case: "setPresence", value: { state: BUSY } });
  await node.pass(1_000);
  assert.deepEqual(ear.take(), [["alice", BUSY, 0]]);
  laptop.leave();
  await node.pass(1_000);
  assert.deepEqual(ear.take(), [["alice", AWAY, 0]]);
  phone.leave();
  await node.pass(4_900);
  const again = attach("phone");
  again.say({ case: "setPresence", value: { state: AWAY } });
  await node.pass(10_000);
  assert.deepEqual(ear.take(), [], "nothing has changed");
  again.leave();
  const leftMs = node.nowMs;
  await node.pass(4_900);
  assert.deepEqual(ear.take(), []);
  await node.pass(1_000);
  assert.deepEqual(ear.take(), [["alice", OFFLINE, leftMs]]);
});

test("[SIG-16] whoever hides was last there when it hid, and only contacts are told", async () => {
  for (const [watcher, isTold] of [
    ["bob", true],
    ["carol", false],
  ] as const) {
    const { node, ear, session, attach } = await watching(watcher);
    const phone = attach("phone");
    await node.pass(1_000);
    phone.say({ case: "setPresence", value: { state: OFFLINE } });
    const hidMs = node.nowMs;
    await node.pass(20_000);
    phone.leave();
    await node.pass(20_000);
    const lastSeenMs = isTold ? hidMs : 0;
    assert.deepEqual(ear.take(), [
      ["alice", ONLINE, 0],
      ["alice", OFFLINE, lastSeenMs],
    ]);
    session.say({ case: "watch", value: { userIds: ["alice"] } });
    await node.pass(1_000);
    assert.deepEqual(ear.take(), [["alice", OFFLINE, lastSeenMs]]);
    assert.ok(hidMs > START_MS);
  }
});

test("[SIG-11] a Watch takes the place of the one before", async () => {
  const { node, ear, session, attach } = await watching("bob");
  session.say({ case: "watch", value: { userIds: ["bob"] } });
  await node.pass(3_000);
  assert.deepEqual(ear.take(), [["bob", ONLINE, 0]]);
  attach("phone");
  await node.pass(1_000);
  assert.deepEqual(ear.take(), []);
  session.say({ case: "watch", value: { userIds: [] } });
  session.say({ case: "setPresence", value: { state: AWAY } });
  await node.pass(5_000);
  assert.deepEqual(ear.take(), []);
});

test("[SIG-13] users of other tenants do not exist", async () => {
  const { node, ear, attach } = await watching("bob");
  const foreign = { tenant: "other", userId: "alice", deviceId: "d" };
  new SignalSession(node, foreign, new Ear());
  await node.pass(5_000);
  assert.deepEqual(ear.take(), []);
  attach("phone");
  await node.pass(1_000);
  assert.deepEqual(ear.take(), [["alice", ONLINE, 0]]);
});

test("[USR-24] whoever is blocked is told OFFLINE, whatever the policy says, and nothing more", async () => {
  const { node, ear, session, attach } = await watching("bob");
  const phone = attach("phone");
  await node.pass(1_000);
  assert.deepEqual(ear.take(), [["alice", ONLINE, 0]]);
  node.put(blocksRef("", "alice"), Buffer.from("bob\ncarol"));
  node.board.committed(senderOf("alice"), [
    { kind: "operation", operation: { case: "changeBlocks", value: create(ChangeBlocksSchema) } },
  ]);
  await node.pass(1_000);
  assert.deepEqual(ear.take(), [["alice", OFFLINE, 0]], "at once");
  phone.say({ case: "setPresence", value: { state: BUSY } });
  await node.pass(1_000);
  phone.leave();
  await node.pass(20_000);
  assert.deepEqual(ear.take(), [], "not even that something has changed");
  session.say({ case: "watch", value: { userIds: ["alice"] } });
  await node.pass(1_000);
  assert.deepEqual(ear.take(), [["alice", OFFLINE, 0]], "nor when it was last there");
});

test("[USR-24] whoever is blocked is not told who types, nor does it tell the other one", async () => {
  const node = new SignalNode({ fanOutMembersMax: 500 });
  const group = `g:${"a".repeat(26)}`;
  const member = (userId: string, ordinal: number) => ({ userId, role: MEMBER, ordinal });
  const record = create(ConversationRecordSchema, {
    kind: ConversationKind.GROUP,
    members: ["alice", "bob", "carol"].map(member),
  });
  node.put(conversationRef("", group), toBinary(ConversationRecordSchema, record));
  node.put(blocksRef("", "alice"), Buffer.from("bob"));
  const ears = { alice: new Ear(), bob: new Ear(), carol: new Ear() };
  const [alice, bob] = (["alice", "bob", "carol"] as const).map(
    (userId) => new SignalSession(node, senderOf(userId), ears[userId]),
  ) as [SignalSession, SignalSession];
  for (const conversationId of ["d:alice:bob", "d:alice:carol", "d:bob:carol", group]) {
    for (const session of [alice, bob]) {
      session.say({ case: "typing", value: { conversationId, active: true } });
      await node.pass(1_000);
    }
  }
  assert.deepEqual(ears.bob.typing, []);
  assert.deepEqual(ears.alice.typing, [`bob in ${group}`], "there they see each other");
  const all = ["alice in d:alice:carol", "bob in d:bob:carol", `alice in ${group}`];
  assert.deepEqual(ears.carol.typing, [...all, `bob in ${group}`]);
});
