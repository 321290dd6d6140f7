import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import type { ConversationMember, MessageEvent } from "../../client/conversations/events.ts";
import { ROLE_NAMES } from "../../client/conversations/names.ts";
import type { SeenConversation } from "../../client/conversations/seen-conversation.ts";
import { ConversationView } from "../../client/conversations/view.ts";
import type { ClientEvent } from "../../client/events.ts";
import { property } from "../property.ts";

const USERS = ["ann", "bob", "cyd"] as const;
const CONVERSATIONS = ["g:team", "d:ann:bob"] as const;
const MESSAGES_MAX = 4;

const KINDS = [
  "say",
  "edit",
  "recall",
  "react",
  "todo",
  "mark",
  "change",
  "prefer",
  "draft",
  "mute",
] as const;

/** One thing that happens; numbers are taken modulo what there is. */
interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly conversation: number;
  readonly user: number;
  readonly message: number;
  readonly bits: number;
}

interface Case {
  readonly steps: readonly Step[];
  /** In which order, and how often, the events come. */
  readonly deliveries: readonly number[];
  /** Of each event's every coming: how much later than the event it is read. */
  readonly lateness: readonly number[];
}

/** A service that says of every entry of a timeline what it is at a later time. */
class Timeline {
  /** Each entry as it is read after so many others. */
  readonly entries: ((readAt: number) => ClientEvent)[] = [];
  /** Of every message, what it was from each entry on. */
  readonly #versions: { readonly from: number; readonly event: ClientEvent }[][] = [];
  /** Of each conversation's draft likewise. */
  readonly #drafts = new Map<string, { readonly from: number; readonly event: ClientEvent }[]>();
  readonly #messages: { readonly conversation: string; readonly index: number }[] = [];
  #revision = 0;

  add(step: Step): void {
    const { kind, user, bits } = step;
    const conversationId = CONVERSATIONS[step.conversation % CONVERSATIONS.length] as string;
    const userId = USERS[user % USERS.length] as string;
    const seq = this.entries.length + 1;
    const timed = { seq, committedMs: 100 + seq };
    const ofMessages = this.#messages.filter(({ conversation }) => conversation === conversationId);
    const number = ofMessages.length === 0 ? 0 : (step.message % ofMessages.length) + 1;
    const told = (event: ClientEvent) => this.entries.push(() => event);
    if (kind === "say") this.#say(conversationId, { userId, bits });
    else if (kind === "prefer") {
      told({ kind: "preferences", ...timed, receiptsHidden: bits % 2 === 1 });
    } else if (kind === "mute") {
      told({ kind: "mute", seq, conversationId, mutedUntilMs: bits });
    } else if (kind === "draft") this.#draft(conversationId, bits);
    else if (kind === "change") {
      if (conversationId.startsWith("g:")) told(this.#change(conversationId, timed, step));
    } else if (number === 0) return;
    else if (kind === "mark") {
      const read = [{ from: number, through: number + (bits % 3) }];
      const of = { conversationId, userId, read, deliveredThrough: number };
      told({ kind: "marks", ...timed, ...of });
    } else if (kind === "todo") {
      const state = ([undefined, "open", "done"] as const)[bits % 3];
      const todo = state && { state, byUserId: userId, setMs: seq };
      const of = { conversationId, conversationSeq: number, byUserId: userId };
      told({ kind: "todo", ...timed, ...of, todo });
    } else if (kind === "react") {
      const of = { conversationId, conversationSeq: number, userId, reaction: `r${bits % 2}` };
      told({ kind: "reaction", ...timed, ...of, removed: bits % 4 > 1 });
    } else this.#repeat(ofMessages[number - 1]?.index ?? 0, kind === "recall");
  }

  /** One entry that comes again and again, and says what there is when it is read. */
  #draft(conversationId: string, bits: number): void {
    const seq = this.entries.length + 1;
    const versions = this.#drafts.get(conversationId) ?? [];
    this.#drafts.set(conversationId, versions);
    const draft = bits % 4 === 0 ? undefined : { content: `draft ${seq}` };
    const of = { conversationId, draft, savedMs: 7, deviceId: "phone" };
    versions.push({ from: this.entries.length, event: { kind: "draft", seq: 0, ...of } });
    this.entries.push((readAt) => {
      const now = versions.findLast(({ from }) => from <= readAt)?.event;
      return { ...(now as ClientEvent & { readonly kind: "draft" }), seq };
    });
  }

  #say(
    conversationId: string,
    { userId, bits }: { readonly userId: string; readonly bits: number },
  ) {
    const of = this.#messages.filter(({ conversation }) => conversation === conversationId);
    const index = this.#messages.length;
    this.#messages.push({ conversation: conversationId, index });
    const event: ClientEvent = {
      kind: "message",
      seq: 0,
      committedMs: 100 + this.entries.length,
      conversationId,
      conversationSeq: of.length + 1,
      senderUserId: userId,
      senderDeviceId: "phone",
      own: false,
      content: "said",
      editCount: 0,
      editedMs: undefined,
      reference: undefined,
      mentions: {
        userIds: bits % 2 === 1 ? ["bob"] : [],
        roles: bits % 4 > 1 ? ["admin"] : [],
        everyone: bits % 8 > 5,
      },
      // Here it is as late as there are entries before.
      expiresMs: bits % 3 === 0 ? this.entries.length + 1 + bits : undefined,
    };
    this.#versions.push([{ from: this.entries.length, event }]);
    this.#enter(index);
  }

  /** The entry once more, and what it is from then on. */
  #repeat(index: number, recalls: boolean): void {
    const versions = this.#versions[index] ?? [];
    const last = versions.at(-1)?.event;
    if (last?.kind !== "message") return;
    if (last.expiresMs !== undefined && last.expiresMs <= this.entries.length) return;
    const { editCount } = last;
    const event: ClientEvent = recalls
      ? { kind: "recalled", ...placeOf(last), recalledByUserId: "ann" }
      : { ...last, content: `edit ${editCount + 1}`, editCount: editCount + 1, editedMs: 7 };
    versions.push({ from: this.entries.length, event });
    this.#enter(index);
  }

  #enter(index: number): void {
    const seq = this.entries.length + 1;
    this.entries.push((readAt) => {
      const now = this.#versions[index]?.findLast(({ from }) => from <= readAt)?.event;
      const event = { ...(now as MessageEvent), seq };
      const { expiresMs = Number.POSITIVE_INFINITY } = event;
      const isOver = now?.kind === "message" && expiresMs <= readAt;
      return isOver ? { kind: "expired", ...placeOf(event), expiresMs } : event;
    });
  }

  #change(
    conversationId: string,
    timed: { readonly seq: number; readonly committedMs: number },
    { user, bits, message }: Step,
  ): ClientEvent {
    this.#revision += 1;
    const userId = USERS[user % USERS.length] as string;
    const role = ROLE_NAMES[bits % ROLE_NAMES.length] as ConversationMember["role"];
    const isOut = bits % 5 === 0;
    return {
      kind: "conversation",
      ...timed,
      conversation: {
        conversationId,
        kind: "group",
        revision: this.#revision,
        title: `title ${bits}`,
        topic: "",
        history: "joined",
        join: "added",
        lifetimeS: 0,
        memberCount: 2,
      },
      byUserId: "ann",
      members: isOut ? [] : [{ userId, role, visibleFrom: 1 + (message % 4) }],
      leftUserIds: isOut ? [userId] : [],
    };
  }
}

/** What is left of a message that is gone. */
function placeOf(message: MessageEvent) {
  const { seq, committedMs, conversationId, conversationSeq, own } = message;
  const { senderUserId, senderDeviceId } = message;
  return { seq, committedMs, conversationId, conversationSeq, own, senderUserId, senderDeviceId };
}

/** Nothing is left that has expired. */
function judgeExpired(view: ConversationView, nowMs: number): void {
  view.expire(nowMs);
  const messages = view.conversations.flatMap((one) => one.messages);
  const over = messages.filter(
    (one) => one.kind === "message" && one.expiresMs !== undefined && one.expiresMs <= nowMs,
  );
  deepEqual(over, []);
  ok((view.nextExpiryMs ?? Number.POSITIVE_INFINITY) > nowMs);
}

export const conversationView = property<Case>({
  name: "conversation-view",
  title:
    "[CNV-26] [CNV-30] [CNV-74] [CNV-95] a device sees the same, whatever comes twice, late, or " +
    "is read late, and nothing that has expired",
  smokeRuns: 200,
  kinds: [...KINDS, "expired", "out of order", "dropped"],
  arbitrary: fc.record({
    steps: fc.array(
      fc.record({
        kind: fc.constantFrom("say" as const, "say" as const, "say" as const, ...KINDS),
        conversation: fc.nat(CONVERSATIONS.length - 1),
        user: fc.nat(USERS.length - 1),
        message: fc.nat(9),
        bits: fc.nat(15),
      }),
      { maxLength: 40 },
    ),
    deliveries: fc.array(fc.nat(39), { maxLength: 40 }),
    lateness: fc.array(fc.nat(40), { minLength: 1, maxLength: 10 }),
  }),
  start: (seen) => ({
    check: ({ steps, deliveries, lateness }) => {
      const timeline = new Timeline();
      for (const step of steps) {
        timeline.add(step);
        seen(step.kind);
      }
      const { entries } = timeline;
      const inOrder = new ConversationView("bob", { messagesMax: MESSAGES_MAX });
      for (const [index, entry] of entries.entries()) {
        inOrder.apply(entry(index));
        judgeExpired(inOrder, index);
      }
      const anyhow = new ConversationView("bob", { messagesMax: MESSAGES_MAX });
      const some = deliveries.filter((index) => index < entries.length);
      // Before everything has come, and after: what comes last must not be the last word.
      const comings = [...some, ...entries.keys(), ...some];
      if (comings.some((index, at) => index < (comings[at - 1] ?? 0))) seen("out of order");
      for (const [at, index] of comings.entries()) {
        const late = lateness[at % lateness.length] ?? 0;
        const readAt = Math.min(entries.length - 1, index + late);
        const event = entries[index]?.(readAt);
        if (event !== undefined) anyhow.apply(event);
        if (event?.kind === "expired") seen("expired");
        judgeExpired(anyhow, readAt);
      }
      for (const view of [inOrder, anyhow]) judgeExpired(view, entries.length);
      const wanted = shown(inOrder);
      if (wanted.conversations.some(({ head }) => head > MESSAGES_MAX)) seen("dropped");
      deepEqual(shown(anyhow), wanted);
    },
  }),
});

/** Everything that an application can see. */
function shown(view: ConversationView) {
  const { receiptsHidden } = view;
  const own = CONVERSATIONS.map((id) => {
    const { draft, mutedUntilMs } = view.conversation(id);
    return { draft, mutedUntilMs };
  });
  return { receiptsHidden, own, conversations: view.conversations.map(shownConversation) };
}

function shownConversation(seen: SeenConversation) {
  const { id, info, name, role, members, messages, head, unread, lastActivityMs } = seen;
  const { unreadCount, mentionCount } = seen;
  return {
    ...{ id, info, name, role, members, messages, head, unread, lastActivityMs },
    ...{ unreadCount, mentionCount },
    todos: messages.map(({ conversationSeq }) => seen.todo(conversationSeq)),
    reactions: messages.map(({ conversationSeq }) => [...seen.reactions(conversationSeq)]),
    read: USERS.map((userId) => seen.read(userId)),
    delivered: USERS.map((userId) => seen.deliveredThrough(userId)),
  };
}
