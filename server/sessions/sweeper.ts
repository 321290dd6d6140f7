import type { DriverContext } from "./driver.ts";

/** How long what was read or has expired may still be there before it is erased. [SEC-93] */
export const SWEEP_MS = 500;

/** Has the store erase, again and again, on a quiet service too. */
export class Sweeper {
  readonly #context: Pick<DriverContext, "store" | "alarms" | "observer">;
  #cancel: () => void = () => {};
  #stopped = false;

  constructor(context: Pick<DriverContext, "store" | "alarms" | "observer">) {
    this.#context = context;
    this.#wait();
  }

  /** Once more: what is to be erased is not left for the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#sweep();
  }

  #wait(): void {
    if (this.#stopped) return;
    const { alarms } = this.#context;
    this.#cancel = alarms.schedule(alarms.nowMs() + SWEEP_MS, () => {
      void this.#sweep().then(() => this.#wait());
    });
  }

  /** What could not be erased is tried again with the next one. */
  async #sweep(): Promise<void> {
    const { store, observer } = this.#context;
    await store.sweep().catch((error: unknown) => observer.failed("sweep", error));
  }
}
