import { readVarint, writeVarint } from "./varint.ts";

/**
 * A set of numbers from 1 to 2^53-1, as ranges that neither touch nor overlap, in order. Read marks
 * are such sets: they only grow, and merging them in any order and any number of times comes to the
 * same set. [CNV-30]
 */
export type NumberSet = readonly NumberRange[];

export interface NumberRange {
  readonly from: number;
  /** Inclusive. */
  readonly through: number;
}

/** A set has no more ranges: beyond that the lowest gaps are filled. [CNV-31] */
export const NUMBER_SET_RANGES_MAX = 1024;

export const NO_NUMBERS: NumberSet = [];

/** All numbers that are in either set. Commutative, associative and idempotent. */
export function union(one: NumberSet, other: NumberSet): NumberSet {
  const sorted = [...one, ...other].sort((a, b) => a.from - b.from);
  const merged: NumberRange[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last === undefined || range.from > last.through + 1) merged.push(range);
    else if (range.through > last.through) {
      merged[merged.length - 1] = { from: last.from, through: range.through };
    }
  }
  return merged;
}

/** All numbers of a set that are in the other one too. */
export function intersection(one: NumberSet, other: NumberSet): NumberSet {
  const common: NumberRange[] = [];
  let at = 0;
  for (const range of one) {
    while (at < other.length && (other[at] as NumberRange).through < range.from) at += 1;
    for (let index = at; index < other.length; index += 1) {
      const { from, through } = other[index] as NumberRange;
      if (from > range.through) break;
      common.push({ from: Math.max(from, range.from), through: Math.min(through, range.through) });
    }
  }
  return common;
}

/** All numbers of a set that are not in the other one. */
export function without(one: NumberSet, other: NumberSet): NumberSet {
  const left: NumberRange[] = [];
  for (const { from, through } of one) {
    let next = from;
    for (const gone of other) {
      if (gone.through < next || gone.from > through) continue;
      left.push(...numbersFrom(next, gone.from - 1));
      next = gone.through + 1;
    }
    left.push(...numbersFrom(next, through));
  }
  return left;
}

export function count(set: NumberSet): number {
  return set.reduce((total, { from, through }) => total + (through - from + 1), 0);
}

export function has(set: NumberSet, number: number): boolean {
  return set.some(({ from, through }) => from <= number && number <= through);
}

/** The numbers of a range; none when it ends before it begins. */
export function numbersFrom(from: number, through: number): NumberSet {
  return through < from ? NO_NUMBERS : [{ from, through }];
}

/** A set with its lowest gaps filled until it has so many ranges at most. [CNV-31] */
export function bounded(set: NumberSet, rangesMax: number = NUMBER_SET_RANGES_MAX): NumberSet {
  const surplus = set.length - rangesMax;
  if (surplus <= 0) return set;
  const { from } = set[0] as NumberRange;
  const { through } = set[surplus] as NumberRange;
  return [{ from, through }, ...set.slice(surplus + 1)];
}

/**
 * For each range two varints: how many numbers lie between it and the one before (from 1 on for the
 * first), and how many numbers it has, less one.
 */
export function encodeNumberSet(set: NumberSet): Uint8Array {
  const bytes: number[] = [];
  let next = 1;
  for (const { from, through } of set) {
    writeVarint(bytes, from - next);
    writeVarint(bytes, through - from);
    next = through + 1;
  }
  return Uint8Array.from(bytes);
}

/** Never throws; undefined for what {@link encodeNumberSet} would not have written. [CNV-32] */
export function decodeNumberSet(bytes: Uint8Array): NumberSet | undefined {
  const set: NumberRange[] = [];
  let at = 0;
  let next = 1;
  const varint = () => {
    const read = readVarint(bytes, at);
    at = read?.end ?? at;
    return read?.value;
  };
  while (at < bytes.length) {
    const gap = varint();
    const more = varint();
    if (gap === undefined || more === undefined || set.length === NUMBER_SET_RANGES_MAX) return;
    const from = next + gap;
    const through = from + more;
    if ((gap === 0 && set.length > 0) || through > Number.MAX_SAFE_INTEGER) return;
    set.push({ from, through });
    next = through + 1;
  }
  return set;
}
