import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  bounded,
  count,
  decodeNumberSet,
  encodeNumberSet,
  has,
  intersection,
  NUMBER_SET_RANGES_MAX,
  type NumberSet,
  numbersFrom,
  union,
  without,
} from "../../protocol/number-set.ts";
import { assert } from "../../protocol/violation.ts";
import { property } from "../property.ts";

interface Sets {
  /** Numbers of three sets. */
  readonly sets: readonly (readonly number[])[];
  readonly rangesMax: number;
  readonly probe: number;
  /** Moves all numbers of a set, as far as to the highest there is. */
  readonly shift: number;
  readonly bytes: Uint8Array;
}

const MAX = Number.MAX_SAFE_INTEGER;
const SPAN = 200;
const SHIFTS = [0, 100, 16_000, 2 ** 31, 2 ** 42, MAX - SPAN] as const;

/** Ranges, found by looking at every number. */
function rangesOf(numbers: Iterable<number>): NumberSet {
  const ranges: { from: number; through: number }[] = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.through === number - 1) last.through = number;
    else ranges.push({ from: number, through: number });
  }
  return ranges;
}

function numbersOf(set: NumberSet): ReadonlySet<number> {
  const numbers = set.flatMap(({ from, through }) =>
    Array.from({ length: through - from + 1 }, (_, index) => from + index),
  );
  assert(new Set(numbers).size === numbers.length, "a number is in two ranges");
  return new Set(numbers);
}

/** Base 128, the lowest first. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

/** The form of [CNV-32], written a second time. */
function written(set: NumberSet): number[] {
  return set.flatMap(({ from, through }, index) => [
    ...varint(from - (set[index - 1]?.through ?? 0) - 1),
    ...varint(through - from),
  ]);
}

function checkAlgebra({ sets, probe }: Pick<Sets, "sets" | "probe">): void {
  const [a, b, c] = sets.map(rangesOf) as [NumberSet, NumberSet, NumberSet];
  const [inA, inB] = [new Set(sets[0]), new Set(sets[1])];
  deepEqual(union(a, b), rangesOf([...inA, ...inB]), "a union");
  deepEqual(union(a, b), union(b, a), "commutative");
  deepEqual(union(union(a, b), c), union(a, union(b, c)), "associative");
  deepEqual(union(a, a), a, "idempotent");
  deepEqual(
    numbersOf(intersection(a, b)),
    new Set([...inA].filter((one) => inB.has(one))),
    "an intersection",
  );
  deepEqual(
    numbersOf(without(a, b)),
    new Set([...inA].filter((one) => !inB.has(one))),
    "what is left",
  );
  deepEqual(union(without(a, b), intersection(a, b)), a, "both parts");
  deepEqual([count(a), has(a, probe)], [inA.size, inA.has(probe)], "count and has");
  const from = Math.min(probe, SPAN / 2);
  const through = probe - 20;
  deepEqual(count(numbersFrom(from, through)), Math.max(0, through - from + 1), "a range");
}

function checkForm(set: NumberSet): void {
  const bytes = encodeNumberSet(set);
  deepEqual([...bytes], written(set), "the form");
  deepEqual(decodeNumberSet(bytes), set, "there and back");
  const shortened = decodeNumberSet(bytes.subarray(0, -1));
  assert(set.length === 0 || shortened === undefined || shortened.length < set.length, "cut");
}

/** What no set is written like is no set. */
function checkRefused(set: NumberSet): void {
  const bytes = written(set);
  const refused: [string, number[]][] = [
    ["half a range", [...bytes, 3]],
    ["a longer form of 0", [...bytes, 0x81, 0x00, 0]],
    ["a range behind 2^53-1", [...bytes, ...varint(MAX), 1]],
    ["a number of nine bytes", [...bytes, ...new Array(8).fill(0x80), 1, 0]],
    ["no end", [...bytes, 0x80]],
  ];
  if (set.length > 0) refused.push(["ranges that touch", [...bytes, 0, 0]]);
  for (const [what, wrong] of refused) {
    deepEqual(decodeNumberSet(Uint8Array.from(wrong)), undefined, what);
  }
}

function checkBounded(set: NumberSet, rangesMax: number): void {
  const less = bounded(set, rangesMax);
  assert(less.length <= Math.max(rangesMax, 0), "too many ranges");
  deepEqual(union(less, set), less, "bounding takes nothing away [CNV-31]");
  deepEqual(bounded(less, rangesMax), less, "once is enough");
  deepEqual(less.length, Math.min(set.length, rangesMax), "no more gaps are filled than needed");
  const kept = rangesMax - 1;
  deepEqual(
    less.slice(less.length - kept),
    set.slice(set.length - kept).slice(-less.length),
    "the highest stay",
  );
}

/** Bytes mean one set at most, and nothing is thrown for any. */
function checkBytes(bytes: Uint8Array): boolean {
  const set = decodeNumberSet(bytes);
  if (set === undefined) return false;
  deepEqual([...encodeNumberSet(set)], [...bytes], "one form for each set");
  let last = -1;
  for (const { from, through } of set) {
    assert(from > last + 1 && through >= from && through <= MAX, "ranges are in order");
    last = through;
  }
  assert(set.length <= NUMBER_SET_RANGES_MAX, "too many ranges");
  return true;
}

const low = fc.noBias(fc.integer({ min: 1, max: SPAN }));

export const numberSets = property<Sets>({
  name: "conversations-number-sets",
  title:
    "[CNV-30] [CNV-31] [CNV-32] sets of numbers are what sets are, and each has one form: any " +
    "other is refused, and nothing is thrown",
  smokeRuns: 100,
  kinds: ["sets decoded", "bytes refused", "many ranges"],
  arbitrary: fc.record({
    sets: fc.array(fc.array(low, { maxLength: 60, size: "max" }), { minLength: 3, maxLength: 3 }),
    rangesMax: fc.integer({ min: 1, max: 12 }),
    probe: low,
    shift: fc.constantFrom(...SHIFTS),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 24 }),
      fc.array(fc.nat(3), { maxLength: 24 }).map((bytes) => Uint8Array.from(bytes)),
    ),
  }),
  start: (seen) => ({
    check: ({ sets, rangesMax, probe, shift, bytes }) => {
      checkAlgebra({ sets, probe });
      const [first = [], second = []] = sets;
      const set = rangesOf(first).map(({ from, through }) => ({
        from: from + shift,
        through: through + shift,
      }));
      checkForm(set);
      checkRefused(set);
      checkBounded(rangesOf([...first, ...second]), rangesMax);
      seen(checkBytes(bytes) ? "sets decoded" : "bytes refused");
      if (probe === 1) {
        seen("many ranges");
        checkMany(NUMBER_SET_RANGES_MAX);
      }
    },
  }),
});

/** The most ranges that there are, and one more. */
function checkMany(most: number): void {
  const set = Array.from({ length: most + 1 }, (_, index) => {
    return { from: 2 * index + 1, through: 2 * index + 1 };
  });
  deepEqual(decodeNumberSet(Uint8Array.from(written(set))), undefined, "too many ranges");
  deepEqual(decodeNumberSet(Uint8Array.from(written(set.slice(1)))), set.slice(1), "the most");
  deepEqual(bounded(set).length, most, "bounded");
}
