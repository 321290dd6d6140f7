import type { Member } from "../../gen/posthorn/v1/conversation_pb.ts";
import {
  type ConversationView as ConversationAnswer,
  ConversationsService,
  type UnreadTotals as TotalsAnswer,
} from "../../gen/posthorn/v1/conversations_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type HistoryEntry, HistoryService } from "../../gen/posthorn/v1/history_pb.ts";
import { decodeReadBitmap, hasRead } from "../../protocol/read-bitmap.ts";
import type { Client } from "../client.ts";
import { RefusedError } from "../results.ts";
import {
  type ConversationInfo,
  type ConversationMember,
  conversationInfoOf,
  memberOf,
  messageEvent,
} from "./events.ts";
import { nameOf, ROLE_NAMES, type RoleName } from "./names.ts";
import { type DraftContent, draftOf } from "./personal.ts";
import type { SeenMessage } from "./seen-conversation.ts";

type Asking = Pick<Client, "call">;

interface Waiting {
  readonly signal?: AbortSignal;
}

/** A conversation as its service says it is for the user. */
export interface ListedConversation {
  readonly info: ConversationInfo;
  readonly role: RoleName;
  /** The first number that the user may read. */
  readonly visibleFrom: number;
  /** The newest number. 0: nothing was said, or there is no history. */
  readonly head: number;
  /** As in {@link ListedMessages}. */
  readonly floor: number;
  readonly lastMessage: SeenMessage | undefined;
  readonly unreadCount: number;
  readonly mentionCount: number;
  /** Unix milliseconds. 0: it is not muted. */
  readonly mutedUntilMs: number;
}

/** What a user has begun to write somewhere. */
export interface ListedDraft extends DraftContent {
  readonly conversationId: string;
  /** Unix milliseconds by the service's clock. */
  readonly savedMs: number;
}

/** How much is not read. */
export interface UnreadTotals {
  /** Conversations in which something is. */
  readonly conversationCount: number;
  readonly unreadCount: number;
  readonly mentionCount: number;
}

/** Messages by rising number. History is no timeline: `seq` is 0, and `own` is false. */
export interface ListedMessages {
  readonly messages: readonly SeenMessage[];
  /** Where the next page the same way begins: `before` or `after`, as asked. 0: there is none. */
  readonly next: number;
  /** The newest number. 0: there is none. */
  readonly head: number;
  /** The first number that the service still has; above `head` it has none. 0: no history. */
  readonly floor: number;
}

export interface ListedMembers {
  readonly members: readonly ConversationMember[];
  /** Of the conversation, when it was so. */
  readonly revision: number;
}

/** How often the members may change while they are listed, until that is given up. */
const ATTEMPTS_MAX = 5;
const MEMBERS_COUNT = 500;
const CONVERSATIONS_COUNT = 100;

/**
 * The conversations that the user is in, those of kinds that this version does not know left out.
 *
 * @throws as {@link Client.call}
 */
export async function* listedConversations(
  client: Asking,
  options: Waiting = {},
): AsyncIterableIterator<ListedConversation> {
  const { listConversations } = ConversationsService.method;
  let afterConversationId = "";
  do {
    const request = { afterConversationId, countMax: CONVERSATIONS_COUNT };
    const { conversations, nextAfter } = await client.call(listConversations, request, options);
    for (const answer of conversations) {
      const listed = listedOf(answer);
      if (listed !== undefined) yield listed;
    }
    afterConversationId = nextAfter;
  } while (afterConversationId !== "");
}

/** One of them; undefined when its kind is not known. @throws as {@link Client.call} */
export async function listedConversation(
  client: Asking,
  conversationId: string,
  options: Waiting = {},
): Promise<ListedConversation | undefined> {
  const { getConversation } = ConversationsService.method;
  const { conversation } = await client.call(getConversation, { conversationId }, options);
  return conversation && listedOf(conversation);
}

function listedOf(answer: ConversationAnswer): ListedConversation | undefined {
  const info = conversationInfoOf(answer.conversation);
  const role = nameOf(ROLE_NAMES, answer.role);
  if (info === undefined || role === undefined) return undefined;
  const { lastMessage, visibleFrom, head, floor, unreadCount, mentionCount, mutedUntilMs } = answer;
  return {
    info,
    role,
    visibleFrom: Number(visibleFrom),
    head: Number(head),
    floor: Number(floor),
    lastMessage: lastMessage && messageOf(lastMessage),
    unreadCount: Number(unreadCount),
    mentionCount: Number(mentionCount),
    mutedUntilMs: Number(mutedUntilMs),
  };
}

/** All that the user has begun to write, of kinds that this version knows. [CNV-74] */
export async function listedDrafts(
  client: Asking,
  options: Waiting = {},
): Promise<readonly ListedDraft[]> {
  const { listDrafts } = ConversationsService.method;
  const listed: ListedDraft[] = [];
  let afterConversationId = "";
  do {
    const { drafts, nextAfter } = await client.call(listDrafts, { afterConversationId }, options);
    for (const draft of drafts) {
      const content = draftOf(draft);
      const { conversationId, savedMs } = draft;
      if (content) listed.push({ ...content, conversationId, savedMs: Number(savedMs) });
    }
    afterConversationId = nextAfter;
  } while (afterConversationId !== "");
  return listed;
}

/** How much the user has not read in all, with and without what it has muted. [CNV-77] */
export async function unreadTotals(
  client: Asking,
  options: Waiting = {},
): Promise<{ readonly all: UnreadTotals; readonly notMuted: UnreadTotals }> {
  const { getTotals } = ConversationsService.method;
  let [all, notMuted] = [NO_TOTALS, NO_TOTALS];
  let afterConversationId = "";
  do {
    const page = await client.call(getTotals, { afterConversationId }, options);
    all = withTotals(all, page.all);
    notMuted = withTotals(notMuted, page.notMuted);
    afterConversationId = page.nextAfter;
  } while (afterConversationId !== "");
  return { all, notMuted };
}

const NO_TOTALS: UnreadTotals = { conversationCount: 0, unreadCount: 0, mentionCount: 0 };

function withTotals(totals: UnreadTotals, more: TotalsAnswer | undefined): UnreadTotals {
  return {
    conversationCount: totals.conversationCount + (more?.conversationCount ?? 0),
    unreadCount: totals.unreadCount + Number(more?.unreadCount ?? 0),
    mentionCount: totals.mentionCount + Number(more?.mentionCount ?? 0),
  };
}

/**
 * A page of what was said.
 *
 * @param page `before` a number downwards, or `after` one upwards; without either the newest
 * @throws as {@link Client.call}
 */
export async function listedMessages(
  client: Asking,
  conversationId: string,
  page: { readonly before?: number; readonly after?: number; readonly count?: number } & Waiting,
): Promise<ListedMessages> {
  const { before, after, count = 0, signal } = page;
  const position =
    before === undefined
      ? after === undefined
        ? undefined
        : { case: "after" as const, value: BigInt(after) }
      : { case: "before" as const, value: BigInt(before) };
  const { listMessages } = HistoryService.method;
  const { entries, next, head, floor } = await client.call(
    listMessages,
    { conversationId, countMax: count, ...(position && { position }) },
    signal === undefined ? {} : { signal },
  );
  const messages = entries.flatMap((entry) => messageOf(entry) ?? []);
  return { messages, next: Number(next), head: Number(head), floor: Number(floor) };
}

/** History does not say to whom it answers: no message is this device's own. */
const NOBODY = { userId: "", deviceId: "" };

function messageOf({ conversationSeq, committedMs, message }: HistoryEntry) {
  if (message === undefined) return undefined;
  const event = new Uint8Array(0);
  const numbers = { conversationSeq: Number(conversationSeq), committedMs: Number(committedMs) };
  return messageEvent({ seq: 0, ...numbers, event }, message, NOBODY);
}

/** Everybody in a conversation, at one moment. @throws as {@link Client.call} */
export async function listedMembers(
  client: Asking,
  conversationId: string,
  options: Waiting = {},
): Promise<ListedMembers> {
  const { members, revision } = await allMembers(client, conversationId, options);
  return { members: members.flatMap((member) => memberOf(member) ?? []), revision };
}

/**
 * Who has read a message, as far as they show it.
 *
 * @throws as {@link Client.call}; RefusedError NOT_PERMITTED where nobody is told
 */
export async function readersOf(
  client: Asking,
  { conversationId, conversationSeq }: { conversationId: string; conversationSeq: number },
  options: Waiting = {},
): Promise<readonly string[]> {
  const { listReaders } = ConversationsService.method;
  const request = { conversationId, conversationSeq: BigInt(conversationSeq) };
  const { readers } = await client.call(listReaders, request, options);
  const bitmap = decodeReadBitmap(readers);
  // As for a response that cannot be read. [CNV-36]
  if (bitmap === undefined) throw new RefusedError(ErrorCode.CALL_FAILED);
  const { members } = await allMembers(client, conversationId, options);
  return members.filter(({ ordinal }) => hasRead(bitmap, ordinal)).map(({ userId }) => userId);
}

/** Pages of different revisions do not fit together: then it begins again. */
async function allMembers(client: Asking, conversationId: string, options: Waiting) {
  const { listMembers } = ConversationsService.method;
  const all: Member[] = [];
  let fromOrdinal = 0;
  let begun: bigint | undefined;
  for (let attempt = 0; ; ) {
    const request = { conversationId, fromOrdinal, countMax: MEMBERS_COUNT };
    const page = await client.call(listMembers, request, options);
    begun ??= page.revision;
    const isSame = begun === page.revision;
    if (!isSame && attempt < ATTEMPTS_MAX) {
      attempt += 1;
      all.length = 0;
      fromOrdinal = 0;
      begun = undefined;
      continue;
    }
    all.push(...page.members);
    fromOrdinal = page.nextOrdinal;
    if (fromOrdinal === 0) return { members: all, revision: Number(begun) };
  }
}
