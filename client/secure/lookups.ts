import type { DirectoryAnswer } from "../../protocol/secure/peer.ts";
import { type Sleep, sleep } from "../sleep.ts";
import { LookupBudget } from "./lookup-budget.ts";

/** As long as a machine waits for an answer. [SEC-32] */
const LOOK_UP_MS = 60_000;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 60_000;

/** What the directory has answered; no `answer`: the user has published nothing. */
export interface LookedUp {
  readonly revision: number;
  readonly answer: DirectoryAnswer | undefined;
}

export interface LookupsOptions {
  /** Asks the directory. @throws whatever went wrong */
  readonly ask: (userId: string, signal: AbortSignal) => Promise<LookedUp>;
  readonly answered: (userId: string, answer: DirectoryAnswer | undefined) => void;
  /** Whether anything hangs on a user still. */
  readonly matters: (userId: string) => boolean;
  readonly clock: { nowMs(): number };
  readonly over: AbortSignal;
  /** Between questions. */
  readonly pause?: Sleep;
}

interface Asked {
  /** Somebody has asked since the question left. */
  isStale: boolean;
  /** What the directory is said to be at. */
  revision: number;
}

/**
 * Questions to the directory: one at a time about a user, asked again when the directory has
 * changed meanwhile, and until there is an answer: who was taken out must not stay for a fault of
 * the network. What is asked too often waits. [SEC-35] [SEC-102]
 */
export class Lookups {
  readonly #options: LookupsOptions;
  readonly #asked = new Map<string, Asked>();
  readonly #budget = new LookupBudget();

  constructor(options: LookupsOptions) {
    this.#options = options;
  }

  /** @param revision that the answer has at least; 0: any */
  ask(userId: string, revision = 0): void {
    const asked = this.#asked.get(userId);
    if (asked !== undefined) {
      asked.isStale = true;
      asked.revision = Math.max(asked.revision, revision);
      return;
    }
    const fresh = { isStale: false, revision };
    this.#asked.set(userId, fresh);
    this.#run(userId, fresh).catch(() => {});
  }

  async #run(userId: string, asked: Asked): Promise<void> {
    const { over, answered, matters, clock, pause = sleep } = this.#options;
    const mayAskIn = () => this.#budget.take(userId, clock.nowMs());
    for (let retryMs = RETRY_MS_MIN; !over.aborted; retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)) {
      for (let waitMs = mayAskIn(); waitMs > 0; waitMs = mayAskIn()) await pause(waitMs, over);
      asked.isStale = false;
      const found = await this.#once(userId);
      if (over.aborted) return;
      if (found !== undefined) answered(userId, found.answer);
      const isNew = found !== undefined && found.revision >= asked.revision;
      if (isNew && asked.isStale) continue;
      // The machine gives a handshake up by itself; open chats wait for an answer.
      if (isNew || !matters(userId)) {
        // At once: who asks from now on asks anew.
        this.#asked.delete(userId);
        if (!isNew) answered(userId, undefined);
        return;
      }
      await pause(retryMs, over);
    }
  }

  /** Undefined: there was no answer, in time or at all. */
  async #once(userId: string): Promise<LookedUp | undefined> {
    const { ask, over } = this.#options;
    const given = new AbortController();
    const { signal } = given;
    // One timer for the time that an answer may take, and for the end of everything.
    const late = sleep(LOOK_UP_MS, AbortSignal.any([over, signal])).catch(() => {});
    try {
      return await Promise.race([ask(userId, signal), late.then(() => undefined)]);
    } catch {
      return undefined;
    } finally {
      given.abort();
    }
  }
}
