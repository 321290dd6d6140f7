import { ConversationKind, type Member } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { isConversationId } from "../../protocol/conversation-id.ts";
import { NO_NUMBERS, type NumberSet } from "../../protocol/number-set.ts";
import {
  type Conversation,
  conversationIn,
  conversationRef,
  messageLog,
} from "../operations/conversations.ts";
import { messageIn } from "../operations/entries.ts";
import { isGone } from "../operations/lifetimes.ts";
import { documentsIn } from "../store/documents.ts";
import type { DocumentRef, LogRef, Store, StoredDocument } from "../store/store.ts";
import type { Caller } from "./access.ts";
import { CallRefused } from "./service.ts";

/** Where a caller stands in a conversation, and what it may see of it, all of one moment. */
export interface Place {
  readonly conversation: Conversation;
  readonly own: Member;
  /** The first number that it may read, and that is kept. [SVC-11] [CNV-104] */
  readonly visibleFrom: number;
  /** The newest number; 0 where nothing was said, and where there is no history. [SVC-11] */
  readonly head: number;
  /** The first that is kept; 0 where there is no history. [CNV-104] */
  readonly floor: number;
  readonly log: LogRef;
  /** By the service's clock. */
  readonly nowMs: number;
  /** What has expired, and is not among what was recalled yet. [CNV-94] */
  readonly expired: NumberSet;
  readonly document: (ref: DocumentRef) => StoredDocument;
}

/** @throws CallRefused for who is not in it any more: access was judged a moment before [SVC-4] */
export async function placeIn(
  store: Pick<Store, "loadForPlanning">,
  caller: Caller,
  conversationId: string,
  documents: readonly DocumentRef[] = [],
): Promise<Place> {
  if (!isConversationId(conversationId)) throw new CallRefused(ErrorCode.CONVERSATION_UNKNOWN);
  const [place] = await placesIn(store, caller, [{ conversationId, documents }]);
  if (place === undefined) throw new CallRefused(ErrorCode.CONVERSATION_UNKNOWN);
  return place;
}

/** Where a caller stands in several, at one moment; those that it is not in are left out. */
export async function placesIn(
  store: Pick<Store, "loadForPlanning">,
  { tenant, userId }: Caller,
  asked: readonly { readonly conversationId: string; readonly documents: readonly DocumentRef[] }[],
): Promise<readonly Place[]> {
  const documents = asked.flatMap(({ conversationId, documents: more }) => [
    conversationRef(tenant, conversationId),
    ...more,
  ]);
  const heads = asked.map(({ conversationId }) => messageLog(tenant, conversationId));
  const state = await store.loadForPlanning({ users: [], documents, heads, expired: heads });
  const document = documentsIn(state.documents);
  return asked.flatMap(({ conversationId }) => {
    const log = messageLog(tenant, conversationId);
    const ref = conversationRef(tenant, conversationId);
    const conversation = conversationIn(conversationId, document(ref));
    const own = conversation?.members.get(userId);
    if (conversation === undefined || own === undefined) return [];
    const floor = state.floors?.get(log) ?? 1;
    const isRoom = conversation.record.kind === ConversationKind.ROOM;
    const head = isRoom ? 0 : (state.heads.get(log) ?? 0);
    const visibleFrom = Math.max(Number(own.visibleFrom), floor);
    const bounds = { visibleFrom, head, floor: isRoom ? 0 : floor, nowMs: state.nowMs };
    const expired = state.expired?.get(log) ?? NO_NUMBERS;
    return { conversation, own, ...bounds, log, expired, document };
  });
}

/** What there is to say of a conversation; undefined where the caller has left it meanwhile. */
export function unlessLeft<Seen>(seen: Promise<Seen>): Promise<Seen | undefined> {
  return seen.catch((error: unknown) => {
    if (error instanceof CallRefused) return undefined;
    throw error;
  });
}

/**
 * That the caller has stayed where its place was, until now: what was read meanwhile was there for
 * it to read. Messages are edited under numbers that they had before. [SVC-11]
 *
 * @throws CallRefused CONVERSATION_UNKNOWN
 */
export async function staysIn(
  store: Pick<Store, "loadForPlanning">,
  { tenant, userId }: Caller,
  { conversation, own }: Place,
): Promise<void> {
  const { id, revision } = conversation;
  const ref = conversationRef(tenant, id);
  const { documents } = await store.loadForPlanning({ users: [], documents: [ref] });
  const now = conversationIn(id, documentsIn(documents)(ref));
  if (now?.revision === revision) return;
  // Who comes again is another member. [CNV-7]
  if (now?.members.get(userId)?.ordinal === own.ordinal) return;
  throw new CallRefused(ErrorCode.CONVERSATION_UNKNOWN);
}

/** The number of a message that the caller may read. @throws CallRefused MESSAGE_UNKNOWN */
export function visibleSeq({ visibleFrom, head }: Place, conversationSeq: bigint): number {
  const seq = Number(conversationSeq);
  if (seq >= visibleFrom && seq <= head) return seq;
  throw new CallRefused(ErrorCode.MESSAGE_UNKNOWN);
}

/** @throws CallRefused MESSAGE_UNKNOWN for what was recalled, or has expired [CNV-6] */
export async function unlessGone(
  store: Pick<Store, "loadLog">,
  { log }: Place,
  seq: number,
): Promise<void> {
  const { entries } = await store.loadLog(log, { from: seq, through: seq }, { count: 1, bytes: 0 });
  const [entry] = entries;
  const message = entry && messageIn(entry.event);
  if (message === undefined || isGone(message)) throw new CallRefused(ErrorCode.MESSAGE_UNKNOWN);
}

/** How much a page holds: what was asked, within bounds. */
export function pageCount(asked: number, usual: number, most: number): number {
  return asked === 0 ? usual : Math.min(asked, most);
}

/** Room in a frame for what is around the messages of a page: 120 bytes each, and the frame's. */
const PAGE_OVERHEAD_BYTES = 32 * 1024;

/** The largest page: its reply has to fit into a frame. [RPC-6] */
export function pageBytesMax({ frameBytes }: { readonly frameBytes: number }): number {
  return frameBytes - PAGE_OVERHEAD_BYTES;
}
