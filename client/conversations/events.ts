import type { Conversation, Member } from "../../gen/posthorn/v1/conversation_pb.ts";
import type {
  ConversationChanged,
  MarksChanged,
  Mentions,
  Message,
  PreferencesChanged,
  ReactionChanged,
  Reference,
} from "../../gen/posthorn/v1/event_pb.ts";
import type { DeliverPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import { decodeNumberSet, type NumberSet } from "../../protocol/number-set.ts";
import { contentOf, type MessageContent } from "./content.ts";
import {
  type ConversationKindName,
  HISTORY_NAMES,
  type HistoryName,
  JOIN_NAMES,
  type JoinName,
  KIND_NAMES,
  nameOf,
  REFERENCE_NAMES,
  type ReferenceName,
  ROLE_NAMES,
  type RoleName,
} from "./names.ts";

/** What every event of a timeline has. */
interface Timed {
  /**
   * The timeline number: an application that keeps it with what it stores handles each event once,
   * come what may.
   */
  readonly seq: number;
  /** Unix milliseconds by the service's clock. Of a message, when it was sent. */
  readonly committedMs: number;
}

interface OfMessage extends Timed {
  readonly conversationId: string;
  /** The message's number in its conversation. What comes later takes the place of what came. */
  readonly conversationSeq: number;
  readonly senderUserId: string;
  readonly senderDeviceId: string;
  /** Sent by this very device. */
  readonly own: boolean;
}

/**
 * A message as it is now. One that was edited comes once more, under its number in the
 * conversation; what it was before is handed out to nobody any more.
 */
export interface MessageEvent extends OfMessage {
  readonly kind: "message";
  readonly content: MessageContent;
  /** How often it was edited. */
  readonly editCount: number;
  /** When it was edited last, Unix milliseconds. */
  readonly editedMs: number | undefined;
  /** What it is said to. */
  readonly reference: MessageReference | undefined;
  /** Whom it calls. */
  readonly mentions: MessageMentions | undefined;
  /**
   * When whoever has it erases it, Unix milliseconds; undefined: it stays. Nothing comes then: a
   * view says when that is, and does it. [CNV-95]
   */
  readonly expiresMs: number | undefined;
}

/** A message was taken back: nothing of it is there any more. */
export interface RecalledEvent extends OfMessage {
  readonly kind: "recalled";
  readonly recalledByUserId: string;
}

/** The time of a message is over: nothing of it is there any more. */
export interface ExpiredEvent extends OfMessage {
  readonly kind: "expired";
  /**
   * When it was over, Unix milliseconds. Undefined: the service keeps nothing that is so old, and
   * knows no more who has sent it.
   */
  readonly expiresMs: number | undefined;
}

/** Another message of the same conversation. */
export interface MessageReference {
  readonly kind: ReferenceName;
  readonly conversationSeq: number;
}

/** Whom a message calls. */
export interface MessageMentions {
  readonly userIds: readonly string[];
  /** All members of these roles. */
  readonly roles: readonly RoleName[];
  /** All members. */
  readonly everyone: boolean;
}

/** Whether a message calls a user who has a role in its conversation. */
export function mentionsUser(
  mentions: MessageMentions | undefined,
  userId: string,
  role: RoleName | undefined,
): boolean {
  if (mentions === undefined) return false;
  const { userIds, roles, everyone } = mentions;
  return everyone || userIds.includes(userId) || (role !== undefined && roles.includes(role));
}

/** Somebody reacts to a message, or does not any more. */
export interface ReactionEvent extends Timed {
  readonly kind: "reaction";
  readonly conversationId: string;
  readonly conversationSeq: number;
  readonly userId: string;
  readonly reaction: string;
  readonly removed: boolean;
}

/** Somebody has read, or got, messages. */
export interface MarksEvent extends Timed {
  readonly kind: "marks";
  readonly conversationId: string;
  readonly userId: string;
  /** What it has read besides. */
  readonly read: NumberSet;
  /** It has got everything up to this number. 0: nothing is said of that. */
  readonly deliveredThrough: number;
}

/** A conversation came to be, or its members or settings are others. */
export interface ConversationEvent extends Timed {
  readonly kind: "conversation";
  readonly conversation: ConversationInfo;
  readonly byUserId: string;
  /** Who came in, or has another role. */
  readonly members: readonly ConversationMember[];
  readonly leftUserIds: readonly string[];
}

/** The user has set something for itself. */
export interface PreferencesEvent extends Timed {
  readonly kind: "preferences";
  /** Nobody but the user's own devices is told what it has read and got. */
  readonly receiptsHidden: boolean;
}

/** A conversation, as everybody in it sees it. */
export interface ConversationInfo {
  readonly conversationId: string;
  readonly kind: ConversationKindName;
  /** Counts the changes of members and settings. 0 for a direct one. */
  readonly revision: number;
  readonly title: string;
  readonly topic: string;
  readonly history: HistoryName;
  readonly join: JoinName;
  /** How long a message that is sent now is there at most, seconds. 0: for ever. */
  readonly lifetimeS: number;
  readonly memberCount: number;
}

export interface ConversationMember {
  readonly userId: string;
  readonly role: RoleName;
  /** The first number of the conversation that it may read. */
  readonly visibleFrom: number;
}

/** Undefined for a message of a kind that this version does not know. */
export function messageEvent(
  { seq, conversationSeq, committedMs }: DeliverPlain,
  message: Message,
  self: { readonly deviceId: string; readonly userId: string },
): MessageEvent | RecalledEvent | ExpiredEvent | undefined {
  const { conversationId, senderUserId, senderDeviceId } = message;
  const own = senderUserId === self.userId && senderDeviceId === self.deviceId;
  const of = { seq, conversationId, conversationSeq, committedMs, senderUserId, senderDeviceId };
  const { recalledByUserId } = message;
  if (recalledByUserId !== "") return { kind: "recalled", ...of, own, recalledByUserId };
  const expiresMs = message.expiresMs === 0n ? undefined : numberIn(message.expiresMs);
  // Of a message that is kept no longer nobody knows even who has sent it. [CNV-105]
  const isOver = expiresMs !== undefined || senderUserId === "";
  if (message.content === undefined && isOver) {
    return { kind: "expired", ...of, own, expiresMs };
  }
  const content = contentOf(message.content);
  const reference = referenceOf(message.reference);
  if (content === undefined || reference === "unknown") return undefined;
  const { editCount } = message;
  const editedMs = message.editedMs === 0n ? undefined : Number(message.editedMs);
  const mentions = mentionsOf(message.mentions);
  const said = { content, editCount, editedMs, reference, mentions, expiresMs };
  return { kind: "message", ...of, own, ...said };
}

/** "unknown" for a kind that this version does not know. */
export function referenceOf(reference: Reference | undefined) {
  if (reference === undefined) return undefined;
  const kind = nameOf(REFERENCE_NAMES, reference.kind);
  const conversationSeq = numberIn(reference.conversationSeq);
  if (kind === undefined || conversationSeq === undefined) return "unknown";
  return { kind, conversationSeq };
}

export function mentionsOf(mentions: Mentions | undefined): MessageMentions | undefined {
  if (mentions === undefined) return undefined;
  const { userIds, everyone } = mentions;
  const roles = mentions.roles.flatMap((role) => nameOf(ROLE_NAMES, role) ?? []);
  return { userIds, roles, everyone };
}

export function reactionEvent(
  { seq, committedMs }: DeliverPlain,
  changed: ReactionChanged,
): ReactionEvent | undefined {
  const { conversationId, userId, reaction, removed } = changed;
  const conversationSeq = numberIn(changed.conversationSeq);
  if (conversationSeq === undefined) return undefined;
  const of = { conversationId, conversationSeq, userId, reaction, removed };
  return { kind: "reaction", seq, committedMs, ...of };
}

export function marksEvent(
  { seq, committedMs }: DeliverPlain,
  changed: MarksChanged,
): MarksEvent | undefined {
  const { conversationId, userId } = changed;
  const read = decodeNumberSet(changed.read);
  const deliveredThrough = numberIn(changed.deliveredThrough);
  if (read === undefined || deliveredThrough === undefined) return undefined;
  return { kind: "marks", seq, committedMs, conversationId, userId, read, deliveredThrough };
}

export function conversationEvent(
  { seq, committedMs }: DeliverPlain,
  changed: ConversationChanged,
): ConversationEvent | undefined {
  const { byUserId, leftUserIds } = changed;
  const conversation = conversationInfoOf(changed.conversation);
  const members = changed.members.map(memberOf);
  if (conversation === undefined || !members.every((member) => member !== undefined)) {
    return undefined;
  }
  return { kind: "conversation", seq, committedMs, conversation, byUserId, members, leftUserIds };
}

/** Undefined for a kind of conversation, or a role, that this version does not know. */
export function conversationInfoOf(
  conversation: Conversation | undefined,
): ConversationInfo | undefined {
  const kind = nameOf(KIND_NAMES, conversation?.kind ?? 0);
  if (conversation === undefined || kind === undefined) return undefined;
  const { conversationId, revision, settings, memberCount } = conversation;
  return {
    conversationId,
    kind,
    revision: Number(revision),
    title: settings?.title ?? "",
    topic: settings?.topic ?? "",
    // What is not said is the same as the first of the names.
    history: nameOf(HISTORY_NAMES, settings?.history ?? 0) ?? "joined",
    join: nameOf(JOIN_NAMES, settings?.join ?? 0) ?? "added",
    lifetimeS: settings?.lifetimeS ?? 0,
    memberCount,
  };
}

export function memberOf({ userId, role, visibleFrom }: Member): ConversationMember | undefined {
  const name = nameOf(ROLE_NAMES, role);
  return name && { userId, role: name, visibleFrom: Number(visibleFrom) };
}

export function preferencesEvent(
  { seq, committedMs }: DeliverPlain,
  { preferences }: PreferencesChanged,
): PreferencesEvent {
  const receiptsHidden = preferences?.receiptsHidden ?? false;
  return { kind: "preferences", seq, committedMs, receiptsHidden };
}

/** Undefined above 2^53-1. */
function numberIn(value: bigint): number | undefined {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}
