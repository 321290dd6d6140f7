import { create, toBinary } from "@bufbuild/protobuf";
import {
  ConversationKind,
  type ConversationRecord,
  ConversationRecordSchema,
  ConversationSchema,
  type ConversationSettings,
  HistoryVisibility,
  JoinRule,
  type Member,
  MemberRole,
  MemberSchema,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type {
  ChangeConversation,
  ChangeMembers,
  CreateConversation,
  JoinConversation,
  LeaveConversation,
} from "../../gen/posthorn/v1/operation_pb.ts";
import { isConversationId, madeConversationId } from "../../protocol/conversation-id.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import type { AppendPlan, DocumentRevision, Plan } from "../store/plans.ts";
import { type PlanningReads, type PlanningState, userRefOf } from "../store/store.ts";
import { blocksRef, blocksRevision, isBlockedBy } from "./blocks.ts";
import { isWithin } from "./content.ts";
import {
  byUser,
  type Conversation,
  conversationIn,
  conversationRef,
  conversationsRef,
  happeningsLog,
  headReads,
  joinedReads,
  type Membership,
  membershipOf,
  membershipReads,
  messageLog,
  timelinesOf,
} from "./conversations.ts";
import { isLifetime } from "./lifetimes.ts";
import { nothingPlan } from "./nothing-plan.ts";
import type { OperationRules, Sender } from "./plan.ts";

const TITLE_BYTES_MAX = 256;
const TOPIC_BYTES_MAX = 4096;
/** Members that one operation adds, changes or takes out. [CNV-42] */
const CHANGED_MEMBERS_MAX = 1_000;

type Who = Pick<Member, "userId" | "role">;

export function createConversationReads(
  { nonce, members }: CreateConversation,
  sender: Sender,
  { crypto }: OperationRules,
): PlanningReads {
  const id = madeConversationId(crypto.sha256, sender.userId, nonce);
  if (id === undefined) return { users: [] };
  const documents = [conversationRef(sender.tenant, id)];
  return joinedReads({ users: [], documents }, newcomerReads([...members, sender], sender));
}

/** What has to be known of those who come in: that they are there, and have room. */
function newcomerReads(who: readonly { readonly userId: string }[], { tenant }: Sender) {
  const userIds = who.map(({ userId }) => userId).filter((userId) => USER_ID_PATTERN.test(userId));
  const listed = userIds.slice(0, CHANGED_MEMBERS_MAX + 1);
  return {
    users: listed.map((userId) => userRefOf(tenant, userId)),
    documents: listed.flatMap((userId) => [
      conversationsRef(tenant, userId),
      blocksRef(tenant, userId),
    ]),
  };
}

/** A conversation that there was not. [CNV-2] [CNV-40] [CNV-41] */
export function planCreateConversation(
  operation: CreateConversation,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const { kind, nonce, settings, members: others } = operation;
  const id = madeConversationId(rules.crypto.sha256, sender.userId, nonce);
  const isMade = kind >= ConversationKind.GROUP && kind <= ConversationKind.ROOM;
  const isValid = isMade && areSettings(settings) && settings.title !== "";
  if (id === undefined || !isValid || !areDistinct(others, sender.userId)) {
    return { kind: "refuse", code: ErrorCode.CONVERSATION_INVALID };
  }
  if (others.some(({ role }) => !isRole(role) || role >= MemberRole.OWNER)) {
    return { kind: "refuse", code: ErrorCode.CONVERSATION_INVALID };
  }
  if (!isLifetime(settings.lifetimeS)) return { kind: "refuse", code: ErrorCode.LIFETIME_INVALID };
  const ref = conversationRef(sender.tenant, id);
  const { revision } = documentsIn(state.documents)(ref);
  const requires = [{ ref, revision }, ...newcomersBlocks(others, sender, state)];
  const refuse = (code: ErrorCode): Plan => ({ kind: "refuse", code, requires });
  if (revision > 0) return refuse(ErrorCode.CONVERSATION_CHANGED);
  const who = [{ userId: sender.userId, role: MemberRole.OWNER }, ...others];
  const refused = newcomersRefusal(who, sender, state, rules);
  if (refused !== undefined) return refuse(refused);
  if (who.length > membersMaxOf(kind, rules)) return refuse(ErrorCode.MEMBERS_FULL);
  const record = create(ConversationRecordSchema, {
    kind,
    settings,
    members: who.map(({ userId, role }, ordinal) =>
      create(MemberSchema, { userId, role, ordinal, visibleFrom: 1n }),
    ),
    nextOrdinal: who.length,
  });
  const conversation = { id, revision: 0, record, members: byUser(record.members) };
  return changePlan({ conversation, requires, sender, rules }, conversation.members);
}

export function changeMembersReads(operation: ChangeMembers, sender: Sender): PlanningReads {
  const { conversationId, set } = operation;
  const reads = membershipReads(sender, conversationId);
  return joinedReads(reads, newcomerReads(set, sender), headReads(sender, conversationId));
}

/** Others come in, go out, and get other roles. [CNV-42] to [CNV-46] */
export function planChangeMembers(
  operation: ChangeMembers,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const { conversationId, set, removeUserIds } = operation;
  const membership = membershipOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const { own, conversation } = membership;
  // Of more than may be named not all were read: they are refused below.
  const named = set.slice(0, CHANGED_MEMBERS_MAX);
  const newcomers = named.filter(({ userId }) => !conversation.members.has(userId));
  const requires = [...membership.requires, ...newcomersBlocks(newcomers, sender, state)];
  const refuse = (code: ErrorCode): Plan => ({ kind: "refuse", code, requires });
  if (conversation.record.kind === ConversationKind.DIRECT || own.role < MemberRole.ADMIN) {
    return refuse(ErrorCode.NOT_PERMITTED);
  }
  const all = [...set, ...removeUserIds.map((userId) => ({ userId }))];
  const isValid = areDistinct(all) && set.every(({ role }) => isRole(role));
  if (!isValid || all.length === 0) return refuse(ErrorCode.CONVERSATION_INVALID);
  if (removeUserIds.some((userId) => !conversation.members.has(userId))) {
    return refuse(ErrorCode.MEMBER_UNKNOWN);
  }
  const isAllowed =
    set.every((who) => maySet(membership, who)) &&
    removeUserIds.every((userId) => userId !== own.userId && isBelow(membership, userId));
  if (!isAllowed) return refuse(ErrorCode.NOT_PERMITTED);
  const refused = newcomersRefusal(newcomers, sender, state, rules);
  if (refused !== undefined) return refuse(refused);
  const left = new Set(removeUserIds);
  const changed = changedMembers(membership, set, newcomersFrom(conversation, sender, state));
  const members = new Map(
    [...conversation.members, ...changed].filter(([userId]) => !left.has(userId)),
  );
  const isFuller = members.size > conversation.members.size;
  if (isFuller && members.size > membersMaxOf(conversation.record.kind, rules)) {
    return refuse(ErrorCode.MEMBERS_FULL);
  }
  if (!hasOwner(members)) return refuse(ErrorCode.LAST_OWNER);
  const head = newHead(conversation, changed, { ...sender, heads: state.heads });
  const change = { conversation, requires, sender, rules, ...head };
  return changePlan({ ...change, members, left }, changed);
}

/** Everybody may give roles below the own one to those below; owners every role to all. [CNV-43] */
function maySet(membership: Membership, { userId, role }: Who): boolean {
  const { own, conversation } = membership;
  if (own.role === MemberRole.OWNER) return true;
  if (role >= own.role) return false;
  return !conversation.members.has(userId) || isBelow(membership, userId);
}

function isBelow({ own, conversation }: Membership, userId: string): boolean {
  const role = conversation.members.get(userId)?.role ?? MemberRole.UNSPECIFIED;
  return own.role === MemberRole.OWNER || role < own.role;
}

export function joinReads(operation: JoinConversation, sender: Sender): PlanningReads {
  const { conversationId } = operation;
  const reads = membershipReads(sender, conversationId);
  return joinedReads(reads, newcomerReads([sender], sender), headReads(sender, conversationId));
}

/** The sender comes in by itself. One that is in already is accepted. [CNV-47] */
export function planJoinConversation(
  { conversationId: id }: JoinConversation,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  if (!isConversationId(id)) return { kind: "refuse", code: ErrorCode.CONVERSATION_UNKNOWN };
  const { tenant, userId } = sender;
  const ref = conversationRef(tenant, id);
  const document = documentsIn(state.documents)(ref);
  const conversation = conversationIn(id, document);
  const requires = [{ ref, revision: document.revision }];
  const refuse = (code: ErrorCode): Plan => ({ kind: "refuse", code, requires });
  if (conversation?.members.has(userId))
    return nothingPlan(happeningsLog(tenant, id), { requires });
  const { kind, settings } = conversation?.record ?? {};
  const isOpen = kind !== ConversationKind.DIRECT && settings?.join === JoinRule.OPEN;
  // All have left: whoever came in now would own nothing, and nobody could give it anything.
  const isLeft = conversation?.members.size === 0;
  if (conversation === undefined || !isOpen || isLeft) {
    return refuse(ErrorCode.CONVERSATION_UNKNOWN);
  }
  const role = kind === ConversationKind.CHANNEL ? MemberRole.READER : MemberRole.MEMBER;
  const who = { userId, role };
  const refused = newcomersRefusal([who], sender, state, rules);
  if (refused !== undefined) return refuse(refused);
  const from = newcomersFrom(conversation, sender, state);
  const { nextOrdinal: ordinal } = conversation.record;
  const changed = byUser([create(MemberSchema, { ...who, ordinal, visibleFrom: BigInt(from) })]);
  const members = new Map([...conversation.members, ...changed]);
  if (members.size > membersMaxOf(conversation.record.kind, rules)) {
    return refuse(ErrorCode.MEMBERS_FULL);
  }
  const head = newHead(conversation, changed, { ...sender, heads: state.heads });
  const change = { conversation, requires, sender, rules, ...head };
  return changePlan({ ...change, members }, changed);
}

/** The sender goes out. [CNV-46] */
export function planLeaveConversation(
  { conversationId }: LeaveConversation,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const membership = membershipOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const { conversation, requires } = membership;
  if (conversation.record.kind === ConversationKind.DIRECT) {
    return { kind: "refuse", code: ErrorCode.NOT_PERMITTED, requires };
  }
  const left = new Set([sender.userId]);
  const members = new Map([...conversation.members].filter(([userId]) => !left.has(userId)));
  if (members.size > 0 && !hasOwner(members)) {
    return { kind: "refuse", code: ErrorCode.LAST_OWNER, requires };
  }
  return changePlan({ conversation, requires, sender, rules, members, left }, new Map());
}

/** Other settings. [CNV-48] */
export function planChangeConversation(
  { conversationId, revision, settings }: ChangeConversation,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const membership = membershipOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const { own, conversation, requires } = membership;
  const refuse = (code: ErrorCode): Plan => ({ kind: "refuse", code, requires });
  if (conversation.record.kind === ConversationKind.DIRECT || own.role < MemberRole.ADMIN) {
    return refuse(ErrorCode.NOT_PERMITTED);
  }
  if (BigInt(conversation.revision) !== revision) return refuse(ErrorCode.CONVERSATION_CHANGED);
  if (!areSettings(settings) || settings.title === "") {
    return refuse(ErrorCode.CONVERSATION_INVALID);
  }
  if (!isLifetime(settings.lifetimeS)) return refuse(ErrorCode.LIFETIME_INVALID);
  const record = { ...conversation.record, settings };
  const changed = { ...conversation, record };
  return changePlan({ conversation: changed, requires, sender, rules }, new Map());
}

interface Change {
  /** Before; with its settings after. */
  readonly conversation: Conversation;
  readonly requires: readonly DocumentRevision[];
  readonly requiresHeads?: NonNullable<AppendPlan["requiresHeads"]>;
  readonly sender: Sender;
  readonly rules: OperationRules;
  /** After; the same where it is left out. */
  readonly members?: ReadonlyMap<string, Member>;
  readonly left?: ReadonlySet<string>;
}

/** The record after a change, and who is told. [CNV-49] */
function changePlan(change: Change, changed: ReadonlyMap<string, Member>): AppendPlan {
  const { conversation, requires, requiresHeads = [], sender, left = new Set() } = change;
  const { id, record } = conversation;
  const { tenant, userId } = sender;
  const members = change.members ?? conversation.members;
  const ordinals = [...changed.values()].map(({ ordinal }) => ordinal + 1);
  const nextOrdinal = Math.max(record.nextOrdinal, ...ordinals);
  const after: ConversationRecord = { ...record, members: [...members.values()], nextOrdinal };
  const value = {
    conversation: shownConversation({
      ...conversation,
      revision: conversation.revision + 1,
      members,
    }),
    byUserId: userId,
    members: [...changed.values()],
    leftUserIds: [...left],
  };
  const kind = { case: "conversationChanged" as const, value };
  const lists = { adds: [...changed.keys()], drops: [...left] };
  const list = (one: string) => ({ ref: conversationsRef(tenant, one), name: id });
  // More than the quota: it is read before, and kept to; several at once must push nobody out.
  const countMax = 2 * change.rules.conversations.conversationsMax;
  return {
    kind: "append",
    log: happeningsLog(tenant, id),
    event: toBinary(EventSchema, create(EventSchema, { kind })),
    timelines: timelinesOf(tenant, [...told(change, members, changed), ...left]),
    requires,
    requiresHeads,
    puts: [
      {
        ref: conversationRef(tenant, id),
        bytes: toBinary(ConversationRecordSchema, after),
      },
    ],
    adds: lists.adds.map((one) => ({ ...list(one), countMax })),
    drops: lists.drops.map(list),
  };
}

/** Everybody; where they are many, those concerned and the admins. [CNV-49] */
function told(
  { sender, rules }: Change,
  members: ReadonlyMap<string, Member>,
  changed: ReadonlyMap<string, Member>,
): Iterable<string> {
  if (members.size <= rules.conversations.fanOutMembersMax) return members.keys();
  const admins = [...members.values()].filter(({ role }) => role >= MemberRole.ADMIN);
  const own = members.has(sender.userId) ? [sender.userId] : [];
  return [...own, ...changed.keys(), ...admins.map(({ userId }) => userId)];
}

/** A conversation, as its members see it. */
export function shownConversation({ id, revision, record, members }: Conversation) {
  const { kind, settings } = record;
  const shown = { conversationId: id, kind, revision: BigInt(revision), memberCount: members.size };
  return create(ConversationSchema, settings === undefined ? shown : { ...shown, settings });
}

function changedMembers(
  { conversation }: Membership,
  set: readonly Who[],
  visibleFrom: number,
): ReadonlyMap<string, Member> {
  let { nextOrdinal } = conversation.record;
  const changed = set.map(({ userId, role }) => {
    const known = conversation.members.get(userId);
    if (known !== undefined) return { ...known, role };
    const ordinal = nextOrdinal;
    nextOrdinal += 1;
    return create(MemberSchema, { userId, role, ordinal, visibleFrom: BigInt(visibleFrom) });
  });
  return byUser(changed);
}

/** From where on newcomers may read. [CNV-7] */
function newcomersFrom(
  { id, record }: Conversation,
  { tenant }: Sender,
  { heads }: PlanningState,
): number {
  if (record.settings?.history === HistoryVisibility.ALL) return 1;
  return (heads.get(messageLog(tenant, id)) ?? 0) + 1;
}

/**
 * That nothing was said since: a newcomer would be shown it. Nothing else waits for that, so that
 * whoever talks without end does not keep its removal away. [CNV-7]
 */
function newHead(
  { id, record }: Conversation,
  changed: ReadonlyMap<string, Member>,
  { tenant, heads }: Pick<Sender, "tenant"> & Pick<PlanningState, "heads">,
) {
  const isNew = [...changed.values()].some(({ ordinal }) => ordinal >= record.nextOrdinal);
  if (!isNew || record.settings?.history === HistoryVisibility.ALL) return {};
  const log = messageLog(tenant, id);
  return { requiresHeads: [{ log, head: heads.get(log) ?? 0 }] };
}

/** What an addition relies on, so that a block that comes meanwhile holds. [USR-22] [USR-27] */
function newcomersBlocks(
  who: readonly Who[],
  sender: Sender,
  state: PlanningState,
): readonly DocumentRevision[] {
  return who
    .filter(({ userId }) => USER_ID_PATTERN.test(userId))
    .map(({ userId }) => blocksRevision(sender, userId, state));
}

function newcomersRefusal(
  who: readonly Who[],
  sender: Sender,
  state: PlanningState,
  { conversations }: OperationRules,
): ErrorCode | undefined {
  const { tenant } = sender;
  const read = documentsIn(state.documents);
  for (const { userId } of who) {
    if (!USER_ID_PATTERN.test(userId)) return ErrorCode.USER_ID_INVALID;
    if (!state.knownUsers.has(userRefOf(tenant, userId))) return ErrorCode.USER_UNKNOWN;
    if (isBlockedBy(sender, userId, state)) return ErrorCode.BLOCKED;
    const listed = namesIn(read(conversationsRef(tenant, userId)));
    // Others fill half of a user's list at most: it can always make and join some itself.
    const { conversationsMax } = conversations;
    const isOwn = userId === sender.userId;
    const countMax = isOwn ? conversationsMax : Math.ceil(conversationsMax / 2);
    if (listed.length >= countMax) return ErrorCode.CONVERSATIONS_FULL;
  }
  return undefined;
}

/** A room's messages enter every timeline, so that it has no more than that allows. [CNV-15] */
function membersMaxOf(
  kind: ConversationKind,
  { conversations: { membersMax, fanOutMembersMax } }: OperationRules,
): number {
  return kind === ConversationKind.ROOM ? Math.min(membersMax, fanOutMembersMax) : membersMax;
}

function hasOwner(members: ReadonlyMap<string, Member>): boolean {
  return [...members.values()].some(({ role }) => role === MemberRole.OWNER);
}

function isRole(role: MemberRole): boolean {
  return role >= MemberRole.READER && role <= MemberRole.OWNER;
}

function areDistinct(who: readonly { readonly userId: string }[], ...others: string[]): boolean {
  const userIds = [...who.map(({ userId }) => userId), ...others];
  return who.length <= CHANGED_MEMBERS_MAX && new Set(userIds).size === userIds.length;
}

function areSettings(settings: ConversationSettings | undefined): settings is ConversationSettings {
  return (
    settings !== undefined &&
    isWithin(settings.title, TITLE_BYTES_MAX) &&
    isWithin(settings.topic, TOPIC_BYTES_MAX) &&
    settings.history <= HistoryVisibility.ALL &&
    settings.join <= JoinRule.OPEN &&
    settings.history >= 0 &&
    settings.join >= 0
  );
}
