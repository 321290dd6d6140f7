import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
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
import type {
  NameAddition,
  Plan,
  PlanningReads,
  PlanningState,
  RefusePlan,
} from "../store/store.ts";
import { contentRefusal } from "./content.ts";
import {
  directsRef,
  headReads,
  joinedReads,
  type Membership,
  mayWrite,
  membershipOf,
  membershipReads,
  messageLog,
  readersOf,
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
import { reactionsRef, readRef, recalledRef } from "./read-state.ts";

/** Direct conversations that a user's list holds: the least lately written in goes first. */
const DIRECTS_MAX = 1_000;
/** The list is looked at again with every so many messages. */
const DIRECTS_RENEWED_EVERY = 64;

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
  const documents = isDirectOf(sender, conversationId)
    ? [contactsRef(sender.tenant, sender.userId)]
    : [];
  const reads = [
    membershipReads(sender, conversationId),
    headReads(sender, conversationId),
    { users: [], documents },
  ];
  if (reference === undefined) return joinedReads(...reads);
  const named = { conversationId, conversationSeq: reference.conversationSeq };
  return joinedReads(...reads, messageReads(sender, named));
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
  const membership = membershipOf(sender, conversationId, state);
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

function isReference({ kind }: Reference): boolean {
  return kind >= ReferenceKind.REPLY && kind <= ReferenceKind.COMMENT;
}

/** Whose timelines a message enters: everybody's, or where they are many, some. [CNV-15] */
function told(
  { conversation: { members } }: Membership,
  some: readonly string[],
  { conversations }: OperationRules,
): Iterable<string> {
  return members.size <= conversations.fanOutMembersMax ? members.keys() : some;
}

/** A direct conversation is in both users' lists as soon as something was said in it. */
function directListings(
  { tenant }: Sender,
  conversationId: string,
  { heads }: PlanningState,
): readonly NameAddition[] {
  const head = heads.get(messageLog(tenant, conversationId)) ?? 0;
  if (head % DIRECTS_RENEWED_EVERY !== 0) return [];
  const users = new Set(directUsers(conversationId));
  return [...users].map((userId) => ({
    ref: directsRef(tenant, userId),
    name: conversationId,
    countMax: DIRECTS_MAX,
  }));
}

function isDirectOf({ userId }: Sender, conversationId: string): boolean {
  return directUsers(conversationId)?.includes(userId) ?? false;
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
  const membership = membershipOf(sender, conversationId, state);
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
  const { conversationId } = operation;
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
  const reactions = reactionsRef(tenant, conversationId, entry.seq);
  const numbers = numbersFrom(entry.seq, entry.seq);
  return {
    kind: "repeat",
    entry,
    replaces: [{ ...entry, event, endsExpiry: true }],
    timelines: timelinesOf(tenant, conversation.members.keys()),
    requires,
    requiresEntries,
    puts: [{ ref: reactions, bytes: new Uint8Array(0) }],
    marks: [{ ref: recalledRef(tenant, conversationId), numbers }],
  };
}

function eventOf(message: Omit<MessageInitShape<typeof MessageSchema>, "$typeName">): Uint8Array {
  const value = create(MessageSchema, message as Message);
  return toBinary(EventSchema, create(EventSchema, { kind: { case: "message", value } }));
}
