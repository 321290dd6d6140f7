import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ConversationKind,
  ConversationSettingsSchema,
  MemberRole,
  MemberSchema,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import type { Event } from "../../gen/posthorn/v1/event_pb.ts";
import type { ContactSchema, ProfileSchema } from "../../gen/posthorn/v1/users_pb.ts";
import { directConversationId } from "../../protocol/conversation-id.ts";
import { encodeNumberSet, numbersFrom } from "../../protocol/number-set.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import { addressBookIn, addressBookRef } from "./address-book.ts";
import { blocksRef } from "./blocks.ts";
import { contactsRef } from "./presence.ts";
import { profileIn, profileRef } from "./profiles.ts";
import { type OperationKind, SMALL_RULES, Town } from "./testdata/town.ts";

const { MEMBER, ADMIN } = MemberRole;
const USERS = ["ann", "bob", "cyd", "dan", "eve"];
const HERE = directConversationId("ann", "bob");

type EventName = NonNullable<Event["kind"]["case"]>;
type ValueOf<Name> = Extract<Event["kind"], { case: Name; value: object }>["value"];

const text = (value: string) => ({ kind: { case: "text" as const, value } });
const block = (...blockUserIds: string[]): OperationKind => ({
  case: "changeBlocks",
  value: { blockUserIds },
});
const unblock = (...unblockUserIds: string[]): OperationKind => ({
  case: "changeBlocks",
  value: { unblockUserIds },
});
const write = (toUserId: string): OperationKind => ({
  case: "sendDirect",
  value: { toUserId, content: text("hello") },
});
const edit: OperationKind = {
  case: "editMessage",
  value: { conversationId: HERE, conversationSeq: 1n, content: text("hello there") },
};
const recall: OperationKind = {
  case: "recallMessage",
  value: { conversationId: HERE, conversationSeq: 1n },
};
const react = (reaction: string, remove = false): OperationKind => ({
  case: "react",
  value: { conversationId: HERE, conversationSeq: 1n, reaction, remove },
});
const mark = (conversationId: string): OperationKind => ({
  case: "mark",
  value: { conversationId, read: encodeNumberSet(numbersFrom(1, 1)) },
});
const says = (profile?: MessageInitShape<typeof ProfileSchema>): OperationKind => ({
  case: "changeProfile",
  value: profile === undefined ? {} : { profile },
});
const contacts = (
  set: MessageInitShape<typeof ContactSchema>[],
  removeUserIds: string[] = [],
): OperationKind => ({ case: "changeContacts", value: { set, removeUserIds } });
const add = (conversationId: string, ...userIds: string[]): OperationKind => ({
  case: "changeMembers",
  value: { conversationId, set: userIds.map((userId) => ({ userId, role: MEMBER })) },
});

function make(...userIds: string[]): OperationKind {
  const members = userIds.map((userId) => create(MemberSchema, { userId, role: MEMBER }));
  const settings = create(ConversationSettingsSchema, { title: "a title" });
  const nonce = new Uint8Array(16).fill(9);
  const value = { nonce, kind: ConversationKind.GROUP, settings, members };
  return { case: "createConversation", value };
}

/** The events of one kind on a user's timeline. */
async function toldOf<Name extends EventName>(
  town: Town,
  userId: string,
  name: Name,
): Promise<readonly ValueOf<Name>[]> {
  const kinds = (await town.told(userId)).map(({ event: { kind } }) => kind);
  return kinds.flatMap((kind) => (kind.case === name ? [kind.value as ValueOf<Name>] : []));
}

test("[USR-1] a profile has bounds, and nothing is taken of one that is above them", async () => {
  const town = await Town.of(["ann"]);
  const legal = [
    { displayName: "ä".repeat(64), about: "x".repeat(256) },
    { avatarUri: `https://a.example/${"p".repeat(494)}` },
    { displayName: "Zoë 🐝", about: "two\nlines" },
  ];
  for (const profile of legal) assert.equal(await town.does("ann", says(profile)), 0);
  const kept = profileIn(documentOf(town, profileRef("acme", "ann")));
  assert.equal(kept.displayName, "Zoë 🐝");
  const illegal = [
    { displayName: `${"ä".repeat(64)}x` },
    { displayName: "a\nb" },
    { displayName: "a\u0085b" },
    { about: "x".repeat(257) },
    { avatarUri: `https://a.example/${"p".repeat(495)}` },
    { avatarUri: "no uri" },
    { avatarUri: "https://a.example/ä" },
  ];
  for (const profile of illegal) {
    assert.equal(await town.does("ann", says(profile)), "PROFILE_INVALID");
  }
  assert.equal((await town.told("ann")).length, legal.length);
});

test("[USR-2] [USR-3] the last profile wins, and what changes nothing is told nobody", async () => {
  const town = await Town.of(["ann"]);
  assert.equal(await town.does("ann", says()), 0, "none, as before");
  await town.does("ann", says({ displayName: "Ann", about: "here" }));
  await town.does("ann", says({ displayName: "Ann", about: "here" }));
  await town.does("ann", says({ displayName: "Annie" }));
  await town.does("ann", says());
  const told = await toldOf(town, "ann", "profileChanged");
  assert.deepEqual(
    told.map(({ userId, profile, revision }) => [
      userId,
      profile?.displayName,
      profile?.about,
      revision,
    ]),
    [
      ["ann", "Ann", "here", 1n],
      ["ann", "Annie", "", 2n],
      ["ann", "", "", 3n],
    ],
  );
});

test("[USR-4] a profile is told those to whom its user has written last, and nobody else", async () => {
  const town = await Town.of(USERS);
  for (const userId of ["bob", "cyd", "dan"]) await town.does("ann", write(userId));
  await town.does("eve", write("ann"));
  await town.does("ann", says({ displayName: "Ann" }));
  const told = await Promise.all(
    USERS.map(async (userId) => (await toldOf(town, userId, "profileChanged")).length),
  );
  assert.deepEqual(told, [1, 0, 1, 1, 0], "two others here, the last ones");
});

test("[USR-4] an operator may have nobody told but the user", async () => {
  const users = { ...SMALL_RULES.users, profileToldMax: 0 };
  const town = await Town.of(["ann", "bob"], { ...SMALL_RULES, users });
  await town.does("ann", write("bob"));
  await town.does("ann", says({ displayName: "Ann" }));
  assert.equal((await toldOf(town, "ann", "profileChanged")).length, 1);
  assert.equal((await toldOf(town, "bob", "profileChanged")).length, 0);
});

test("[USR-10] [USR-11] contacts have bounds, and a change is taken whole or not at all", async () => {
  const town = await Town.of(["ann"]);
  const names = (count: number) => Array.from({ length: count }, (_, index) => `u${index}`);
  const refusals: readonly (readonly [OperationKind, string])[] = [
    [contacts([]), "CONTENT_INVALID"],
    [contacts([{ userId: "bob" }, { userId: "bob" }]), "CONTENT_INVALID"],
    [contacts([{ userId: "bob" }], ["bob"]), "CONTENT_INVALID"],
    [contacts(names(101).map((userId) => ({ userId }))), "CONTENT_INVALID"],
    [contacts([{ userId: "bob" }, { userId: "no body" }]), "USER_ID_INVALID"],
    [contacts([{ userId: "bob" }], [""]), "USER_ID_INVALID"],
    [contacts([{ userId: "bob", alias: "x".repeat(129) }]), "CONTENT_INVALID"],
    [contacts([{ userId: "bob", alias: "a\tb" }]), "CONTENT_INVALID"],
    [contacts([{ userId: "bob", note: "x".repeat(257) }]), "CONTENT_INVALID"],
    [contacts(names(4).map((userId) => ({ userId }))), "CONTACTS_FULL"],
    [block(), "CONTENT_INVALID"],
    [block("bob", "bob"), "CONTENT_INVALID"],
    [block(...names(101)), "CONTENT_INVALID"],
    [block("no body"), "USER_ID_INVALID"],
    [block("bob", "ann"), "NOT_PERMITTED"],
    [block(...names(4)), "CONTACTS_FULL"],
  ];
  for (const [kind, code] of refusals) assert.equal(await town.does("ann", kind), code);
  assert.deepEqual(await town.told("ann"), []);
  assert.equal(await town.does("ann", contacts(names(3).map((userId) => ({ userId })))), 0);
  assert.equal(await town.does("ann", contacts([{ userId: "u9" }])), "CONTACTS_FULL");
  assert.equal(await town.does("ann", contacts([{ userId: "u9" }], ["u0"])), 0);
});

test("[USR-10] a list of contacts is not larger than can be written with each change", async () => {
  const users = { ...SMALL_RULES.users, contactsMax: 1_000 };
  const town = await Town.of(["ann"], { ...SMALL_RULES, users });
  const note = "n".repeat(256);
  const hundred = (from: number) =>
    contacts(Array.from({ length: 100 }, (_, index) => ({ userId: `u${from + index}`, note })));
  const results: unknown[] = [];
  for (let from = 0; from < 600; from += 100) results.push(await town.does("ann", hundred(from)));
  assert.deepEqual(results, [0, 0, 0, 0, "CONTACTS_FULL", "CONTACTS_FULL"]);
  assert.ok(documentOf(town, addressBookRef("acme", "ann")).bytes.length <= 131_072);
});

test("[USR-12] changes of contacts by several devices come together", async () => {
  const town = await Town.of(["ann"]);
  await town.does("ann", contacts([{ userId: "bob", alias: "B" }, { userId: "cyd" }]));
  // Planned on the same list, and committed one after the other.
  const stale = await town.plans("ann", [contacts([{ userId: "dan", note: "new" }])]);
  await town.does("ann", contacts([{ userId: "bob", alias: "Bobby" }], ["cyd"]));
  assert.equal(await stale(), undefined, "planned again");
  await town.does("ann", contacts([{ userId: "dan", note: "new" }]));
  const kept = addressBookIn(documentOf(town, addressBookRef("acme", "ann"))).contacts;
  assert.deepEqual(
    kept.map(({ userId, alias, note }) => [userId, alias, note]),
    [
      ["bob", "Bobby", ""],
      ["dan", "", "new"],
    ],
  );
});

test("[USR-12] [USR-13] only the user is told of its contacts, and of what is another than before", async () => {
  const town = await Town.of(["ann", "bob"]);
  await town.does("ann", write("bob"));
  await town.does("ann", contacts([{ userId: "bob", alias: "B" }, { userId: "nobody" }]));
  await town.does("ann", contacts([{ userId: "bob", alias: "B" }], ["cyd"]));
  await town.does("ann", contacts([{ userId: "bob", alias: "B" }, { userId: "dan" }], ["nobody"]));
  const told = await toldOf(town, "ann", "contactsChanged");
  assert.deepEqual(
    told.map(({ set, removedUserIds, revision }) => [
      set.map(({ userId }) => userId),
      removedUserIds,
      revision,
    ]),
    [
      [["bob", "nobody"], [], 1n],
      [["dan"], ["nobody"], 2n],
    ],
  );
  assert.deepEqual(await town.lines("bob"), ["1 hello"]);
  const shown = namesIn(documentOf(town, contactsRef("acme", "ann")));
  assert.deepEqual(shown, ["bob"], "those to whom it has written, and no others");
});

test("[USR-20] [USR-26] whom somebody blocks is told its own devices, once", async () => {
  const town = await Town.of(["ann", "bob"]);
  await town.does("ann", block("bob", "never-here"));
  await town.does("ann", block("bob"));
  await town.does("ann", { case: "changeBlocks", value: { blockUserIds: ["bob", "cyd"] } });
  await town.does("ann", unblock("never-here", "eve"));
  const told = await toldOf(town, "ann", "blocksChanged");
  assert.deepEqual(
    told.map(({ blockedUserIds, unblockedUserIds, revision }) => [
      blockedUserIds,
      unblockedUserIds,
      revision,
    ]),
    [
      [["bob", "never-here"], [], 1n],
      [["cyd"], [], 2n],
      [[], ["never-here"], 3n],
    ],
  );
  assert.deepEqual(await town.told("bob"), []);
  assert.deepEqual(namesIn(documentOf(town, blocksRef("acme", "ann"))), ["bob", "cyd"]);
});

test("[USR-20] whoever blocks more than it may any more can unblock", async () => {
  const town = await Town.of(["ann"]);
  await town.does("ann", block("bob", "cyd", "dan"));
  const users = { ...SMALL_RULES.users, blocksMax: 1 };
  const beside = await Town.of(["ann"], { ...SMALL_RULES, users });
  const ref = blocksRef("acme", "ann");
  beside.store.disk.documents.set(ref, documentOf(town, ref));
  const change = (blockUserIds: string[], unblockUserIds: string[]): OperationKind => ({
    case: "changeBlocks",
    value: { blockUserIds, unblockUserIds },
  });
  assert.equal(await beside.does("ann", change(["eve"], ["bob"])), "CONTACTS_FULL");
  assert.equal(await beside.does("ann", change([], ["bob"])), 0);
  assert.deepEqual(namesIn(documentOf(beside, ref)), ["cyd", "dan"]);
});

test("[USR-21] nothing is said between two of whom one blocks the other", async () => {
  const town = await Town.of(["ann", "bob", "cyd"]);
  await town.does("ann", write("bob"));
  await town.does("bob", react("ok"));
  await town.does("bob", block("ann"));
  const before = await town.lines("bob");
  for (const userId of ["ann", "bob"]) {
    const other = userId === "ann" ? "bob" : "ann";
    assert.equal(await town.does(userId, write(other)), "BLOCKED");
    assert.equal(await town.says(userId, HERE, "hello"), "BLOCKED");
    assert.equal(await town.does(userId, edit), "BLOCKED");
    assert.equal(await town.does(userId, react("no")), "BLOCKED");
    assert.equal(await town.does(userId, react("ok", true)), "BLOCKED");
    assert.equal(await town.does(userId, mark(HERE)), 0);
  }
  assert.equal(await town.does("cyd", write("bob")), 1);
  assert.equal(await town.does("ann", write("ann")), 1);
  assert.equal(await town.does("ann", recall), 1, "a recall brings nothing");
  const after = (await town.lines("bob")).slice(before.length);
  // Each recall takes the place of what was there: also of the first line.
  assert.deepEqual(after, ["marksChanged", "1 hello", "1 recalled by ann"]);
  await town.does("bob", unblock("ann"));
  assert.equal(await town.does("ann", write("bob")), 2);
});

test("[USR-22] nobody is brought into a conversation by whom it blocks", async () => {
  const town = await Town.of(USERS);
  await town.does("bob", block("ann"));
  assert.equal(await town.does("ann", make("cyd", "bob")), "BLOCKED");
  const group = await town.makes("ann", { cyd: MEMBER, eve: ADMIN });
  assert.equal(await town.does("ann", add(group, "dan", "bob")), "BLOCKED");
  assert.equal(await town.does("eve", add(group, "bob")), 0, "whom eve may bring in");
  // Inside nothing else changes.
  assert.equal(await town.says("ann", group, "for all"), 1);
  assert.equal(await town.says("bob", group, "for all too"), 2);
  for (const userId of ["ann", "bob"]) {
    const lines = (await town.lines(userId)).filter((line) => line.includes("for all"));
    assert.deepEqual(lines, ["1 for all", "2 for all too"]);
  }
  const role = { case: "changeMembers" as const };
  const set = [{ userId: "bob", role: MemberRole.READER }];
  assert.equal(await town.does("ann", { ...role, value: { conversationId: group, set } }), 0);
});

test("[USR-23] a block takes both off the list of those to whom the other one shows itself", async () => {
  const town = await Town.of(["ann", "bob", "cyd"]);
  for (const [from, to] of [
    ["ann", "bob"],
    ["bob", "ann"],
    ["ann", "cyd"],
  ] as const) {
    await town.does(from, write(to));
  }
  await town.does("bob", block("ann"));
  const written = (userId: string) => namesIn(documentOf(town, contactsRef("acme", userId)));
  assert.deepEqual([written("ann"), written("bob")], [["cyd"], []]);
  await town.does("ann", says({ displayName: "Ann" }));
  await town.does("bob", says({ displayName: "Bob" }));
  assert.equal((await toldOf(town, "bob", "profileChanged")).length, 1, "its own");
  assert.equal((await toldOf(town, "ann", "profileChanged")).length, 1, "its own");
  assert.equal((await toldOf(town, "cyd", "profileChanged")).length, 1);
  await town.does("bob", unblock("ann"));
  assert.deepEqual(written("ann"), ["cyd"]);
  await town.does("ann", write("bob"));
  assert.deepEqual(written("ann"), ["cyd", "bob"]);
});

test("[USR-24] receipts are kept from those whom a user blocks", async () => {
  const town = await Town.of(["ann", "bob", "cyd"]);
  const group = await town.makes("ann", { bob: MEMBER, cyd: MEMBER });
  await town.says("cyd", group, "hello");
  await town.does("bob", block("ann"));
  await town.does("bob", mark(group));
  await town.does("ann", mark(group));
  const marksOf = async (userId: string) =>
    (await toldOf(town, userId, "marksChanged")).map((changed) => changed.userId);
  assert.deepEqual(await marksOf("ann"), ["ann"]);
  assert.deepEqual(await marksOf("bob"), ["bob", "ann"]);
  assert.deepEqual(await marksOf("cyd"), ["bob", "ann"]);
});

test("[USR-27] a block that is committed meanwhile holds", async () => {
  const races: readonly (readonly [OperationKind, string])[] = [
    [write("bob"), "BLOCKED"],
    [edit, "BLOCKED"],
    [react("no"), "BLOCKED"],
    [make("bob"), "BLOCKED"],
  ];
  for (const by of ["ann", "bob"]) {
    for (const [kind, code] of races) {
      if (by === "ann" && kind.case === "createConversation") continue;
      const town = await Town.of(["ann", "bob"]);
      await town.does("ann", write("bob"));
      const commit = await town.plans("ann", [kind]);
      await town.does(by, block(by === "ann" ? "bob" : "ann"));
      assert.equal(await commit(), undefined, `${kind.case} is planned again`);
      assert.equal(await town.does("ann", kind), code, kind.case);
    }
  }
});

test("[USR-27] what is kept back is kept back though it was under way", async () => {
  const town = await Town.of(["ann", "bob"]);
  await town.does("ann", write("bob"));
  await town.does("bob", write("ann"));
  const marks = await town.plans("bob", [mark(HERE)]);
  const profile = await town.plans("ann", [says({ displayName: "Ann" })]);
  await town.does("bob", block("ann"));
  assert.deepEqual([await marks(), await profile()], [undefined, undefined]);
});

test("[USR-27] a batch knows of the block before it", async () => {
  const town = await Town.of(["ann", "bob"]);
  const kinds = [write("bob"), block("bob"), write("bob"), unblock("bob"), write("bob")];
  assert.deepEqual(await town.doesAll("ann", kinds), [1, 0, "BLOCKED", 0, 2]);
});

function documentOf(town: Town, ref: Parameters<Town["numbers"]>[0]) {
  return documentsIn(new Map([[ref, town.store.disk.document(ref)]]))(ref);
}
