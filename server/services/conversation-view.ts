import { create, toBinary } from "@bufbuild/protobuf";
import { MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import {
  type ConversationView,
  ConversationViewSchema,
} from "../../gen/posthorn/v1/conversations_pb.ts";
import { count, intersection, numbersFrom, union } from "../../protocol/number-set.ts";
import { shownConversation } from "../operations/members.ts";
import { mutedUntil, muteRef } from "../operations/mutes.ts";
import {
  allMentionsRef,
  mentionsRef,
  readRef,
  recalledRef,
  roleMentionsRef,
} from "../operations/read-state.ts";
import { numbersIn } from "../store/documents.ts";
import type { DocumentRef, Store } from "../store/store.ts";
import type { Caller } from "./access.ts";
import { lastMessage } from "./history.ts";
import { type Place, placeIn, placesIn, staysIn } from "./place.ts";

const ROLES = [MemberRole.READER, MemberRole.MEMBER, MemberRole.ADMIN, MemberRole.OWNER];

export interface Shown {
  readonly view: ConversationView;
  readonly bytes: number;
}

/**
 * A conversation as a member sees it. Without its last message where there would be no room for it.
 *
 * @throws CallRefused CONVERSATION_UNKNOWN
 */
export async function viewOf(
  store: Pick<Store, "loadForPlanning" | "loadLog">,
  caller: Caller,
  conversationId: string,
  bytesMax: number,
): Promise<Shown> {
  const place = await placeIn(store, caller, conversationId, countedFrom(caller, conversationId));
  return await shownIn(store, caller, { place, bytesMax });
}

/** Where the caller stands in conversations, with what {@link shownIn} counts from. */
export function countedPlaces(
  store: Pick<Store, "loadForPlanning">,
  caller: Caller,
  conversationIds: readonly string[],
): Promise<readonly Place[]> {
  const asked = conversationIds.map((conversationId) => {
    return { conversationId, documents: countedFrom(caller, conversationId) };
  });
  return placesIn(store, caller, asked);
}

/** The same of a place that was read before. @throws CallRefused for who has left it since */
export async function shownIn(
  store: Pick<Store, "loadForPlanning" | "loadLog">,
  caller: Caller,
  { place, bytesMax }: { readonly place: Place; readonly bytesMax: number },
): Promise<Shown> {
  const { conversation, own, visibleFrom, head, floor } = place;
  const view = create(ConversationViewSchema, {
    conversation: shownConversation(conversation),
    role: own.role,
    visibleFrom: BigInt(visibleFrom),
    head: BigInt(head),
    floor: BigInt(floor),
    ...countsOf(caller, place),
  });
  const bytes = sizeOf(view);
  const last = await lastMessage(store, caller, place);
  await staysIn(store, caller, place);
  if (last === undefined) return { view, bytes };
  view.lastMessage = last;
  const wholeBytes = sizeOf(view);
  if (wholeBytes <= bytesMax) return { view, bytes: wholeBytes };
  delete view.lastMessage;
  return { view, bytes };
}

function sizeOf(view: ConversationView): number {
  return toBinary(ConversationViewSchema, view).length;
}

/** What is derived for one member. */
export type MemberCounts = Pick<ConversationView, "unreadCount" | "mentionCount" | "mutedUntilMs">;

/** The documents that counts are derived from. */
function countedFrom({ tenant, userId }: Caller, conversationId: string): DocumentRef[] {
  return [
    readRef(tenant, conversationId, userId),
    recalledRef(tenant, conversationId),
    mentionsRef(tenant, conversationId, userId),
    muteRef(tenant, conversationId, userId),
    allMentionsRef(tenant, conversationId),
    ...ROLES.map((role) => roleMentionsRef(tenant, conversationId, role)),
  ];
}

/** Derived whenever they are asked for, so that they cannot drift. [SVC-16] [CNV-33] [CNV-76] */
export function countsOf(
  { tenant, userId }: Caller,
  { conversation: { id }, own, visibleFrom, head, expired, nowMs, document }: Place,
): MemberCounts {
  const numbers = (ref: DocumentRef) => numbersIn(document(ref));
  const visible = numbersFrom(visibleFrom, head);
  const gone = union(numbers(recalledRef(tenant, id)), expired);
  const done = union(numbers(readRef(tenant, id, userId)), gone);
  const called = [
    mentionsRef(tenant, id, userId),
    allMentionsRef(tenant, id),
    roleMentionsRef(tenant, id, own.role),
  ].map(numbers);
  const calls = intersection(visible, called.reduce(union));
  const untilMs = mutedUntil(document(muteRef(tenant, id, userId)));
  return {
    unreadCount: BigInt(count(visible) - count(intersection(visible, done))),
    mentionCount: BigInt(count(calls) - count(intersection(calls, done))),
    mutedUntilMs: untilMs > nowMs ? BigInt(untilMs) : 0n,
  };
}
