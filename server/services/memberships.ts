import type { MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { isConversationId } from "../../protocol/conversation-id.ts";
import { conversationIn, conversationRef } from "../operations/conversations.ts";
import { documentsIn } from "../store/documents.ts";
import type { Store } from "../store/store.ts";

/** Who is in a conversation, and as what. */
export interface Memberships {
  /** Undefined: the user is not in it, or there is no such conversation. */
  roleIn(tenant: string, conversationId: string, userId: string): Promise<MemberRole | undefined>;
}

/** Says it by what was committed last. [SVC-4] */
export function membershipsIn(store: Pick<Store, "loadForPlanning">): Memberships {
  return {
    roleIn: async (tenant, conversationId, userId) => {
      // What is no id names no document either: it may be longer than the store's keys.
      if (!isConversationId(conversationId)) return undefined;
      const ref = conversationRef(tenant, conversationId);
      const { documents } = await store.loadForPlanning({ users: [], documents: [ref] });
      const conversation = conversationIn(conversationId, documentsIn(documents)(ref));
      return conversation?.members.get(userId)?.role;
    },
  };
}
