import { equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { BucketTable } from "../../protocol/bucket-table.ts";
import { type BucketRule, TokenBucket } from "../../protocol/token-bucket.ts";
import { property, type Seen } from "../property.ts";

interface Step {
  /** Who takes. */
  readonly key: number;
  readonly count: number;
  /** Since the last step; the clock may be set back. */
  readonly ms: number;
  /** Taken whether it is there or not. */
  readonly isSpent: boolean;
}

interface Case {
  readonly rule: BucketRule;
  readonly keysMax: number;
  readonly steps: readonly Step[];
}

/** The law of chapter 22, written down: nothing is kept but what was granted when. */
class Law {
  readonly #rule: BucketRule;
  readonly #madeMs: number;
  readonly #granted: { readonly ms: number; readonly count: number }[] = [];

  constructor(rule: BucketRule, madeMs: number) {
    this.#rule = rule;
    this.#madeMs = madeMs;
  }

  /** Whether so many more may be taken, in whatever time that ends now. */
  allows(count: number, nowMs: number): boolean {
    const { atOnce, refill, periodMs } = this.#rule;
    const ms = this.#notBefore(nowMs);
    const more = Math.min(count, atOnce);
    let sum = more;
    return this.#granted.toReversed().every((one) => {
      sum += one.count;
      const back = (BigInt(ms - one.ms) * BigInt(refill)) / BigInt(periodMs);
      return BigInt(sum) <= BigInt(atOnce) + back;
    });
  }

  grant(count: number, nowMs: number): void {
    this.#granted.push({ ms: this.#notBefore(nowMs), count: Math.min(count, this.#rule.atOnce) });
  }

  #notBefore(nowMs: number): number {
    return Math.max(nowMs, this.#granted.at(-1)?.ms ?? this.#madeMs);
  }
}

/** A bucket in parts of a token, which may be spent empty. */
class OwnBucket {
  readonly #rule: BucketRule;
  #missing = 0n;
  #ms = 0;

  constructor(rule: BucketRule) {
    this.#rule = rule;
  }

  missingAfter(count: number, nowMs: number): bigint {
    const { atOnce, refill, periodMs } = this.#rule;
    const back = BigInt(Math.max(0, nowMs - this.#ms)) * BigInt(refill);
    const before = this.#missing > back ? this.#missing - back : 0n;
    return before + BigInt(Math.min(count, atOnce)) * BigInt(periodMs);
  }

  get size(): bigint {
    return BigInt(this.#rule.atOnce) * BigInt(this.#rule.periodMs);
  }

  spend(count: number, nowMs: number): void {
    const missing = this.missingAfter(count, nowMs);
    this.#missing = missing;
    if (missing > this.size) this.#missing = this.size;
    this.#ms = Math.max(this.#ms, nowMs);
  }
}

const START_MS = 1_000_000;

const step = fc.record({
  key: fc.nat(7),
  count: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 25 })),
  ms: fc.oneof(fc.constant(0), fc.integer({ min: -20, max: 60 }), fc.nat(3_000)),
  isSpent: fc.nat(4).map((drawn) => drawn === 0),
});

export const buckets = property<Case>({
  name: "buckets",
  title: "[LIM-1] [LIM-2] nobody takes more than its bucket holds, however many others there are",
  smokeRuns: 300,
  kinds: ["granted", "refused", "set back", "spent empty", "shared", "own again", "forgotten"],
  arbitrary: fc.record({
    rule: fc.record({
      atOnce: fc.integer({ min: 1, max: 20 }),
      refill: fc.integer({ min: 1, max: 50 }),
      periodMs: fc.oneof(fc.constantFrom(1, 1_000, 86_400_000), fc.integer({ min: 1, max: 2_000 })),
    }),
    keysMax: fc.integer({ min: 1, max: 4 }),
    steps: fc.array(step, { minLength: 1, maxLength: 60 }),
  }),
  start: (seen) => ({
    check: (given) => {
      checkBucket(given, seen);
      checkTable(given, seen);
    },
  }),
});

/** It obeys the law, refuses for nothing else, and says to the millisecond until when. */
function checkBucket({ rule, steps }: Case, seen: Seen): void {
  const law = new Law(rule, START_MS);
  const bucket = new TokenBucket(rule, START_MS);
  let nowMs = START_MS;
  for (const { count, ms } of steps) {
    nowMs += ms;
    if (ms < 0) seen("set back");
    const isAllowed = law.allows(count, nowMs);
    const waitMs = bucket.take(count, nowMs);
    equal(waitMs === 0, isAllowed, "granted if and only if the law allows it");
    seen(isAllowed ? "granted" : "refused");
    if (isAllowed) law.grant(count, nowMs);
    else {
      ok(law.allows(count, nowMs + waitMs), "then");
      ok(!law.allows(count, nowMs + waitMs - 1), "and not earlier");
    }
  }
}

/** No key is granted what its own bucket would not, and exactly that while there is room. */
function checkTable({ rule, keysMax, steps }: Case, seen: Seen): void {
  const table = new BucketTable(rule, keysMax);
  const own = new Map<number, OwnBucket>();
  const sharers = new Set<number>();
  let nowMs = START_MS;
  for (const { key, count, ms, isSpent } of steps) {
    nowMs += Math.max(0, ms);
    const mine = own.get(key) ?? new OwnBucket(rule);
    own.set(key, mine);
    const isAllowed = mine.missingAfter(count, nowMs) <= mine.size;
    const before = table.size;
    const told = table.waitMs(`k${key}`, count, nowMs);
    if (isSpent) {
      if (told > 0) seen("spent empty");
      table.spend(`k${key}`, count, nowMs);
      mine.spend(count, nowMs);
    } else {
      equal(table.take(`k${key}`, count, nowMs), told, "asking changes nothing");
      if (told === 0) ok(isAllowed, "no more than a bucket of its own grants");
      if (told === 0) mine.spend(count, nowMs);
    }
    ok(table.size <= keysMax, "the table is bounded");
    if (table.size < before) seen("forgotten");
    if (own.size <= keysMax) equal(told === 0, isAllowed, "exactly that while there is room");
    else if (isAllowed && told > 0) {
      sharers.add(key);
      seen("shared");
    } else if (told === 0 && sharers.has(key)) seen("own again");
  }
  nowMs += Math.ceil((rule.atOnce * rule.periodMs) / rule.refill);
  equal(table.take("newcomer", rule.atOnce, nowMs), 0, "nobody is locked out for good");
}
