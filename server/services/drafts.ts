import type { ListDraftsRequest } from "../../gen/posthorn/v1/conversations_pb.ts";
import type { Draft } from "../../gen/posthorn/v1/event_pb.ts";
import { draftEntry, draftIn, draftSizesIn, draftsRef } from "../operations/drafts.ts";
import { documentsIn } from "../store/documents.ts";
import { entryName, type Store } from "../store/store.ts";
import type { Caller } from "./access.ts";

/** A page of what a user has begun to write. [CNV-74] */
export async function draftsOf(
  store: Pick<Store, "loadForPlanning">,
  { tenant, userId }: Caller,
  { afterConversationId }: ListDraftsRequest,
  bytesMax: number,
) {
  const ref = draftsRef(tenant, userId);
  const { documents } = await store.loadForPlanning({ users: [], documents: [ref] });
  const sizes = [...draftSizesIn(documentsIn(documents)(ref))];
  const following = sizes.filter(([conversationId]) => conversationId > afterConversationId);
  const page: string[] = [];
  let total = 0;
  for (const [conversationId, bytes] of following) {
    total += bytes + DRAFT_OVERHEAD_BYTES;
    if (total > bytesMax && page.length > 0) break;
    page.push(conversationId);
  }
  const refs = page.map((conversationId) => draftEntry(tenant, userId, conversationId));
  const { entries } = await store.loadForPlanning({ users: [], entries: refs });
  const drafts = refs.flatMap((entry): Draft[] => {
    const stored = entries.get(entryName(entry));
    const draft = stored && draftIn(stored.event);
    // Taken away since the list was read.
    return draft?.content === undefined ? [] : [draft];
  });
  return { drafts, nextAfter: page.length < following.length ? (page.at(-1) ?? "") : "" };
}

/** A draft's tag and length in the answer. */
const DRAFT_OVERHEAD_BYTES = 8;
