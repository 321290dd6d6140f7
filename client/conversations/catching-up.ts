import { intersection, type NumberSet, numbersFrom } from "../../protocol/number-set.ts";
import type { Client } from "../client.ts";
import { listedMessages } from "./lookups.ts";
import type { SeenConversation } from "./seen-conversation.ts";
import type { ConversationView } from "./view.ts";

/** Messages that are asked for unless it is said otherwise: a screen, and some to scroll. */
const MESSAGES_USUAL = 50;
/** The most that one answer has. */
const PAGE_COUNT = 200;

/**
 * Asks for what a view was told of by numbers only, and folds it in: of a conversation's newest
 * messages, as many as are to be shown. [CAT-9]
 *
 * What is asked after an index has been applied is at least as new as that index, so it is not out
 * of date by anything the view knows.
 *
 * @returns the conversation, in which something may still be missing that is not answered any more
 * @throws as {@link Client.call}
 */
export async function fetchMessages(
  client: Pick<Client, "call">,
  view: ConversationView,
  asked: {
    readonly conversationId: string;
    readonly count?: number;
    readonly signal?: AbortSignal;
  },
): Promise<SeenConversation> {
  const { conversationId, count = MESSAGES_USUAL, signal } = asked;
  const conversation = view.conversation(conversationId);
  const missing = newest(conversation, count);
  const { seq } = view;
  for (const { from, through: last } of missing) {
    for (let next = from; next <= last; ) {
      const page = { after: next - 1, count: Math.min(PAGE_COUNT, last - next + 1) };
      const waiting = signal === undefined ? {} : { signal };
      const answer = await listedMessages(client, conversationId, { ...page, ...waiting });
      for (const message of answer.messages) view.apply({ ...message, seq });
      next = (answer.next || last) + 1;
    }
  }
  return conversation;
}

/** What is missing of a conversation's newest messages. */
function newest({ missing, head }: SeenConversation, count: number): NumberSet {
  return intersection(missing, numbersFrom(Math.max(1, head - count + 1), head));
}
