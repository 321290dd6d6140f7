import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ConversationKind, MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  EventSchema,
  type Message,
  MessageSchema,
  type Reference,
  ReferenceKind,
} from "../../gen/posthorn/v1/event_pb.ts";
import type {
  EditMessage,
  RecallMessage,
  SendDirect,
  SendMessage,
} from "../../gen/posthorn/v1/operation_pb.ts";
import { directConversationId, directUsers } from "../../protocol/conversation-id.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import { numbersFrom } from "../../protocol/number-set.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import type { NameAddition, Plan, RefusePlan } from "../store/plans.ts";
import type { PlanningReads, PlanningState, StoredDocument } from "../store/store.ts";
import { contentRefusal } from "./content.ts";
import {
  directsRef,
  joinedReads,
  type Membership,
  mayWrite,
  membershipOf,
  membershipReads,
  messageLog,
  readersOf,
  speakerOf,
  timelinesOf,
} from "./conversations.ts";
import { type FoundMessage, messageOf, messageReads } from "./entries.ts";
import { expiresMsOf, expiryOf, isLifetime } from "./lifetimes.ts";
import {
  areFew,
  distinctMentions,
  mentionedIn,
  mentionMarks,
  mentionsRefusal,
} from "./mentions.ts";
import type { OperationRules, Sender } from "./plan.ts";
import { contactListing, contactsRef } from "./presence.ts";
import { reactionsRef, readRef, recalledRef, todoRef } from "./read-state.ts";

/**
 * Direct conversations that a user's list holds: twice those that it has to. What is written in
 * moves to its end only from the older half, and so is never behind more than those. [CNV-16]
 */
const DIRECTS_MAX = 2_000;

export function sendDirectReads(operation: SendDirect, sender: Sender): PlanningReads {
  if (!USER_ID_PATTERN.test(operation.toUserId)) return { users: [] };
  return sendMessageReads(asSendMessage(operation, sender), sender);
}

/** A message to one user's devices and to the sender's other devices. */
export function planSendDirect(
  operation: SendDirect,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const refused = contentRefusal(operation.content, rules);
  if (refused !== undefined) return { kind: "refuse", code: refused };
  if (!USER_ID_PATTERN.test(operation.toUserId)) {
    return { kind: "refuse", code: ErrorCode.USER_ID_INVALID };
  }
  return planSendMessage(asSendMessage(operation, sender), sender, state, rules);
}

type Sent = Pick<
  SendMessage,
  "conversationId" | "content" | "reference" | "mentions" | "lifetimeS"
>;

function asSendMessage({ toUserId, content }: SendDirect, { userId }: Sender): Sent {
  const sent = { conversationId: directConversationId(userId, toUserId), lifetimeS: 0 };
  return content === undefined ? sent : { ...sent, content };
}

export function sendMessageReads(operation: Sent, sender: Sender): PlanningReads {
  const { conversationId, reference } = operation;
  const reads = [membershipReads(sender, conversationId), directReads(sender, conversationId)];
  if (reference === undefined) return joinedReads(...reads);
  const named = { conversationId, conversationSeq: reference.conversationSeq };
  return joinedReads(...reads, messageReads(sender, named));
}

/** What a message between two users may have to be listed in. */
function directReads({ tenant, userId }: Sender, conversationId: string): PlanningReads {
  const users = directUsers(conversationId);
  if (users?.includes(userId) !== true) return { users: [] };
  const lists = [...new Set(users)].map((one) => directsRef(tenant, one));
  return { users: [], documents: [contactsRef(tenant, userId), ...lists] };
}

/** A message into a conversation. [CNV-10] to [CNV-16] */
export function planSendMessage(
  operation: Sent,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const { conversationId, content, reference, mentions: called, lifetimeS } = operation;
  const refused = contentRefusal(content, rules);
  if (refused !== undefined || content === undefined) {
    return { kind: "refuse", code: refused ?? ErrorCode.MESSAGE_EMPTY };
  }
  if (!isLifetime(lifetimeS)) return { kind: "refuse", code: ErrorCode.LIFETIME_INVALID };
  const membership = speakerOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const { requires } = membership;
  const refuse = (code: ErrorCode): Plan => ({ kind: "refuse", code, requires });
  if (!mayWrite(membership)) return refuse(ErrorCode.NOT_PERMITTED);
  const notCalled = mentionsRefusal(called, membership, rules.conversations);
  if (notCalled !== undefined) return refuse(notCalled);
  const referred = referredTo(operation, sender, membership, state);
  if ("kind" in referred) return referred;
  const mentions = distinctMentions(called);
  const { tenant, userId, deviceId } = sender;
  const who = { conversationId, senderUserId: userId, senderDeviceId: deviceId };
  const { settings } = membership.conversation.record;
  const expiresMs = expiresMsOf(lifetimeS, settings, state.nowMs);
  const event = eventOf({
    ...who,
    content,
    ...(reference === undefined ? {} : { reference }),
    ...(mentions === undefined ? {} : { mentions }),
    expiresMs: BigInt(expiresMs),
  });
  return {
    kind: "append",
    log: messageLog(tenant, conversationId),
    event,
    ...(expiresMs === 0 ? {} : { expiry: expiryOf(sender, who, expiresMs) }),
    timelines: timelinesOf(
      tenant,
      told(membership, [...mentionedIn(mentions, membership), userId], rules),
    ),
    requires,
    // What is recalled meanwhile cannot be referred to any more.
    requiresEntries: referred.requiresEntries,
    adds: [
      ...directListings(sender, conversationId, state),
      ...contactListings(sender, conversationId, state),
    ],
    marks: [
      // What somebody says it has read. [CNV-33]
      { ref: readRef(tenant, conversationId, userId), numbers: "own" },
      ...mentionMarks(mentions, sender, conversationId, "own"),
    ],
  };
}

/** Only a message that the sender may read can be referred to. [CNV-13] */
function referredTo(
  { conversationId, reference }: Sent,
  sender: Sender,
  membership: Membership,
  state: PlanningState,
): Pick<FoundMessage, "requiresEntries"> | RefusePlan {
  if (reference === undefined) return { requiresEntries: [] };
  if (!isReference(reference)) return { kind: "refuse", code: ErrorCode.CONTENT_INVALID };
  const named = { conversationId, conversationSeq: reference.conversationSeq };
  return messageOf(sender, named, membership, state);
}

export function isReference({ kind }: Reference): boolean {
  return kind >= ReferenceKind.REPLY && kind <= ReferenceKind.COMMENT;
}

/**
 * Whose timelines a message enters: everybody's, or where they are many, some. A room has no log
 * that the others could read. [CNV-15]
 */
function told(
  { conversation: { members, record } }: Membership,
  some: readonly string[],
  { conversations }: OperationRules,
): Iterable<string> {
  const isTold = record.kind === ConversationKind.ROOM;
  return isTold || members.size <= conversations.fanOutMembersMax ? members.keys() : some;
}

/** A direct conversation is in both users' lists as soon as something was said in it. [CNV-16] */
function directListings(
  { tenant }: Sender,
  conversationId: string,
  { documents }: PlanningState,
): readonly NameAddition[] {
  const read = documentsIn(documents);
  const lists = [...new Set(directUsers(conversationId))].map((one) => directsRef(tenant, one));
  return lists
    .filter((ref) => !lateIn(read(ref)).has(conversationId))
    .map((ref) => ({ ref, name: conversationId, countMax: DIRECTS_MAX }));
}

/** Read once for as long as its bytes are held: every message asks for it. */
const LATE = new WeakMap<StoredDocument, ReadonlySet<string>>();

/** The newer half of a list: what a list would not put at its end again. */
function lateIn(document: StoredDocument): ReadonlySet<string> {
  const known = LATE.get(document);
  if (known !== undefined) return known;
  const late = new Set(namesIn(document).slice(-DIRECTS_MAX / 2));
  LATE.set(document, late);
  return late;
}

function contactListings(
  sender: Sender,
  conversationId: string,
  state: PlanningState,
): readonly NameAddition[] {
  const users = directUsers(conversationId) ?? [];
  return users.flatMap((userId) => contactListing(sender, userId, state));
}

/** Another content for a message, under its own number. [CNV-17] */
export function planEditMessage(
  operation: EditMessage,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const { conversationId, conversationSeq, content } = operation;
  const refused = contentRefusal(content, rules);
  if (refused !== undefined || content === undefined) {
    return { kind: "refuse", code: refused ?? ErrorCode.MESSAGE_EMPTY };
  }
  const membership = speakerOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const found = messageOf(sender, operation, membership, state);
  if ("kind" in found) return found;
  const { message, entry, requiresEntries } = found;
  const { requires } = membership;
  const refuse = (code: ErrorCode): Plan => ({ kind: "refuse", code, requires, requiresEntries });
  const isOwn = message.senderUserId === sender.userId;
  if (!isOwn || !mayWrite(membership)) return refuse(ErrorCode.NOT_PERMITTED);
  const notCalled = mentionsRefusal(operation.mentions, membership, rules.conversations);
  if (notCalled !== undefined) return refuse(notCalled);
  // Nobody who was called is not called any more. [CNV-22]
  const mentions = distinctMentions(message.mentions, operation.mentions);
  if (!areFew(mentions)) return refuse(ErrorCode.MEMBER_UNKNOWN);
  const event = eventOf({
    ...message,
    content,
    ...(mentions === undefined ? {} : { mentions }),
    editCount: message.editCount + 1,
    editedMs: BigInt(state.nowMs),
  });
  const { tenant, userId } = sender;
  const reached = told(membership, [...mentionedIn(mentions, membership), userId], rules);
  const seq = Number(conversationSeq);
  return {
    kind: "repeat",
    entry,
    replaces: [{ ...entry, event }],
    timelines: timelinesOf(tenant, readersOf(membership, reached, conversationSeq)),
    requires,
    requiresEntries,
    marks: mentionMarks(mentions, sender, conversationId, numbersFrom(seq, seq)),
  };
}

/** What a message was, is gone. [CNV-18] [CNV-19] */
export function planRecallMessage(
  operation: RecallMessage,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const { conversationId, conversationSeq } = operation;
  const membership = membershipOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const found = messageOf(sender, operation, membership, state);
  if ("kind" in found) return found;
  const { message, entry, committedMs, requiresEntries } = found;
  const { requires, own, conversation } = membership;
  const refuse = (code: ErrorCode): Plan => ({ kind: "refuse", code, requires, requiresEntries });
  if (own.role < MemberRole.ADMIN) {
    if (message.senderUserId !== sender.userId) return refuse(ErrorCode.NOT_PERMITTED);
    const isLate = state.nowMs - committedMs > rules.conversations.recallWindowMs;
    if (isLate) return refuse(ErrorCode.RECALL_TOO_LATE);
  }
  const { tenant, userId } = sender;
  const { senderUserId, senderDeviceId } = message;
  const event = eventOf({ conversationId, senderUserId, senderDeviceId, recalledByUserId: userId });
  const noted = [reactionsRef, todoRef].map((refOf) => refOf(tenant, conversationId, entry.seq));
  const numbers = numbersFrom(entry.seq, entry.seq);
  // However many they are; and not those to whom it would be news who said something, and when.
  const readers = readersOf(membership, conversation.members.keys(), conversationSeq);
  return {
    kind: "repeat",
    entry,
    replaces: [{ ...entry, event, endsExpiry: true }],
    timelines: timelinesOf(tenant, readers),
    requires,
    requiresEntries,
    puts: noted.map((ref) => ({ ref, bytes: new Uint8Array(0) })),
    marks: [{ ref: recalledRef(tenant, conversationId), numbers }],
  };
}

function eventOf(message: Omit<MessageInitShape<typeof MessageSchema>, "$typeName">): Uint8Array {
  const value = create(MessageSchema, message as Message);
  return toBinary(EventSchema, create(EventSchema, { kind: { case: "message", value } }));
}
