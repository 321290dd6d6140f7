import { create } from "@bufbuild/protobuf";
import { MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Mentions, MentionsSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { NumberSet } from "../../protocol/number-set.ts";
import type { NumberAddition } from "../store/plans.ts";
import type { ConversationRules, Membership } from "./conversations.ts";
import type { Sender } from "./plan.ts";
import { allMentionsRef, mentionsRef, roleMentionsRef } from "./read-state.ts";

/** Users that a message may call by name. [CNV-20] */
const MENTIONED_USERS_MAX = 64;

/** Why somebody may not be called; undefined when all may. [CNV-20] [CNV-21] */
export function mentionsRefusal(
  mentions: Mentions | undefined,
  { conversation, own }: Membership,
  { fanOutMembersMax }: ConversationRules,
): ErrorCode | undefined {
  if (mentions === undefined) return undefined;
  const { userIds, roles, everyone } = mentions;
  const areMembers =
    userIds.length <= MENTIONED_USERS_MAX &&
    userIds.every((userId) => conversation.members.has(userId)) &&
    areRoles(roles);
  if (!areMembers) return ErrorCode.MEMBER_UNKNOWN;
  const isLarge = conversation.members.size > fanOutMembersMax;
  const needsAdmin = roles.length > 0 || (everyone && isLarge);
  return needsAdmin && own.role < MemberRole.ADMIN ? ErrorCode.NOT_PERMITTED : undefined;
}

/** Whether there are such roles. */
export function areRoles(roles: readonly MemberRole[]): boolean {
  return roles.every((role) => role >= MemberRole.READER && role <= MemberRole.OWNER);
}

/** Whether a message calls no more than it may, with those whom it has called before. [CNV-20] */
export function areFew(mentions: Mentions | undefined): boolean {
  return (mentions?.userIds.length ?? 0) <= MENTIONED_USERS_MAX;
}

/** Each once; undefined where nobody is called. */
export function distinctMentions(...parts: (Mentions | undefined)[]): Mentions | undefined {
  const userIds = new Set(parts.flatMap((part) => part?.userIds ?? []));
  const roles = new Set(parts.flatMap((part) => part?.roles ?? []));
  const everyone = parts.some((part) => part?.everyone);
  if (userIds.size === 0 && roles.size === 0 && !everyone) return undefined;
  return create(MentionsSchema, { userIds: [...userIds], roles: [...roles], everyone });
}

/** The members whom a message calls. */
export function mentionedIn(
  mentions: Mentions | undefined,
  { conversation }: Membership,
): readonly string[] {
  if (mentions === undefined) return [];
  const { userIds, roles, everyone } = mentions;
  const members = [...conversation.members.values()];
  const called = members.filter(({ role }) => everyone || roles.includes(role));
  return [...userIds, ...called.map(({ userId }) => userId)];
}

/** Where it is noted that they were called. [CNV-22] */
export function mentionMarks(
  mentions: Mentions | undefined,
  { tenant }: Sender,
  conversationId: string,
  numbers: NumberSet | "own",
): readonly NumberAddition[] {
  if (mentions === undefined) return [];
  const { userIds, roles, everyone } = mentions;
  const refs = [
    ...userIds.map((userId) => mentionsRef(tenant, conversationId, userId)),
    ...roles.map((role) => roleMentionsRef(tenant, conversationId, role)),
    ...(everyone ? [allMentionsRef(tenant, conversationId)] : []),
  ];
  return refs.map((ref) => ({ ref, numbers }));
}
