import { create } from "@bufbuild/protobuf";
import {
  type GetTotalsRequest,
  type UnreadTotals,
  UnreadTotalsSchema,
} from "../../gen/posthorn/v1/conversations_pb.ts";
import type { Store } from "../store/store.ts";
import type { Caller } from "./access.ts";
import { conversationNames } from "./conversation-names.ts";
import { countedPlaces, countsOf, type MemberCounts } from "./conversation-view.ts";

/** Conversations that one answer counts: each costs a dozen documents. [CNV-77] */
const COUNTED_MAX = 500;
/** Of one reading: others have their turn in between. */
const COUNTED_AT_ONCE = 25;

/** How much is unread in a user's conversations, from the same sets as in each. [CNV-77] */
export async function totalsOf(
  store: Pick<Store, "loadForPlanning">,
  caller: Caller,
  { afterConversationId }: GetTotalsRequest,
) {
  const names = await conversationNames(store, caller, afterConversationId);
  const counted = names.slice(0, COUNTED_MAX);
  const [all, notMuted] = [create(UnreadTotalsSchema), create(UnreadTotalsSchema)];
  for (let at = 0; at < counted.length; at += COUNTED_AT_ONCE) {
    const several = counted.slice(at, at + COUNTED_AT_ONCE);
    for (const place of await countedPlaces(store, caller, several)) {
      const counts = countsOf(caller, place);
      add(all, counts);
      if (counts.mutedUntilMs === 0n) add(notMuted, counts);
    }
  }
  const nextAfter = counted.length < names.length ? (counted.at(-1) ?? "") : "";
  return { all, notMuted, nextAfter };
}

function add(totals: UnreadTotals, { unreadCount, mentionCount }: MemberCounts): void {
  if (unreadCount > 0n) totals.conversationCount += 1;
  totals.unreadCount += unreadCount;
  totals.mentionCount += mentionCount;
}
