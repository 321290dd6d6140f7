import { isConversationId } from "../../protocol/conversation-id.ts";
import { blocksOf, blocksRef } from "../operations/blocks.ts";
import {
  type Conversation,
  conversationIn,
  conversationRef,
  directOthers,
  mayWrite,
} from "../operations/conversations.ts";
import type { Sender } from "../operations/plan.ts";
import { documentsIn } from "../store/documents.ts";
import type { Store } from "../store/store.ts";

/** Who is in a conversation, for those who tell them something in passing. */
export interface ConversationAudience {
  readonly memberIds: readonly string[];
  mayWrite(userId: string): boolean;
}

/** Who is in which conversation. */
export interface Audience {
  /** Undefined: there is no such conversation. */
  membersOf(tenant: string, conversationId: string): Promise<ConversationAudience | undefined>;
  /** Those of them, but the sender, who may see what it does: none whom it blocks. [USR-24] */
  shownTo(
    sender: Sender,
    conversationId: string,
    audience: ConversationAudience,
  ): Promise<readonly string[]>;
  /** Of several at once; those that there are. */
  membersOfAll(
    tenant: string,
    conversationIds: readonly string[],
  ): Promise<ReadonlyMap<string, ConversationAudience>>;
}

/** As the store has it. */
export class StoredAudience implements Audience {
  readonly #store: Pick<Store, "loadForPlanning">;

  constructor(store: Pick<Store, "loadForPlanning">) {
    this.#store = store;
  }

  async membersOf(
    tenant: string,
    conversationId: string,
  ): Promise<ConversationAudience | undefined> {
    return (await this.membersOfAll(tenant, [conversationId])).get(conversationId);
  }

  async shownTo(
    sender: Sender,
    conversationId: string,
    { memberIds }: ConversationAudience,
  ): Promise<readonly string[]> {
    const others = directOthers(sender, conversationId);
    const documents = [sender.userId, ...others].map((one) => blocksRef(sender.tenant, one));
    const blocks = blocksOf(
      sender,
      others,
      await this.#store.loadForPlanning({ users: [], documents }),
    );
    return memberIds.filter((one) => one !== sender.userId && !blocks.isKeptFrom(one));
  }

  async membersOfAll(
    tenant: string,
    conversationIds: readonly string[],
  ): Promise<ReadonlyMap<string, ConversationAudience>> {
    const refs = conversationIds
      .filter(isConversationId)
      .map((id) => [id, conversationRef(tenant, id)] as const);
    const documents = refs.map(([, ref]) => ref);
    const state = await this.#store.loadForPlanning({ users: [], documents });
    const read = documentsIn(state.documents);
    const found = new Map<string, ConversationAudience>();
    for (const [id, ref] of refs) {
      const conversation = conversationIn(id, read(ref));
      if (conversation !== undefined) found.set(id, audienceOf(conversation));
    }
    return found;
  }
}

/** Made once for as long as a conversation's record is held: every signal asks for it. */
const AUDIENCES = new WeakMap<Conversation, ConversationAudience>();

function audienceOf(conversation: Conversation): ConversationAudience {
  const known = AUDIENCES.get(conversation);
  if (known !== undefined) return known;
  const { members } = conversation;
  const audience = {
    memberIds: [...members.keys()],
    mayWrite: (userId: string) => {
      const own = members.get(userId);
      return own !== undefined && mayWrite({ conversation, own, requires: [] });
    },
  };
  AUDIENCES.set(conversation, audience);
  return audience;
}
