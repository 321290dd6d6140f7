/** How often one user's directory is asked for, a minute. [SEC-102] */
export const LOOKUPS_PER_MINUTE = 20;
const MINUTE_MS = 60_000;
/** Users of whom this is known; beyond it those who were asked about first are forgotten. */
const USERS_MAX = 10_000;

/** Whoever sends offers that nobody signed has us ask for a user's keys: so often, not more. */
export class LookupBudget {
  /** By user, when it was asked about in the last minute; who was asked about last is last. */
  readonly #askedMs = new Map<string, readonly number[]>();

  /** @returns 0, and it counts as asked; otherwise how long to wait before it may be */
  take(userId: string, nowMs: number): number {
    const recent = (this.#askedMs.get(userId) ?? []).filter((ms) => nowMs < ms + MINUTE_MS);
    const [first] = recent;
    if (first !== undefined && recent.length >= LOOKUPS_PER_MINUTE) {
      return first + MINUTE_MS - nowMs;
    }
    this.#askedMs.delete(userId);
    this.#askedMs.set(userId, [...recent, nowMs]);
    this.#forget(nowMs);
    return 0;
  }

  #forget(nowMs: number): void {
    for (const [userId, askedMs] of this.#askedMs) {
      const isRecent = nowMs < (askedMs.at(-1) ?? 0) + MINUTE_MS;
      if (isRecent && this.#askedMs.size <= USERS_MAX) return;
      this.#askedMs.delete(userId);
    }
  }
}
