import type { SecureClientEvent } from "./events.ts";

/** What happened and was not handed out yet, besides the timeline. */
export class ToldEvents {
  readonly #handled: (event: SecureClientEvent) => void;
  #told: SecureClientEvent[] = [];
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** @param handled called when the one after an event is asked for */
  constructor(handled: (event: SecureClientEvent) => void) {
    this.#handled = handled;
  }

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
    for (let told = this.#told.shift(); told !== undefined; told = this.#told.shift()) {
      yield told;
      this.#handled(told);
    }
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
