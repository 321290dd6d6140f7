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
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import {
  type DocumentRef,
  documentRefOf,
  type LogRef,
  logRefOf,
  type StoredDocument,
} from "../store/store.ts";

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

/** What a user has read, and what it has sent. */
export function readRef(tenant: string, conversationId: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `read:${conversationId}/${userId}`);
}

/** What was recalled. */
export function recalledRef(tenant: string, conversationId: string): DocumentRef {
  return documentRefOf(tenant, `recalled:${conversationId}`);
}

/** Where a user was called by its name. */
export function mentionsRef(tenant: string, conversationId: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `mentions:${conversationId}/${userId}`);
}

/** Where all members of a role were called. */
export function roleMentionsRef(
  tenant: string,
  conversationId: string,
  role: MemberRole,
): DocumentRef {
  return documentRefOf(tenant, `mentions-role:${conversationId}/${role}`);
}

/** Where everybody was called. */
export function allMentionsRef(tenant: string, conversationId: string): DocumentRef {
  return documentRefOf(tenant, `mentions-all:${conversationId}`);
}

const DIRECT_PREFIX = "d:";

/** The users of a direct conversation, in the order of its id; undefined for other ids. */
export function directUsers(conversationId: string): readonly [string, string] | undefined {
  if (!conversationId.startsWith(DIRECT_PREFIX)) return undefined;
  const [first, second, ...more] = conversationId.slice(DIRECT_PREFIX.length).split(":");
  if (first === undefined || second === undefined || more.length > 0) return undefined;
  const areUsers = USER_ID_PATTERN.test(first) && USER_ID_PATTERN.test(second);
  return areUsers && first <= second ? [first, second] : undefined;
}

const MADE_PATTERN = /^g:[a-z2-7]{26}$/;

export function isConversationId(conversationId: string): boolean {
  return MADE_PATTERN.test(conversationId) || directUsers(conversationId) !== undefined;
}

/** A conversation as services see it. */
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

function byUser(members: readonly Member[]): ReadonlyMap<string, Member> {
  return new Map(members.map((member) => [member.userId, member]));
}
