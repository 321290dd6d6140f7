import {
  ConversationKind as Kind,
  MemberRole as Role,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { Asked, Calls } from "./asked.ts";
import {
  changeMembers,
  changeSettings,
  createConversation,
  joinConversation,
  leaveConversation,
} from "./model-members.ts";
import {
  type Answer,
  addNumbers,
  type By,
  directId,
  expiresAt,
  firstShown,
  isGone,
  isLifetime,
  type Line,
  lineOf,
  type ModelConversation,
  type ModelLimits,
  type ModelMember,
  type ModelMessage,
  type ModelState,
  type ModelUser,
  mayWrite,
  NO_SETTINGS,
  newConversation,
  type Place,
  readable,
  USER_ID,
  usersOf,
} from "./model-state.ts";
import { blocks, changeUser, isBlocked, newUser, noteWritten } from "./model-users.ts";
import { markTodo, muteConversation, saveDraft } from "./personal.ts";
import {
  draftText,
  keptNoLongerText,
  marksText,
  messageText,
  preferencesText,
  reactionText,
} from "./texts.ts";

const REACTIONS_MAX = 16;

/**
 * Conversations as chapter 16 has them, written down a second time: plain maps and loops, nothing
 * shared with the service.
 */
export class Model {
  readonly state: ModelState;
  readonly limits: ModelLimits;
  readonly nowMs: () => number;

  constructor(limits: ModelLimits, nowMs: () => number, state?: ModelState) {
    this.limits = limits;
    this.nowMs = nowMs;
    this.state = state ?? { users: new Map(), conversations: new Map() };
  }

  /** As it is now, whatever happens later. */
  copy(): Model {
    return new Model(this.limits, this.nowMs, structuredClone(this.state));
  }

  addUser(userId: string): void {
    this.state.users.set(userId, newUser());
  }

  submit(asked: Asked, by: By): Answer {
    switch (asked.kind) {
      case "raw":
        return [ErrorCode.OPERATION_MALFORMED];
      case "direct": {
        const wrong = USER_ID.test(asked.to) ? [] : [ErrorCode.USER_ID_INVALID];
        const { text } = asked;
        if (wrong.length > 0) return [...wrong, ...this.textBroken(text)];
        return this.#send({ kind: "send", in: directId(by.userId, asked.to), text }, by);
      }
      case "send":
        return this.#send(asked, by);
      case "edit":
        return this.#edit(asked, by);
      case "recall":
        return this.#recall(asked, by);
      case "react":
        return this.#react(asked, by);
      case "mark":
        return this.#mark(asked, by);
      case "create":
        return createConversation(this, asked, by);
      case "change":
        return changeMembers(this, asked, by);
      case "join":
        return joinConversation(this, asked, by);
      case "leave":
        return leaveConversation(this, asked, by);
      case "settings":
        return changeSettings(this, asked, by);
      case "draft":
        return saveDraft(this, asked, by);
      case "mute":
        return muteConversation(this, asked, by);
      case "todo":
        return markTodo(this, asked, by);
      case "preferences":
        this.user(by.userId).hidden = asked.hidden;
        this.tell([by.userId], { text: preferencesText(asked.hidden) }, by);
        return 0;
      case "blocks":
      case "contacts":
      case "profile": {
        const said = changeUser(asked, by, this);
        if (said === undefined) return 0;
        if (!("text" in said)) return said;
        this.tell(said.to, { text: said.text }, by);
        return 0;
      }
    }
  }

  /** A conversation that somebody is in; otherwise why it is told of none. */
  place(userId: string, id: string): Place | ErrorCode {
    const users = usersOf(id);
    if (users !== undefined && !users.includes(userId)) return ErrorCode.CONVERSATION_UNKNOWN;
    if (users?.some((one) => !this.state.users.has(one))) return ErrorCode.USER_UNKNOWN;
    if (users !== undefined && !this.state.conversations.has(id)) this.#addDirect(id, users);
    const conversation = this.state.conversations.get(id);
    const own = conversation?.members.get(userId);
    if (conversation === undefined || own === undefined) return ErrorCode.CONVERSATION_UNKNOWN;
    return { conversation, own };
  }

  /** What a member has still to read, and how often it is called there. [CNV-33] */
  counts(userId: string, conversation: ModelConversation) {
    const { members, messages, read } = conversation;
    const own = members.get(userId) as ModelMember;
    const unread = messages.filter(
      (message) =>
        message.seq >= firstShown({ conversation, own }) &&
        !isGone(message, this.nowMs()) &&
        !read.get(userId)?.has(message.seq),
    );
    const calls = unread.filter(
      ({ calledUsers, calledRoles, everyone }) =>
        everyone || calledUsers.has(userId) || calledRoles.has(own.role),
    );
    return { unread: unread.length, mentions: calls.length };
  }

  timeline(userId: string, after = 0): readonly string[] {
    const lines = this.user(userId).timeline.slice(after);
    return lines.map(({ message, draft, text, committedMs }) => {
      if (draft !== undefined) return `${draftText(draft.line)} @${committedMs}`;
      if (message === undefined) return `${text} @${committedMs}`;
      const { floor = 1 } = this.state.conversations.get(message.in) ?? {};
      if (message.seq < floor) return `${keptNoLongerText(message)} @0`;
      return `${this.text(message)} @${committedMs}`;
    });
  }

  /** What is told of a message now. */
  text(message: ModelMessage): string {
    return messageText(lineOf(message, this.nowMs()));
  }

  /** Conversations that a user is a member of, without direct ones. */
  listed(userId: string): readonly string[] {
    return [...this.state.conversations.values()]
      .filter(({ kind, members }) => kind !== Kind.DIRECT && members.has(userId))
      .map(({ id }) => id);
  }

  #send(asked: Extract<Asked, { kind: "send" }>, by: By): Answer {
    const broken = this.textBroken(asked.text);
    const { reference } = asked;
    if (reference !== undefined && (reference.kind < 1 || reference.kind > 4)) {
      broken.push(ErrorCode.CONTENT_INVALID);
    }
    const { lifetime = 0 } = asked;
    if (!isLifetime(lifetime)) broken.push(ErrorCode.LIFETIME_INVALID);
    const place = this.place(by.userId, asked.in);
    if (typeof place === "number") return [...broken, place];
    const { conversation } = place;
    if (isBlocked(this.state, asked.in)) broken.push(ErrorCode.BLOCKED);
    if (!mayWrite(place)) broken.push(ErrorCode.NOT_PERMITTED);
    broken.push(...this.#callsBroken(asked.calls, place));
    if (reference !== undefined && readable(place, reference.seq, by.committedMs) === undefined) {
      broken.push(ErrorCode.MESSAGE_UNKNOWN);
    }
    if (broken.length > 0) return broken;
    const message: ModelMessage = {
      in: conversation.id,
      seq: conversation.messages.length + 1,
      sender: by.userId,
      device: by.deviceId,
      committedMs: by.committedMs,
      calledUsers: new Set(asked.calls?.users),
      calledRoles: new Set(asked.calls?.roles),
      everyone: asked.calls?.everyone ?? false,
      reactions: new Map(),
      todo: undefined,
      text: asked.text,
      reference,
      edits: 0,
      editedMs: 0,
      recalledBy: "",
      expiresMs: expiresAt(lifetime, conversation.settings, by.plannedMs),
      swept: false,
    };
    conversation.messages.push(message);
    addNumbers(conversation.read, by.userId, [message.seq]);
    noteWritten(this.state, by.userId, conversation.id);
    this.tell(this.#reached(place, message, by.userId), { message }, by);
    return message.seq;
  }

  #edit(asked: Extract<Asked, { kind: "edit" }>, by: By): Answer {
    const broken = this.textBroken(asked.text);
    const place = this.place(by.userId, asked.in);
    if (typeof place === "number") return [...broken, place];
    if (isBlocked(this.state, asked.in)) broken.push(ErrorCode.BLOCKED);
    const message = readable(place, asked.seq, by.committedMs);
    if (message === undefined) return [...broken, ErrorCode.MESSAGE_UNKNOWN];
    if (message.sender !== by.userId || !mayWrite(place)) broken.push(ErrorCode.NOT_PERMITTED);
    broken.push(...this.#callsBroken(asked.calls, place));
    if (broken.length > 0) return broken;
    message.text = asked.text;
    message.edits += 1;
    message.editedMs = by.plannedMs;
    for (const one of asked.calls?.users ?? []) message.calledUsers.add(one);
    for (const role of asked.calls?.roles ?? []) message.calledRoles.add(role);
    message.everyone ||= asked.calls?.everyone ?? false;
    const { members } = place.conversation;
    const told = this.#reached(place, message, by.userId).filter(
      (one) => (members.get(one)?.visibleFrom ?? Number.POSITIVE_INFINITY) <= message.seq,
    );
    this.tell(told, { message }, by);
    return message.seq;
  }

  /** Whose timelines a message enters. [CNV-15] */
  #reached({ conversation }: Place, message: ModelMessage, sender: string): readonly string[] {
    const { kind, members } = conversation;
    const isTold = kind === Kind.ROOM || members.size <= this.limits.fanOut;
    if (isTold) return [...members.keys()];
    const called = [...members].filter(
      ([userId, { role }]) =>
        message.everyone || message.calledUsers.has(userId) || message.calledRoles.has(role),
    );
    return [sender, ...called.map(([userId]) => userId)];
  }

  #recall(asked: Extract<Asked, { kind: "recall" }>, by: By): Answer {
    const place = this.place(by.userId, asked.in);
    if (typeof place === "number") return [place];
    const message = readable(place, asked.seq, by.committedMs);
    if (message === undefined) return [ErrorCode.MESSAGE_UNKNOWN];
    if (place.own.role < Role.ADMIN) {
      if (message.sender !== by.userId) return [ErrorCode.NOT_PERMITTED];
      const isLate = by.plannedMs - message.committedMs > this.limits.recallMs;
      if (isLate) return [ErrorCode.RECALL_TOO_LATE];
    }
    message.text = undefined;
    message.reference = undefined;
    message.everyone = false;
    message.calledUsers.clear();
    message.calledRoles.clear();
    message.reactions.clear();
    message.todo = undefined;
    message.edits = 0;
    message.editedMs = 0;
    message.recalledBy = by.userId;
    message.expiresMs = 0;
    const told = [...place.conversation.members].filter(
      ([, { visibleFrom }]) => visibleFrom <= message.seq,
    );
    this.tell(
      told.map(([userId]) => userId),
      { message },
      by,
    );
    return message.seq;
  }

  #react(asked: Extract<Asked, { kind: "react" }>, by: By): Answer {
    const place = this.place(by.userId, asked.in);
    if (typeof place === "number") return [place];
    const { conversation, own } = place;
    if (isBlocked(this.state, asked.in)) return [ErrorCode.BLOCKED];
    const message = readable(place, asked.seq, by.committedMs);
    if (message === undefined) return [ErrorCode.MESSAGE_UNKNOWN];
    const { reaction, remove } = asked;
    const before = message.reactions.get(reaction);
    if ((before?.has(own.ordinal) ?? false) === !remove) return 0;
    if (remove) {
      before?.delete(own.ordinal);
      if (before?.size === 0) message.reactions.delete(reaction);
    } else {
      const bytes = Buffer.byteLength(reaction);
      const isNew = before === undefined;
      const isFull = isNew && message.reactions.size >= REACTIONS_MAX;
      if (bytes < 1 || bytes > 32 || isFull) return [ErrorCode.REACTION_REFUSED];
      message.reactions.set(reaction, new Set([...(before ?? []), own.ordinal]));
    }
    const named = `${conversation.id}#${message.seq}`;
    const text = reactionText(named, { by: by.userId, reaction, removed: remove });
    this.tell(this.near(place, message, by), { text }, by);
    return 0;
  }

  /** Who is told of what concerns a message and is none. */
  near({ conversation: { members } }: Place, { seq, sender }: ModelMessage, by: By) {
    const some = members.size <= this.limits.fanOut ? [...members.keys()] : [by.userId, sender];
    return some.filter((one) => (members.get(one)?.visibleFrom ?? Infinity) <= seq);
  }

  #mark(asked: Extract<Asked, { kind: "mark" }>, by: By): Answer {
    const place = this.place(by.userId, asked.in);
    if (typeof place === "number") return [place];
    const { conversation } = place;
    const { numbers, delivered } = asked;
    const head = conversation.messages.length;
    const isNothing = numbers?.length === 0 && delivered === 0;
    const isBeyond = delivered > head || numbers?.some((number) => number > head);
    if (numbers === undefined || isNothing || isBeyond) return [ErrorCode.MARK_INVALID];
    const came = Array.from({ length: delivered }, (_, index) => index + 1);
    const has = (set: ReadonlySet<number> | undefined) => (number: number) => set?.has(number);
    const isMarked =
      numbers.every(has(conversation.read.get(by.userId))) &&
      came.every(has(conversation.delivered.get(by.userId)));
    if (isMarked) return 0;
    addNumbers(conversation.read, by.userId, numbers);
    addNumbers(conversation.delivered, by.userId, came);
    const text = marksText(conversation.id, { by: by.userId, read: numbers, delivered });
    this.tell(this.#shown(conversation, by.userId), { text }, by);
    return 0;
  }

  /** Who is told what a user has read: nobody whom it blocks. [CNV-34] [USR-24] */
  #shown({ id, kind, members }: ModelConversation, userId: string): Iterable<string> {
    if (this.user(userId).hidden || isBlocked(this.state, id)) return [userId];
    const isSmall = kind === Kind.GROUP && members.size <= this.limits.receipts;
    if (kind !== Kind.DIRECT && !isSmall) return [userId];
    return [...members.keys()].filter((one) => !blocks(this.state, userId, one));
  }

  #callsBroken(calls: Calls | undefined, { conversation, own }: Place): ErrorCode[] {
    if (calls === undefined) return [];
    const broken: ErrorCode[] = [];
    const areThere =
      calls.users.every((userId) => conversation.members.has(userId)) &&
      calls.roles.every((role) => role >= Role.READER && role <= Role.OWNER);
    if (!areThere) broken.push(ErrorCode.MEMBER_UNKNOWN);
    const isLarge = conversation.members.size > this.limits.fanOut;
    const isAdmin = own.role >= Role.ADMIN;
    const mayNot = calls.roles.length > 0 || (calls.everyone && isLarge);
    if (mayNot && !isAdmin) broken.push(ErrorCode.NOT_PERMITTED);
    return broken;
  }

  textBroken(text: string): ErrorCode[] {
    if (text === "") return [ErrorCode.MESSAGE_EMPTY];
    const isLong = Buffer.byteLength(text) > this.limits.textBytes;
    return isLong ? [ErrorCode.MESSAGE_TOO_LARGE] : [];
  }

  tell(userIds: Iterable<string>, said: Omit<Line, "committedMs">, by: By): void {
    const committedMs = said.message?.committedMs ?? said.draft?.committedMs ?? by.committedMs;
    for (const userId of new Set(userIds)) {
      this.user(userId).timeline.push({ ...said, committedMs });
    }
  }

  #addDirect(id: string, users: readonly string[]): void {
    const conversation = newConversation(id, Kind.DIRECT, NO_SETTINGS);
    for (const [ordinal, userId] of [...new Set(users)].entries()) {
      conversation.members.set(userId, { role: Role.MEMBER, ordinal, visibleFrom: 1 });
    }
    this.state.conversations.set(id, conversation);
  }

  user(userId: string): ModelUser {
    return this.state.users.get(userId) as ModelUser;
  }
}
