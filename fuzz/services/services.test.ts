import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { ConversationKind, MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ConversationsService } from "../../gen/posthorn/v1/conversations_pb.ts";
import { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { TodoState } from "../../gen/posthorn/v1/event_pb.ts";
import { type HistoryEntry, HistoryService } from "../../gen/posthorn/v1/history_pb.ts";
import { ContactsService, UsersService } from "../../gen/posthorn/v1/users_pb.ts";
import { decodeReadBitmap, hasRead } from "../../protocol/read-bitmap.ts";
import { refusalOf } from "./refusal.ts";
import { ServiceScene, WAYS } from "./scene.ts";
import { settle, type Town } from "./town.ts";

let scene: ServiceScene;
let town: Town;
before(async () => {
  scene = await ServiceScene.open();
  town = await settle(scene);
});
after(() => scene.close());

/** The services as one user asks them, whatever it asks over. */
interface Asking {
  readonly directory: Client<typeof KeyDirectoryService>;
  readonly history: Client<typeof HistoryService>;
  readonly conversations: Client<typeof ConversationsService>;
  readonly users: Client<typeof UsersService>;
  readonly contacts: Client<typeof ContactsService>;
}
type AskingAs = (user: string) => Promise<Asking>;

const unknown = { code: ErrorCode.CONVERSATION_UNKNOWN, status: Code.NotFound };
const noMessage = { code: ErrorCode.MESSAGE_UNKNOWN, status: Code.NotFound };
const denied = { code: ErrorCode.NOT_PERMITTED, status: Code.PermissionDenied };
const numbers = (entries: readonly HistoryEntry[]) =>
  entries.map(({ conversationSeq }) => Number(conversationSeq));
const textOf = (entry: HistoryEntry | undefined) => entry?.message?.content?.kind.value;
const span = (from: number, through: number) =>
  Array.from({ length: through - from + 1 }, (_, index) => from + index);

const SUITE: Readonly<Record<string, (as: AskingAs) => Promise<void>>> = {
  "answer what was asked": async (as) => {
    const { directory } = await as("ann");
    const { revision, devices } = await directory.listDevices({ userId: "nobody" });
    assert.deepEqual([revision, devices], [0n, []]);
  },

  "[SVC-9] refuse with a code and a status": async (as) => {
    const { directory } = await as("ann");
    const refused = await refusalOf(directory.listDevices({ userId: "no body" }));
    assert.deepEqual(refused, { code: ErrorCode.USER_ID_INVALID, status: Code.InvalidArgument });
  },

  "[SVC-12] read a log downwards and upwards, page by page": async (as) => {
    const { history } = await as("bob");
    const conversationId = town.group;
    const newest = await history.listMessages({ conversationId });
    assert.deepEqual(numbers(newest.entries), span(1, 10));
    assert.deepEqual([newest.next, newest.head], [0n, 10n]);
    let position: { case: "before" | "after"; value: bigint } = { case: "before", value: 0n };
    const first = await history.listMessages({ conversationId, countMax: 4 });
    assert.deepEqual([numbers(first.entries), first.next], [span(7, 10), 7n]);
    position = { case: "before", value: first.next };
    const second = await history.listMessages({ conversationId, countMax: 4, position });
    assert.deepEqual([numbers(second.entries), second.next], [span(3, 6), 3n]);
    position = { case: "before", value: second.next };
    const third = await history.listMessages({ conversationId, countMax: 4, position });
    assert.deepEqual([numbers(third.entries), third.next], [span(1, 2), 0n]);
    position = { case: "after", value: 0n };
    const up = await history.listMessages({ conversationId, countMax: 6, position });
    assert.deepEqual([numbers(up.entries), up.next], [span(1, 6), 6n]);
    position = { case: "after", value: up.next };
    const rest = await history.listMessages({ conversationId, position });
    assert.deepEqual([numbers(rest.entries), rest.next], [span(7, 10), 0n]);
    for (const value of [10n, 11n, 2n ** 64n - 1n]) {
      position = { case: "after", value };
      assert.deepEqual((await history.listMessages({ conversationId, position })).entries, []);
    }
    position = { case: "before", value: 2n ** 64n - 1n };
    const all = await history.listMessages({ conversationId, position });
    assert.equal(all.entries.length, 10);
    const one = await history.listMessages({ conversationId, bytesMax: 1 });
    assert.deepEqual([numbers(one.entries), one.next], [[10], 10n]);
  },

  "[SVC-11] show messages as they are now, from visible_from on": async (as) => {
    const { history } = await as("cyd");
    const conversationId = town.group;
    const page = await history.listMessages({ conversationId });
    assert.deepEqual([numbers(page.entries), page.next], [span(8, 10), 0n]);
    const position = { case: "after" as const, value: 0n };
    const up = await history.listMessages({ conversationId, position, countMax: 1 });
    assert.deepEqual([numbers(up.entries), up.next], [[8], 8n]);
    const { entries } = await (await as("ann")).history.listMessages({ conversationId });
    assert.equal(textOf(entries[2]), "edited");
    assert.equal(entries[2]?.message?.editCount, 1);
    assert.equal(entries[3]?.message?.content, undefined);
    assert.equal(entries[3]?.message?.recalledByUserId, "ann");
    for (const { committedMs } of entries) assert.ok(committedMs > 1_700_000_000_000n);
  },

  "[SVC-11] show nothing of a room": async (as) => {
    const { history, conversations } = await as("bob");
    const conversationId = town.room;
    const { entries, next, head } = await history.listMessages({ conversationId });
    assert.deepEqual([entries, next, head], [[], 0n, 0n]);
    const { entry } = await history.findMessageByDate({ conversationId, fromMs: 0n });
    assert.equal(entry, undefined);
    const around = history.listMessagesAround({ conversationId, conversationSeq: 1n });
    assert.deepEqual(await refusalOf(around), noMessage);
    const { conversation } = await conversations.getConversation({ conversationId });
    assert.equal(conversation?.conversation?.kind, ConversationKind.ROOM);
    assert.equal(conversation?.lastMessage, undefined);
    assert.deepEqual([conversation?.head, conversation?.unreadCount], [0n, 0n]);
  },

  "[SVC-13] show what is around a message": async (as) => {
    const { history } = await as("bob");
    const at = { conversationId: town.group, conversationSeq: 5n, countMax: 2 };
    const middle = await history.listMessagesAround(at);
    assert.deepEqual(numbers(middle.entries), span(3, 7));
    assert.deepEqual([middle.nextBefore, middle.nextAfter, middle.head], [3n, 7n, 10n]);
    const end = await history.listMessagesAround({ ...at, conversationSeq: 10n });
    assert.deepEqual([numbers(end.entries), end.nextAfter], [span(8, 10), 0n]);
    const start = await history.listMessagesAround({ ...at, conversationSeq: 1n });
    assert.deepEqual([numbers(start.entries), start.nextBefore], [span(1, 3), 0n]);
    for (const conversationSeq of [0n, 11n, 2n ** 64n - 1n]) {
      const none = history.listMessagesAround({ ...at, conversationSeq });
      assert.deepEqual(await refusalOf(none), noMessage);
    }
    const late = await as("cyd");
    const before = late.history.listMessagesAround({ ...at, conversationSeq: 7n });
    assert.deepEqual(await refusalOf(before), noMessage);
    const own = await late.history.listMessagesAround({ ...at, conversationSeq: 8n });
    assert.deepEqual([numbers(own.entries), own.nextBefore], [span(8, 10), 0n]);
  },

  "[SVC-14] find where a time begins": async (as) => {
    const { history } = await as("bob");
    const conversationId = town.group;
    const { entries } = await history.listMessages({ conversationId });
    for (const { committedMs } of entries) {
      const { entry } = await history.findMessageByDate({ conversationId, fromMs: committedMs });
      const expected = entries.find((one) => one.committedMs >= committedMs);
      assert.equal(entry?.conversationSeq, expected?.conversationSeq);
    }
    const future = BigInt(Date.now() + 86_400_000);
    assert.equal(
      (await history.findMessageByDate({ conversationId, fromMs: future })).entry,
      undefined,
    );
    const { entry } = await (await as("cyd")).history.findMessageByDate({ conversationId });
    assert.equal(entry?.conversationSeq, 8n);
  },

  "[SVC-15] list a user's conversations": async (as) => {
    const { conversations } = await as("bob");
    const ids = [town.group, town.direct, town.channel, town.room].sort();
    const whole = await conversations.listConversations({});
    const idsOf = (page: typeof whole) =>
      page.conversations.map(({ conversation }) => conversation?.conversationId);
    assert.deepEqual([idsOf(whole), whole.nextAfter], [ids, ""]);
    const listed: unknown[] = [];
    let afterConversationId = "";
    do {
      const asked = { userId: "bob", afterConversationId, countMax: 3 };
      const page = await conversations.listConversations(asked);
      listed.push(...idsOf(page));
      afterConversationId = page.nextAfter;
    } while (afterConversationId !== "");
    assert.deepEqual(listed, ids);
    const none = await (await as("rem")).conversations.listConversations({});
    assert.deepEqual(none.conversations, []);
    const others = conversations.listConversations({ userId: "ann" });
    assert.deepEqual(await refusalOf(others), denied);
  },

  "[SVC-16] derive what is unread, and what of it calls": async (as) => {
    const conversationId = town.group;
    const viewOf = async (user: string) => {
      const { conversations } = await as(user);
      const { conversation: view } = await conversations.getConversation({ conversationId });
      return view;
    };
    const bob = await viewOf("bob");
    assert.equal(bob?.role, MemberRole.MEMBER);
    assert.equal(bob.conversation?.memberCount, 4);
    assert.equal(bob.conversation.settings?.title, "no. 1");
    assert.deepEqual([bob.visibleFrom, bob.head], [1n, 10n]);
    assert.equal(textOf(bob.lastMessage), "no. 10");
    // Of ten: not 1, 2 and 8, which it has read, and not 4, which is recalled. 5, 9 and 10 call it.
    assert.deepEqual([bob.unreadCount, bob.mentionCount], [6n, 3n]);
    const cyd = await viewOf("cyd");
    assert.deepEqual([cyd?.visibleFrom, cyd?.unreadCount, cyd?.mentionCount], [8n, 3n, 2n]);
    const fay = await viewOf("fay");
    assert.deepEqual([fay?.role, fay?.unreadCount], [MemberRole.ADMIN, 8n]);
    assert.equal(fay?.mentionCount, 1n, "everybody, but not members");
    const ann = await viewOf("ann");
    assert.deepEqual([ann?.unreadCount, ann?.mentionCount], [0n, 0n]);
  },

  "[SVC-17] list members, page by page": async (as) => {
    const { conversations } = await as("bob");
    const conversationId = town.group;
    const all = await conversations.listMembers({ conversationId });
    const userIds = all.members.map(({ userId }) => userId);
    assert.deepEqual(userIds.sort(), ["ann", "bob", "cyd", "fay"]);
    assert.equal(all.revision, 3n);
    const first = await conversations.listMembers({ conversationId, countMax: 3 });
    assert.equal(first.members.length, 3);
    const fromOrdinal = first.nextOrdinal;
    const rest = await conversations.listMembers({ conversationId, fromOrdinal });
    assert.deepEqual([rest.members.length, rest.nextOrdinal], [1, 0]);
    const asked = { conversationId, roleMin: MemberRole.ADMIN, userIdPrefix: "f" };
    const admins = await conversations.listMembers(asked);
    assert.deepEqual(
      admins.members.map(({ userId, role }) => [userId, role]),
      [["fay", MemberRole.ADMIN]],
    );
    const two = await conversations.listMembers({ conversationId: town.direct });
    assert.deepEqual(
      two.members.map(({ userId }) => userId),
      ["ann", "bob"],
    );
  },

  "[SVC-18] [USR-24] say who has read a message, but not those whom the reader blocks": async (
    as,
  ) => {
    const { conversations } = await as("cyd");
    const conversationId = town.group;
    const { members } = await conversations.listMembers({ conversationId });
    const readersOf = async (conversationSeq: bigint) => {
      const { readers } = await conversations.listReaders({ conversationId, conversationSeq });
      const bitmap = decodeReadBitmap(readers) ?? assert.fail("no bitmap");
      return members.filter(({ ordinal }) => hasRead(bitmap, ordinal)).map(({ userId }) => userId);
    };
    assert.deepEqual(await readersOf(8n), ["ann", "bob"]);
    assert.deepEqual(await readersOf(9n), ["ann"]);
    const hidden = conversations.listReaders({ conversationId, conversationSeq: 7n });
    assert.deepEqual(await refusalOf(hidden), noMessage);
    const bob = await as("bob");
    const news = { conversationId: town.channel, conversationSeq: 1n };
    assert.deepEqual(await refusalOf(bob.conversations.listReaders(news)), denied);
    const eighth = { conversationId, conversationSeq: 8n };
    const shown = decodeReadBitmap((await bob.conversations.listReaders(eighth)).readers);
    const fay = members.find(({ userId }) => userId === "fay")?.ordinal ?? assert.fail("no fay");
    assert.ok(shown !== undefined && hasRead(shown, fay), "whom fay does not block");
  },

  "[USR-25] [USR-30] say what users say of themselves": async (as) => {
    const profilesFor = async (user: string, ...userIds: string[]) => {
      const { profiles } = await (await as(user)).users.getProfiles({ userIds });
      return profiles.map(({ userId, profile, revision }) => [
        userId,
        profile?.displayName,
        revision,
      ]);
    };
    const [ann, fay] = [
      ["ann", "Ann", 1n],
      ["fay", "Fay", 1n],
    ];
    assert.deepEqual(await profilesFor("bob", "fay", "bob", "ann", "fay"), [
      fay,
      ["bob", "", 0n],
      ann,
    ]);
    for (const blocked of ["eve", "cyd"]) {
      const shown = await profilesFor(blocked, "ann", "fay", "bob");
      assert.deepEqual(shown, [ann, ["fay", "", 0n], ["bob", "", 0n]], blocked);
    }
    assert.deepEqual(await profilesFor("fay", "fay", "cyd"), [fay, ["cyd", "", 0n]]);
    const nobody = ["zoe", "nobody", "no body", "", "x".repeat(10_000), "\u{1f4ef}", "an", "a*"];
    assert.deepEqual(await profilesFor("bob", ...nobody, "ann"), [ann]);
    const hundred = Array.from({ length: 99 }, (_, index) => `nobody${index}`);
    assert.deepEqual(await profilesFor("bob", ...hundred, "ann"), [ann]);
    const { users } = await as("bob");
    const more = users.getProfiles({ userIds: [...hundred, "ann", "fay"] });
    const malformed = { code: ErrorCode.CALL_MALFORMED, status: Code.InvalidArgument };
    assert.deepEqual(await refusalOf(more), malformed);
  },

  "[USR-13] [USR-26] [USR-31] list what the caller keeps for itself, page by page": async (as) => {
    const { contacts } = await as("ann");
    const first = await contacts.listContacts({ userId: "ann", countMax: 2 });
    assert.deepEqual(
      first.contacts.map(({ userId, note }) => [userId, note]),
      [
        ["bob", "owes me bob"],
        ["cyd", "owes me cyd"],
      ],
    );
    assert.deepEqual([first.nextAfter, first.revision], ["cyd", 1n]);
    const rest = await contacts.listContacts({ afterUserId: first.nextAfter, countMax: 1_000 });
    assert.deepEqual([rest.contacts.map(({ userId }) => userId), rest.nextAfter], [["fay"], ""]);
    const none = await contacts.listBlocked({});
    assert.deepEqual([none.userIds, none.nextAfter, none.revision], [[], "", 0n]);
    const fay = (await as("fay")).contacts;
    const blocked = await fay.listBlocked({ countMax: 1 });
    assert.deepEqual([blocked.userIds, blocked.nextAfter, blocked.revision], [["cyd"], "cyd", 1n]);
    const last = await fay.listBlocked({ userId: "fay", afterUserId: "cyd", countMax: 1 });
    assert.deepEqual([last.userIds, last.nextAfter], [["eve"], ""]);
    for (const userId of ["fay", "nobody"]) {
      assert.deepEqual(await refusalOf(contacts.listContacts({ userId })), denied);
      assert.deepEqual(await refusalOf(contacts.listBlocked({ userId })), denied);
    }
  },

  "[CNV-74] list what its user has begun to write, and nobody else's": async (as) => {
    const { conversations } = await as("bob");
    const { drafts, nextAfter } = await conversations.listDrafts({ userId: "bob" });
    const [draft] = drafts;
    assert.deepEqual([drafts.length, nextAfter], [1, ""]);
    assert.deepEqual([draft?.conversationId, draft?.deviceId], [town.direct, "tcp-clear"]);
    assert.equal(draft?.content?.kind.value, "and then");
    const ann = await as("ann");
    assert.deepEqual((await ann.conversations.listDrafts({})).drafts, []);
    const others = ann.conversations.listDrafts({ userId: "bob" });
    assert.deepEqual(await refusalOf(others), denied);
  },

  "[CNV-77] sum up what is unread, with and without what is muted": async (as) => {
    const { conversations } = await as("bob");
    const { all, notMuted, nextAfter } = await conversations.getTotals({});
    // Six of the group, three of which call; the other one's of the direct one, and the channel's.
    const totals = [all, notMuted].map((one) => [one?.conversationCount, one?.unreadCount]);
    assert.deepEqual(totals, [
      [3, 8n],
      [2, 7n],
    ]);
    assert.deepEqual([all?.mentionCount, notMuted?.mentionCount, nextAfter], [3n, 3n, ""]);
    const rest = await conversations.getTotals({ afterConversationId: "e" });
    assert.equal(rest.all?.unreadCount, 7n, "those of the ids behind it");
    const { conversation } = await conversations.getConversation({ conversationId: town.channel });
    assert.equal(conversation?.mutedUntilMs, 2n ** 53n - 1n);
    const others = conversations.getTotals({ userId: "ann" });
    assert.deepEqual(await refusalOf(others), denied);
  },

  "[CNV-82] show what is to be done about messages": async (as) => {
    for (const user of ["ann", "bob"]) {
      const { history } = await as(user);
      const { entries } = await history.listMessages({ conversationId: town.group });
      const marked = entries.filter(({ todo }) => todo !== undefined);
      assert.deepEqual(numbers(marked), [5]);
      assert.deepEqual(
        [marked[0]?.todo?.state, marked[0]?.todo?.byUserId],
        [TodoState.OPEN, "bob"],
      );
    }
  },

  "[SVC-4] know nothing to whom is not in it": async (as) => {
    const there = { conversationId: town.group };
    for (const user of ["eve", "rem", "acme/zoe"]) {
      const { history } = await as(user);
      assert.deepEqual(await refusalOf(history.listMessages(there)), unknown, user);
    }
    const { history } = await as("ann");
    // The ids of direct ones are the same in every tenant; what was said in them is not.
    const elsewhere = await as("acme/ann");
    const { entries } = await elsewhere.history.listMessages({ conversationId: town.direct });
    assert.deepEqual(entries, []);
    const foreign = history.listMessages({ conversationId: town.foreign });
    assert.deepEqual(await refusalOf(foreign), unknown);
    const zoe = await as("acme/zoe");
    const own = await zoe.history.listMessages({ conversationId: town.foreign });
    assert.equal(own.entries.length, 1, "who is in it is a member in its own tenant");
    for (const conversationId of [
      "",
      "g:",
      "d:ann",
      "d:bob:ann",
      "x".repeat(60_000),
      "\u{1f4ef}",
    ]) {
      assert.deepEqual(await refusalOf(history.listMessages({ conversationId })), unknown);
    }
  },
};

for (const way of WAYS) {
  describe(`[SVC-5] [SVC-6] services over ${way.name}`, () => {
    const as: AskingAs = async (user) => {
      const transport = await way.transportOf(scene, user);
      return {
        directory: createClient(KeyDirectoryService, transport),
        history: createClient(HistoryService, transport),
        conversations: createClient(ConversationsService, transport),
        users: createClient(UsersService, transport),
        contacts: createClient(ContactsService, transport),
      };
    };
    for (const [title, run] of Object.entries(SUITE)) test(title, () => run(as));
  });
}
