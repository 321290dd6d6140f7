import { create, fromBinary } from "@bufbuild/protobuf";
import {
  ConversationKind,
  type ConversationRecord,
  ConversationRecordSchema,
  ConversationSettingsSchema,
  type Member,
  MemberRole,
  MemberSchema,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  directUsers,
  isConversationId,
  isMadeConversationId,
} from "../../protocol/conversation-id.ts";
import { documentsIn } from "../store/documents.ts";
import type { DocumentRevision, RefusePlan } from "../store/plans.ts";
import {
  type DocumentRef,
  documentRefOf,
  type LogRef,
  logRefOf,
  type PlanningReads,
  type PlanningState,
  type StoredDocument,
  type UserRef,
  unnumberedLogRefOf,
  userRefOf,
} from "../store/store.ts";
import { blocksOf, blocksRef } from "./blocks.ts";
import type { Sender } from "./plan.ts";

/** What an operator may change of conversations. */
export interface ConversationRules {
  /** With more members a message enters the timelines of those only whom it calls. [CNV-15] */
  readonly fanOutMembersMax: number;
  /** With more members nobody but the user itself is told what it has read. [CNV-34] */
  readonly receiptMembersMax: number;
  readonly membersMax: number;
  /** Conversations of one user, without direct ones. */
  readonly conversationsMax: number;
  /** How long a sender may take a message back. */
  readonly recallWindowMs: number;
}

export const CONVERSATION_RULES: ConversationRules = {
  fanOutMembersMax: 500,
  receiptMembersMax: 32,
  membersMax: 10_000,
  conversationsMax: 1_000,
  recallWindowMs: 172_800_000,
};

/** A conversation's record: an encoded ConversationRecord. Direct ones have none. */
export function conversationRef(tenant: string, conversationId: string): DocumentRef {
  return documentRefOf(tenant, `conversation:${conversationId}`);
}

/** The conversations that a user is a member of, without direct ones: a list of names. */
export function conversationsRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `conversations:${userId}`);
}

/** The direct conversations in which something was said: a list of names. */
export function directsRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `directs:${userId}`);
}

/** Where a conversation's messages are, under the numbers that are told. */
export function messageLog(tenant: string, conversationId: string): LogRef {
  return logRefOf(tenant, conversationId);
}

/** What has to be read to know a conversation's newest number. */
export function headReads({ tenant }: Sender, conversationId: string): PlanningReads {
  // Whatever a device makes up is no name of a log: a store could not even look for it.
  const isName = isConversationId(conversationId);
  return isName ? { users: [], heads: [messageLog(tenant, conversationId)] } : { users: [] };
}

/** Where everything else is that its members are told: nobody is told its numbers. */
export function happeningsLog(tenant: string, conversationId: string): LogRef {
  return unnumberedLogRefOf(tenant, `conversation:${conversationId}`);
}

/** A conversation as planners and services see it. */
export interface Conversation {
  readonly id: string;
  /** 0 for a direct one. */
  readonly revision: number;
  readonly record: ConversationRecord;
  readonly members: ReadonlyMap<string, Member>;
}

/** Decoded once for as long as its bytes are held. */
const DECODED = new WeakMap<StoredDocument, Conversation>();

/** A conversation as the store has it; undefined where there is none. */
export function conversationIn(id: string, document: StoredDocument): Conversation | undefined {
  const users = directUsers(id);
  if (users !== undefined) return directConversation(id, users);
  if (document.revision === 0) return undefined;
  const known = DECODED.get(document);
  if (known !== undefined) return known;
  const record = fromBinary(ConversationRecordSchema, document.bytes);
  const conversation = { id, revision: document.revision, record, members: byUser(record.members) };
  DECODED.set(document, conversation);
  return conversation;
}

function directConversation(id: string, users: readonly [string, string]): Conversation {
  const members = [...new Set(users)].map((userId, ordinal) =>
    create(MemberSchema, { userId, role: MemberRole.MEMBER, ordinal, visibleFrom: 1n }),
  );
  const record = create(ConversationRecordSchema, {
    kind: ConversationKind.DIRECT,
    settings: create(ConversationSettingsSchema),
    members,
    nextOrdinal: members.length,
  });
  return { id, revision: 0, record, members: byUser(members) };
}

export function byUser(members: readonly Member[]): ReadonlyMap<string, Member> {
  return new Map(members.map((member) => [member.userId, member]));
}

/** A conversation that a user is in, and what it relies on. */
export interface Membership {
  readonly conversation: Conversation;
  readonly own: Member;
  readonly requires: readonly DocumentRevision[];
}

/** What has to be read to know who is in a conversation; of a direct one, who blocks whom too. */
export function membershipReads(sender: Sender, conversationId: string): PlanningReads {
  const { tenant } = sender;
  const users = directUsers(conversationId);
  if (users !== undefined) {
    const documents = users.map((user) => blocksRef(tenant, user));
    return { users: users.map((user) => userRefOf(tenant, user)), documents };
  }
  if (!isMadeConversationId(conversationId)) return { users: [] };
  return { users: [], documents: [conversationRef(tenant, conversationId)] };
}

/**
 * The sender's place in a conversation. That there is no such conversation, and that the sender is
 * not in it, is the same refusal. [CNV-4]
 */
export function membershipOf(
  sender: Sender,
  conversationId: string,
  state: PlanningState,
): Membership | RefusePlan {
  const { tenant, userId } = sender;
  const users = directUsers(conversationId);
  if (users === undefined && !isMadeConversationId(conversationId)) {
    return { kind: "refuse", code: ErrorCode.CONVERSATION_UNKNOWN };
  }
  const ref = conversationRef(tenant, conversationId);
  const document = documentsIn(state.documents)(ref);
  const requires = users === undefined ? [{ ref, revision: document.revision }] : [];
  const conversation = conversationIn(conversationId, document);
  const own = conversation?.members.get(userId);
  if (conversation === undefined || own === undefined) {
    return { kind: "refuse", code: ErrorCode.CONVERSATION_UNKNOWN, requires };
  }
  const isThere = users?.every((user) => state.knownUsers.has(userRefOf(tenant, user))) ?? true;
  if (!isThere) return { kind: "refuse", code: ErrorCode.USER_UNKNOWN };
  return { conversation, own, requires };
}

/** The same for who says something there: to nobody whom it blocks, or who blocks it. [USR-21] */
export function speakerOf(
  sender: Sender,
  conversationId: string,
  state: PlanningState,
): Membership | RefusePlan {
  const membership = membershipOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const others = directOthers(sender, conversationId);
  if (others.length === 0) return membership;
  const blocks = blocksOf(sender, others, state);
  const requires = [...membership.requires, ...blocks.requires];
  if (!others.some(blocks.isKeptFrom)) return { ...membership, requires };
  return { kind: "refuse", code: ErrorCode.BLOCKED, requires };
}

/** With whom a direct conversation is, but the sender itself. */
export function directOthers({ userId }: Sender, conversationId: string): readonly string[] {
  return (directUsers(conversationId) ?? []).filter((one) => one !== userId);
}

/** Whether a member may write. [CNV-5] */
export function mayWrite({ conversation, own }: Membership): boolean {
  const isChannel = conversation.record.kind === ConversationKind.CHANNEL;
  return own.role >= (isChannel ? MemberRole.ADMIN : MemberRole.MEMBER);
}

/** Those of some users who may read a message, and not those who came after it. [CNV-7] */
export function readersOf(
  { conversation: { members } }: Membership,
  userIds: Iterable<string>,
  conversationSeq: bigint,
): readonly string[] {
  return [...userIds].filter((userId) => {
    const member = members.get(userId);
    return member !== undefined && member.visibleFrom <= conversationSeq;
  });
}

/** The timelines of members, and of others. */
export function timelinesOf(tenant: string, userIds: Iterable<string>): readonly UserRef[] {
  return [...new Set(userIds)].map((userId) => userRefOf(tenant, userId));
}

/** Reads of several parts of an operation. */
export function joinedReads(...parts: readonly PlanningReads[]): PlanningReads {
  return {
    users: parts.flatMap(({ users }) => users),
    documents: parts.flatMap(({ documents = [] }) => documents),
    entries: parts.flatMap(({ entries = [] }) => entries),
    heads: parts.flatMap(({ heads = [] }) => heads),
    devices: parts.flatMap(({ devices = [] }) => devices),
  };
}
