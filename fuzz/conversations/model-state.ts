import { createHash } from "node:crypto";
import {
  HistoryVisibility,
  ConversationKind as Kind,
  MemberRole as Role,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { Asked, Settings } from "./asked.ts";
import type { DraftLine, MessageLine } from "./texts.ts";

export interface ModelLimits {
  readonly fanOut: number;
  readonly receipts: number;
  readonly members: number;
  readonly conversations: number;
  readonly recallMs: number;
  /** How long messages are kept. */
  readonly keptMs: number;
  readonly textBytes: number;
  readonly blocks: number;
  readonly profileTold: number;
  readonly contacts: number;
}

export interface ModelMember {
  role: Role;
  readonly ordinal: number;
  readonly visibleFrom: number;
}

export interface ModelMessage {
  readonly in: string;
  readonly seq: number;
  readonly sender: string;
  readonly device: string;
  readonly committedMs: number;
  readonly calledUsers: Set<string>;
  readonly calledRoles: Set<Role>;
  /** Ordinals of those who react, by reaction. */
  readonly reactions: Map<string, Set<number>>;
  /** Whether something is to be done about it. */
  todo: { readonly state: number; readonly by: string; readonly setMs: number } | undefined;
  text: string | undefined;
  reference: MessageLine["reference"];
  everyone: boolean;
  edits: number;
  editedMs: number;
  recalledBy: string;
  /** 0: it stays. */
  expiresMs: number;
  /** It had expired when somebody swept: for ever, whatever the clock shows. */
  swept: boolean;
}

export interface ModelConversation {
  readonly id: string;
  readonly kind: Kind;
  settings: Settings;
  revision: number;
  nextOrdinal: number;
  readonly members: Map<string, ModelMember>;
  readonly messages: ModelMessage[];
  /** The first number that is kept. */
  floor: number;
  readonly read: Map<string, Set<number>>;
  readonly delivered: Map<string, Set<number>>;
}

/** The one draft of a user in a conversation, as it is by now. */
export interface ModelDraft {
  line: DraftLine;
  /** When there was a draft there for the first time. */
  readonly committedMs: number;
}

/**
 * What a timeline holds: a message or a draft as it is whenever somebody looks, or something that
 * was so.
 */
export interface Line {
  readonly message?: ModelMessage;
  readonly draft?: ModelDraft;
  readonly text?: string;
  readonly committedMs: number;
}

export interface ModelUser {
  readonly timeline: Line[];
  /** By conversation; also those that are gone. */
  readonly drafts: Map<string, ModelDraft>;
  /** Until when, by conversation. */
  readonly mutes: Map<string, number>;
  hidden: boolean;
  readonly blocks: Set<string>;
  blocksRevision: number;
  /** What it calls those whom it knows. */
  readonly contacts: Map<string, string>;
  contactsRevision: number;
  profile: string;
  profileRevision: number;
  /** To whom it has written: the newest last. */
  readonly written: string[];
}

export interface ModelState {
  readonly users: Map<string, ModelUser>;
  readonly conversations: Map<string, ModelConversation>;
}

export interface By {
  readonly userId: string;
  readonly deviceId: string;
  readonly plannedMs: number;
  readonly committedMs: number;
  /** Quotas are judged by what was read: whoever comes at the same time may come in too. */
  readonly waived?: boolean;
}

/** The number that is told, or the rules that are broken: any of them may be named. */
export type Answer = number | readonly ErrorCode[];

export interface Place {
  readonly conversation: ModelConversation;
  readonly own: ModelMember;
}

export const USER_ID = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/;
export const NO_SETTINGS: Settings = { title: "", history: 0, join: 0, lifetime: 0 };

export function newConversation(id: string, kind: Kind, settings: Settings): ModelConversation {
  const sets = { members: new Map(), messages: [], read: new Map(), delivered: new Map() };
  return { id, kind, settings, revision: 0, nextOrdinal: 0, floor: 1, ...sets };
}

/** A message that a member may read: it is there, not from before its time, and not gone. */
export function readable(
  { conversation, own }: Place,
  seq: number,
  nowMs: number,
): ModelMessage | undefined {
  const message = conversation.messages[seq - 1];
  if (message === undefined || seq < firstShown({ conversation, own })) return undefined;
  return isGone(message, nowMs) ? undefined : message;
}

/** The first number that a member may read, and that is kept. */
export function firstShown({ conversation, own }: Place): number {
  return Math.max(own.visibleFrom, conversation.floor);
}

/** Whether nothing of it is there any more. */
export function isGone(message: ModelMessage, nowMs: number): boolean {
  return message.recalledBy !== "" || isOver(message, nowMs);
}

/** Whether its time is over. [CNV-92] */
export function isOver({ expiresMs, swept }: ModelMessage, nowMs: number): boolean {
  return swept || (expiresMs > 0 && expiresMs <= nowMs);
}

/** What everybody is told of it. */
export function lineOf(message: ModelMessage, nowMs: number): MessageLine {
  if (!isOver(message, nowMs)) return message;
  const nothing = { text: undefined, reference: undefined, everyone: false, edits: 0, editedMs: 0 };
  return { ...message, ...nothing, calledUsers: [], calledRoles: [] };
}

/** Five seconds to a year, or none. [CNV-90] */
export function isLifetime(seconds: number): boolean {
  return seconds === 0 || (seconds >= 5 && seconds <= 365 * 24 * 3_600);
}

/** The shorter of both, of those that are there. [CNV-91] */
export function expiresAt(seconds: number, { lifetime }: Settings, sentMs: number): number {
  if (seconds === 0 && lifetime === 0) return 0;
  const [one, other] = [seconds || Number.POSITIVE_INFINITY, lifetime || Number.POSITIVE_INFINITY];
  return sentMs + 1_000 * Math.min(one, other);
}

/** What is too old goes, from the front, up to the first that is not. [CNV-103] */
export function sweepOld({ conversations }: ModelState, beforeMs: number): void {
  for (const conversation of conversations.values()) {
    for (const message of conversation.messages.slice(conversation.floor - 1)) {
      if (message.committedMs >= beforeMs) break;
      conversation.floor += 1;
      message.reactions.clear();
      message.todo = undefined;
    }
  }
}

/** What has expired is so for good, and who reacted to it is forgotten. [CNV-96] */
export function sweep({ conversations }: ModelState, nowMs: number): void {
  for (const message of [...conversations.values()].flatMap(({ messages }) => messages)) {
    if (message.recalledBy !== "" || !isOver(message, nowMs)) continue;
    message.swept = true;
    message.calledUsers.clear();
    message.calledRoles.clear();
    message.everyone = false;
    message.reactions.clear();
    message.todo = undefined;
  }
}

export function mayWrite({ conversation, own }: Place): boolean {
  if (conversation.kind === Kind.CHANNEL) return own.role === Role.ADMIN || own.role === Role.OWNER;
  return own.role !== Role.READER;
}

/** Owners may do everything, admins what concerns those below them, nobody takes itself out. */
export function mayChange(
  { conversation, own }: Place,
  { set, remove }: Extract<Asked, { kind: "change" }>,
  userId: string,
): boolean {
  if (conversation.kind === Kind.DIRECT || remove.includes(userId)) return false;
  if (own.role === Role.OWNER) return true;
  if (own.role !== Role.ADMIN) return false;
  const named = [...set.map((one) => one.userId), ...remove];
  const areBelow = named.every((one) => (conversation.members.get(one)?.role ?? 0) < Role.ADMIN);
  return areBelow && set.every(({ role }) => role < Role.ADMIN);
}

/** From where on whoever comes now may read. [CNV-7] */
export function newFrom({ settings, messages }: ModelConversation): number {
  return settings.history === HistoryVisibility.ALL ? 1 : messages.length + 1;
}

export function areSettings({ title, history, join }: Settings): boolean {
  return title !== "" && [0, 1, 2].includes(history) && [0, 1, 2].includes(join);
}

export function addNumbers(
  sets: Map<string, Set<number>>,
  userId: string,
  numbers: readonly number[],
) {
  sets.set(userId, new Set([...(sets.get(userId) ?? []), ...numbers]));
}

export function directId(one: string, other: string): string {
  return `d:${[one, other].sort().join(":")}`;
}

/** Whose a direct conversation is; undefined where the id is no such one's. */
export function usersOf(id: string): readonly string[] | undefined {
  const [prefix, one = "", other = "", ...more] = id.split(":");
  const isSound = prefix === "d" && more.length === 0 && USER_ID.test(one) && USER_ID.test(other);
  return isSound && one <= other ? [one, other] : undefined;
}

/** The first 26 characters of base 32 of a hash. [CNV-2] */
export function madeId(userId: string, nonce: Uint8Array): string {
  const hash = createHash("sha256");
  const digest = hash.update(`posthorn conversation 1\0${userId}\0`).update(nonce).digest("hex");
  const bits = [...digest].map((hex) => Number.parseInt(hex, 16).toString(2).padStart(4, "0"));
  const fives = bits.join("").match(/.{5}/g) ?? [];
  const letters = fives.map((five) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(five, 2)]);
  return `g:${letters.slice(0, 26).join("")}`;
}
