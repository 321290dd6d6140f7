import type { OpenChat } from "./stored-chats.ts";

/**
 * The chats that are open, by session id, the oldest first, and which of them are in another state
 * than when somebody asked last: what is to be stored before anything leaves. [SEC-69]
 */
export class OpenChats {
  readonly #chats = new Map<string, OpenChat>();
  readonly #changed = new Set<string>();

  get size(): number {
    return this.#chats.size;
  }

  has(id: string): boolean {
    return this.#chats.has(id);
  }

  /** To look at; who changes its session takes it with {@link use}. */
  look(id: string): OpenChat | undefined {
    return this.#chats.get(id);
  }

  /** To do something with its session: it counts as changed, whatever comes of it. */
  use(id: string): OpenChat | undefined {
    const chat = this.#chats.get(id);
    if (chat !== undefined) this.#changed.add(id);
    return chat;
  }

  add(id: string, chat: OpenChat): void {
    this.#chats.set(id, chat);
    this.#changed.add(id);
  }

  /** As {@link add}, but it is as it was stored. */
  restore(id: string, chat: OpenChat): void {
    this.#chats.set(id, chat);
  }

  remove(id: string): void {
    if (this.#chats.delete(id)) this.#changed.add(id);
  }

  /** All of them, to look at; they may be removed meanwhile. */
  all(): readonly (readonly [string, OpenChat])[] {
    return [...this.#chats];
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** Those that have changed since the last time, the ones that are gone among them. */
  takeChanged(): readonly string[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }
}
