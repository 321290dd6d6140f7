/** Bounds of the delay between failed attaches, milliseconds. */
export interface BackoffLimits {
  readonly baseMs: number;
  readonly capMs: number;
}

export const BACKOFF_DEFAULT: BackoffLimits = { baseMs: 200, capMs: 30_000 };

/**
 * Full-jitter exponential back-off: each delay is drawn from 0 up to a ceiling that doubles, so
 * that a crowd that was cut at one moment does not come back at one moment (P30). [SES-16]
 *
 * Source: "Exponential Backoff And Jitter", Marc Brooker, AWS Architecture Blog, 2015.
 */
export class Backoff {
  readonly #limits: BackoffLimits;
  readonly #random: () => number;
  #failures = 0;

  /** @param random uniform in [0, 1) */
  constructor(limits: BackoffLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  /** How often an attach has failed since the last progress. */
  get failures(): number {
    return this.#failures;
  }

  /** An attach failed, or its link ended before progress: how long to wait. */
  nextMs(): number {
    const { baseMs, capMs } = this.#limits;
    const ceilingMs = Math.min(capMs, baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return Math.floor(this.#random() * ceilingMs);
  }

  /**
   * An attach made progress: something was acknowledged, or it lasted. Opening alone is none (P15).
   */
  progressed(): void {
    this.#failures = 0;
  }
}
