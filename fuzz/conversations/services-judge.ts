import { deepEqual } from "node:assert/strict";
import {
  create,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ConversationKind } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ConversationsService } from "../../gen/posthorn/v1/conversations_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type HistoryEntry, HistoryService } from "../../gen/posthorn/v1/history_pb.ts";
import { decodeReadBitmap, hasRead } from "../../protocol/read-bitmap.ts";
import { assert } from "../../protocol/violation.ts";
import { conversations } from "../../server/services/conversations.ts";
import { history } from "../../server/services/history.ts";
import { membershipsIn } from "../../server/services/memberships.ts";
import { Services } from "../../server/services/service.ts";
import type { Store } from "../../server/store/store.ts";
import { codeText } from "../sim/frame-text.ts";
import { RULES, TENANT, USERS } from "./bench.ts";
import type { Model } from "./model.ts";
import type { ModelConversation, ModelMember } from "./model-state.ts";
import { memberLine, memberText, messageLine, messageText } from "./texts.ts";

const { listMessages, listMessagesAround, findMessageByDate } = HistoryService.method;
const { listConversations, getConversation, listMembers, listReaders } =
  ConversationsService.method;
/** So few that there are pages. */
const PAGE = 2;
const ABOUT_ONE = [
  listMessages,
  listMessagesAround,
  findMessageByDate,
  getConversation,
  listMembers,
  listReaders,
] as const;

/** What the services answer to everybody, past their access rules, is what the model says. */
export class ServicesJudge {
  readonly #model: Model;
  readonly #services: Services;

  constructor(store: Store, model: Model) {
    this.#model = model;
    this.#services = new Services(membershipsIn(store))
      .add(HistoryService, history(store, RULES))
      .add(ConversationsService, conversations(store, RULES));
  }

  async judge(): Promise<void> {
    for (const userId of USERS) {
      await this.#judgeList(userId);
      for (const conversation of this.#model.state.conversations.values()) {
        const own = conversation.members.get(userId);
        if (own === undefined) await this.#judgeStranger(userId, conversation);
        else await this.#judgeMember(userId, conversation, own);
      }
    }
  }

  async #answer<Method extends DescMethodUnary>(
    method: Method,
    userId: string,
    request: MessageInitShape<Method["input"]>,
  ): Promise<MessageShape<Method["output"]> | ErrorCode> {
    const name = `${method.parent.typeName}/${method.name}`;
    const bytes = toBinary(method.input, create(method.input, request));
    const caller = { tenant: TENANT, userId, deviceId: "" };
    const { code, response } = await this.#services.answer(name, bytes, caller);
    if (code !== ErrorCode.UNSPECIFIED) return code;
    return fromBinary(method.output, response) as MessageShape<Method["output"]>;
  }

  async #told<Method extends DescMethodUnary>(
    method: Method,
    userId: string,
    request: MessageInitShape<Method["input"]>,
  ): Promise<MessageShape<Method["output"]>> {
    const answer = await this.#answer(method, userId, request);
    const isTold = typeof answer === "object";
    assert(isTold, `${method.name} of ${userId} is ${isTold ? "" : codeText(answer)}`);
    return answer;
  }

  /** To who is not in it, it does not exist. [SVC-4] */
  async #judgeStranger(userId: string, { id }: ModelConversation): Promise<void> {
    for (const method of ABOUT_ONE) {
      const request = { conversationId: id, conversationSeq: 1n };
      const code = await this.#answer(method, userId, request);
      deepEqual(code, ErrorCode.CONVERSATION_UNKNOWN, `${method.name} of ${userId}, a stranger`);
    }
  }

  /** Each conversation once, in the order of ids, page by page. [SVC-15] */
  async #judgeList(userId: string): Promise<void> {
    const shown: string[] = [];
    let afterConversationId = "";
    do {
      const request = { afterConversationId, countMax: PAGE };
      const page = await this.#told(listConversations, userId, request);
      shown.push(...page.conversations.map((view) => view.conversation?.conversationId ?? ""));
      afterConversationId = page.nextAfter;
    } while (afterConversationId !== "");
    const directs = [...this.#model.state.conversations.values()].filter(
      ({ kind, members, messages }) =>
        kind === ConversationKind.DIRECT && members.has(userId) && messages.length > 0,
    );
    const expected = [...this.#model.listed(userId), ...directs.map(({ id }) => id)].sort();
    deepEqual(shown, expected, `the list of ${userId} [SVC-15]`);
  }

  async #judgeMember(userId: string, conversation: ModelConversation, own: ModelMember) {
    const { id: conversationId } = conversation;
    const isRoom = conversation.kind === ConversationKind.ROOM;
    const { visibleFrom } = own;
    const readable = isRoom ? [] : conversation.messages.slice(visibleFrom - 1);
    const texts = readable.map((message) => `${messageText(message)} @${message.committedMs}`);
    const head = isRoom ? 0 : conversation.messages.length;
    const { view } = await this.#viewOf(userId, conversationId);
    const { unread, mentions } = isRoom
      ? { unread: 0, mentions: 0 }
      : this.#model.counts(userId, conversation);
    const expected = { role: own.role, visibleFrom, head, last: texts.at(-1), unread, mentions };
    deepEqual(view, expected, `${conversationId} as ${userId} sees it [SVC-16]`);
    const up = await this.#pages(userId, conversationId, "after");
    deepEqual(up, texts, `upwards, by ${userId} [SVC-12]`);
    const down = await this.#pages(userId, conversationId, "before");
    deepEqual(down, texts, `downwards, by ${userId} [SVC-12]`);
    await this.#judgeDates(userId, conversationId, readable);
    await this.#judgeMembers(userId, conversation);
    for (const seq of new Set([visibleFrom - 1, visibleFrom, head, head + 1])) {
      const isThere = seq >= visibleFrom && seq <= head;
      await this.#judgeAround(userId, conversationId, { seq, isThere, texts, visibleFrom });
      await this.#judgeReaders(userId, conversation, { seq, isThere });
    }
  }

  async #viewOf(userId: string, conversationId: string) {
    const { conversation } = await this.#told(getConversation, userId, { conversationId });
    assert(conversation !== undefined, "a view");
    const { role, visibleFrom, head, lastMessage, unreadCount, mentionCount } = conversation;
    const view = {
      role,
      visibleFrom: Number(visibleFrom),
      head: Number(head),
      last: lastMessage && entryLine(lastMessage),
      unread: Number(unreadCount),
      mentions: Number(mentionCount),
    };
    return { view };
  }

  async #pages(userId: string, conversationId: string, way: "after" | "before") {
    const lines: string[] = [];
    let value = 0n;
    do {
      // Downwards it begins with the newest, which has no number that is asked for.
      const isFirstDown = way === "before" && value === 0n;
      const position = isFirstDown ? { case: undefined } : { case: way, value };
      const request = { conversationId, countMax: PAGE, position };
      const { entries, next } = await this.#told(listMessages, userId, request);
      const page = entries.map(entryLine);
      if (way === "after") lines.push(...page);
      else lines.unshift(...page);
      value = next;
    } while (value !== 0n);
    return lines;
  }

  async #judgeDates(
    userId: string,
    conversationId: string,
    readable: ModelConversation["messages"],
  ) {
    const times = new Set(readable.map(({ committedMs }) => committedMs));
    for (const ms of [...times, ...[...times].map((one) => one + 1)]) {
      const request = { conversationId, fromMs: BigInt(ms) };
      const { entry } = await this.#told(findMessageByDate, userId, request);
      const first = readable.find(({ committedMs }) => committedMs >= ms)?.seq;
      deepEqual(entry && Number(entry.conversationSeq), first, "where a time begins [SVC-14]");
    }
  }

  async #judgeMembers(userId: string, { id, members, revision }: ModelConversation) {
    const lines: string[] = [];
    let fromOrdinal = 0;
    do {
      const request = { conversationId: id, fromOrdinal, countMax: PAGE };
      const page = await this.#told(listMembers, userId, request);
      deepEqual(Number(page.revision), revision, "the revision [SVC-17]");
      lines.push(...page.members.map((one) => memberText(memberLine(one))));
      fromOrdinal = page.nextOrdinal;
    } while (fromOrdinal !== 0);
    const expected = [...members]
      .sort(([, one], [, other]) => one.ordinal - other.ordinal)
      .map(([name, member]) => memberText({ userId: name, ...member }));
    deepEqual(lines, expected, "the members [SVC-17]");
  }

  async #judgeAround(
    userId: string,
    conversationId: string,
    given: { seq: number; isThere: boolean; texts: readonly string[]; visibleFrom: number },
  ): Promise<void> {
    const { seq, isThere, texts, visibleFrom } = given;
    const request = { conversationId, conversationSeq: BigInt(seq), countMax: 1 };
    const answer = await this.#answer(listMessagesAround, userId, request);
    if (!isThere) return deepEqual(answer, ErrorCode.MESSAGE_UNKNOWN, "[SVC-13]");
    assert(typeof answer === "object", "a message is there");
    const at = seq - visibleFrom;
    const expected = texts.slice(Math.max(at - 1, 0), at + 2);
    deepEqual(answer.entries.map(entryLine), expected, `around ${seq}, by ${userId} [SVC-13]`);
  }

  /** Those who have read it and show it, and the one who asks. [SVC-18] */
  async #judgeReaders(
    userId: string,
    conversation: ModelConversation,
    { seq, isThere }: { seq: number; isThere: boolean },
  ): Promise<void> {
    const { id, kind, members, read } = conversation;
    const request = { conversationId: id, conversationSeq: BigInt(seq) };
    const answer = await this.#answer(listReaders, userId, request);
    if (!isThere) return deepEqual(answer, ErrorCode.MESSAGE_UNKNOWN, "[SVC-18]");
    const isSmall = members.size <= this.#model.limits.receipts;
    const isShown =
      kind === ConversationKind.DIRECT || (kind === ConversationKind.GROUP && isSmall);
    if (!isShown) return deepEqual(answer, ErrorCode.NOT_PERMITTED, "[SVC-18]");
    const readers = typeof answer === "object" ? decodeReadBitmap(answer.readers) : undefined;
    assert(readers !== undefined, "a bitmap");
    const shown = [...members].filter(([, { ordinal }]) => hasRead(readers, ordinal));
    const expected = [...members].filter(([name]) => {
      const hides = this.#model.state.users.get(name)?.hidden === true;
      return (name === userId || !hides) && read.get(name)?.has(seq) === true;
    });
    deepEqual(
      shown.map(([name]) => name),
      expected.map(([name]) => name),
      `who has read ${seq}, as ${userId} is told`,
    );
  }
}

function entryLine({ conversationSeq, committedMs, message }: HistoryEntry): string {
  assert(message !== undefined, "an entry has a message");
  return `${messageText(messageLine(message, Number(conversationSeq)))} @${committedMs}`;
}
