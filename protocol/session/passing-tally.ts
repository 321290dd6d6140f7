/** What became of what was said on a link in passing. */
export interface PassingCounts {
  readonly signalsHeard: number;
  /** Not heard, or made way for a later one. */
  readonly signalsDropped: number;
  readonly hintsWritten: number;
  /** There was no room for them. What a later one of the same thing replaces is none. */
  readonly hintsDropped: number;
}

const NONE: PassingCounts = {
  signalsHeard: 0,
  signalsDropped: 0,
  hintsWritten: 0,
  hintsDropped: 0,
};

/** Counts of one link, until they are taken. Costs nothing while there is nothing to count. */
export class PassingTally {
  #counts: PassingCounts = NONE;

  add(name: keyof PassingCounts, count = 1): void {
    if (count > 0) this.#counts = { ...this.#counts, [name]: this.#counts[name] + count };
  }

  /** What came since; undefined: nothing. */
  take(): PassingCounts | undefined {
    if (this.#counts === NONE) return undefined;
    const taken = this.#counts;
    this.#counts = NONE;
    return taken;
  }
}
