import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ConversationKind, MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import {
  GetConversationRequestSchema,
  GetTotalsRequestSchema,
  ListDraftsRequestSchema,
} from "../../gen/posthorn/v1/conversations_pb.ts";
import {
  type Draft,
  DraftSchema,
  ReferenceKind,
  TodoState,
} from "../../gen/posthorn/v1/event_pb.ts";
import { ListMessagesRequestSchema } from "../../gen/posthorn/v1/history_pb.ts";
import { conversations } from "../services/conversations.ts";
import { history } from "../services/history.ts";
import { DRAFTS_BYTES_MAX, DRAFTS_MAX, draftEntry, draftsRef } from "./drafts.ts";
import { type OperationKind, SMALL_RULES, Town } from "./testdata/town.ts";

const { READER, MEMBER } = MemberRole;
const { OPEN, DONE, UNSPECIFIED: NONE } = TodoState;
const STATES = ["nothing", "open", "done"];
const FOR_EVER = 2n ** 53n - 1n;
const DIRECT = "d:ann:bob";
const UNKNOWN = "CONVERSATION_UNKNOWN";

const text = (value: string) => ({ kind: { case: "text" as const, value } });
type Drafted = Extract<OperationKind, { case: "saveDraft" }>["value"];

function drafts(conversationId: string, said?: string, more: Omit<Drafted, "$typeName"> = {}) {
  const content = said === undefined ? {} : { content: text(said) };
  const value = { conversationId, ...content, ...more };
  return { case: "saveDraft", value } as const satisfies OperationKind;
}

const mutes = (conversationId: string, untilMs: bigint): OperationKind => ({
  case: "muteConversation",
  value: { conversationId, untilMs },
});
const marks = (conversationId: string, seq: number, state: number): OperationKind => ({
  case: "markTodo",
  value: { conversationId, conversationSeq: BigInt(seq), state: state as TodoState },
});
const leave = (conversationId: string): OperationKind => ({
  case: "leaveConversation",
  value: { conversationId },
});
const recall = (conversationId: string, seq: number): OperationKind => ({
  case: "recallMessage",
  value: { conversationId, conversationSeq: BigInt(seq) },
});

const callerOf = (userId: string) => ({ tenant: "acme", userId, deviceId: "phone" });
const served = ({ store }: Town, frameBytes = 262_144) =>
  conversations(store, { frameBytes, conversations: SMALL_RULES.conversations });

/** What a user's drafts say, by conversation, over all pages. */
async function listed(town: Town, userId: string, frameBytes?: number) {
  const found: Draft[] = [];
  let afterConversationId = "";
  let pages = 0;
  do {
    const asked = create(ListDraftsRequestSchema, { afterConversationId });
    const page = await served(town, frameBytes).listDrafts(asked, callerOf(userId));
    found.push(...(page.drafts ?? []).map((draft) => create(DraftSchema, draft)));
    afterConversationId = page.nextAfter ?? "";
    pages += 1;
  } while (afterConversationId !== "");
  return { drafts: found, pages, said: found.map(({ content }) => content?.kind.value) };
}

/** What a user was told of drafts, mutes and marks, a line each, as it is now. */
async function lines(town: Town, userId: string): Promise<string[]> {
  return (await town.told(userId)).flatMap(({ event: { kind } }) => {
    switch (kind.case) {
      case "draftChanged":
        return [`draft ${kind.value.draft?.content?.kind.value ?? "gone"}`];
      case "muteChanged":
        return [`muted ${kind.value.untilMs}`];
      case "todoChanged": {
        const { conversationSeq, todo } = kind.value;
        return [`${conversationSeq} ${STATES[todo?.state ?? NONE]} by ${todo?.byUserId}`];
      }
      default:
        return [];
    }
  });
}

test("[CNV-70] a draft is its user's own, and the last one is the one there is", async () => {
  const town = await Town.of(["ann", "bob"]);
  const mentions = { userIds: ["bob", "bob"], roles: [MEMBER], everyone: true };
  const reference = { kind: ReferenceKind.REPLY, conversationSeq: 7n };
  assert.equal(await town.does("ann", drafts(DIRECT, "hel", { mentions, reference })), 0);
  town.nowMs += 5;
  const [one, other] = await Promise.all(
    ["hello", "good day"].map((said) => town.plans("ann", [drafts(DIRECT, said)])),
  );
  assert.deepEqual(await other?.(), [0]);
  assert.equal(await one?.(), undefined, "planned on what is not so any more");
  assert.equal(await town.does("ann", drafts(DIRECT, "hello")), 0);
  // Told three times, and each time as it is by now. [CNV-72]
  assert.deepEqual(await lines(town, "ann"), ["draft hello", "draft hello", "draft hello"]);
  assert.deepEqual(await town.told("bob"), []);
  assert.deepEqual((await listed(town, "bob")).said, []);
  const [draft] = (await listed(town, "ann")).drafts;
  assert.deepEqual([draft?.conversationId, draft?.deviceId], [DIRECT, "phone"]);
  assert.equal(draft?.savedMs, BigInt(town.nowMs));
  assert.deepEqual([draft.mentions, draft.reference], [undefined, undefined]);
  const first = await Town.of(["ann", "bob"]);
  await first.does("ann", drafts(DIRECT, "hel", { mentions, reference }));
  const [whole] = (await listed(first, "ann")).drafts;
  assert.deepEqual(whole?.mentions?.userIds, ["bob"]);
  assert.equal(whole.reference?.conversationSeq, 7n);
});

test("[CNV-71] a draft has the form of what can be sent, in a conversation of one's own", async () => {
  const town = await Town.of(["ann", "bob", "eve"]);
  const users = (count: number) => Array.from({ length: count }, (_, index) => `user${index}`);
  const calls = (userIds: string[], roles: MemberRole[] = []) => ({
    mentions: { userIds, roles, everyone: false },
  });
  const refers = (kind: number, conversationSeq: bigint) => ({
    reference: { kind: kind as ReferenceKind, conversationSeq },
  });
  const wrongs: readonly [OperationKind, string][] = [
    [drafts(DIRECT, ""), "MESSAGE_EMPTY"],
    [drafts(DIRECT, "x".repeat(1_001)), "MESSAGE_TOO_LARGE"],
    [drafts(DIRECT, "x", calls(users(65))), "CONTENT_INVALID"],
    [drafts(DIRECT, "x", calls(["not a user"])), "CONTENT_INVALID"],
    [drafts(DIRECT, "x", calls([], [0])), "CONTENT_INVALID"],
    [drafts(DIRECT, "x", calls([], [5 as MemberRole])), "CONTENT_INVALID"],
    [drafts(DIRECT, "x", refers(0, 1n)), "CONTENT_INVALID"],
    [drafts(DIRECT, "x", refers(1, 0n)), "CONTENT_INVALID"],
    [drafts(DIRECT, "x", refers(1, FOR_EVER + 1n)), "CONTENT_INVALID"],
    [drafts("d:bob:eve", "x"), UNKNOWN],
    [drafts("g:none", "x"), UNKNOWN],
    [drafts("x".repeat(5_000), "x"), UNKNOWN],
    [drafts("", undefined), UNKNOWN],
    [drafts("d:ann:nobody", "x"), "USER_UNKNOWN"],
  ];
  for (const [kind, code] of wrongs) assert.equal(await town.does("ann", kind), code);
  assert.deepEqual(await town.told("ann"), []);
  assert.deepEqual((await listed(town, "ann")).said, []);
  // Neither who is called nor what it is said to is looked for.
  assert.equal(await town.does("ann", drafts(DIRECT, "x", calls(users(64)))), 0);
  assert.equal(await town.does("ann", drafts(DIRECT, "x", refers(4, FOR_EVER))), 0);
  const channel = await town.makes("ann", { bob: READER }, { kind: ConversationKind.CHANNEL });
  assert.equal(await town.does("bob", drafts(channel, "who may not write yet")), 0);
});

test("[CNV-72] what a draft said is in no entry and no document any more", async () => {
  const town = await Town.of(["ann", "bob"]);
  const { disk } = town.store;
  const everything = () =>
    JSON.stringify([
      ...[...disk.logs.values()].flat().map(({ event }) => Buffer.from(event).toString("latin1")),
      ...[...disk.documents.values()].map(({ bytes }) => Buffer.from(bytes).toString("latin1")),
    ]);
  await town.does("ann", drafts(DIRECT, "canary one"));
  await town.does("ann", drafts(DIRECT, "canary two"));
  assert.ok(!everything().includes("canary one"));
  assert.equal(everything().split("canary two").length, 2, "in one place");
  await town.does("ann", drafts(DIRECT));
  assert.ok(!everything().includes("canary"));
  await town.doesAll("ann", [drafts(DIRECT, "canary three"), drafts(DIRECT, "four")]);
  assert.ok(!everything().includes("canary"), "nor for a moment");
  assert.equal(disk.logHead(draftEntry("acme", "ann", DIRECT).log), 1, "one entry for all of them");
});

test("[CNV-73] drafts are bounded, in number and in bytes", async () => {
  const users = Array.from({ length: DRAFTS_MAX + 1 }, (_, index) => `u${index}`);
  const town = await Town.of(["ann", ...users], { ...SMALL_RULES, contentBytes: 200_000 });
  const ids = users.map((userId) => `d:ann:${userId}`);
  for (const id of ids.slice(0, DRAFTS_MAX))
    assert.equal(await town.does("ann", drafts(id, "x")), 0);
  const last = ids.at(-1) as string;
  assert.equal(await town.does("ann", drafts(last, "x")), "DRAFTS_FULL");
  assert.equal(await town.does("ann", drafts(ids[0] as string, "y")), 0, "one that is there");
  assert.equal(await town.does("ann", drafts(ids[0] as string)), 0);
  assert.equal(await town.does("ann", drafts(last, "x")), 0, "there is room again");
  for (const id of ids.slice(1, DRAFTS_MAX)) await town.does("ann", drafts(id));
  const bytesOf = ({ drafts: found }: { readonly drafts: readonly Draft[] }) =>
    found.reduce((sum, draft) => sum + toBinary(DraftSchema, draft).length, 0);
  await town.does("ann", drafts(last, "x".repeat(200_000)));
  const small = ids[1] as string;
  await town.does("ann", drafts(small, "x".repeat(20_000)));
  const left = DRAFTS_BYTES_MAX - bytesOf(await listed(town, "ann"));
  const most = 20_000 + left;
  assert.equal(await town.does("ann", drafts(small, "x".repeat(most + 1))), "DRAFTS_FULL");
  assert.equal(await town.does("ann", drafts(small, "x".repeat(most))), 0);
  const whole = await listed(town, "ann");
  assert.equal(bytesOf(whole), DRAFTS_BYTES_MAX);
  assert.equal(whole.pages, 2, "they have no room in one frame");
  assert.deepEqual(
    whole.drafts.map(({ conversationId }) => conversationId),
    [small, last].sort(),
  );
});

test("[CNV-74] a draft goes, also when its user has left, and is listed until then", async () => {
  const town = await Town.of(["ann", "bob", "cyd"]);
  const here = await town.makes("ann", { bob: MEMBER });
  await town.does("bob", drafts(here, "begun"));
  await town.does("bob", drafts("d:bob:cyd", "to somebody new"));
  await town.does("bob", leave(here));
  assert.deepEqual((await listed(town, "bob")).said, ["to somebody new", "begun"]);
  assert.equal(await town.does("bob", drafts(here, "more")), UNKNOWN);
  assert.equal(await town.does("bob", drafts(here)), 0);
  assert.deepEqual((await listed(town, "bob")).said, ["to somebody new"]);
  assert.equal(await town.does("bob", drafts(here)), UNKNOWN, "nothing is left of it");
  const before = (await town.told("bob")).length;
  assert.equal(await town.does("bob", drafts(DIRECT)), 0, "there was none");
  assert.equal((await town.told("bob")).length, before);
  assert.deepEqual(await lines(town, "bob"), ["draft gone", "draft to somebody new", "draft gone"]);
});

test("[CNV-75] what is sent leaves the draft, unless it is taken away behind it", async () => {
  const town = await Town.of(["ann", "bob"]);
  await town.does("ann", drafts(DIRECT, "hello"));
  assert.equal(await town.says("ann", DIRECT, "hello"), 1);
  assert.deepEqual((await listed(town, "ann")).said, ["hello"]);
  const send = { conversationId: DIRECT, content: text("again") };
  const both: OperationKind[] = [{ case: "sendMessage", value: send }, drafts(DIRECT)];
  assert.deepEqual(await town.doesAll("ann", both), [2, 0]);
  assert.deepEqual((await listed(town, "ann")).said, []);
  assert.deepEqual(await town.lines("bob"), ["1 hello", "2 again"]);
});

test("[CNV-76] a muted conversation is delivered and counted as ever", async () => {
  const town = await Town.of(["ann", "bob"]);
  const here = await town.makes("ann", { bob: MEMBER });
  const viewOf = async (userId: string) => {
    const request = create(GetConversationRequestSchema, { conversationId: here });
    const { conversation } = await served(town).getConversation(request, callerOf(userId));
    return [conversation?.mutedUntilMs, conversation?.unreadCount];
  };
  const until = BigInt(town.nowMs + 10);
  assert.equal(await town.does("bob", mutes(here, until)), 0);
  assert.equal(await town.does("bob", mutes(here, until)), 0, "it is so already");
  await town.says("ann", here, "hello", { mentions: { userIds: ["bob"], roles: [] } });
  assert.deepEqual(await lines(town, "bob"), [`muted ${until}`]);
  assert.deepEqual(await lines(town, "ann"), []);
  assert.equal((await town.lines("bob")).at(-1), "1 hello");
  assert.deepEqual(await viewOf("bob"), [until, 1n]);
  assert.deepEqual(await viewOf("ann"), [0n, 0n]);
  town.nowMs += 9;
  assert.deepEqual(await viewOf("bob"), [until, 1n]);
  town.nowMs += 1;
  assert.deepEqual(await viewOf("bob"), [0n, 1n], "its time has come");
  assert.equal(await town.does("bob", mutes(here, FOR_EVER)), 0);
  assert.deepEqual(await viewOf("bob"), [FOR_EVER, 1n]);
  assert.equal(await town.does("bob", mutes(here, FOR_EVER + 1n)), "SETTING_INVALID");
  assert.equal(await town.does("bob", mutes(here, 0n)), 0);
  assert.deepEqual(await viewOf("bob"), [0n, 1n]);
  for (const strange of ["d:ann:cyd", "g:none", "x".repeat(5_000), ""]) {
    assert.equal(await town.does("bob", mutes(strange, 1n)), UNKNOWN);
  }
});

test("[CNV-77] totals are the sums of what is unread, with and without what is muted", async () => {
  const town = await Town.of(["ann", "bob"]);
  const [one, two, room] = [
    await town.makes("ann", { bob: MEMBER }, { nonce: 1 }),
    await town.makes("ann", { bob: MEMBER }, { nonce: 2 }),
    await town.makes("ann", { bob: MEMBER }, { nonce: 3, kind: ConversationKind.ROOM }),
  ];
  const totalsOf = async (userId: string) => {
    const asked = create(GetTotalsRequestSchema);
    const { all, notMuted, nextAfter } = await served(town).getTotals(asked, callerOf(userId));
    assert.equal(nextAfter, "");
    return [all, notMuted].map((totals) => [
      totals?.conversationCount,
      totals?.unreadCount,
      totals?.mentionCount,
    ]);
  };
  const nothing = [0, 0n, 0n];
  assert.deepEqual(await totalsOf("bob"), [nothing, nothing]);
  const calls = { mentions: { userIds: ["bob"], roles: [], everyone: false } };
  for (const said of ["a", "b", "c"]) await town.says("ann", one, said);
  for (const said of ["d", "e"]) await town.says("ann", two, said, calls);
  await town.says("ann", room, "there is no history of it", calls);
  await town.says("ann", DIRECT, "f");
  assert.deepEqual(await totalsOf("bob"), [
    [3, 6n, 2n],
    [3, 6n, 2n],
  ]);
  await town.does("bob", mutes(two, BigInt(town.nowMs + 10)));
  await town.does("ann", recall(one, 2));
  assert.deepEqual(await totalsOf("bob"), [
    [3, 5n, 2n],
    [2, 3n, 0n],
  ]);
  town.nowMs += 10;
  assert.deepEqual(await totalsOf("bob"), [
    [3, 5n, 2n],
    [3, 5n, 2n],
  ]);
  assert.deepEqual(await totalsOf("ann"), [nothing, nothing]);
});

test("[CNV-77] one answer counts 500 conversations, and says where to go on", async () => {
  const users = Array.from({ length: 501 }, (_, index) => `u${index}`);
  const town = await Town.of(["ann", ...users]);
  for (const userId of users) await town.says(userId, `d:ann:${userId}`, "hello");
  const totals: number[] = [];
  let afterConversationId = "";
  do {
    const asked = create(GetTotalsRequestSchema, { afterConversationId });
    const { all, nextAfter = "" } = await served(town).getTotals(asked, callerOf("ann"));
    totals.push(Number(all?.unreadCount));
    afterConversationId = nextAfter;
  } while (afterConversationId !== "");
  assert.deepEqual(totals, [500, 1]);
});

test("[CNV-80] [CNV-81] a mark is one for all members, and told to who may read", async () => {
  const town = await Town.of(["ann", "bob", "cyd", "eve"]);
  const here = await town.makes("ann", { bob: MEMBER, eve: READER }, { settings: { history: 1 } });
  await town.says("ann", here, "water the plants");
  const late = { conversationId: here, set: [{ userId: "cyd", role: MEMBER }] };
  await town.does("ann", { case: "changeMembers", value: { ...late, removeUserIds: [] } });
  assert.equal(await town.does("bob", marks(here, 1, OPEN)), 0);
  assert.equal(await town.does("ann", marks(here, 1, OPEN)), 0, "it is so already");
  assert.equal(await town.does("ann", marks(here, 1, DONE)), 0);
  const told = ["1 open by bob", "1 done by ann"];
  for (const userId of ["ann", "bob", "eve"]) assert.deepEqual(await lines(town, userId), told);
  assert.deepEqual(await lines(town, "cyd"), [], "from before its time");
  assert.equal(await town.does("eve", marks(here, 1, OPEN)), "NOT_PERMITTED");
  assert.equal(await town.does("cyd", marks(here, 1, OPEN)), "MESSAGE_UNKNOWN");
  assert.equal(await town.does("ann", marks(here, 2, OPEN)), "MESSAGE_UNKNOWN");
  for (const state of [3, -1, 2 ** 31 - 1]) {
    assert.equal(await town.does("ann", marks(here, 1, state)), "SETTING_INVALID");
  }
  assert.equal(await town.does("ann", marks(DIRECT, 1, OPEN)), "MESSAGE_UNKNOWN");
  assert.equal(await town.does("eve", marks(DIRECT, 1, OPEN)), UNKNOWN);
  assert.equal(await town.does("bob", marks(here, 1, NONE)), 0);
  assert.deepEqual((await lines(town, "ann")).at(-1), "1 nothing by bob");
  assert.equal(await town.does("bob", marks(here, 1, NONE)), 0);
  assert.equal((await lines(town, "ann")).length, 3);
});

test("[CNV-81] in a large conversation who sent the message is told, and who marks it", async () => {
  const town = await Town.of(["ann", "bob", "cyd", "dan", "eve"]);
  const members = { bob: MEMBER, cyd: MEMBER, dan: MEMBER, eve: MEMBER };
  const here = await town.makes("ann", members);
  await town.says("bob", here, "water the plants");
  await town.does("cyd", marks(here, 1, DONE));
  const counts = await Promise.all(
    ["ann", "bob", "cyd", "dan"].map(async (userId) => (await lines(town, userId)).length),
  );
  assert.deepEqual(counts, [0, 1, 1, 0]);
});

test("[CNV-82] history tells the mark of a message, and a recall takes it away", async () => {
  const town = await Town.of(["ann", "bob"]);
  const serving = history(town.store, { frameBytes: 262_144 });
  const shown = async () => {
    const asked = create(ListMessagesRequestSchema, { conversationId: DIRECT });
    const { entries = [] } = await serving.listMessages(asked, callerOf("bob"));
    return entries.map(({ todo }) => todo && [todo.state, todo.byUserId, todo.setMs]);
  };
  for (const said of ["one", "two"]) await town.says("ann", DIRECT, said);
  town.nowMs += 7;
  const marking = await town.plans("bob", [marks(DIRECT, 2, OPEN)]);
  await marking();
  await town.does("bob", marks(DIRECT, 1, DONE));
  const setMs = BigInt(town.nowMs);
  assert.deepEqual(await shown(), [
    [DONE, "bob", setMs],
    [OPEN, "bob", setMs],
  ]);
  const request = create(GetConversationRequestSchema, { conversationId: DIRECT });
  const { conversation } = await served(town).getConversation(request, callerOf("ann"));
  assert.equal(conversation?.lastMessage?.todo?.state, OPEN);
  const late = await town.plans("bob", [marks(DIRECT, 2, DONE)]);
  await town.does("ann", recall(DIRECT, 2));
  assert.equal(await late(), undefined, "what is recalled meanwhile is not marked any more");
  assert.equal(await town.does("bob", marks(DIRECT, 2, DONE)), "MESSAGE_UNKNOWN");
  await town.does("bob", marks(DIRECT, 1, NONE));
  assert.deepEqual(await shown(), [undefined, undefined]);
  assert.ok(!town.store.disk.documents.has(draftsRef("acme", "bob")));
});
