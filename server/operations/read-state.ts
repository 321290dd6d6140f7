import type { MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { type DocumentRef, documentRefOf } from "../store/store.ts";

// What unread counts are derived from: sets of numbers of a conversation's messages, each a
// document. None of them is ever counted up or down. [CNV-33]

/** What a user has read, and what it has sent. */
export function readRef(tenant: string, conversationId: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `read:${conversationId}/${userId}`);
}

/** What has come to a device of a user. */
export function deliveredRef(tenant: string, conversationId: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `delivered:${conversationId}/${userId}`);
}

/** What was recalled, and what has expired. */
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

/** Who reacts to a message: an encoded ReactionRecord. */
export function reactionsRef(
  tenant: string,
  conversationId: string,
  conversationSeq: number,
): DocumentRef {
  return documentRefOf(tenant, `${reactionsName(conversationId)}${conversationSeq}`);
}

function reactionsName(conversationId: string): string {
  return `reactions:${conversationId}/`;
}

function todosName(conversationId: string): string {
  return `todo:${conversationId}/`;
}

/** Whether something is to be done about a message: an encoded Todo. Empty: nobody says so. */
export function todoRef(
  tenant: string,
  conversationId: string,
  conversationSeq: number,
): DocumentRef {
  return documentRefOf(tenant, `${todosName(conversationId)}${conversationSeq}`);
}

/**
 * What is noted of each message, and goes with it: what the names begin with, before the message's
 * number.
 */
export function notedNames(tenant: string, conversationId: string): readonly DocumentRef[] {
  const names = [reactionsName(conversationId), todosName(conversationId)];
  return names.map((name) => documentRefOf(tenant, name));
}

/** What a user has set for itself: encoded Preferences. */
export function preferencesRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `preferences:${userId}`);
}
