import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientEvent } from "../events.ts";
import type { ConversationMember, MessageEvent, MessageMentions } from "./events.ts";
import type { RoleName } from "./names.ts";
import { ConversationView } from "./view.ts";

const TEAM = "g:team";

/** Events with timeline numbers of their own, as they would come. */
class Timeline {
  #seq = 0;

  next() {
    this.#seq += 1;
    return { seq: this.#seq, committedMs: 1_000 + this.#seq };
  }

  message(
    conversationSeq: number,
    senderUserId: string,
    more: Partial<MessageEvent> = {},
  ): ClientEvent {
    return {
      kind: "message",
      ...this.next(),
      conversationId: TEAM,
      conversationSeq,
      senderUserId,
      senderDeviceId: "phone",
      own: false,
      content: `message ${conversationSeq}`,
      editCount: 0,
      editedMs: undefined,
      reference: undefined,
      mentions: undefined,
      expiresMs: undefined,
      ...more,
    };
  }

  recalled(conversationSeq: number, senderUserId: string, recalledByUserId: string): ClientEvent {
    const of = { conversationId: TEAM, conversationSeq, senderUserId, senderDeviceId: "phone" };
    return { kind: "recalled", ...this.next(), ...of, own: false, recalledByUserId };
  }

  changed(
    revision: number,
    members: readonly ConversationMember[],
    leftUserIds: readonly string[] = [],
  ): ClientEvent {
    const conversation = {
      conversationId: TEAM,
      kind: "group",
      revision,
      title: `Team ${revision}`,
      topic: "",
      history: "joined",
      join: "added",
      lifetimeS: 0,
      memberCount: 3,
    } as const;
    const by = { byUserId: "ann", members, leftUserIds };
    return { kind: "conversation", ...this.next(), conversation, ...by };
  }

  reacted(conversationSeq: number, userId: string, removed = false): ClientEvent {
    const of = { conversationId: TEAM, conversationSeq, userId, reaction: "+1", removed };
    return { kind: "reaction", ...this.next(), ...of };
  }

  marked(userId: string, from: number, through: number): ClientEvent {
    const read = [{ from, through }];
    const of = { conversationId: TEAM, userId, read, deliveredThrough: through };
    return { kind: "marks", ...this.next(), ...of };
  }
}

function member(userId: string, role: RoleName, visibleFrom = 1): ConversationMember {
  return { userId, role, visibleFrom };
}

function calling(mentions: Partial<MessageMentions>): Partial<MessageEvent> {
  return { mentions: { userIds: [], roles: [], everyone: false, ...mentions } };
}

function viewOf(...events: readonly ClientEvent[]) {
  const view = new ConversationView("bob", { messagesMax: 3 });
  for (const event of events) view.apply(event);
  const team = view.conversation(TEAM);
  return { view, team };
}

test("[CNV-26] a message is shown as it is now, and a recall is the last word", () => {
  const at = new Timeline();
  const edited = at.message(1, "ann", { content: "new", editCount: 1, editedMs: 7 });
  const { team } = viewOf(at.message(1, "ann"), edited);
  assert.deepEqual(team.messages, [edited]);
  const recalled = at.recalled(1, "ann", "ann");
  const { team: after } = viewOf(recalled, edited);
  assert.deepEqual(after.messages, [recalled]);
  assert.equal(after.unreadCount, 0);
});

test("[CNV-33] [CNV-22] unread and mentions are derived from what was said, read and taken back", () => {
  const at = new Timeline();
  const made = at.changed(1, [member("ann", "owner"), member("bob", "member")]);
  const said = [
    at.message(1, "ann"),
    at.message(2, "ann", calling({ userIds: ["bob"] })),
    at.message(3, "bob"),
    at.message(4, "ann", calling({ everyone: true })),
    at.message(5, "ann", calling({ roles: ["admin"] })),
  ];
  const { team } = viewOf(made, ...said);
  assert.deepEqual([team.unreadCount, team.mentionCount], [4, 2]);
  const promoted = at.changed(2, [member("bob", "admin")]);
  const { team: asAdmin } = viewOf(promoted, made, ...said);
  assert.deepEqual([asAdmin.role, asAdmin.mentionCount, asAdmin.name], ["admin", 3, "Team 2"]);
  const { team: later } = viewOf(
    made,
    ...said,
    at.marked("bob", 1, 2),
    at.recalled(5, "ann", "ann"),
  );
  assert.deepEqual([later.unreadCount, later.mentionCount], [1, 1]);
  assert.deepEqual(later.unread, [{ from: 4, through: 4 }]);
});

test("what was said before a user came is not unread, and nothing is when it is out", () => {
  const at = new Timeline();
  const said = [at.message(1, "ann"), at.message(2, "ann"), at.message(3, "ann")];
  const { team } = viewOf(...said, at.changed(1, [member("bob", "member", 3)]));
  assert.equal(team.unreadCount, 1);
  const out = at.changed(2, [], ["bob"]);
  const { team: left } = viewOf(...said, out, at.changed(1, [member("bob", "member", 3)]));
  assert.deepEqual([left.role, left.unreadCount, left.members], [undefined, 0, []]);
  const again = at.changed(3, [member("bob", "reader", 4)]);
  const { team: back } = viewOf(...said, again, out, at.message(4, "ann"));
  assert.deepEqual([back.role, back.unreadCount], ["reader", 1]);
});

test("reactions are what each user did last, and go with the message", () => {
  const at = new Timeline();
  const [first, second] = [at.reacted(1, "ann"), at.reacted(1, "cyd")];
  const off = at.reacted(1, "ann", true);
  const said = at.message(1, "ann");
  const { team } = viewOf(off, second, first, said);
  assert.deepEqual(team.reactions(1), new Map([["+1", ["cyd"]]]));
  const { team: recalled } = viewOf(said, second, at.recalled(1, "ann", "ann"));
  assert.deepEqual(recalled.reactions(1), new Map());
});

test("the newest messages are kept, whatever comes again", () => {
  const at = new Timeline();
  const said = [1, 2, 3, 4, 5].map((number) => at.message(number, "ann"));
  const { team } = viewOf(...said, ...said);
  assert.deepEqual(
    team.messages.map(({ conversationSeq }) => conversationSeq),
    [3, 4, 5],
  );
  assert.equal(team.unreadCount, 5);
  assert.equal(team.head, 5);
});

test("[CNV-30] what others have read and got is kept apart", () => {
  const at = new Timeline();
  const { team } = viewOf(at.message(1, "ann"), at.marked("ann", 1, 1), at.marked("cyd", 1, 1));
  assert.deepEqual(team.read("ann"), [{ from: 1, through: 1 }]);
  assert.equal(team.deliveredThrough("cyd"), 1);
  assert.deepEqual([team.deliveredThrough("bob"), team.unreadCount], [0, 1]);
});

test("a direct conversation is there, with its users, and is called like the other one", () => {
  const view = new ConversationView("bob");
  const direct = view.conversation("d:ann:bob");
  assert.equal(direct.name, "ann");
  assert.deepEqual([direct.role, direct.info?.kind], ["member", "direct"]);
  assert.deepEqual(direct.members, [member("ann", "member"), member("bob", "member")]);
  assert.equal(view.conversation("d:bob:bob").name, "bob");
  assert.equal(view.conversation("g:unheard").info, undefined);
  assert.deepEqual(view.conversations, [], "nothing has happened in any of them");
});

test("the last talked in comes first; a timeline that begins anew begins the view anew", () => {
  const at = new Timeline();
  const { view } = viewOf(
    at.message(1, "ann"),
    at.message(1, "ann", { conversationId: "d:ann:bob" }),
    { kind: "preferences", ...at.next(), receiptsHidden: true },
  );
  assert.deepEqual(
    view.conversations.map(({ id }) => id),
    ["d:ann:bob", TEAM],
  );
  assert.equal(view.receiptsHidden, true);
  view.apply({ kind: "epoch-changed" });
  assert.deepEqual([view.conversations, view.receiptsHidden], [[], false]);
});

test("[CNV-95] what expires is erased at its time, and is neither unread nor calls anybody", () => {
  const at = new Timeline();
  const calls = calling({ userIds: ["bob"] });
  const { view, team } = viewOf(
    at.message(1, "ann", { expiresMs: 5_000, ...calls }),
    at.message(2, "ann", { expiresMs: 6_000 }),
    at.message(3, "ann", calls),
  );
  assert.equal(view.nextExpiryMs, 5_000);
  assert.deepEqual(view.expire(4_999), []);
  assert.deepEqual([team.unreadCount, team.mentionCount], [3, 2]);
  const [left, ...others] = view.expire(5_000);
  assert.deepEqual(others, []);
  assert.ok(!JSON.stringify(team.messages).includes("message 1"), "nothing is left");
  assert.deepEqual([left?.kind, left?.conversationSeq, left?.senderUserId], ["expired", 1, "ann"]);
  assert.deepEqual(team.message(1), left);
  assert.deepEqual([team.unreadCount, team.mentionCount], [2, 1]);
  assert.equal(view.nextExpiryMs, 6_000);
  assert.deepEqual(view.expire(5_000), [], "once");
});

test("[CNV-95] [CNV-99] nothing brings back what has expired; what was recalled stays that", () => {
  const at = new Timeline();
  const said = at.message(1, "ann", { expiresMs: 5_000 });
  const edited = at.message(1, "ann", { expiresMs: 5_000, content: "new", editCount: 1 });
  const other = at.message(2, "ann", { expiresMs: 5_000 });
  const { view, team } = viewOf(said, other, at.recalled(2, "ann", "cyd"));
  view.expire(5_000);
  view.apply(edited);
  view.apply(said);
  view.apply(other);
  assert.deepEqual(
    team.messages.map(({ kind }) => kind),
    ["expired", "recalled"],
  );
  assert.equal(view.nextExpiryMs, undefined);
  assert.equal(team.unreadCount, 0);
});

test("[CNV-95] what has left the window and expires is not unread either", () => {
  const at = new Timeline();
  const numbers = [1, 2, 3, 4, 5];
  const { view, team } = viewOf(
    ...numbers.map((number) => at.message(number, "ann", { expiresMs: 5_000 + number })),
  );
  assert.deepEqual(view.expire(5_002), []);
  assert.equal(team.unreadCount, 3);
  assert.equal(view.expire(9_000).length, 3);
  assert.equal(team.unreadCount, 0);
});

test("[CAT-9] what is told by its number is missing until it was asked for", () => {
  const at = new Timeline();
  const view = new ConversationView("bob");
  const team = view.conversation(TEAM);
  for (const number of [1, 2]) view.apply(at.message(number, "ann"));
  view.apply(at.message(3, "bob"));
  const { seq } = at.next();
  const told = [{ from: 2, through: 6 }];
  const conversations = [{ conversationId: TEAM, told, read: [{ from: 5, through: 5 }] }];
  const indexed: ClientEvent = { kind: "indexed", seq, conversations };
  view.apply(indexed);
  const kept = team.messages.map(({ conversationSeq }) => conversationSeq);
  assert.deepEqual(kept, [1], "what was held of 2 and 3 is out of date");
  assert.deepEqual(team.missing, told);
  assert.deepEqual(team.unread, [
    { from: 1, through: 2 },
    { from: 4, through: 4 },
    { from: 6, through: 6 },
  ]);
  const asked = (conversationSeq: number, askedAt: number): ClientEvent => {
    return { ...at.message(conversationSeq, "ann"), seq: askedAt } as ClientEvent;
  };
  view.apply(asked(4, seq - 1));
  assert.deepEqual(team.missing, told, "an answer to an earlier question may be out of date");
  for (const number of [2, 3, 4]) view.apply(asked(number, seq));
  assert.deepEqual(team.missing, [{ from: 5, through: 6 }]);
  view.apply(indexed);
  assert.deepEqual(team.missing, [{ from: 5, through: 6 }], "being told again changes nothing");
});

test("[CAT-9] what is known to be recalled stays so, whatever is told of its number", () => {
  const at = new Timeline();
  const { view, team } = viewOf(at.message(1, "ann"), at.recalled(1, "ann", "ann"));
  const told = { conversationId: TEAM, told: [{ from: 1, through: 1 }], read: [] };
  view.apply({ kind: "indexed", seq: at.next().seq, conversations: [told] });
  assert.deepEqual([team.message(1)?.kind, team.missing, team.unread], ["recalled", [], []]);
});

test("[CAT-9] of an index only the highest numbers are kept to be asked for", () => {
  const view = new ConversationView("bob", { messagesMax: 3 });
  const told = { conversationId: TEAM, told: [{ from: 1, through: 40_000 }], read: [] };
  view.apply({ kind: "indexed", seq: 40_000, conversations: [told] });
  const team = view.conversation(TEAM);
  assert.deepEqual(team.missing, [{ from: 39_998, through: 40_000 }]);
  assert.deepEqual([team.unreadCount, team.head], [40_000, 40_000]);
  assert.deepEqual(view.conversations, [team], "it is heard of");
});
