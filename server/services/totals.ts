import { create } from "@bufbuild/protobuf";
import {
  type GetTotalsRequest,
  type UnreadTotals,
  UnreadTotalsSchema,
} from "../../gen/posthorn/v1/conversations_pb.ts";
import type { Store } from "../store/store.ts";
import type { Caller } from "./access.ts";
import { conversationNames } from "./conversation-names.ts";
import { type MemberCounts, memberCounts } from "./conversation-view.ts";
import { unlessLeft } from "./place.ts";

/** Conversations that one answer counts: each costs a dozen documents. [CNV-77] */
const COUNTED_MAX = 500;

/** How much is unread in a user's conversations, from the same sets as in each. [CNV-77] */
export async function totalsOf(
  store: Pick<Store, "loadForPlanning">,
  caller: Caller,
  { afterConversationId }: GetTotalsRequest,
) {
  const names = await conversationNames(store, caller, afterConversationId);
  const counted = names.slice(0, COUNTED_MAX);
  const [all, notMuted] = [create(UnreadTotalsSchema), create(UnreadTotalsSchema)];
  for (const name of counted) {
    const counts = await unlessLeft(memberCounts(store, caller, name));
    if (counts === undefined) continue;
    add(all, counts);
    if (counts.mutedUntilMs === 0n) add(notMuted, counts);
  }
  const nextAfter = counted.length < names.length ? (counted.at(-1) ?? "") : "";
  return { all, notMuted, nextAfter };
}

function add(totals: UnreadTotals, { unreadCount, mentionCount }: MemberCounts): void {
  if (unreadCount > 0n) totals.conversationCount += 1;
  totals.unreadCount += unreadCount;
  totals.mentionCount += mentionCount;
}
