import {
  JoinRule,
  ConversationKind as Kind,
  MemberRole as Role,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { Asked, Who } from "./asked.ts";
import type { Model } from "./model.ts";
import {
  type Answer,
  areSettings,
  type By,
  isLifetime,
  type ModelConversation,
  type ModelMember,
  madeId,
  mayChange,
  newConversation,
  newFrom,
  USER_ID,
  usersOf,
} from "./model-state.ts";
import { blocks } from "./model-users.ts";
import { changeText } from "./texts.ts";

// Who is in conversations, as section 16.7 has it, written down a second time.

export function createConversation(
  model: Model,
  asked: Extract<Asked, { kind: "create" }>,
  by: By,
): Answer {
  const { nonce, of: kind, settings, members: others } = asked;
  const who = [{ userId: by.userId, role: Role.OWNER }, ...others];
  const isSound =
    nonce.length === 16 &&
    kind >= Kind.GROUP &&
    kind <= Kind.ROOM &&
    areSettings(settings) &&
    new Set(who.map(({ userId }) => userId)).size === who.length &&
    others.every(({ role }) => role >= Role.READER && role < Role.OWNER);
  const broken: ErrorCode[] = isSound ? [] : [ErrorCode.CONVERSATION_INVALID];
  if (!isLifetime(settings.lifetime)) broken.push(ErrorCode.LIFETIME_INVALID);
  const id = madeId(by.userId, nonce);
  if (model.state.conversations.has(id)) broken.push(ErrorCode.CONVERSATION_CHANGED);
  broken.push(...newcomersBroken(model, who, by));
  if (who.length > membersMax(model, kind)) broken.push(ErrorCode.MEMBERS_FULL);
  if (broken.length > 0) return broken;
  const conversation = newConversation(id, kind, settings);
  model.state.conversations.set(id, conversation);
  const changed = new Map<string, Role>(who.map(({ userId, role }) => [userId, role]));
  tellChange(model, conversation, { changed, left: [], visibleFrom: 1 }, by);
  return 0;
}

export function changeMembers(
  model: Model,
  asked: Extract<Asked, { kind: "change" }>,
  by: By,
): Answer {
  const place = model.place(by.userId, asked.in);
  if (typeof place === "number") return [place];
  const { conversation } = place;
  const { members } = conversation;
  const { set, remove } = asked;
  const broken: ErrorCode[] = [];
  const named = [...set.map(({ userId }) => userId), ...remove];
  const isSound =
    named.length > 0 &&
    new Set(named).size === named.length &&
    set.every(({ role }) => role >= Role.READER && role <= Role.OWNER);
  if (!isSound) broken.push(ErrorCode.CONVERSATION_INVALID);
  if (remove.some((one) => !members.has(one))) broken.push(ErrorCode.MEMBER_UNKNOWN);
  if (!mayChange(place, asked, by.userId)) broken.push(ErrorCode.NOT_PERMITTED);
  const newcomers = set.filter(({ userId }) => !members.has(userId));
  broken.push(...newcomersBroken(model, newcomers, by));
  const after = new Map([...members].map(([userId, { role }]) => [userId, role]));
  for (const { userId, role } of set) after.set(userId, role);
  for (const one of remove) after.delete(one);
  const isFuller = after.size > members.size;
  if (isFuller && after.size > membersMax(model, conversation.kind))
    broken.push(ErrorCode.MEMBERS_FULL);
  if (newcomers.length > model.limits.members) broken.push(ErrorCode.MEMBERS_FULL);
  if (![...after.values()].includes(Role.OWNER)) broken.push(ErrorCode.LAST_OWNER);
  if (broken.length > 0) return broken;
  const changed = new Map(set.map(({ userId, role }) => [userId, role]));
  tellChange(
    model,
    conversation,
    { changed, left: remove, visibleFrom: newFrom(conversation) },
    by,
  );
  return 0;
}

export function joinConversation(
  model: Model,
  asked: Extract<Asked, { kind: "join" }>,
  by: By,
): Answer {
  // Whoever it is of is in a direct one already, whether the other one is there or not.
  if (usersOf(asked.in)?.includes(by.userId)) return 0;
  const conversation = model.state.conversations.get(asked.in);
  if (conversation?.members.has(by.userId)) return 0;
  const isOpen =
    conversation !== undefined &&
    conversation.kind !== Kind.DIRECT &&
    conversation.members.size > 0 &&
    conversation.settings.join === JoinRule.OPEN;
  if (!isOpen) return [ErrorCode.CONVERSATION_UNKNOWN];
  const role = conversation.kind === Kind.CHANNEL ? Role.READER : Role.MEMBER;
  const broken = newcomersBroken(model, [{ userId: by.userId, role }], by);
  const isFull = conversation.members.size >= membersMax(model, conversation.kind);
  if (isFull) broken.push(ErrorCode.MEMBERS_FULL);
  if (broken.length > 0) return broken;
  const changed = new Map([[by.userId, role]]);
  tellChange(model, conversation, { changed, left: [], visibleFrom: newFrom(conversation) }, by);
  return 0;
}

export function leaveConversation(
  model: Model,
  asked: Extract<Asked, { kind: "leave" }>,
  by: By,
): Answer {
  const place = model.place(by.userId, asked.in);
  if (typeof place === "number") return [place];
  const { conversation } = place;
  if (conversation.kind === Kind.DIRECT) return [ErrorCode.NOT_PERMITTED];
  const others = [...conversation.members].filter(([userId]) => userId !== by.userId);
  const hasOwner = others.some(([, { role }]) => role === Role.OWNER);
  if (others.length > 0 && !hasOwner) return [ErrorCode.LAST_OWNER];
  const left = [by.userId];
  tellChange(model, conversation, { changed: new Map(), left, visibleFrom: 1 }, by);
  return 0;
}

export function changeSettings(
  model: Model,
  asked: Extract<Asked, { kind: "settings" }>,
  by: By,
): Answer {
  const place = model.place(by.userId, asked.in);
  if (typeof place === "number") return [place];
  const { conversation, own } = place;
  const broken: ErrorCode[] = [];
  const mayNot = conversation.kind === Kind.DIRECT || own.role < Role.ADMIN;
  if (mayNot) broken.push(ErrorCode.NOT_PERMITTED);
  else if (asked.revision !== conversation.revision) broken.push(ErrorCode.CONVERSATION_CHANGED);
  if (!areSettings(asked.settings)) broken.push(ErrorCode.CONVERSATION_INVALID);
  if (!isLifetime(asked.settings.lifetime)) broken.push(ErrorCode.LIFETIME_INVALID);
  if (broken.length > 0) return broken;
  conversation.settings = asked.settings;
  tellChange(model, conversation, { changed: new Map(), left: [], visibleFrom: 1 }, by);
  return 0;
}

/** Makes a change and tells those whom it concerns. [CNV-49] */
function tellChange(
  model: Model,
  conversation: ModelConversation,
  change: { changed: ReadonlyMap<string, Role>; left: readonly string[]; visibleFrom: number },
  by: By,
): void {
  const { members } = conversation;
  const { changed, left, visibleFrom } = change;
  for (const one of left) members.delete(one);
  for (const [userId, role] of changed) {
    const known = members.get(userId);
    if (known !== undefined) known.role = role;
    else {
      members.set(userId, { role, ordinal: conversation.nextOrdinal, visibleFrom });
      conversation.nextOrdinal += 1;
    }
  }
  conversation.revision += 1;
  const shown = [...changed.keys()].map((userId) => ({
    userId,
    ...(members.get(userId) as ModelMember),
  }));
  const { id, kind, revision, settings } = conversation;
  const now = { in: id, kind, revision, ...settings, count: members.size };
  const text = changeText({ ...now, by: by.userId, members: shown, left });
  const isSmall = members.size <= model.limits.fanOut;
  const concerned = [...members]
    .filter(
      ([userId, { role }]) =>
        isSmall || role >= Role.ADMIN || changed.has(userId) || userId === by.userId,
    )
    .map(([userId]) => userId);
  model.tell([...concerned, ...left], { text }, by);
}

function newcomersBroken(
  model: Model,
  who: readonly Who[],
  { userId: byId, waived }: By,
): ErrorCode[] {
  const broken: ErrorCode[] = [];
  for (const { userId } of who) {
    if (!USER_ID.test(userId)) broken.push(ErrorCode.USER_ID_INVALID);
    else if (!model.state.users.has(userId)) broken.push(ErrorCode.USER_UNKNOWN);
    if (blocks(model.state, userId, byId)) broken.push(ErrorCode.BLOCKED);
    const { conversations } = model.limits;
    const most = userId === byId ? conversations : Math.ceil(conversations / 2);
    const isFull = model.listed(userId).length >= most;
    if (isFull && !waived) broken.push(ErrorCode.CONVERSATIONS_FULL);
  }
  return broken;
}

function membersMax(model: Model, kind: Kind): number {
  const { members, fanOut } = model.limits;
  return kind === Kind.ROOM ? Math.min(members, fanOut) : members;
}
