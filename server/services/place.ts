import { ConversationKind, type Member } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { isConversationId } from "../../protocol/conversation-id.ts";
import {
  type Conversation,
  conversationIn,
  conversationRef,
  messageLog,
} from "../operations/conversations.ts";
import { documentsIn } from "../store/documents.ts";
import type { DocumentRef, LogRef, Store, StoredDocument } from "../store/store.ts";
import type { Caller } from "./access.ts";
import { CallRefused } from "./service.ts";

/** Where a caller stands in a conversation, and what it may see of it, all of one moment. */
export interface Place {
  readonly conversation: Conversation;
  readonly own: Member;
  /** The first number that it may read. [SVC-11] */
  readonly visibleFrom: number;
  /** The newest number; 0 where nothing was said, and where there is no history. [SVC-11] */
  readonly head: number;
  readonly log: LogRef;
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
  const state = await store.loadForPlanning({ users: [], documents, heads });
  const document = documentsIn(state.documents);
  return asked.flatMap(({ conversationId }) => {
    const log = messageLog(tenant, conversationId);
    const ref = conversationRef(tenant, conversationId);
    const conversation = conversationIn(conversationId, document(ref));
    const own = conversation?.members.get(userId);
    if (conversation === undefined || own === undefined) return [];
    const isRoom = conversation.record.kind === ConversationKind.ROOM;
    const head = isRoom ? 0 : (state.heads.get(log) ?? 0);
    return { conversation, own, visibleFrom: Number(own.visibleFrom), head, log, document };
  });
}

/** The number of a message that the caller may read. @throws CallRefused MESSAGE_UNKNOWN */
export function visibleSeq({ visibleFrom, head }: Place, conversationSeq: bigint): number {
  const seq = Number(conversationSeq);
  if (seq >= visibleFrom && seq <= head) return seq;
  throw new CallRefused(ErrorCode.MESSAGE_UNKNOWN);
}

/** How much a page holds: what was asked, within bounds. */
export function pageCount(asked: number, usual: number, most: number): number {
  return asked === 0 ? usual : Math.min(asked, most);
}

/** Room in a frame for what is around the messages of a page. */
const PAGE_OVERHEAD_BYTES = 16 * 1024;

/** The largest page: its reply has to fit into a frame. [RPC-6] */
export function pageBytesMax({ frameBytes }: { readonly frameBytes: number }): number {
  return frameBytes - PAGE_OVERHEAD_BYTES;
}
