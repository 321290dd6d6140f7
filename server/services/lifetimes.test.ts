import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import {
  GetConversationRequestSchema,
  type ListConversationsRequest,
  ListConversationsRequestSchema,
} from "../../gen/posthorn/v1/conversations_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  FindMessageByDateRequestSchema,
  ListMessagesAroundRequestSchema,
  ListMessagesRequestSchema,
} from "../../gen/posthorn/v1/history_pb.ts";
import { reactionsRef } from "../operations/read-state.ts";
import { KEPT_MS, SMALL_RULES, Town } from "../operations/testdata/town.ts";
import { conversations } from "./conversations.ts";
import { history } from "./history.ts";
import { CallRefused } from "./service.ts";

const BOB = { tenant: "acme", userId: "bob", deviceId: "phone" };
const LIMITS = { frameBytes: 262_144, conversations: SMALL_RULES.conversations };

/** All that a service answers of a conversation, as text. */
async function answers(town: Town, conversationId: string): Promise<string> {
  const asked = history(town.store, LIMITS);
  const lists = conversations(town.store, LIMITS);
  const all: ListConversationsRequest = create(ListConversationsRequestSchema);
  const found = [
    await asked.listMessages(create(ListMessagesRequestSchema, { conversationId }), BOB),
    await asked.listMessagesAround(
      create(ListMessagesAroundRequestSchema, { conversationId, conversationSeq: 2n }),
      BOB,
    ),
    await asked.findMessageByDate(
      create(FindMessageByDateRequestSchema, { conversationId, fromMs: 0n }),
      BOB,
    ),
    await lists.listConversations(all, BOB),
    await lists.getConversation(create(GetConversationRequestSchema, { conversationId }), BOB),
  ];
  return JSON.stringify(found, (_, value) => (typeof value === "bigint" ? `${value}` : value));
}

async function counts(town: Town, conversationId: string): Promise<readonly number[]> {
  const request = create(GetConversationRequestSchema, { conversationId });
  const { conversation } = await conversations(town.store, LIMITS).getConversation(request, BOB);
  return [Number(conversation?.unreadCount), Number(conversation?.mentionCount)];
}

test("[CNV-92] no answer holds what has expired, before it is swept and after", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MemberRole.MEMBER });
  for (const lifetimeS of [5, 6, 7])
    await town.says("ann", id, `secret ${lifetimeS}`, { lifetimeS });
  const secrets = async () => [...new Set((await answers(town, id)).match(/secret \d/g))].sort();
  assert.deepEqual(await secrets(), ["secret 5", "secret 6", "secret 7"]);
  town.nowMs += 6_000;
  assert.deepEqual(await secrets(), ["secret 7"]);
  await town.store.sweep();
  assert.deepEqual(await secrets(), ["secret 7"]);
  town.nowMs += 1_000;
  assert.deepEqual(await secrets(), []);
  await town.store.sweep();
  assert.deepEqual(await secrets(), []);
});

test("[CNV-94] [CNV-33] what has expired is neither unread nor a mention, from its time on", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MemberRole.MEMBER });
  const mentions = { userIds: ["bob"], roles: [], everyone: false };
  await town.says("ann", id, "one", { mentions });
  await town.says("ann", id, "two", { mentions, lifetimeS: 5 });
  await town.says("ann", id, "three", { lifetimeS: 6 });
  assert.deepEqual(await counts(town, id), [3, 2]);
  town.nowMs += 5_000;
  assert.deepEqual(await counts(town, id), [2, 1]);
  await town.store.sweep();
  assert.deepEqual(await counts(town, id), [2, 1]);
  town.nowMs += 1_000;
  assert.deepEqual(await counts(town, id), [1, 1]);
  await town.store.sweep();
  assert.deepEqual(await counts(town, id), [1, 1]);
});

test("[CNV-103] [CNV-104] [CNV-105] what is too old is nowhere, and every answer says so", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MemberRole.MEMBER });
  await town.says("ann", id, "secret 1");
  await town.says("ann", id, "secret 2");
  const reaction = { conversationId: id, conversationSeq: 1n, reaction: "+" };
  await town.does("bob", { case: "react", value: reaction });
  town.nowMs += KEPT_MS;
  await town.says("ann", id, "secret 3");
  const content = { kind: { case: "text" as const, value: "secret 4" } };
  const edit = { conversationId: id, conversationSeq: 2n, content };
  assert.equal(await town.does("ann", { case: "editMessage", value: edit }), 2);
  await town.store.sweep();
  assert.match(await answers(town, id), /"floor":"1"/);
  town.nowMs += 1;
  await town.store.sweep();
  const found = await answers(town, id).catch((error: unknown) => error);
  assert.ok(found instanceof CallRefused && found.code === ErrorCode.MESSAGE_UNKNOWN);
  const request = create(ListMessagesRequestSchema, { conversationId: id });
  const page = await history(town.store, LIMITS).listMessages(request, BOB);
  assert.deepEqual([page.floor, page.head, page.next, page.entries?.length], [3n, 3n, 0n, 1]);
  assert.deepEqual(await counts(town, id), [1, 0]);
  const lines = (await town.lines("bob")).filter((line) => /^\d/.test(line));
  const gone = ["1 kept no longer", "2 kept no longer"];
  assert.deepEqual(lines, [...gone, "1 ++", "3 secret 3", "2 kept no longer"]);
  assert.equal(await town.does("ann", { case: "editMessage", value: edit }), "MESSAGE_UNKNOWN");
  assert.equal(town.store.disk.document(reactionsRef("acme", id, 1)).bytes.length, 0);
  town.nowMs += KEPT_MS + 1;
  await town.store.sweep();
  assert.deepEqual(await counts(town, id), [0, 0]);
  assert.equal(await town.says("ann", id, "secret 5"), 4, "no number comes twice");
});
