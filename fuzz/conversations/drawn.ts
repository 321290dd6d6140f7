import fc from "fast-check";
import {
  type ConversationKind,
  MemberRole as Role,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import type { ReferenceKind } from "../../gen/posthorn/v1/event_pb.ts";
import type { Asked, Calls, Who } from "./asked.ts";
import { NOBODY, USERS } from "./bench.ts";
import type { Model } from "./model.ts";
import { directId, type ModelConversation } from "./model-state.ts";

export type AskedKind = Asked["kind"];

/** An operation as it is drawn: what its numbers mean depends on what is there by then. */
export interface DrawnAsked {
  readonly kind: AskedKind;
  readonly at: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export interface Step {
  readonly kind:
    | "submit"
    | "begin"
    | "finish"
    | "together"
    | "cross"
    | "repeat"
    | "wait"
    | "later"
    | "earlier"
    | "sweep"
    | "reopen";
  readonly device: number;
  readonly asked: readonly DrawnAsked[];
}

/** How often each kind is drawn. */
export type Weights = Readonly<Partial<Record<AskedKind, number>>>;

export const ALL_KINDS: Weights = {
  direct: 1,
  send: 14,
  edit: 5,
  recall: 3,
  react: 4,
  mark: 4,
  create: 1,
  change: 6,
  join: 3,
  leave: 2,
  settings: 2,
  preferences: 1,
  draft: 5,
  mute: 2,
  todo: 4,
  raw: 1,
};

export type StepWeights = Readonly<Partial<Record<Step["kind"], number>>>;

export const ALL_STEPS: StepWeights = {
  submit: 12,
  begin: 4,
  finish: 3,
  together: 3,
  cross: 4,
  repeat: 1,
  wait: 2,
  later: 2,
  earlier: 1,
  sweep: 2,
  reopen: 1,
};

/** Without the small ones that are drawn more often otherwise: here a number is a choice. */
const NUMBER = fc.noBias(fc.nat(255));

function drawnAsked(weights: Weights): fc.Arbitrary<DrawnAsked> {
  const kinds = weighted(weights as Readonly<Record<AskedKind, number>>);
  return fc.record({ kind: kinds, at: NUMBER, a: NUMBER, b: NUMBER, c: NUMBER });
}

/** Conversations that are there from the beginning, and what happens then. */
export interface History {
  readonly made: readonly DrawnAsked[];
  readonly steps: readonly Step[];
}

export interface HistoryOptions {
  readonly asked: Weights;
  readonly steps: StepWeights;
  /** Operations of one submit. */
  readonly batchMax: number;
}

const STEPS_MIN = 10;
const STEPS_MAX = 60;

export function drawnHistory({ asked, steps, batchMax }: HistoryOptions): fc.Arbitrary<History> {
  const step = fc.record({
    kind: weighted(steps as Readonly<Record<Step["kind"], number>>),
    device: NUMBER,
    asked: fc.array(drawnAsked(asked), { minLength: 1, maxLength: batchMax }),
  });
  return fc.record({
    made: fc.array(drawnAsked({ create: 1 }), { minLength: 1, maxLength: 5 }),
    steps: fc.array(step, { minLength: STEPS_MIN, maxLength: STEPS_MAX, size: "max" }),
  });
}

function weighted<Name extends string>(
  weights: Readonly<Record<Name, number>>,
): fc.Arbitrary<Name> {
  const names = Object.keys(weights) as Name[];
  return fc.oneof(
    ...names.map((name) => ({ weight: weights[name], arbitrary: fc.constant(name) })),
  );
}

const BOGUS = [
  "",
  "g:",
  "d:",
  `g:${"a".repeat(26)}`,
  `g:${"A".repeat(26)}`,
  `g:${"b".repeat(3_000)}`,
  "d:ann",
  "d:ann:ben:cyd",
  "d:ben:ann",
  "d:ann:not a user",
  "d:ann:ben\0",
  "\0",
  "!conversation:d:ann:ben",
  "../t/d:ann:ben",
];
const REACTIONS = ["👍", "👎", "ok", "🎉", "", "x".repeat(32), "ä".repeat(17)];

/** What a drawn operation asks for, by what is there. @param nextText never said before */
export function askedOf(
  drawn: DrawnAsked,
  { userId, model, nextText }: { userId: string; model: Model; nextText: () => string },
): Asked {
  const { kind, a, b, c } = drawn;
  const text = a === 255 ? "" : a === 254 ? "x".repeat(65) : nextText();
  const id = conversationAt(drawn, userId, model);
  const conversation = model.state.conversations.get(id);
  switch (kind) {
    case "direct":
      return { kind, to: nameAt(b), text };
    case "send": {
      const calls = callsAt(drawn, conversation);
      const rest = { ...(calls === undefined ? {} : { calls }), ...lifetimeAt(drawn) };
      const said = { kind, in: id, text, ...rest };
      if (b % 4 !== 0) return said;
      const seq = seqAt(b >> 2, conversation);
      return { ...said, reference: { kind: (b === 252 ? 5 : (a % 4) + 1) as ReferenceKind, seq } };
    }
    case "edit": {
      const calls = callsAt(drawn, conversation);
      const seq = ownSeqAt(drawn, userId, conversation);
      return { kind, in: id, seq, text, ...(calls === undefined ? {} : { calls }) };
    }
    case "recall":
      return { kind, in: id, seq: ownSeqAt(drawn, userId, conversation) };
    case "react": {
      const reaction = b % 2 === 0 ? "ok" : (REACTIONS[b % REACTIONS.length] as string);
      return { kind, in: id, seq: seqAt(a, conversation), reaction, remove: c % 4 === 0 };
    }
    case "mark":
      return markAt(drawn, id, conversation);
    case "create":
      return createAt(drawn, userId);
    case "change":
      return { kind, in: id, ...changeAt(drawn, conversation) };
    case "join":
    case "leave":
      return { kind, in: id };
    case "settings": {
      const revision = Math.max(0, (conversation?.revision ?? 0) + (a % 5 === 0 ? (b % 3) - 1 : 0));
      return { kind, in: id, revision, settings: settingsAt(b, c) };
    }
    case "draft":
      return draftAt(drawn, { userId, model, id, nextText });
    case "mute": {
      const untilMs = a >= 246 ? 2 ** 53 : ([0, 1, 2 ** 53 - 1, b][a % 4] as number);
      return { kind, in: id, untilMs };
    }
    case "todo": {
      const state = a >= 246 ? 3 : a % 3;
      return { kind, in: id, seq: seqAt(b, conversation), state };
    }
    case "preferences":
      return { kind, hidden: a % 2 === 0 };
    case "blocks":
      return blocksAt(drawn, model.state.users.get(userId)?.blocks ?? new Set());
    case "contacts":
      return contactsAt(drawn);
    case "profile":
      return { kind, name: a === 255 ? "two\nlines" : `name ${a % 4}` };
    case "raw":
      return {
        kind,
        bytes: Uint8Array.of(...([[], [a, b, c], [0x7a, 5, 1], [0xa2, 6, 0]][a % 4] as number[])),
      };
  }
}

/** Sometimes one that is there is taken away: also where the user is out of the conversation. */
function draftAt(
  drawn: DrawnAsked,
  at: { userId: string; model: Model; id: string; nextText: () => string },
): Asked {
  const { a, b, c } = drawn;
  const { model, id } = at;
  if (a % 4 === 0) {
    const begun = [...(model.state.users.get(at.userId)?.drafts.keys() ?? [])];
    const where = b % 4 === 0 ? id : (begun[(b >> 2) % Math.max(1, begun.length)] ?? id);
    return { kind: "draft", in: where, text: undefined };
  }
  const text = a === 255 ? "" : a === 254 ? "x".repeat(65) : at.nextText();
  const conversation = model.state.conversations.get(id);
  const calls = callsAt(drawn, conversation);
  const said = { kind: "draft" as const, in: id, text, ...(calls === undefined ? {} : { calls }) };
  if (b % 4 !== 0) return said;
  const kind = (c === 251 ? 5 : (c % 4) + 1) as ReferenceKind;
  return { ...said, reference: { kind, seq: seqAt(b >> 2, conversation) } };
}

/** Mostly one that the user is in. */
function conversationAt({ at, kind }: DrawnAsked, userId: string, model: Model): string {
  const made = [...model.state.conversations.keys()].filter((id) => id.startsWith("g:"));
  const which = at >> 4;
  const pick = (ids: readonly string[]) => ids[which % ids.length];
  const place = at % 16;
  const strange = made.filter((id) => !model.listed(userId).includes(id));
  if (kind === "join" && place < 11) return pick(strange) ?? pick(made) ?? "";
  // Much happens in one of them, so that there is something to meet.
  if (place < 8) return model.listed(userId)[0] ?? pick(made) ?? directId(userId, nameAt(which));
  if (place < 11) return pick(model.listed(userId)) ?? directId(userId, nameAt(which));
  if (place < 12) return pick(made) ?? directId(userId, nameAt(which));
  if (place < 14) return directId(userId, nameAt(which));
  if (place === 14) return directId(nameAt(which), nameAt(which + 1));
  return pick(BOGUS) as string;
}

/** Mostly a user who is there. */
function nameAt(number: number): string {
  if (number % 32 === 31) return number % 64 === 31 ? NOBODY : "not a user";
  return USERS[number % USERS.length] as string;
}

function seqAt(number: number, conversation: ModelConversation | undefined): number {
  const head = conversation?.messages.length ?? 0;
  if (number === 63) return 0;
  if (number === 62) return 2 ** 60;
  // Mostly the newest: that is what all react to. The next one is not there yet.
  if (number % 2 === 0) return Math.max(1, head);
  return Math.max(1, head + 1 - ((number >> 1) % (head + 1)));
}

/** Mostly a message of one's own. */
function ownSeqAt({ b }: DrawnAsked, userId: string, conversation: ModelConversation | undefined) {
  const own = (conversation?.messages ?? []).filter(
    ({ sender, recalledBy, swept }) => sender === userId && recalledBy === "" && !swept,
  );
  if (b % 4 === 0 || own.length === 0) return seqAt(b >> 2, conversation);
  return own[(b >> 2) % own.length]?.seq ?? 1;
}

/** Seconds. The last of them nobody may ask for. */
const LIFETIMES = [5, 6, 10, 31_536_000, 4, 31_536_001];

function lifetimeAt({ at, a, c }: DrawnAsked) {
  const lifetime = LIFETIMES[at % 16 === 3 ? c % LIFETIMES.length : c % 3];
  return a % 3 === 0 && lifetime !== undefined ? { lifetime } : {};
}

function callsAt({ c, b }: DrawnAsked, conversation: ModelConversation | undefined) {
  const names = [...(conversation?.members.keys() ?? [])];
  const name = (number: number) =>
    number % 8 === 7 ? nameAt(number >> 3) : (names[number % Math.max(1, names.length)] ?? "ann");
  const calls = (some: Partial<Calls>) => ({ users: [], roles: [], everyone: false, ...some });
  switch (c % 8) {
    case 4:
      return calls({ users: [name(c >> 3)] });
    case 5:
      return calls({ users: [name(c >> 3), name(b)] });
    case 6:
      return calls({ roles: [(c === 254 ? 5 : ((c >> 3) % 4) + 1) as Role] });
    case 7:
      return calls({ everyone: true });
    default:
      return undefined;
  }
}

function markAt({ a, b, c }: DrawnAsked, id: string, conversation: ModelConversation | undefined) {
  const head = conversation?.messages.length ?? 0;
  const last = a === 0 ? head + 1 : head;
  const bits = a * 256 + b;
  const numbers = Array.from({ length: last }, (_, index) => index + 1).filter(
    (number) => a % 8 === 1 || (bits >> (number % 16)) % 2 === 1,
  );
  const delivered = c % 3 === 0 ? (c >> 2) % (head + 2) : 0;
  const written = writtenSet(numbers);
  const isBent = c % 16 === 1;
  const read = isBent ? bent(written, c >> 4) : written;
  const mark = { kind: "mark" as const, in: id, read, delivered };
  return { ...mark, numbers: isBent ? undefined : numbers };
}

/** How many numbers are left out, and how many follow less one, by turns: all below 128 here. */
function writtenSet(numbers: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  let next = 1;
  for (const number of numbers) {
    if (number === next && bytes.length > 0) bytes.push((bytes.pop() as number) + 1);
    else bytes.push(number - next, 0);
    next = number + 1;
  }
  return Uint8Array.from(bytes);
}

/** No set any more. */
function bent(set: Uint8Array, how: number): Uint8Array {
  if (how % 4 === 0) return Uint8Array.of(...set, 1);
  if (how % 4 === 1) return Uint8Array.of(0, 0, 0, 0);
  if (how % 4 === 2) return Uint8Array.of(0x80, 0, 0);
  return Uint8Array.of(...new Uint8Array(9).fill(0xff), 1);
}

function createAt({ at, a, b, c }: DrawnAsked, own: string): Asked {
  const odd = { 255: 5, 254: 1, 253: 0 } as Readonly<Record<number, number>>;
  const of = (odd[at] ?? (at % 3) + 2) as ConversationKind;
  const others = USERS.filter(
    (userId, index) => b >= 64 && userId !== own && (b >> index) % 2 === 1,
  );
  const members = others.map((userId, index) => ({
    userId,
    role: (((c >> index) % 3) + 1) as Role,
  }));
  const oddRoles: Readonly<Record<number, Role>> = { 127: Role.OWNER, 126: 0, 125: Role.MEMBER };
  const last = oddRoles[c];
  const who = last === undefined ? members : [...members, { userId: nameAt(a), role: last }];
  const nonce = new Uint8Array(a === 255 ? 15 : 16).fill(a % 8);
  return { kind: "create", nonce, of, settings: settingsAt(a, at), members: who };
}

function contactsAt({ a, b, c }: DrawnAsked): Asked {
  const alias = (number: number) => (number % 32 === 30 ? "two\nlines" : `called ${number % 3}`);
  const set = c % 4 < 3 ? [{ userId: nameAt(a), alias: alias(b) }] : [];
  if (c % 8 === 1) set.push({ userId: nameAt(b), alias: alias(a) });
  const remove = c % 8 > 5 || c % 8 === 2 ? [nameAt(b)] : [];
  return { kind: "contacts", set: a === 255 ? [] : set, remove: a === 255 ? [] : remove };
}

/** Mostly one that is blocked, or one less; seldom both, or somebody named twice. */
function blocksAt({ a, b, c }: DrawnAsked, before: ReadonlySet<string>): Asked {
  const listed = [...before];
  const old = listed[b % Math.max(1, listed.length)];
  const block = c % 8 < 5 ? [nameAt(a)] : [];
  if (c % 16 === 1) block.push(nameAt(b));
  const unblock = c % 8 > 3 ? [old ?? nameAt(b)] : [];
  return { kind: "blocks", block: a === 255 ? [] : block, unblock };
}

function settingsAt(one: number, other: number) {
  const title = one > 250 ? "" : `title ${other % 5}`;
  const lifetime = one === 203 ? 4 : other % 7 === 3 ? 8 : 0;
  return { title, history: one === 201 ? 3 : one % 3, join: one === 202 ? 7 : other % 3, lifetime };
}

/** Mostly of those who are in it, and of one or two. */
function changeAt({ a, b, c }: DrawnAsked, conversation: ModelConversation | undefined) {
  const names = [...(conversation?.members.keys() ?? [])];
  const member = (number: number) => names[number % Math.max(1, names.length)] ?? nameAt(number);
  const name = (number: number) => (number % 3 === 0 ? member(number >> 2) : nameAt(number >> 2));
  const roleAt = (number: number) => ((number % 17 === 16 ? 5 : number % 5) || 2) as Role;
  const set: Who[] = [];
  if (c % 8 < 6) set.push({ userId: name(a), role: roleAt(b) });
  if (c % 8 === 1 || c % 8 === 2) set.push({ userId: name(b), role: roleAt(c) });
  const remove = c % 4 > 1 ? [member(c >> 3)] : [];
  if (c === 7) remove.push(nameAt(a));
  return { set, remove };
}
