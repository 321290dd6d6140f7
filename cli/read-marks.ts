import type { Conversations } from "../client/conversations/conversations.ts";
import { NO_NUMBERS, type NumberSet, numbersFrom, union } from "../protocol/number-set.ts";

interface Marks {
  readonly read: NumberSet;
  readonly deliveredThrough: number;
}

const NONE: Marks = { read: NO_NUMBERS, deliveredThrough: 0 };

/**
 * Tells the service what was shown and what came. One mark for each conversation is on its way at a
 * time: what is shown meanwhile goes with the next one.
 */
export class ReadMarks {
  readonly #conversations: Pick<Conversations, "mark">;
  readonly #waiting = new Map<string, Marks>();
  readonly #onTheirWay = new Set<string>();

  constructor(conversations: Pick<Conversations, "mark">) {
    this.#conversations = conversations;
  }

  shown(conversationId: string, number: number): void {
    this.#add(conversationId, { read: numbersFrom(number, number), deliveredThrough: number });
  }

  came(conversationId: string, number: number): void {
    this.#add(conversationId, { ...NONE, deliveredThrough: number });
  }

  #add(conversationId: string, more: Marks): void {
    const { read, deliveredThrough } = this.#waiting.get(conversationId) ?? NONE;
    this.#waiting.set(conversationId, {
      read: union(read, more.read),
      deliveredThrough: Math.max(deliveredThrough, more.deliveredThrough),
    });
    if (this.#onTheirWay.has(conversationId)) return;
    this.#onTheirWay.add(conversationId);
    // Refused where the user is out meanwhile, and kept by the journal where the client is closed.
    void this.#send(conversationId)
      .catch(() => {})
      .finally(() => this.#onTheirWay.delete(conversationId));
  }

  async #send(conversationId: string): Promise<void> {
    for (;;) {
      const marks = this.#waiting.get(conversationId);
      if (marks === undefined) return;
      this.#waiting.delete(conversationId);
      await this.#conversations.mark(conversationId, marks);
    }
  }
}
