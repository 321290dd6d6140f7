import type { SecureClientEvent } from "./events.ts";

/** What happened and was not handed out yet, besides the timeline. */
export class ToldEvents {
  #told: SecureClientEvent[] = [];
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** Why nothing happens any more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  tell(event: SecureClientEvent): void {
    this.#told.push(event);
    this.#wake?.();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** Everything that was told, in order. @throws why nothing happens any more */
  *taken(): IterableIterator<SecureClientEvent> {
    for (let told = this.#told.shift(); told !== undefined; told = this.#told.shift()) yield told;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when there is something to take. */
  woken(): Promise<undefined> {
    if (this.#told.length > 0 || this.#failure !== undefined) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
    });
  }
}
