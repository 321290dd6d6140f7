import { type BucketRule, TokenBucket } from "./token-bucket.ts";

/** At how many buckets is looked for one that may be forgotten whenever somebody new comes. */
const LOOKS = 4;

/**
 * A bucket for each key, of one rule, and for so many keys at most. [LIM-2]
 *
 * Only a full bucket is forgotten: it says what a new one would. Where there is no place for one
 * more, all newcomers share one bucket; and who gets a place later gets it with as much missing as
 * is missing there. As nobody can have taken more of the shared one than all have, no key is ever
 * granted more than its own bucket would have granted it, however many others there are.
 */
export class BucketTable {
  readonly #rule: BucketRule | undefined;
  readonly #keysMax: number;
  readonly #buckets = new Map<string, TokenBucket>();
  /** At which bucket is looked next: goes round and round, so that each look is short. */
  #hand = this.#buckets.entries();
  #shared: TokenBucket | undefined;

  /** @param rule undefined: nothing is refused, and nothing remembered */
  constructor(rule: BucketRule | undefined, keysMax: number) {
    this.#rule = rule;
    this.#keysMax = keysMax;
  }

  /** Keys that have a bucket of their own. */
  get size(): number {
    return this.#buckets.size;
  }

  /** As {@link TokenBucket.take} of the key's bucket. */
  take(key: string, count: number, nowMs: number): number {
    const bucket = this.#bucketOf(key, nowMs);
    const waitMs = bucket?.take(count, nowMs) ?? 0;
    if (waitMs === 0) this.#keep(key, bucket);
    return waitMs;
  }

  /** What {@link take} would return. */
  waitMs(key: string, count: number, nowMs: number): number {
    return this.#bucketOf(key, nowMs)?.waitMs(count, nowMs) ?? 0;
  }

  /** As {@link TokenBucket.spend} of the key's bucket. */
  spend(key: string, count: number, nowMs: number): void {
    const bucket = this.#bucketOf(key, nowMs);
    bucket?.spend(count, nowMs);
    this.#keep(key, bucket);
  }

  #bucketOf(key: string, nowMs: number): TokenBucket | undefined {
    if (this.#rule === undefined) return undefined;
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    this.#forgetFull(nowMs);
    this.#shared ??= new TokenBucket(this.#rule, nowMs);
    return this.#buckets.size < this.#keysMax ? this.#shared.copy(nowMs) : this.#shared;
  }

  #keep(key: string, bucket: TokenBucket | undefined): void {
    if (bucket !== undefined && bucket !== this.#shared) this.#buckets.set(key, bucket);
  }

  #forgetFull(nowMs: number): void {
    for (let looks = 0; looks < LOOKS; looks += 1) {
      const { value, done } = this.#hand.next();
      if (done) {
        this.#hand = this.#buckets.entries();
        return;
      }
      const [key, bucket] = value;
      if (bucket.isFull(nowMs)) this.#buckets.delete(key);
    }
  }
}
