import type { Random } from "./random.ts";

/** What inputs are changed with. */
export interface MutationSource {
  readonly random: Random;
  /** Byte strings that mean something to the target. */
  readonly dictionary: readonly Uint8Array[];
  /** Inputs to take parts of. */
  readonly others: readonly Uint8Array[];
  readonly bytesMax: number;
}

type Mutator = (input: Uint8Array, source: MutationSource) => Uint8Array;

/** A few changes after one another; mostly one or two, so that what an input reaches stays near. */
export function mutate(input: Uint8Array, source: MutationSource): Uint8Array {
  const { random, bytesMax } = source;
  const stepCount = 1 << random.below(4);
  let mutated = input;
  for (let step = 0; step < stepCount; step += 1) {
    mutated = random.pick(MUTATORS)(mutated, source).subarray(0, bytesMax);
  }
  // A copy: what was mutated must not be a view of an input that is kept.
  return mutated.slice();
}

const flipBit: Mutator = (input, { random }) => {
  return changed(input, random, (byte) => byte ^ (1 << random.below(8)));
};

const setByte: Mutator = (input, { random }) => changed(input, random, () => random.next());

const addToByte: Mutator = (input, { random }) => {
  return changed(input, random, (byte) => byte + random.pick([-1, 1]) * (1 + random.below(35)));
};

/** Bytes at which parsers change their mind. */
const setEdge: Mutator = (input, { random }) => changed(input, random, () => random.pick(EDGES));
const EDGES = [0x00, 0x01, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff];

const insertBytes: Mutator = (input, { random }) => {
  return spliced(input, { at: placeIn(input, random) }, random.bytes(1 + random.below(8)));
};

const insertWord: Mutator = (input, { random, dictionary }) => {
  return spliced(input, { at: placeIn(input, random) }, wordOf(random, dictionary));
};

const overwriteWord: Mutator = (input, { random, dictionary }) => {
  const word = wordOf(random, dictionary);
  return spliced(input, { at: placeIn(input, random), removed: word.length }, word);
};

const removeRange: Mutator = (input, { random }) => spliced(input, rangeIn(input, random), NONE);

const duplicateRange: Mutator = (input, { random }) => {
  const { at, removed } = rangeIn(input, random);
  const copies = Array.from({ length: 1 + random.below(4) }, () => input.slice(at, at + removed));
  return spliced(input, { at: placeIn(input, random) }, Buffer.concat(copies));
};

/** The front of this input and the back of another. */
const crossOver: Mutator = (input, { random, others }) => {
  const other = otherOf(random, others);
  return spliced(input, { at: placeIn(input, random), removed: input.length }, [
    ...other.subarray(placeIn(other, random)),
  ]);
};

const insertOther: Mutator = (input, { random, others }) => {
  const other = otherOf(random, others);
  const { at, removed } = rangeIn(other, random);
  return spliced(input, { at: placeIn(input, random) }, other.slice(at, at + removed));
};

/** Another number where one stands: at a border of varints or of counters, or one beside it. */
const changeVarint: Mutator = (input, { random }) => {
  const at = placeIn(input, random);
  let removed = 0;
  while (removed < 10 && (input[at + removed] ?? 0) > 0x7f) removed += 1;
  const power = BigInt(random.pick(BORDERS));
  const value = 2n ** power - 1n + BigInt(random.below(3));
  return spliced(input, { at, removed: removed + 1 }, varint(value));
};
const BORDERS = [0, 7, 14, 21, 28, 31, 32, 35, 53, 63, 64];

/** A byte becomes how far it is to another place: a length that fits. */
const setLength: Mutator = (input, { random }) => {
  const from = placeIn(input, random);
  const to = random.below(4) === 0 ? input.length : placeIn(input, random);
  if (to <= from) return input;
  return spliced(input, { at: from, removed: 1 }, varint(BigInt(to - from - 1)));
};

/** Replaces a range by a word, and lengths around it grow or shrink with it. */
const graftWord: Mutator = (input, { random, dictionary }) => {
  const { at, removed } = random.below(2) === 0 ? rangeIn(input, random) : NOTHING;
  const place = removed === 0 ? placeIn(input, random) : at;
  const word = random.below(4) === 0 ? NONE : wordOf(random, dictionary);
  const growth = word.length - removed;
  const grown = input.slice();
  for (let index = 0; index < place; index += 1) {
    const length = grown[index] as number;
    const end = index + 1 + length;
    const encloses = end >= place + removed && end <= input.length && length + growth >= 0;
    if (encloses && length + growth < 0x80 && random.below(4) > 0) grown[index] = length + growth;
  }
  return spliced(grown, { at: place, removed }, word);
};

/** Those that keep an input's form come twice: they find more. */
const MUTATORS: readonly Mutator[] = [
  flipBit,
  setByte,
  addToByte,
  setEdge,
  insertBytes,
  insertWord,
  overwriteWord,
  removeRange,
  duplicateRange,
  crossOver,
  insertOther,
  insertOther,
  changeVarint,
  changeVarint,
  setLength,
  graftWord,
  graftWord,
];

const NONE = new Uint8Array(0);
const NOTHING = { at: 0, removed: 0 };

/** A number as Protobuf writes it. @param value 0 to 2^64 */
export function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; bytes.length === 0 || rest > 0n; rest >>= 7n) {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
  }
  return Uint8Array.from(bytes);
}

function changed(input: Uint8Array, random: Random, change: (byte: number) => number): Uint8Array {
  if (input.length === 0) return Uint8Array.of(change(0));
  const mutated = input.slice();
  const at = random.below(mutated.length);
  mutated[at] = change(mutated[at] as number);
  return mutated;
}

function spliced(
  input: Uint8Array,
  { at, removed = 0 }: { readonly at: number; readonly removed?: number },
  inserted: ArrayLike<number>,
): Uint8Array {
  const rest = input.subarray(at + removed);
  const mutated = new Uint8Array(at + inserted.length + rest.length);
  mutated.set(input.subarray(0, at));
  mutated.set(inserted, at);
  mutated.set(rest, at + inserted.length);
  return mutated;
}

/** Between two bytes, or at either end. */
function placeIn(input: Uint8Array, random: Random): number {
  return random.below(input.length + 1);
}

/** Short ranges more often than long ones. */
function rangeIn(input: Uint8Array, random: Random): { at: number; removed: number } {
  const at = placeIn(input, random);
  const removed = Math.min(input.length - at, 1 + random.below(1 + random.below(64)));
  return { at, removed };
}

function wordOf(random: Random, dictionary: readonly Uint8Array[]): Uint8Array {
  return dictionary.length === 0 ? random.bytes(1 + random.below(4)) : random.pick(dictionary);
}

function otherOf(random: Random, others: readonly Uint8Array[]): Uint8Array {
  return others.length === 0 ? NONE : random.pick(others);
}
