import { conversationsRef, directsRef } from "../operations/conversations.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import type { Store } from "../store/store.ts";
import type { Caller } from "./access.ts";

/** A user's conversations after one of them, each once, in the order of their bytes: ASCII. */
export async function conversationNames(
  store: Pick<Store, "loadForPlanning">,
  { tenant, userId }: Caller,
  after: string,
): Promise<readonly string[]> {
  const refs = [conversationsRef(tenant, userId), directsRef(tenant, userId)];
  const { documents } = await store.loadForPlanning({ users: [], documents: refs });
  const read = documentsIn(documents);
  const names = new Set(refs.flatMap((ref) => namesIn(read(ref))));
  return [...names].filter((name) => name > after).sort();
}
