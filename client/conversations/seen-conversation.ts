import { directUsers } from "../../protocol/conversation-id.ts";
import {
  count,
  has,
  intersection,
  NO_NUMBERS,
  type NumberSet,
  numbersFrom,
  union,
  without,
} from "../../protocol/number-set.ts";
import type { IndexedMessages } from "../../protocol/timeline-index.ts";
import type {
  ConversationEvent,
  ConversationInfo,
  ConversationMember,
  ExpiredEvent,
  MarksEvent,
  MessageEvent,
  ReactionEvent,
  RecalledEvent,
} from "./events.ts";
import type { ListedMembers } from "./lookups.ts";
import type { RoleName } from "./names.ts";
import type { DraftContent, DraftEvent, MuteEvent, TodoEvent, TodoMark } from "./personal.ts";

/** A message as it is now, that it was taken back, or that its time is over. */
export type SeenMessage = MessageEvent | RecalledEvent | ExpiredEvent;

/** One place in the window: the message, when it came, and who reacts to it. */
interface Place {
  message: SeenMessage | undefined;
  /** What it was before this place in the timeline is out of date. */
  toldSeq: number;
  /** By reaction and user: the last change of it, by its place in the timeline. */
  readonly reactions: Map<string, Map<string, { readonly seq: number; readonly on: boolean }>>;
  /** The last that was said of whether something is to be done about it. */
  todo: { readonly seq: number; readonly mark: TodoMark | undefined };
}

/** The last that was heard of a user's membership; undefined: it is out. */
interface Membership {
  readonly revision: number;
  readonly member: ConversationMember | undefined;
}

const NO_DRAFT = { seq: 0, content: undefined };
const MEMBER = { role: "member", visibleFrom: 1 } as const;

/**
 * What a device has seen of one conversation. Every part of it is a set that only grows, or a value
 * of which the newest is kept: what comes twice, or late, changes nothing. [CNV-30]
 */
export class SeenConversation {
  readonly id: string;
  readonly #userId: string;
  readonly #messagesMax: number;
  #info: ConversationInfo | undefined;
  readonly #memberships = new Map<string, Membership>();
  readonly #window = new Map<number, Place>();
  /** Of the window, by rising number. */
  readonly #numbers: number[] = [];
  readonly #read = new Map<string, NumberSet>();
  readonly #delivered = new Map<string, number>();
  #known = NO_NUMBERS;
  /** What was taken back, and whose time is over. */
  #gone = NO_NUMBERS;
  /** When messages expire, by number. */
  readonly #expiring = new Map<number, number>();
  #callsUser = NO_NUMBERS;
  #callsAll = NO_NUMBERS;
  readonly #callsRole = new Map<RoleName, NumberSet>();
  #draft: { readonly seq: number; readonly content: DraftContent | undefined } = NO_DRAFT;
  #mute = { seq: 0, untilMs: 0 };
  #lastActivityMs = 0;

  /** @param messagesMax messages that are kept whole: those of the highest numbers */
  constructor(id: string, userId: string, messagesMax: number) {
    this.id = id;
    this.#userId = userId;
    this.#messagesMax = messagesMax;
    const users = directUsers(id);
    if (users === undefined) return;
    const members = [...new Set(users)].map((one) => ({ userId: one, ...MEMBER }));
    for (const member of members) this.#memberships.set(member.userId, { revision: 0, member });
    const memberCount = members.length;
    const rest = { title: "", topic: "", history: "all", join: "added", revision: 0 } as const;
    const kept = { memberCount, lifetimeS: 0 };
    this.#info = { conversationId: id, kind: "direct", ...kept, ...rest };
  }

  /** Undefined while nothing was heard but what is said in it. */
  get info(): ConversationInfo | undefined {
    return this.#info;
  }

  /** Whether anything ever happened in it. */
  get isHeardOf(): boolean {
    return this.head > 0 || this.#lastActivityMs > 0 || (this.#info?.revision ?? 0) > 0;
  }

  /** For people: the title; of a direct one the other user; the id where neither is known. */
  get name(): string {
    const users = directUsers(this.id);
    if (users !== undefined) return users.find((one) => one !== this.#userId) ?? this.#userId;
    const title = this.#info?.title ?? "";
    return title === "" ? this.id : title;
  }

  /** The user's own; undefined when it is out, or was never heard to be in. */
  get role(): RoleName | undefined {
    return this.#memberships.get(this.#userId)?.member?.role;
  }

  /** Those who were heard of: a newcomer is not told who is in already. In order of their ids. */
  get members(): readonly ConversationMember[] {
    return [...this.#memberships.values()]
      .flatMap(({ member }) => member ?? [])
      .sort((a, b) => (a.userId < b.userId ? -1 : 1));
  }

  /** What is kept, by number. */
  get messages(): readonly SeenMessage[] {
    return this.#numbers.flatMap((number) => this.#window.get(number)?.message ?? []);
  }

  message(conversationSeq: number): SeenMessage | undefined {
    return this.#window.get(conversationSeq)?.message;
  }

  /** Who reacts how to a message that is there. In the order of the first of each. */
  reactions(conversationSeq: number): ReadonlyMap<string, readonly string[]> {
    const place = this.#window.get(conversationSeq);
    if (place?.message?.kind !== "message") return new Map();
    const tallies = [...place.reactions].map(([reaction, users]) => {
      const on = [...users].filter(([, last]) => last.on).sort(([, a], [, b]) => a.seq - b.seq);
      const first = on[0]?.[1].seq ?? 0;
      return { reaction, first, userIds: on.map(([userId]) => userId) };
    });
    const shown = tallies.filter(({ userIds }) => userIds.length > 0);
    shown.sort((a, b) => a.first - b.first);
    return new Map(shown.map(({ reaction, userIds }) => [reaction, userIds]));
  }

  /** Whether something is to be done about a message that is there. */
  todo(conversationSeq: number): TodoMark | undefined {
    const place = this.#window.get(conversationSeq);
    return place?.message?.kind === "message" ? place.todo.mark : undefined;
  }

  /** What the user has begun to write here, on whichever device. */
  get draft(): DraftContent | undefined {
    return this.#draft.content;
  }

  /** Until when the user has it muted, Unix milliseconds. 0, or in the past: it is not. */
  get mutedUntilMs(): number {
    return this.#mute.untilMs;
  }

  /** What is told of by its number, and not, or not any more, by what it says. [CAT-9] */
  get missing(): NumberSet {
    const numbers = this.#numbers.filter((number) => {
      return this.#window.get(number)?.message === undefined && has(this.#known, number);
    });
    const ranges = numbers.map((number) => ({ from: number, through: number }));
    return union(ranges, NO_NUMBERS);
  }

  /** The highest number that was heard of. */
  get head(): number {
    return this.#known.at(-1)?.through ?? 0;
  }

  /** What a user has said it has read; of the user itself also what it has sent. */
  read(userId: string): NumberSet {
    return this.#read.get(userId) ?? NO_NUMBERS;
  }

  /** Up to where everything has come to a user. */
  deliveredThrough(userId: string): number {
    return this.#delivered.get(userId) ?? 0;
  }

  /** What the user may read and has not: never counted, always derived. [CNV-33] */
  get unread(): NumberSet {
    const own = this.#memberships.get(this.#userId);
    if (own !== undefined && own.member === undefined) return NO_NUMBERS;
    const readableFrom = own?.member?.visibleFrom ?? 1;
    const readable = intersection(this.#known, numbersFrom(readableFrom, this.head));
    return without(without(readable, this.read(this.#userId)), this.#gone);
  }

  get unreadCount(): number {
    return count(this.unread);
  }

  /** Unread messages that call the user: by its name, by the role that it has now, or all. */
  get mentionCount(): number {
    const { role } = this;
    const byRole = (role && this.#callsRole.get(role)) ?? NO_NUMBERS;
    const calling = union(union(this.#callsUser, this.#callsAll), byRole);
    return count(intersection(this.unread, calling));
  }

  /** When something was said or changed last, Unix milliseconds by the service's clock. */
  get lastActivityMs(): number {
    return this.#lastActivityMs;
  }

  /** A message; or what it is now. */
  said(message: SeenMessage): void {
    const { conversationSeq: number } = message;
    const one = numbersFrom(number, number);
    this.#known = union(this.#known, one);
    if (message.senderUserId === this.#userId) this.#reads(this.#userId, one);
    if (message.kind !== "message") this.#ended(number);
    else {
      this.#calls(message, one);
      const { expiresMs } = message;
      if (expiresMs !== undefined && !has(this.#gone, number))
        this.#expiring.set(number, expiresMs);
    }
    this.happened(message);
    const place = this.#place(number);
    if (place === undefined || !isCurrent(message, place.toldSeq)) return;
    if (isNewer(message, place.message)) place.message = message;
  }

  /** Messages that came, or are others than before, as of a place in the timeline. [CAT-9] */
  indexed({ told, read }: IndexedMessages, seq: number): void {
    this.#known = union(this.#known, told);
    this.#reads(this.#userId, read);
    for (const { from, through } of newest(told, this.#messagesMax)) {
      for (let number = from; number <= through; number += 1) {
        const place = this.#place(number);
        if (place === undefined) continue;
        place.toldSeq = Math.max(place.toldSeq, seq);
        if (place.message && !isCurrent(place.message, place.toldSeq)) place.message = undefined;
      }
    }
  }

  /** When the next message expires, Unix milliseconds. */
  get nextExpiryMs(): number | undefined {
    const times = [...this.#expiring.values()];
    return times.length === 0 ? undefined : times.reduce((one, other) => Math.min(one, other));
  }

  /** Erases what has expired by now. [CNV-95] @returns what is left of what was kept */
  expire(nowMs: number): readonly ExpiredEvent[] {
    const due = [...this.#expiring].filter(([, expiresMs]) => expiresMs <= nowMs);
    return due.flatMap(([number, expiresMs]) => {
      this.#ended(number);
      const place = this.#window.get(number);
      if (place?.message?.kind !== "message") return [];
      const left = expired(place.message, expiresMs);
      place.message = left;
      return left;
    });
  }

  reacted({ conversationSeq, userId, reaction, removed, seq }: ReactionEvent): void {
    const place = this.#place(conversationSeq);
    if (place === undefined) return;
    const users = place.reactions.get(reaction) ?? new Map();
    place.reactions.set(reaction, users);
    const last = users.get(userId);
    if (last === undefined || last.seq < seq) users.set(userId, { seq, on: !removed });
  }

  /** There is one draft, and its newest entry says what it is. */
  drafted({ seq, draft: content }: DraftEvent): void {
    if (seq >= this.#draft.seq) this.#draft = { seq, content };
  }

  muted({ seq, mutedUntilMs: untilMs }: MuteEvent): void {
    if (seq > this.#mute.seq) this.#mute = { seq, untilMs };
  }

  noted({ seq, conversationSeq, todo: mark }: TodoEvent): void {
    const place = this.#place(conversationSeq);
    if (place !== undefined && seq > place.todo.seq) place.todo = { seq, mark };
  }

  marked({ userId, read, deliveredThrough }: MarksEvent): void {
    this.#reads(userId, read);
    this.#delivered.set(userId, Math.max(this.deliveredThrough(userId), deliveredThrough));
  }

  changed(event: ConversationEvent): void {
    const { conversation, members, leftUserIds } = event;
    const { revision } = conversation;
    if (revision > (this.#info?.revision ?? -1)) this.#info = conversation;
    for (const member of members) this.#heard(member.userId, { revision, member });
    for (const userId of leftUserIds) this.#heard(userId, { revision, member: undefined });
    this.happened(event);
  }

  /** What a service has answered; events that are newer than it stay the last word. */
  learned(info: ConversationInfo, { members, revision }: ListedMembers): void {
    if (info.revision > (this.#info?.revision ?? -1)) this.#info = info;
    for (const member of members) this.#heard(member.userId, { revision, member });
  }

  #heard(userId: string, membership: Membership): void {
    const last = this.#memberships.get(userId);
    if (last === undefined || last.revision < membership.revision) {
      this.#memberships.set(userId, membership);
    }
  }

  #reads(userId: string, numbers: NumberSet): void {
    this.#read.set(userId, union(this.read(userId), numbers));
  }

  #ended(number: number): void {
    this.#gone = union(this.#gone, numbersFrom(number, number));
    this.#expiring.delete(number);
  }

  #calls({ mentions }: MessageEvent, one: NumberSet): void {
    if (mentions === undefined) return;
    if (mentions.userIds.includes(this.#userId)) this.#callsUser = union(this.#callsUser, one);
    if (mentions.everyone) this.#callsAll = union(this.#callsAll, one);
    for (const role of mentions.roles) {
      this.#callsRole.set(role, union(this.#callsRole.get(role) ?? NO_NUMBERS, one));
    }
  }

  /** Something was said or changed then. */
  happened({ committedMs }: { readonly committedMs: number }): void {
    this.#lastActivityMs = Math.max(this.#lastActivityMs, committedMs);
  }

  /** The places of the highest numbers are kept; which those are, no order of arrival changes. */
  #place(number: number): Place | undefined {
    const known = this.#window.get(number);
    if (known !== undefined) return known;
    const numbers = this.#numbers;
    const isFull = numbers.length >= this.#messagesMax;
    if (isFull && number < (numbers[0] ?? Number.POSITIVE_INFINITY)) return undefined;
    const todo = { seq: 0, mark: undefined };
    const place: Place = { message: undefined, toldSeq: 0, reactions: new Map(), todo };
    this.#window.set(number, place);
    // Most come in order, and belong to the end.
    let at = numbers.length;
    while (at > 0 && (numbers[at - 1] as number) > number) at -= 1;
    numbers.splice(at, 0, number);
    if (isFull) this.#window.delete(numbers.shift() as number);
    return place;
  }
}

function expired(message: MessageEvent, expiresMs: number): ExpiredEvent {
  const { seq, committedMs, conversationId, conversationSeq, own } = message;
  const { senderUserId, senderDeviceId } = message;
  const of = { seq, committedMs, conversationId, conversationSeq, senderUserId, senderDeviceId };
  return { kind: "expired", ...of, own, expiresMs };
}

/** The highest numbers of a set. */
function newest(set: NumberSet, countMax: number): NumberSet {
  const ranges: { from: number; through: number }[] = [];
  let left = countMax;
  for (const { from, through } of set.toReversed()) {
    if (left === 0) break;
    const first = Math.max(from, through - left + 1);
    ranges.push({ from: first, through });
    left -= through - first + 1;
  }
  return ranges.reverse();
}

/** Whether a message is what it is at a place of the timeline: what is gone stays so. */
function isCurrent(message: SeenMessage, toldSeq: number): boolean {
  return message.kind !== "message" || message.seq >= toldSeq;
}

/** Whether a message says more than the one that is there: a recall is the last word. */
function isNewer(message: SeenMessage, before: SeenMessage | undefined): boolean {
  if (before === undefined) return true;
  const [changes, changesBefore] = [changeCount(message), changeCount(before)];
  return changes > changesBefore || (changes === changesBefore && message.seq > before.seq);
}

function changeCount(message: SeenMessage): number {
  if (message.kind === "recalled") return Number.POSITIVE_INFINITY;
  return message.kind === "expired" ? Number.MAX_VALUE : message.editCount;
}
