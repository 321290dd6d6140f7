import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ConversationKind,
  HistoryVisibility,
  JoinRule,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { AttachmentKind, ReferenceKind } from "../../gen/posthorn/v1/event_pb.ts";
import { directConversationId, isConversationId } from "../../protocol/conversation-id.ts";
import { encodeNumberSet, numbersFrom } from "../../protocol/number-set.ts";
import { namesIn } from "../store/documents.ts";
import { directsRef } from "./conversations.ts";
import { mentionsRef, readRef, recalledRef } from "./read-state.ts";
import { type OperationKind, type Settings, SMALL_RULES, Town } from "./testdata/town.ts";

const { READER, MEMBER, ADMIN, OWNER } = MemberRole;
const USERS = ["ann", "bob", "cyd", "dan", "eve"];
const UNKNOWN = "CONVERSATION_UNKNOWN";
const DENIED = "NOT_PERMITTED";

const text = (value: string) => ({ kind: { case: "text" as const, value } });

function changes(
  conversationId: string,
  set: Readonly<Record<string, MemberRole>>,
  removeUserIds: string[] = [],
): OperationKind {
  const members = Object.entries(set).map(([userId, role]) => ({ userId, role }));
  return { case: "changeMembers", value: { conversationId, set: members, removeUserIds } };
}

const join = (conversationId: string): OperationKind => ({
  case: "joinConversation",
  value: { conversationId },
});
const leave = (conversationId: string): OperationKind => ({
  case: "leaveConversation",
  value: { conversationId },
});
const edit = (conversationId: string, seq: number, value: string): OperationKind => ({
  case: "editMessage",
  value: { conversationId, conversationSeq: BigInt(seq), content: text(value) },
});
const recall = (conversationId: string, seq: number): OperationKind => ({
  case: "recallMessage",
  value: { conversationId, conversationSeq: BigInt(seq) },
});
const react = (conversationId: string, seq: number, reaction: string, remove = false) =>
  ({
    case: "react",
    value: { conversationId, conversationSeq: BigInt(seq), reaction, remove },
  }) as const;
const mark = (conversationId: string, from: number, through: number, delivered = 0) =>
  ({
    case: "mark",
    value: {
      conversationId,
      read: encodeNumberSet(numbersFrom(from, through)),
      deliveredThrough: BigInt(delivered),
    },
  }) as const;

test("[CNV-1] a direct conversation is there by its id, for its two users", async () => {
  const town = await Town.of(["ann", "bob", "eve"]);
  const id = directConversationId("bob", "ann");
  assert.equal(id, "d:ann:bob");
  assert.equal(await town.says("ann", id, "hello"), 1);
  assert.equal(await town.says("bob", id, "hello too"), 2);
  assert.deepEqual(await town.lines("bob"), ["1 hello", "2 hello too"]);
  assert.equal(await town.says("eve", id, "me too"), UNKNOWN);
  assert.equal(await town.says("ann", "d:bob:ann", "the other way round"), UNKNOWN);
  assert.equal(await town.says("ann", directConversationId("ann", "nobody"), "?"), "USER_UNKNOWN");
  assert.equal(await town.says("ann", directConversationId("ann", "ann"), "a note"), 1);
  for (const wrong of ["d:ann", "d:ann:bob:cyd", "d::bob", "g:short", "", "x:1"]) {
    assert.equal(isConversationId(wrong), false, wrong);
    assert.equal(await town.says("ann", wrong, "?"), UNKNOWN, wrong);
  }
});

test("[CNV-2] [CNV-40] a conversation is made once, under an id that is its maker's", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MEMBER });
  assert.match(id, /^g:[a-z2-7]{26}$/);
  assert.notEqual(await town.makes("bob"), id);
  interface Wanted {
    readonly nonce?: Uint8Array;
    readonly kind?: ConversationKind;
    readonly settings?: Settings;
    readonly members?: { userId: string; role: MemberRole }[];
  }
  const make = ({ nonce, kind, settings, members = [] }: Wanted = {}) =>
    town.does("ann", {
      case: "createConversation",
      value: {
        nonce: nonce ?? new Uint8Array(16).fill(1),
        kind: kind ?? ConversationKind.GROUP,
        settings: settings ?? { title: "again" },
        members,
      },
    });
  assert.equal(await make(), "CONVERSATION_CHANGED");
  const nonce = new Uint8Array(16).fill(2);
  const wrongs: readonly Wanted[] = [
    { nonce: new Uint8Array(15) },
    { nonce, kind: ConversationKind.DIRECT },
    { nonce, kind: 9 as ConversationKind },
    { nonce, settings: { title: "" } },
    { nonce, settings: { title: "x".repeat(257) } },
    { nonce, members: [{ userId: "bob", role: OWNER }] },
    { nonce, members: [{ userId: "bob", role: 0 }] },
    { nonce, members: [{ userId: "ann", role: MEMBER }] },
    {
      nonce,
      members: [
        { userId: "bob", role: MEMBER },
        { userId: "bob", role: READER },
      ],
    },
  ];
  for (const wrong of wrongs) {
    assert.equal(await make(wrong), "CONVERSATION_INVALID", JSON.stringify(Object.keys(wrong)));
  }
  const nobody = { nonce, members: [{ userId: "nobody", role: MEMBER }] };
  assert.equal(await make(nobody), "USER_UNKNOWN");
});

test("[CNV-3] of another tenant nothing is seen or changed, whatever its users are called", async () => {
  const town = await Town.of(["ann", "bob"]);
  const other = await Town.of(["ann", "bob"], SMALL_RULES, town);
  const id = await town.makes("ann", { bob: MEMBER }, { settings: { join: JoinRule.OPEN } });
  const direct = directConversationId("ann", "bob");
  await town.says("ann", id, "ours");
  await town.says("ann", direct, "ours too");
  for (const operation of [edit(id, 1, "x"), recall(id, 1), join(id), mark(id, 1, 1)]) {
    assert.equal(await other.does("ann", operation), UNKNOWN, operation.case);
  }
  assert.equal(await other.does("ann", recall(direct, 1)), "MESSAGE_UNKNOWN");
  assert.equal(await other.makes("ann", { bob: MEMBER }), id, "the same id, of another one");
  assert.equal(await other.says("ann", id, "theirs"), 1);
  assert.equal(await other.says("ann", direct, "theirs too"), 1);
  assert.deepEqual((await other.lines("bob")).slice(1), ["1 theirs", "1 theirs too"]);
  assert.deepEqual((await town.lines("bob")).slice(1), ["1 ours", "1 ours too"]);
});

test("[CNV-4] whoever is not in it cannot tell that there is a conversation", async () => {
  const town = await Town.of(USERS);
  const id = await town.makes("ann", { bob: MEMBER });
  await town.says("ann", id, "a secret");
  const other = `g:${"a".repeat(26)}`;
  const asked = (conversationId: string): OperationKind[] => [
    { case: "sendMessage", value: { conversationId, content: text("?") } },
    edit(conversationId, 1, "?"),
    recall(conversationId, 1),
    react(conversationId, 1, "+"),
    mark(conversationId, 1, 1),
    changes(conversationId, { eve: OWNER }),
    changes(conversationId, {}, ["bob"]),
    join(conversationId),
    leave(conversationId),
    {
      case: "changeConversation",
      value: { conversationId, revision: 1n, settings: { title: "mine" } },
    },
  ];
  const before = [await town.lines("ann"), await town.lines("bob")];
  for (const [index, operation] of asked(id).entries()) {
    assert.equal(await town.does("eve", operation), UNKNOWN, operation.case);
    assert.equal(await town.does("eve", asked(other)[index] as OperationKind), UNKNOWN);
  }
  assert.deepEqual([await town.lines("ann"), await town.lines("bob")], before);
  assert.deepEqual(await town.lines("eve"), []);
});

test("[CNV-5] readers read, and in channels members too", async () => {
  const town = await Town.of(USERS);
  const members = { bob: ADMIN, cyd: MEMBER, dan: READER };
  const group = await town.makes("ann", members);
  const channel = await town.makes("ann", members, { kind: ConversationKind.CHANNEL, nonce: 2 });
  const who = ["ann", "bob", "cyd", "dan"];
  const says = (id: string) => Promise.all(who.map((user) => town.says(user, id, user)));
  assert.deepEqual(await says(group), [1, 2, 3, DENIED]);
  assert.deepEqual(await says(channel), [1, 2, DENIED, DENIED]);
  assert.equal(await town.does("dan", react(group, 1, "+")), 0);
});

test("[CNV-6] [CNV-7] a newcomer reads from its coming on, or everything", async () => {
  const town = await Town.of(USERS);
  const settings: Settings = { history: HistoryVisibility.JOINED };
  const id = await town.makes("ann", {}, { settings });
  await town.says("ann", id, "before");
  assert.equal(await town.does("ann", changes(id, { bob: MEMBER })), 0);
  await town.says("ann", id, "after");
  assert.equal(await town.does("bob", react(id, 1, "+")), "MESSAGE_UNKNOWN");
  assert.equal(await town.does("bob", react(id, 2, "+")), 0);
  assert.equal(await town.does("bob", react(id, 3, "+")), "MESSAGE_UNKNOWN");
  const all = { case: "changeConversation", value: { conversationId: id, revision: 2n } } as const;
  const shown = { title: "t", history: HistoryVisibility.ALL };
  const result = await town.does("ann", { ...all, value: { ...all.value, settings: shown } });
  assert.equal(result, 0);
  await town.does("ann", changes(id, { cyd: MEMBER }));
  assert.equal(await town.does("cyd", react(id, 1, "+")), 0);
});

test("[CNV-7] what is said while somebody comes in is not shown to it", async () => {
  const town = await Town.of(["ann", "bob"]);
  const settings: Settings = { history: HistoryVisibility.JOINED };
  const id = await town.makes("ann", {}, { settings });
  const adds = await town.plans("ann", [changes(id, { bob: MEMBER })]);
  await town.says("ann", id, "not for bob");
  assert.equal(await adds(), undefined, "planned on another head: stale");
  await town.does("ann", changes(id, { bob: MEMBER }));
  assert.equal(await town.does("bob", react(id, 1, "+")), "MESSAGE_UNKNOWN");
});

test("[CNV-10] a message of somebody who was taken out meanwhile is not taken", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MEMBER });
  const late = await town.plans("bob", [
    { case: "sendMessage", value: { conversationId: id, content: text("too late") } },
  ]);
  await town.does("ann", changes(id, {}, ["bob"]));
  assert.equal(await late(), undefined);
  assert.equal(await town.says("bob", id, "too late"), UNKNOWN);
});

test("[CNV-12] contents of every kind, and each fault of them", async () => {
  const town = await Town.of(["ann"]);
  const id = directConversationId("ann", "ann");
  type Kind = NonNullable<
    NonNullable<Extract<OperationKind, { case: "sendMessage" }>["value"]["content"]>["kind"]
  >;
  const send = (kind: Kind) =>
    town.does("ann", { case: "sendMessage", value: { conversationId: id, content: { kind } } });
  const attachment = { kind: AttachmentKind.IMAGE, uri: "https://example.org/a.png" };
  const location = { latitude: 52.5, longitude: 13.4, label: "Berlin" };
  const legal: Kind[] = [
    { case: "custom", value: Uint8Array.of(0) },
    { case: "attachment", value: { ...attachment, mediaType: "image/png", caption: "look" } },
    { case: "attachment", value: { ...attachment, sha256: new Uint8Array(32) } },
    { case: "location", value: location },
  ];
  for (const kind of legal) assert.equal(typeof (await send(kind)), "number");
  const large = "x".repeat(1_001);
  const wrong: readonly (readonly [Kind, string])[] = [
    [{ case: "text", value: "" }, "MESSAGE_EMPTY"],
    [{ case: "text", value: large }, "MESSAGE_TOO_LARGE"],
    [{ case: "custom", value: new Uint8Array(0) }, "MESSAGE_EMPTY"],
    [{ case: "custom", value: new Uint8Array(1_001) }, "MESSAGE_TOO_LARGE"],
    [{ case: "attachment", value: { ...attachment, caption: large } }, "MESSAGE_TOO_LARGE"],
    [{ case: "attachment", value: { ...attachment, kind: 0 } }, "CONTENT_INVALID"],
    [{ case: "attachment", value: { ...attachment, uri: "no uri" } }, "CONTENT_INVALID"],
    [
      { case: "attachment", value: { ...attachment, uri: `a:${large}${large}${large}` } },
      "CONTENT_INVALID",
    ],
    [{ case: "attachment", value: { ...attachment, mediaType: "png" } }, "CONTENT_INVALID"],
    [
      { case: "attachment", value: { ...attachment, sha256: new Uint8Array(31) } },
      "CONTENT_INVALID",
    ],
    [{ case: "attachment", value: { ...attachment, name: large } }, "CONTENT_INVALID"],
    [{ case: "location", value: { ...location, latitude: 90.1 } }, "CONTENT_INVALID"],
    [{ case: "location", value: { ...location, longitude: Number.NaN } }, "CONTENT_INVALID"],
    [{ case: "location", value: { ...location, label: large } }, "CONTENT_INVALID"],
  ];
  for (const [kind, code] of wrong) assert.equal(await send(kind), code, JSON.stringify(kind.case));
});

test("[CNV-13] a reference names a message that the sender may read", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MEMBER });
  await town.says("ann", id, "one");
  const answer = (conversationSeq: bigint, kind: ReferenceKind) =>
    town.says("bob", id, "an answer", { reference: { kind, conversationSeq } });
  assert.equal(await answer(1n, ReferenceKind.REPLY), 2);
  assert.equal(await answer(1n, ReferenceKind.THREAD), 3);
  assert.equal(await answer(1n, 0), "CONTENT_INVALID");
  for (const seq of [0n, 4n, 2n ** 53n, 2n ** 64n - 1n]) {
    assert.equal(await answer(seq, ReferenceKind.QUOTE), "MESSAGE_UNKNOWN", `${seq}`);
  }
  await town.does("ann", recall(id, 1));
  assert.equal(await answer(1n, ReferenceKind.REPLY), "MESSAGE_UNKNOWN");
});

test("[CNV-15] [CNV-22] where they are many, a message reaches whom it calls", async () => {
  const town = await Town.of(USERS);
  const id = await town.makes("ann", { bob: ADMIN, cyd: MEMBER, dan: MEMBER, eve: READER });
  const messages = async (user: string) =>
    (await town.lines(user)).filter((line) => /^\d/.test(line));
  await town.says("cyd", id, "nobody called");
  await town.says("cyd", id, "dan called", { mentions: { userIds: ["dan"] } });
  await town.says("bob", id, "readers called", { mentions: { roles: [READER] } });
  await town.says("ann", id, "all called", { mentions: { everyone: true } });
  assert.deepEqual(await messages("ann"), ["4 all called"]);
  assert.deepEqual(await messages("bob"), ["3 readers called", "4 all called"]);
  assert.deepEqual(await messages("cyd"), ["1 nobody called", "2 dan called", "4 all called"]);
  assert.deepEqual(await messages("dan"), ["2 dan called", "4 all called"]);
  assert.deepEqual(await messages("eve"), ["3 readers called", "4 all called"]);
  assert.deepEqual(town.numbers(mentionsRef("acme", id, "dan")), [2]);
  assert.equal(await town.does("cyd", recall(id, 1)), 1);
  for (const user of USERS) assert.ok((await messages(user)).includes("1 recalled by cyd"), user);
});

test("[CNV-20] [CNV-21] only members are called, roles by admins", async () => {
  const town = await Town.of(USERS);
  const id = await town.makes("ann", { bob: MEMBER });
  const calls = (user: string, mentions: object) => town.says(user, id, "you!", { mentions });
  assert.equal(await calls("bob", { userIds: ["eve"] }), "MEMBER_UNKNOWN");
  assert.equal(await calls("bob", { userIds: Array(65).fill("ann") }), "MEMBER_UNKNOWN");
  assert.equal(await calls("bob", { roles: [7] }), "MEMBER_UNKNOWN");
  assert.equal(await calls("bob", { roles: [OWNER] }), DENIED);
  assert.equal(await calls("bob", { everyone: true }), 1, "they are few");
  assert.equal(await calls("ann", { roles: [MEMBER] }), 2);
  await town.does("ann", changes(id, { cyd: MEMBER, dan: MEMBER, eve: MEMBER }));
  assert.equal(await calls("bob", { everyone: true }), DENIED);
});

test("[CNV-17] [CNV-26] an edit takes the old content's place everywhere", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: ADMIN });
  await town.says("ann", id, "frist", { mentions: { userIds: ["bob"] } });
  assert.equal(await town.does("bob", edit(id, 1, "mine")), DENIED);
  assert.equal(await town.does("ann", edit(id, 1, "")), "MESSAGE_EMPTY");
  assert.equal(await town.does("ann", edit(id, 1, "first")), 1);
  assert.equal(await town.does("ann", edit(id, 1, "First")), 1);
  const lines = (await town.lines("bob")).slice(1);
  assert.deepEqual(lines, ["1 First (edit 2)", "1 First (edit 2)", "1 First (edit 2)"]);
  const [{ event } = {}] = (await town.told("bob")).slice(-1);
  assert.ok(event?.kind.case === "message");
  assert.deepEqual(event.kind.value.mentions?.userIds, ["bob"], "called once, stays called");
  assert.equal(await town.does("ann", changes(id, { ann: OWNER, bob: OWNER })), 0);
  await town.does("bob", changes(id, { ann: READER }));
  assert.equal(await town.does("ann", edit(id, 1, "again")), DENIED, "who may not write");
});

test("[CNV-18] [CNV-19] who recalls, until when, and what is left", async () => {
  const town = await Town.of(["ann", "bob", "cyd"]);
  const id = await town.makes("ann", { bob: ADMIN, cyd: MEMBER });
  for (const said of ["first", "second", "third"]) await town.says("cyd", id, said);
  await town.does("bob", react(id, 1, "+"));
  assert.equal(await town.does("cyd", recall(id, 1)), 1);
  assert.equal(await town.does("cyd", recall(id, 1)), "MESSAGE_UNKNOWN");
  assert.equal(await town.does("cyd", edit(id, 1, "back")), "MESSAGE_UNKNOWN");
  town.nowMs += 1_001;
  assert.equal(await town.does("cyd", recall(id, 2)), "RECALL_TOO_LATE");
  assert.equal(await town.does("bob", recall(id, 2)), 2);
  const mine = Number(await town.says("ann", id, "mine"));
  assert.equal(await town.does("cyd", recall(id, mine)), DENIED);
  const lines = (await town.lines("ann")).filter((line) => line.startsWith("1 "));
  assert.deepEqual(lines, ["1 recalled by cyd", "1 ++", "1 recalled by cyd"]);
  assert.deepEqual(town.numbers(recalledRef("acme", id)), [1, 2]);
  const left = JSON.stringify(
    [...town.store.disk.logs.values()].flat().map(({ event }) => `${Buffer.from(event)}`),
  );
  assert.ok(!left.includes("first") && !left.includes("second") && left.includes("third"));
  const direct = directConversationId("ann", "bob");
  await town.says("bob", direct, "between us");
  assert.equal(await town.does("ann", recall(direct, 1)), DENIED, "nobody is an admin");
});

test("[CNV-6] [CNV-19] a recall tells nothing of a message to whom came after it", async () => {
  const town = await Town.of(["ann", "bob", "cyd", "dan", "eve"]);
  const settings = { history: HistoryVisibility.JOINED };
  const id = await town.makes("ann", { bob: MEMBER, dan: MEMBER }, { settings });
  await town.says("bob", id, "before cyd");
  await town.does("ann", changes(id, { cyd: MEMBER, eve: MEMBER }));
  await town.says("bob", id, "cyd hears it");
  const before = (await town.lines("cyd")).length;
  assert.equal(await town.does("bob", recall(id, 1)), 1);
  assert.equal((await town.lines("cyd")).length, before, "not even that it was there");
  for (const user of ["ann", "dan"]) {
    assert.equal((await town.lines(user)).at(-1), "1 recalled by bob", "however many they are");
  }
  assert.equal(await town.does("bob", recall(id, 2)), 2);
  assert.equal((await town.lines("cyd")).at(-1), "2 recalled by bob");
});

test("[CNV-25] an edit and a recall at once come to a recall", async () => {
  const town = await Town.of(["ann"]);
  const id = directConversationId("ann", "ann");
  for (const order of ["edit first", "recall first"]) {
    const seq = Number(await town.says("ann", id, "said"));
    const edits = await town.plans("ann", [edit(id, seq, "edited")]);
    const recalls = await town.plans("ann", [recall(id, seq)]);
    const [first, second] = order === "edit first" ? [edits, recalls] : [recalls, edits];
    assert.deepEqual(await first(), [seq]);
    assert.equal(await second(), undefined, "stale");
    if (order === "edit first") await town.does("ann", recall(id, seq));
    else assert.equal(await town.does("ann", edit(id, seq, "x")), "MESSAGE_UNKNOWN");
    assert.equal((await town.lines("ann")).at(-1), `${seq} recalled by ann`);
  }
  const seq = Number(await town.says("ann", id, "said"));
  const batch = [edit(id, seq, "edited"), recall(id, seq), edit(id, seq, "back")];
  assert.deepEqual(await town.doesAll("ann", batch), [seq, seq, "MESSAGE_UNKNOWN"]);
});

test("[CNV-23] [CNV-24] one reacts once in one way", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: READER });
  await town.says("ann", id, "one");
  const lines = async () => (await town.lines("ann")).slice(2);
  for (const operation of [react(id, 1, "+"), react(id, 1, "+"), react(id, 1, "-", true)]) {
    assert.equal(await town.does("bob", operation), 0);
  }
  assert.deepEqual(await lines(), ["1 ++"]);
  await town.does("bob", react(id, 1, "+", true));
  assert.deepEqual(await lines(), ["1 ++", "1 -+"]);
  assert.equal(await town.does("bob", react(id, 1, "")), "REACTION_REFUSED");
  assert.equal(await town.does("bob", react(id, 1, "x".repeat(33))), "REACTION_REFUSED");
  for (let kind = 0; kind < 16; kind += 1) await town.does("bob", react(id, 1, `${kind}`));
  assert.equal(await town.does("ann", react(id, 1, "one more")), "REACTION_REFUSED");
  assert.equal(await town.does("ann", react(id, 1, "7")), 0);
});

test("[CNV-30] [CNV-32] [CNV-33] marks merge, and one's own are marked", async () => {
  const town = await Town.of(["ann", "bob"]);
  const id = await town.makes("ann", { bob: MEMBER });
  for (let number = 1; number <= 5; number += 1) await town.says("ann", id, `${number}`);
  assert.deepEqual(town.numbers(readRef("acme", id, "ann")), [1, 2, 3, 4, 5]);
  const read = () => town.numbers(readRef("acme", id, "bob"));
  for (const [from, through] of [
    [4, 4],
    [1, 2],
    [4, 4],
  ] as const) {
    assert.equal(await town.does("bob", mark(id, from, through)), 0);
  }
  assert.deepEqual(read(), [1, 2, 4]);
  for (const wrong of [mark(id, 1, 0), mark(id, 5, 6), mark(id, 1, 1, 6)]) {
    assert.equal(await town.does("bob", wrong), "MARK_INVALID");
  }
  const value = { conversationId: id, read: Uint8Array.of(0, 0, 0, 0), deliveredThrough: 0n };
  assert.equal(await town.does("bob", { case: "mark", value }), "MARK_INVALID");
  assert.deepEqual(read(), [1, 2, 4]);
});

test("[CNV-34] [CNV-35] who is told what one has read", async () => {
  const town = await Town.of(USERS);
  const told = async (user: string) =>
    (await town.lines(user)).filter((line) => line === "marksChanged").length;
  const small = await town.makes("ann", { bob: MEMBER, cyd: MEMBER });
  const large = await town.makes("ann", { bob: MEMBER, cyd: MEMBER, dan: MEMBER }, { nonce: 2 });
  const direct = directConversationId("ann", "bob");
  for (const id of [small, large, direct]) await town.says("ann", id, "one");
  const counts = async () => [await told("ann"), await told("bob"), await told("cyd")];
  await town.does("bob", mark(small, 1, 1));
  assert.deepEqual(await counts(), [1, 1, 1]);
  await town.does("bob", mark(large, 1, 1));
  assert.deepEqual(await counts(), [1, 2, 1]);
  await town.does("bob", mark(direct, 1, 1));
  assert.deepEqual(await counts(), [2, 3, 1]);
  const preferences = { receiptsHidden: true };
  await town.does("bob", { case: "changePreferences", value: { preferences } });
  await town.does("bob", mark(small, 1, 1, 1));
  assert.deepEqual(await counts(), [2, 4, 1]);
  assert.ok((await town.lines("bob")).includes("preferencesChanged"));
  assert.ok(!(await town.lines("ann")).includes("preferencesChanged"));
});

test("[CNV-41] who is added is there, and has room", async () => {
  const town = await Town.of([...USERS, "fay", "gus"]);
  const id = await town.makes("ann", { bob: MEMBER });
  assert.equal(await town.does("ann", changes(id, { nobody: MEMBER })), "USER_UNKNOWN");
  assert.equal(await town.does("ann", changes(id, { "no user": MEMBER })), "USER_ID_INVALID");
  const six = { cyd: MEMBER, dan: MEMBER, eve: MEMBER, fay: MEMBER, gus: MEMBER };
  assert.equal(await town.does("ann", changes(id, six)), "MEMBERS_FULL");
  await town.makes("ann", { bob: MEMBER }, { nonce: 2 });
  const third = await town.makes("ann", { bob: MEMBER }, { nonce: 3 });
  const fourth = await town.makes("cyd");
  const adds = () => town.does("cyd", changes(fourth, { bob: MEMBER }));
  assert.equal(await adds(), "CONVERSATIONS_FULL", "others take half of the places");
  const own = await town.makes("bob");
  await town.makes("bob", {}, { nonce: 2 });
  const sixth = await town.makes("dan", {}, { settings: { join: JoinRule.OPEN } });
  assert.equal(await town.does("bob", join(sixth)), "CONVERSATIONS_FULL");
  await town.does("bob", leave(own));
  assert.equal(await town.does("bob", join(sixth)), 0, "the user itself takes all of them");
  for (const left of [id, third, sixth]) await town.does("bob", leave(left));
  assert.equal(await adds(), 0);
});

test("[CNV-42] [CNV-44] a change of members is whole or none", async () => {
  const town = await Town.of(USERS);
  const id = await town.makes("ann", { bob: MEMBER });
  const before = await town.lines("bob");
  const refused: readonly (readonly [OperationKind, string])[] = [
    [changes(id, { cyd: MEMBER, nobody: MEMBER }), "USER_UNKNOWN"],
    [changes(id, { cyd: MEMBER }, ["dan"]), "MEMBER_UNKNOWN"],
    [changes(id, { bob: READER }, ["bob"]), "CONVERSATION_INVALID"],
    [changes(id, {}), "CONVERSATION_INVALID"],
    [changes(id, { cyd: 5 as MemberRole }), "CONVERSATION_INVALID"],
    [changes("d:ann:bob", { cyd: MEMBER }), DENIED],
  ];
  for (const [operation, code] of refused) assert.equal(await town.does("ann", operation), code);
  assert.deepEqual(await town.lines("bob"), before);
});

test("[CNV-43] [CNV-46] who changes whom", async () => {
  const town = await Town.of(USERS);
  const id = await town.makes("ann", { bob: ADMIN, cyd: MEMBER, dan: ADMIN });
  const as = (user: string, ...change: [Record<string, MemberRole>, string[]?]) =>
    town.does(user, changes(id, ...change));
  assert.equal(await as("cyd", { eve: MEMBER }), DENIED);
  assert.equal(await as("bob", { eve: ADMIN }), DENIED);
  assert.equal(await as("bob", { dan: MEMBER }), DENIED);
  assert.equal(await as("bob", {}, ["dan"]), DENIED);
  assert.equal(await as("bob", {}, ["ann"]), DENIED);
  assert.equal(await as("bob", {}, ["bob"]), DENIED);
  assert.equal(await as("bob", { bob: OWNER }), DENIED);
  assert.equal(await as("bob", { cyd: READER }), 0);
  assert.equal(await as("ann", { ann: ADMIN }), "LAST_OWNER");
  assert.equal(await town.does("ann", leave(id)), "LAST_OWNER");
  assert.equal(await as("ann", { bob: OWNER }), 0);
  assert.equal(await town.does("ann", leave(id)), 0);
  assert.equal(await as("bob", {}, ["cyd", "dan"]), 0);
  assert.equal(await town.does("bob", leave(id)), 0, "the last one may go");
  assert.equal(await town.says("bob", id, "?"), UNKNOWN);
});

test("[CNV-45] an ordinal is nobody else's, also after somebody left", async () => {
  const town = await Town.of(USERS);
  const id = await town.makes("ann", { bob: MEMBER });
  await town.does("ann", changes(id, {}, ["bob"]));
  await town.does("ann", changes(id, { cyd: MEMBER }));
  await town.does("ann", changes(id, { bob: MEMBER }));
  const ordinals = (await town.told("ann")).flatMap(({ event: { kind } }) =>
    kind.case === "conversationChanged"
      ? kind.value.members.map(({ userId, ordinal }) => `${userId} ${ordinal}`)
      : [],
  );
  assert.deepEqual(ordinals, ["ann 0", "bob 1", "cyd 2", "bob 3"]);
});

test("[CNV-47] an open conversation is joined by its id", async () => {
  const town = await Town.of(USERS);
  const settings: Settings = { join: JoinRule.OPEN };
  const room = await town.makes("ann", {}, { kind: ConversationKind.ROOM, settings });
  const channel = await town.makes(
    "ann",
    {},
    { kind: ConversationKind.CHANNEL, settings, nonce: 2 },
  );
  const closed = await town.makes("ann", {}, { nonce: 3 });
  assert.equal(await town.does("bob", join(closed)), UNKNOWN);
  assert.equal(await town.does("bob", join(directConversationId("bob", "bob"))), 0, "is in it");
  assert.equal(await town.does("bob", join(room)), 0);
  assert.equal(await town.does("bob", join(room)), 0);
  assert.equal(await town.says("bob", room, "hello"), 1);
  assert.equal(await town.does("cyd", join(channel)), 0);
  assert.equal(await town.says("cyd", channel, "hello"), DENIED);
  const lines = (await town.lines("ann")).slice(3);
  assert.deepEqual(lines, ["bob: bob=2", "1 hello", "cyd: cyd=1"]);
});

test("[CNV-48] [CNV-49] settings change from one revision to the next", async () => {
  const town = await Town.of(USERS);
  const id = await town.makes("ann", { bob: ADMIN, cyd: MEMBER });
  const change = (user: string, revision: bigint, title: string) =>
    town.does(user, {
      case: "changeConversation",
      value: { conversationId: id, revision, settings: { title } },
    });
  assert.equal(await change("cyd", 1n, "mine"), DENIED);
  assert.equal(await change("bob", 1n, ""), "CONVERSATION_INVALID");
  assert.equal(await change("bob", 1n, "second"), 0);
  assert.equal(await change("ann", 1n, "third"), "CONVERSATION_CHANGED");
  assert.equal(await change("ann", 2n, "third"), 0);
  await town.does("ann", changes(id, { dan: MEMBER }, ["cyd"]));
  const shown = (await town.told("cyd")).map(({ event: { kind } }) =>
    kind.case === "conversationChanged"
      ? `${kind.value.conversation?.revision} ${kind.value.conversation?.settings?.title}`
      : "",
  );
  assert.deepEqual(shown, ["1 a title", "2 second", "3 third", "4 third"]);
  await town.does("ann", changes(id, { cyd: MEMBER }));
  await town.does("ann", changes(id, { eve: READER }));
  assert.ok((await town.lines("bob")).includes("ann: eve=1"), "an admin");
  assert.ok(!(await town.lines("dan")).includes("ann: eve=1"), "one of many");
});

test("[CNV-16] however many talk to somebody, those written in last are listed", async () => {
  const others = Array.from({ length: 2_100 }, (_, index) => `u${index + 1}`);
  const town = await Town.of(["ann", "bob", ...others]);
  const direct = (userId: string) => directConversationId("ann", userId);
  const listed = () => namesIn(town.store.disk.document(directsRef("acme", "ann")));
  const written: string[] = [];
  const says = async (by: string, to: string, id: string) => {
    await town.does(by, { case: "sendDirect", value: { toUserId: to, content: text("hello") } });
    written.push(id);
  };
  await says("bob", "ann", direct("bob"));
  for (const [index, other] of others.entries()) {
    await says(other, "ann", direct(other));
    if (index % 700 === 699) await says("ann", "bob", direct("bob"));
    if (index % 150 !== 149) continue;
    const names = new Set(listed());
    const missing = lastOf(written, 1_000).filter((id) => !names.has(id));
    assert.deepEqual(missing, [], `after ${index + 1}`);
  }
  assert.ok(listed().length <= 2_000);
});

/** The last distinct ones of a list. */
function lastOf(names: readonly string[], count: number): readonly string[] {
  return [...new Set([...names].reverse())].slice(0, count);
}
