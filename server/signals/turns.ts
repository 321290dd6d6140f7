/** The node's clock and its alarms. */
export interface Deadlines {
  nowMs(): number;
  /** Calls back once at a time; returns how to cancel. */
  schedule(atMs: number, callback: () => void): () => void;
}

/** Between two turns of what is not done in one: others are served meanwhile. */
const AGAIN_MS = 20;

/**
 * Work that comes in storms, done in turns: what is asked for before a turn is done by it at once,
 * and how much that may be is the turn's to bound. [SIG-15]
 */
export class Turns {
  readonly #deadlines: Deadlines;
  readonly #delayMs: number;
  readonly #turn: () => Promise<"done" | "more">;
  readonly #failed: (error: unknown) => void;
  #cancel: (() => void) | undefined;
  #isRunning = false;
  #isAsked = false;

  /** @param turn what it could not do is lost when it rejects: nothing here is worth a repeat */
  constructor(options: {
    readonly deadlines: Deadlines;
    /** From the first asking to the turn, milliseconds. */
    readonly delayMs: number;
    readonly turn: () => Promise<"done" | "more">;
    readonly failed: (error: unknown) => void;
  }) {
    this.#deadlines = options.deadlines;
    this.#delayMs = options.delayMs;
    this.#turn = options.turn;
    this.#failed = options.failed;
  }

  /** There is something to do. */
  ask(): void {
    if (this.#isRunning) this.#isAsked = true;
    else this.#wait(this.#delayMs);
  }

  #wait(delayMs: number): void {
    this.#cancel ??= this.#deadlines.schedule(this.#deadlines.nowMs() + delayMs, () => {
      this.#cancel = undefined;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    this.#isAsked = false;
    const rest = await this.#turn().catch((error: unknown) => {
      this.#failed(error);
      return "more" as const;
    });
    this.#isRunning = false;
    if (rest === "more") this.#wait(AGAIN_MS);
    else if (this.#isAsked) this.#wait(this.#delayMs);
  }
}
