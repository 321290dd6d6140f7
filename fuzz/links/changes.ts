/** No wait of a case is longer than this, milliseconds: what hangs is a failure. */
export const WAIT_MS = 5_000;

/** Something that changes from outside, and can be waited for. */
export class Changes {
  readonly #looks = new Set<() => void>();
  #fault: unknown;

  /** Something changed. */
  told(): void {
    for (const look of [...this.#looks]) look();
  }

  /** A claim was broken where nobody waits: the next wait fails with it. */
  failed(fault: unknown): void {
    this.#fault ??= fault;
    this.told();
  }

  /** @throws Error when it does not hold within {@link WAIT_MS}; what {@link failed} was told */
  until(holds: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        try {
          if (this.#fault !== undefined) throw this.#fault;
          if (!holds()) return;
          resolve();
        } catch (error) {
          reject(error);
        }
        clearTimeout(late);
        this.#looks.delete(look);
      };
      const late = setTimeout(() => {
        this.#looks.delete(look);
        reject(new Error(`waited ${WAIT_MS} ms for ${what}`));
      }, WAIT_MS);
      this.#looks.add(look);
      look();
    });
  }
}
