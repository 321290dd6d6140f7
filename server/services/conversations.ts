import { ConversationKind, type Member } from "../../gen/posthorn/v1/conversation_pb.ts";
import type {
  ConversationsService,
  ConversationView,
} from "../../gen/posthorn/v1/conversations_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { has } from "../../protocol/number-set.ts";
import { addReader, encodeReadBitmap, NO_READERS } from "../../protocol/read-bitmap.ts";
import { blockedIn, blocksRef } from "../operations/blocks.ts";
import type { ConversationRules } from "../operations/conversations.ts";
import { isShownIn, preferencesIn } from "../operations/marks.ts";
import { preferencesRef, readRef } from "../operations/read-state.ts";
import { documentsIn, numbersIn } from "../store/documents.ts";
import type { Store } from "../store/store.ts";
import type { Caller } from "./access.ts";
import { conversationNames } from "./conversation-names.ts";
import { countedPlaces, shownIn, viewOf } from "./conversation-view.ts";
import { draftsOf } from "./drafts.ts";
import {
  type Place,
  pageBytesMax,
  pageCount,
  placeIn,
  unlessGone,
  unlessLeft,
  visibleSeq,
} from "./place.ts";
import { CallRefused, type Implementation } from "./service.ts";
import { totalsOf } from "./totals.ts";

const CONVERSATIONS_COUNT = { usual: 50, most: 100 };
/** Conversations whose last messages are read at once: what they say is held meanwhile. */
const SHOWN_AT_ONCE = 10;
const MEMBERS_COUNT = { usual: 100, most: 500 };

type Reads = Pick<Store, "loadForPlanning" | "loadLog">;

export interface ConversationLimits {
  readonly frameBytes: number;
  readonly conversations: ConversationRules;
}

/** Answers which conversations there are for a user. [SVC-15] to [SVC-18] */
export function conversations(
  store: Reads,
  limits: ConversationLimits,
): Implementation<typeof ConversationsService> {
  const bytesMax = pageBytesMax(limits);
  return {
    listConversations: async ({ afterConversationId, countMax }, caller) => {
      const following = await conversationNames(store, caller, afterConversationId);
      const most = pageCount(countMax, CONVERSATIONS_COUNT.usual, CONVERSATIONS_COUNT.most);
      const page = await pageOf(store, caller, following.slice(0, most), bytesMax);
      const isEnd = page.taken === following.length;
      const last = following[page.taken - 1] ?? "";
      return { conversations: page.views, nextAfter: isEnd ? "" : last };
    },

    getConversation: async ({ conversationId }, caller) => {
      const { view } = await viewOf(store, caller, conversationId, bytesMax);
      return { conversation: view };
    },

    listMembers: async (request, caller) => {
      const { conversation } = await placeIn(store, caller, request.conversationId);
      const matching = conversation.record.members.filter(
        ({ ordinal, role, userId }) =>
          ordinal >= request.fromOrdinal &&
          role >= request.roleMin &&
          userId.startsWith(request.userIdPrefix),
      );
      const most = pageCount(request.countMax, MEMBERS_COUNT.usual, MEMBERS_COUNT.most);
      return {
        members: matching.slice(0, most),
        nextOrdinal: matching[most]?.ordinal ?? 0,
        revision: BigInt(conversation.revision),
      };
    },

    getTotals: (request, caller) => totalsOf(store, caller, request),

    listDrafts: (request, caller) => draftsOf(store, caller, request, bytesMax),

    listReaders: async ({ conversationId, conversationSeq }, caller) => {
      const place = await placeIn(store, caller, conversationId);
      const seq = visibleSeq(place, conversationSeq);
      await unlessGone(store, place, seq);
      if (!isShownIn(place, limits)) throw new CallRefused(ErrorCode.NOT_PERMITTED);
      const readers = await readersOf(store, caller, { place, seq });
      const ordinals = readers.map(({ ordinal }) => ordinal);
      return { readers: encodeReadBitmap(ordinals.reduce(addReader, NO_READERS)) };
    },
  };
}

/** Views of conversations, as many as there is room for; one at least. */
async function pageOf(
  store: Reads,
  caller: Caller,
  names: readonly string[],
  bytesMax: number,
): Promise<{ readonly views: ConversationView[]; readonly taken: number }> {
  const views: ConversationView[] = [];
  let total = 0;
  // Those that the caller has left since the list was read are none.
  const places = await countedPlaces(store, caller, names);
  for (let at = 0; at < places.length; at += SHOWN_AT_ONCE) {
    const several = places.slice(at, at + SHOWN_AT_ONCE);
    const shown = await Promise.all(
      several.map((place) => unlessLeft(shownIn(store, caller, { place, bytesMax }))),
    );
    for (const seen of shown) {
      if (seen === undefined) continue;
      const { view, bytes } = seen;
      total += bytes;
      const id = view.conversation?.conversationId ?? "";
      if (total > bytesMax && views.length > 0) return { views, taken: names.indexOf(id) };
      views.push(view);
    }
  }
  return { views, taken: names.length };
}

/**
 * The members that have read a message, and show it to the caller; itself in any case. [SVC-18]
 * [USR-24]
 */
async function readersOf(
  store: Reads,
  { tenant, userId: callerId }: Caller,
  { place, seq }: { readonly place: Place; readonly seq: number },
): Promise<readonly Member[]> {
  const { id, record } = place.conversation;
  const refs = record.members.flatMap(({ userId }) => [
    readRef(tenant, id, userId),
    preferencesRef(tenant, userId),
    blocksRef(tenant, userId),
  ]);
  const { documents } = await store.loadForPlanning({ users: [], documents: refs });
  const read = documentsIn(documents);
  const blocks = (userId: string, other: string) =>
    blockedIn(read(blocksRef(tenant, userId))).has(other);
  return record.members.filter(({ userId, visibleFrom }) => {
    // Who says so of what it may not read, says nothing. [CNV-6]
    if (visibleFrom > seq) return false;
    const hides =
      preferencesIn(read(preferencesRef(tenant, userId))).receiptsHidden ||
      blocks(userId, callerId) ||
      // Neither of a direct conversation is told, whichever of the two blocks the other.
      (record.kind === ConversationKind.DIRECT && blocks(callerId, userId));
    return (
      (userId === callerId || !hides) && has(numbersIn(read(readRef(tenant, id, userId))), seq)
    );
  });
}
