import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  ConversationKind,
  HistoryVisibility,
  MemberRole,
  MemberSchema,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import {
  type ConversationView,
  ListConversationsRequestSchema,
  ListMembersRequestSchema,
  ListReadersRequestSchema,
} from "../../gen/posthorn/v1/conversations_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { directConversationId } from "../../protocol/conversation-id.ts";
import { encodeNumberSet, numbersFrom } from "../../protocol/number-set.ts";
import { decodeReadBitmap, hasRead } from "../../protocol/read-bitmap.ts";
import { SMALL_RULES, Town } from "../operations/testdata/town.ts";
import { conversations } from "./conversations.ts";
import { CallRefused } from "./service.ts";

const { MEMBER } = MemberRole;
const callerOf = (userId: string) => ({ tenant: "acme", userId, deviceId: "phone" });
const servedBy = (town: Town, frameBytes = 262_144) =>
  conversations(town.store, { frameBytes, conversations: SMALL_RULES.conversations });

test("[SVC-15] a message that a page has no room for is left out of its conversation", async () => {
  const town = await Town.of(["ann", "bob"]);
  const large = await town.makes("ann", { bob: MEMBER }, { nonce: 1 });
  const small = await town.makes("ann", { bob: MEMBER }, { nonce: 2 });
  await town.says("ann", large, "x".repeat(900));
  await town.says("ann", small, "short");
  const views: ConversationView[] = [];
  let afterConversationId = "";
  let pages = 0;
  do {
    const request = create(ListConversationsRequestSchema, { afterConversationId });
    const served = servedBy(town, 32 * 1024 + 160);
    const page = await served.listConversations(request, callerOf("bob"));
    views.push(...(page.conversations as ConversationView[]));
    afterConversationId = page.nextAfter ?? "";
    pages += 1;
  } while (afterConversationId !== "");
  assert.equal(pages, 2, "both have no room on one page");
  const found = new Map(views.map((view) => [view.conversation?.conversationId, view]));
  assert.equal(found.size, 2);
  assert.equal(found.get(large)?.lastMessage, undefined);
  assert.deepEqual([found.get(large)?.head, found.get(large)?.unreadCount], [1n, 1n]);
  assert.equal(found.get(small)?.lastMessage?.message?.content?.kind.value, "short");
});

test("[SVC-15] what a list still names and the caller has left is passed over", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MEMBER });
  const leaving = {
    ...townReads(town),
    loadForPlanning: async (reads: Parameters<typeof town.store.loadForPlanning>[0]) => {
      const state = await town.store.loadForPlanning(reads);
      await town.does("bob", { case: "leaveConversation", value: { conversationId: id } });
      return state;
    },
  };
  const limits = { frameBytes: 262_144, conversations: SMALL_RULES.conversations };
  const request = create(ListConversationsRequestSchema);
  const page = await conversations(leaving, limits).listConversations(request, callerOf("bob"));
  assert.deepEqual([page.conversations, page.nextAfter], [[], ""]);
});

function townReads(town: Town) {
  return { loadLog: town.store.loadLog.bind(town.store) };
}

test("[SVC-17] pages of members end with the last that is asked for", async () => {
  const town = await Town.of(["ann", "bob", "bea", "cyd", "dan"]);
  const id = await town.makes("ann", { bob: MEMBER, bea: MEMBER, cyd: MEMBER, dan: MEMBER });
  const removed = { conversationId: id, set: [], removeUserIds: ["cyd"] };
  await town.does("ann", { case: "changeMembers", value: removed });
  const names: string[] = [];
  const pages: number[] = [];
  let fromOrdinal = 0;
  do {
    const asked = { conversationId: id, countMax: 1, userIdPrefix: "b", fromOrdinal };
    const request = create(ListMembersRequestSchema, asked);
    const page = await servedBy(town).listMembers(request, callerOf("dan"));
    names.push(...(page.members ?? []).map((member) => create(MemberSchema, member).userId));
    fromOrdinal = page.nextOrdinal ?? 0;
    pages.push(fromOrdinal);
  } while (fromOrdinal !== 0);
  assert.deepEqual(names.sort(), ["bea", "bob"]);
  assert.equal(pages.length, 2, "no page after the last that fits");
});

test("[SVC-18] who hides what it has read is shown to itself only", async () => {
  const town = await Town.of(["ann", "bob", "cyd"]);
  const id = await town.makes("ann", { bob: MEMBER, cyd: MEMBER });
  await town.says("ann", id, "one");
  const read = encodeNumberSet(numbersFrom(1, 1));
  for (const user of ["bob", "cyd"]) {
    await town.does(user, { case: "mark", value: { conversationId: id, read } });
  }
  const preferences = { receiptsHidden: true };
  await town.does("bob", { case: "changePreferences", value: { preferences } });
  assert.deepEqual(await readersAs(town, "ann", id), ["ann", "cyd"]);
  assert.deepEqual(await readersAs(town, "bob", id), ["ann", "bob", "cyd"]);
});

/** Whom a user is answered to have read the first message. */
async function readersAs(town: Town, userId: string, conversationId: string) {
  const request = create(ListReadersRequestSchema, { conversationId, conversationSeq: 1n });
  const { readers } = await servedBy(town).listReaders(request, callerOf(userId));
  const bitmap = decodeReadBitmap(readers as Uint8Array) ?? assert.fail("no bitmap");
  const { members = [] } = await servedBy(town).listMembers(
    create(ListMembersRequestSchema, { conversationId }),
    callerOf(userId),
  );
  const have = members.filter(({ ordinal }) => hasRead(bitmap, ordinal as number));
  return have.map((member) => create(MemberSchema, member).userId).sort();
}

test("[USR-24] [SVC-18] whom a user blocks is not answered what it has read", async () => {
  const town = await Town.of(["ann", "bob", "cyd"]);
  const group = await town.makes("cyd", { ann: MEMBER, bob: MEMBER });
  const direct = directConversationId("ann", "bob");
  const read = encodeNumberSet(numbersFrom(1, 1));
  for (const [sender, conversationId] of [
    ["cyd", group],
    ["ann", direct],
  ] as const) {
    await town.says(sender, conversationId, "one");
    for (const user of ["ann", "bob"]) {
      await town.does(user, { case: "mark", value: { conversationId, read } });
    }
  }
  assert.deepEqual(await readersAs(town, "ann", direct), ["ann", "bob"]);
  await town.does("bob", { case: "changeBlocks", value: { blockUserIds: ["ann"] } });
  assert.deepEqual(await readersAs(town, "ann", group), ["ann", "cyd"]);
  assert.deepEqual(await readersAs(town, "bob", group), ["ann", "bob", "cyd"]);
  assert.deepEqual(await readersAs(town, "ann", direct), ["ann"]);
  assert.deepEqual(await readersAs(town, "bob", direct), ["bob"], "nor the other way round");
});

test("[SVC-18] [CNV-34] nobody is told who has read where members are not", async () => {
  const town = await Town.of(["ann", "bob", "cyd", "dan"]);
  const rules = { bob: MEMBER, cyd: MEMBER, dan: MEMBER };
  const large = await town.makes("ann", rules, { nonce: 1 });
  const channel = await town.makes("ann", {}, { nonce: 2, kind: ConversationKind.CHANNEL });
  for (const id of [large, channel]) {
    await town.says("ann", id, "one");
    const request = create(ListReadersRequestSchema, { conversationId: id, conversationSeq: 1n });
    await assert.rejects(
      servedBy(town).listReaders(request, callerOf("ann")),
      new CallRefused(ErrorCode.NOT_PERMITTED),
    );
  }
});

test("[SVC-18] [CNV-6] nobody has read a message from before its time", async () => {
  const town = await Town.of(["ann", "bob", "cyd"]);
  const settings = { history: HistoryVisibility.JOINED };
  const id = await town.makes("ann", { bob: MEMBER }, { settings });
  await town.says("ann", id, "before cyd");
  const set = [create(MemberSchema, { userId: "cyd", role: MEMBER })];
  await town.does("ann", { case: "changeMembers", value: { conversationId: id, set } });
  const read = encodeNumberSet(numbersFrom(1, 1));
  for (const user of ["bob", "cyd"]) {
    assert.equal(await town.does(user, { case: "mark", value: { conversationId: id, read } }), 0);
  }
  const request = create(ListReadersRequestSchema, { conversationId: id, conversationSeq: 1n });
  const { readers } = await servedBy(town).listReaders(request, callerOf("ann"));
  const bitmap = decodeReadBitmap(readers as Uint8Array) ?? assert.fail("no bitmap");
  assert.deepEqual(
    [0, 1, 2].map((ordinal) => hasRead(bitmap, ordinal)),
    [true, true, false],
  );
});
