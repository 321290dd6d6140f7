import type { ClientEvent } from "../events.ts";
import type { ExpiredEvent } from "./events.ts";
import type { ListedConversation } from "./lookups.ts";
import { SeenConversation } from "./seen-conversation.ts";

/** Messages that a view keeps of each conversation unless it is told otherwise. */
const MESSAGES_MAX = 500;

/**
 * What a device has seen of its user's conversations: fold the events of a client into it. Pure: no
 * clock, no storage. An application may hand it events in any order and as often as it likes, also
 * from two devices of the user, and comes to the same view.
 *
 * Messages that expire are erased by {@link expire}: an application calls it when something has
 * come, and at {@link nextExpiryMs}.
 *
 * When the timeline begins anew, so does the view.
 */
export class ConversationView {
  readonly userId: string;
  readonly #messagesMax: number;
  readonly #conversations = new Map<string, SeenConversation>();
  #preferences = { seq: 0, receiptsHidden: false };
  #seq = 0;

  constructor(userId: string, options: { readonly messagesMax?: number } = {}) {
    this.userId = userId;
    this.#messagesMax = options.messagesMax ?? MESSAGES_MAX;
  }

  /** @returns the conversation that the event is about */
  apply(event: ClientEvent): SeenConversation | undefined {
    if ("seq" in event) this.#seq = Math.max(this.#seq, event.seq);
    switch (event.kind) {
      case "message":
      case "recalled":
      case "expired": {
        const conversation = this.#of(event.conversationId);
        conversation.said(event);
        return conversation;
      }
      case "reaction": {
        const conversation = this.#of(event.conversationId);
        conversation.reacted(event);
        return conversation;
      }
      case "marks": {
        const conversation = this.#of(event.conversationId);
        conversation.marked(event);
        return conversation;
      }
      case "draft": {
        const conversation = this.#of(event.conversationId);
        conversation.drafted(event);
        return conversation;
      }
      case "mute": {
        const conversation = this.#of(event.conversationId);
        conversation.muted(event);
        return conversation;
      }
      case "todo": {
        const conversation = this.#of(event.conversationId);
        conversation.noted(event);
        return conversation;
      }
      case "conversation": {
        const conversation = this.#of(event.conversation.conversationId);
        conversation.changed(event);
        return conversation;
      }
      case "indexed":
        for (const told of event.conversations) {
          this.#of(told.conversationId).indexed(told, event.seq);
        }
        return undefined;
      case "preferences": {
        const { seq, receiptsHidden } = event;
        if (seq > this.#preferences.seq) this.#preferences = { seq, receiptsHidden };
        return undefined;
      }
      case "epoch-changed":
        this.#conversations.clear();
        this.#preferences = { seq: 0, receiptsHidden: false };
        this.#seq = 0;
        return undefined;
      default:
        return undefined;
    }
  }

  /**
   * What a service has answered of a conversation that the user is in. Its counts are the service's
   * own: a view derives those of what it has seen.
   */
  learn({ info, role, visibleFrom, lastMessage }: ListedConversation): SeenConversation {
    const conversation = this.#of(info.conversationId);
    const members = [{ userId: this.userId, role, visibleFrom }];
    conversation.learned(info, { members, revision: info.revision });
    if (lastMessage !== undefined) conversation.happened(lastMessage);
    return conversation;
  }

  /** When the next message expires, Unix milliseconds. Undefined: none does. */
  get nextExpiryMs(): number | undefined {
    const times = [...this.#conversations.values()].flatMap((one) => one.nextExpiryMs ?? []);
    return times.length === 0 ? undefined : times.reduce((one, other) => Math.min(one, other));
  }

  /**
   * Erases what has expired by now. [CNV-95]
   *
   * @param nowMs by the device's clock: Unix milliseconds
   * @returns what is left of the messages that were kept
   */
  expire(nowMs: number): readonly ExpiredEvent[] {
    return [...this.#conversations.values()].flatMap((one) => one.expire(nowMs));
  }

  /** The highest timeline number of what was applied. */
  get seq(): number {
    return this.#seq;
  }

  /** Whether the user hides what it has read and got. */
  get receiptsHidden(): boolean {
    return this.#preferences.receiptsHidden;
  }

  /** Those that were heard of; in which something happened last, first. */
  get conversations(): readonly SeenConversation[] {
    return [...this.#conversations.values()]
      .filter(({ isHeardOf }) => isHeardOf)
      .sort((a, b) => b.lastActivityMs - a.lastActivityMs || (a.id < b.id ? -1 : 1));
  }

  /** What was seen of a conversation, if only that nothing was yet. */
  conversation(conversationId: string): SeenConversation {
    return this.#of(conversationId);
  }

  #of(conversationId: string): SeenConversation {
    const known = this.#conversations.get(conversationId);
    if (known !== undefined) return known;
    const conversation = new SeenConversation(conversationId, this.userId, this.#messagesMax);
    this.#conversations.set(conversationId, conversation);
    return conversation;
  }
}
