import assert from "node:assert/strict";
import { test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { ConversationKind, MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { EventSchema, type Message, ReferenceKind } from "../../gen/posthorn/v1/event_pb.ts";
import { directConversationId } from "../../protocol/conversation-id.ts";
import { messageLog } from "./conversations.ts";
import { mentionsRef, reactionsRef, recalledRef } from "./read-state.ts";
import { type OperationKind, Town } from "./testdata/town.ts";

const { MEMBER, ADMIN } = MemberRole;
const INVALID = "LIFETIME_INVALID";
const UNKNOWN = "MESSAGE_UNKNOWN";

const named = (conversationId: string, seq: number) => ({
  conversationId,
  conversationSeq: BigInt(seq),
});
const edit = (id: string, seq: number, value: string): OperationKind => ({
  case: "editMessage",
  value: { ...named(id, seq), content: { kind: { case: "text", value } } },
});
const recall = (id: string, seq: number): OperationKind => ({
  case: "recallMessage",
  value: named(id, seq),
});
const react = (id: string, seq: number): OperationKind => ({
  case: "react",
  value: { ...named(id, seq), reaction: "+" },
});
const settings = (id: string, revision: number, lifetimeS: number): OperationKind => ({
  case: "changeConversation",
  value: {
    conversationId: id,
    revision: BigInt(revision),
    settings: { title: "a title", lifetimeS },
  },
});

async function messages(town: Town, userId: string): Promise<Message[]> {
  const told = await town.told(userId);
  return told.flatMap(({ event: { kind } }) => (kind.case === "message" ? [kind.value] : []));
}

/** How long each message that a user was told of was to be there. */
async function lifetimes(town: Town, userId: string): Promise<number[]> {
  const all = await messages(town, userId);
  return all.map(({ expiresMs }) => (Number(expiresMs) - town.nowMs) / 1000);
}

test("[CNV-90] a lifetime is none, or five seconds to a year", async () => {
  const town = await Town.of(["ann", "bob"]);
  const direct = directConversationId("ann", "bob");
  for (const lifetimeS of [1, 4, 31_536_001, 2 ** 32 - 1]) {
    assert.equal(await town.says("ann", direct, "?", { lifetimeS }), INVALID, `${lifetimeS}`);
    const value = { nonce: new Uint8Array(16), kind: ConversationKind.GROUP, members: [] };
    const made = { ...value, settings: { title: "a title", lifetimeS } };
    assert.equal(await town.does("ann", { case: "createConversation", value: made }), INVALID);
  }
  const id = await town.makes("ann", { bob: ADMIN });
  assert.equal(await town.does("bob", settings(id, 1, 4)), INVALID);
  assert.equal(await town.does("bob", settings(id, 1, 31_536_001)), INVALID);
  assert.equal(await town.does("bob", settings(id, 1, 31_536_000)), 0);
  for (const lifetimeS of [0, 5, 31_536_000]) {
    assert.equal(typeof (await town.says("ann", direct, "!", { lifetimeS })), "number");
  }
  assert.deepEqual(
    (await messages(town, "bob")).map(({ expiresMs }) => Number(expiresMs)),
    [0, town.nowMs + 5_000, town.nowMs + 31_536_000_000],
  );
});

test("[CNV-91] of a message's lifetime and its conversation's the shorter counts", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MEMBER }, { settings: { lifetimeS: 100 } });
  await town.says("bob", id, "as the admins say");
  await town.says("bob", id, "shorter", { lifetimeS: 10 });
  await town.says("bob", id, "no longer", { lifetimeS: 1_000 });
  assert.deepEqual(await lifetimes(town, "ann"), [100, 10, 100]);
  assert.equal(await town.does("bob", settings(id, 1, 0)), "NOT_PERMITTED");
  assert.equal(await town.does("ann", settings(id, 1, 0)), 0);
  await town.says("bob", id, "longer now", { lifetimeS: 1_000 });
  assert.deepEqual(await lifetimes(town, "ann"), [100, 10, 100, 1_000], "the others as before");
});

test("[CNV-91] an edit does not change when a message expires", async () => {
  const town = await Town.of(["ann", "bob"]);
  const direct = directConversationId("ann", "bob");
  await town.says("ann", direct, "said", { lifetimeS: 10 });
  const [{ expiresMs } = assert.fail()] = await messages(town, "bob");
  town.nowMs += 9_999;
  assert.equal(await town.does("ann", edit(direct, 1, "edited")), 1);
  assert.deepEqual(await town.lines("bob"), ["1 edited (edit 1)", "1 edited (edit 1)"]);
  assert.equal((await messages(town, "bob"))[0]?.expiresMs, expiresMs);
  town.nowMs += 1;
  assert.deepEqual(await town.lines("bob"), ["1 expired", "1 expired"]);
  await town.store.sweep();
  assert.deepEqual(await town.lines("bob"), ["1 expired", "1 expired"]);
});

test("[CNV-92] [CNV-96] of what has expired nothing is left but who sent it and when it was over", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MEMBER });
  await town.says("ann", id, "first");
  const reference = { kind: ReferenceKind.REPLY, conversationSeq: 1n };
  const mentions = { userIds: ["bob"], roles: [], everyone: true };
  await town.says("ann", id, "a secret", { lifetimeS: 5, reference, mentions });
  await town.does("bob", react(id, 2));
  const reactions = reactionsRef("acme", id, 2);
  const told = town.nowMs + 5_000;
  town.nowMs = told;
  for (const isSwept of [false, true]) {
    if (isSwept) await town.store.sweep();
    const gone = (await messages(town, "bob"))[1] ?? assert.fail();
    const { $typeName: _, ...fields } = gone;
    assert.deepEqual(fields, {
      conversationId: id,
      senderUserId: "ann",
      senderDeviceId: "phone",
      editCount: 0,
      editedMs: 0n,
      recalledByUserId: "",
      expiresMs: BigInt(told),
    });
    for (const kind of [edit(id, 2, "x"), recall(id, 2), react(id, 2)]) {
      assert.equal(await town.does("ann", kind), UNKNOWN, kind.case);
    }
    const reply = { reference: { kind: ReferenceKind.REPLY, conversationSeq: 2n } };
    assert.equal(await town.says("bob", id, "to that", reply), UNKNOWN);
    assert.deepEqual(town.numbers(recalledRef("acme", id)), isSwept ? [2] : []);
    assert.equal(town.store.disk.document(reactions).bytes.length > 0, !isSwept);
  }
  const kept = town.store.disk.logs.get(messageLog("acme", id)) ?? [];
  assert.ok(kept.every((entry) => !Buffer.from(entry.event).includes("a secret")));
  assert.deepEqual(kept[1]?.expiry, undefined);
  assert.deepEqual(town.numbers(mentionsRef("acme", id, "bob")), [2], "called, but gone");
});

test("[CNV-93] what was planned on a message before it expired is planned anew", async () => {
  const town = await Town.of(["ann", "bob"]);
  const direct = directConversationId("ann", "bob");
  const reference = { kind: ReferenceKind.QUOTE, conversationSeq: 1n };
  const content = { kind: { case: "text" as const, value: "as you said" } };
  const reply = { conversationId: direct, content, reference };
  await town.says("ann", direct, "said", { lifetimeS: 5 });
  const kinds = [
    edit(direct, 1, "edited"),
    recall(direct, 1),
    react(direct, 1),
    { case: "sendMessage" as const, value: reply },
  ];
  for (const kind of kinds) {
    const commit = await town.plans("ann", [kind]);
    const beforeMs = town.nowMs;
    town.nowMs += 5_000;
    assert.equal(await commit(), undefined, `${kind.case} is stale`);
    town.nowMs = beforeMs;
  }
  assert.deepEqual(await town.lines("bob"), ["1 said"]);
});

test("[CNV-95] nobody is told anything when a message expires", async () => {
  const town = await Town.of(["ann", "bob"]);
  const direct = directConversationId("ann", "bob");
  await town.says("ann", direct, "said", { lifetimeS: 5 });
  const heads = async () => [(await town.told("ann")).length, (await town.told("bob")).length];
  const before = await heads();
  town.nowMs += 5_000;
  await town.store.sweep();
  assert.deepEqual(await heads(), before);
});

test("[CNV-99] a message that was recalled stays one, with who recalled it", async () => {
  const town = await Town.of(["ann", "bob"]);
  const direct = directConversationId("ann", "bob");
  await town.says("ann", direct, "said", { lifetimeS: 5 });
  await town.does("ann", recall(direct, 1));
  const bytes = async () =>
    (await town.told("bob")).map(({ event }) => Buffer.from(toBinary(EventSchema, event)));
  const before = await bytes();
  town.nowMs += 5_000;
  assert.deepEqual(await bytes(), before);
  await town.store.sweep();
  assert.deepEqual(await bytes(), before);
  assert.deepEqual(await town.lines("bob"), ["1 recalled by ann", "1 recalled by ann"]);
});
