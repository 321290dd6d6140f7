import { assert } from "./violation.ts";

/**
 * How much may be taken: so many tokens at once, and so many more come back in each period, evenly.
 * Whole numbers, each at least 1.
 */
export interface BucketRule {
  readonly atOnce: number;
  readonly refill: number;
  readonly periodMs: number;
}

/**
 * A token bucket in whole numbers: nothing is ever rounded, however often it is asked. [LIM-1]
 *
 * The law: of any time from `a` to `b`, no more is taken than `atOnce` and what came back in it,
 * floor((b - a) * refill / periodMs); and what is refused is refused only because of that.
 *
 * Counts in parts: a token is `periodMs` of them, and each millisecond brings `refill`. It is
 * counted what is missing and not what is there, so that a bucket is full when it is made.
 */
export class TokenBucket {
  readonly #rule: BucketRule;
  /** Parts that were missing at {@link #atMs}. */
  #missing = 0;
  #atMs: number;

  constructor(rule: BucketRule, nowMs: number) {
    const { atOnce, refill, periodMs } = rule;
    const isWhole = [atOnce, refill, periodMs].every((part) => Number.isInteger(part) && part > 0);
    assert(isWhole && atOnce * periodMs <= PARTS_MAX, "a bucket's rule is of whole numbers");
    this.#rule = rule;
    this.#atMs = nowMs;
  }

  /**
   * Takes tokens; what costs more than a full bucket has takes a full one.
   *
   * @returns 0: taken. Otherwise nothing was, and the milliseconds after which it can be, when
   *   nobody else takes until then
   */
  take(count: number, nowMs: number): number {
    const waitMs = this.waitMs(count, nowMs);
    if (waitMs === 0) this.spend(count, nowMs);
    return waitMs;
  }

  /** What {@link take} would return. */
  waitMs(count: number, nowMs: number): number {
    const { atOnce, refill, periodMs } = this.#rule;
    const over = Math.min(count, atOnce) * periodMs + this.#missingAt(nowMs) - atOnce * periodMs;
    return over <= 0 ? 0 : Math.max(0, this.#atMs - nowMs) + Math.ceil(over / refill);
  }

  /** Takes tokens whether they are there or not: an empty bucket stays empty. */
  spend(count: number, nowMs: number): void {
    const { atOnce, periodMs } = this.#rule;
    const missing = this.#missingAt(nowMs) + Math.min(count, atOnce) * periodMs;
    this.#missing = Math.min(atOnce * periodMs, missing);
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** It says no more than a new one would. */
  isFull(nowMs: number): boolean {
    return this.#missingAt(nowMs) === 0;
  }

  /** Another one, of which as much is missing. */
  copy(nowMs: number): TokenBucket {
    const copied = new TokenBucket(this.#rule, Math.max(this.#atMs, nowMs));
    copied.#missing = this.#missingAt(nowMs);
    return copied;
  }

  /** A clock that was set back brings nothing. */
  #missingAt(nowMs: number): number {
    // Above 2^53 the product is not exact, and above all that can be missing.
    const back = Math.max(0, nowMs - this.#atMs) * this.#rule.refill;
    return Math.max(0, this.#missing - back);
  }
}

/** Two of the largest numbers of parts can be added exactly. */
const PARTS_MAX = 2 ** 52;

/** As an operator says it. */
export interface Rate {
  readonly atOnce: number;
  /** 0: there is no limit. */
  readonly perSecond: number;
}

/** Undefined where there is no limit. */
export function ruleOf({ atOnce, perSecond: refill }: Rate): BucketRule | undefined {
  return refill === 0 ? undefined : { atOnce, refill, periodMs: 1_000 };
}

const DAY_MS = 86_400_000;

/** So many at once, and as many again in a day. 0: there is no limit. */
export function dailyRule(count: number): BucketRule | undefined {
  return count === 0 ? undefined : { atOnce: count, refill: count, periodMs: DAY_MS };
}
