import {
  type ConversationCase,
  type ConversationFailure,
  conversationCase,
  everyOther,
  type Range,
  setOf,
} from "./cases.ts";

// Unions and differences, written by hand.

const MAX = Number.MAX_SAFE_INTEGER;
const [HALF, WORD] = [2 ** 31, 2 ** 32];

interface Two {
  readonly one: readonly Range[];
  readonly other: readonly Range[];
  readonly union: readonly Range[];
  readonly union_count: number;
  /** What is in one and not in the other. */
  readonly difference: readonly Range[];
  readonly difference_count: number;
}

function two(
  ids: string,
  [name, description]: readonly [string, string],
  { one, other, union, union_count, difference, difference_count }: Two,
  failure?: ConversationFailure,
): ConversationCase {
  const members = {
    one: setOf(...one),
    other: setOf(...other),
    union: setOf(...union),
    union_count,
    difference: setOf(...difference),
    difference_count,
  };
  return conversationCase([ids, `two-${name}`, description], "number-sets", members, failure);
}

/** As long as no gap is filled: then one is the union without what only the other has. */
function merged(
  name: string,
  description: string,
  sets: readonly [one: Two["one"], other: Two["other"], union: Two["union"], count: number],
  ...difference: readonly [Two["difference"], count: number]
): ConversationCase {
  const [one, other, union, union_count] = sets;
  return two("CNV-30 CNV-33", [name, description], {
    one,
    other,
    union,
    union_count,
    difference: difference[0],
    difference_count: difference[1],
  });
}

const PLAIN: readonly ConversationCase[] = [
  merged(
    "interleaved",
    "Ranges of both, one after the other.",
    [
      [
        [2, 4],
        [20, 29],
      ],
      [
        [8, 9],
        [25, 40],
      ],
      [
        [2, 4],
        [8, 9],
        [20, 40],
      ],
      26,
    ],
    [
      [2, 4],
      [20, 24],
    ],
    8,
  ),
  merged("touching", "Two that touch are one.", [[[1, 3]], [[4, 6]], [[1, 6]], 6], [[1, 3]], 3),
  merged(
    "one-missing",
    "With one number between, they are two.",
    [
      [[1, 3]],
      [[5, 6]],
      [
        [1, 3],
        [5, 6],
      ],
      5,
    ],
    [[1, 3]],
    3,
  ),
  merged(
    "gap-filled",
    "The number between two ranges.",
    [
      [
        [1, 3],
        [5, 6],
      ],
      [[4, 4]],
      [[1, 6]],
      6,
    ],
    [
      [1, 3],
      [5, 6],
    ],
    5,
  ),
  merged("same", "A set with itself.", [[[3, 9]], [[3, 9]], [[3, 9]], 7], [], 0),
  merged(
    "inside",
    "A range inside another one, which falls into two without it.",
    [[[1, 10]], [[4, 6]], [[1, 10]], 10],
    [
      [1, 3],
      [7, 10],
    ],
    7,
  ),
  merged("around", "The other way round.", [[[4, 6]], [[1, 10]], [[1, 10]], 10], [], 0),
  merged(
    "over-many",
    "One range over many.",
    [everyOther(2, 5), [[1, 9]], [[1, 10]], 10],
    [[10, 10]],
    1,
  ),
  merged("with-none", "Nothing new.", [[[3, 9]], [], [[3, 9]], 7], [[3, 9]], 7),
  merged("none-with", "Nothing before.", [[], [[3, 9]], [[3, 9]], 7], [], 0),
  merged("none", "Nothing at all.", [[], [], [], 0], [], 0),
  merged(
    "2^31",
    "Two that touch at 2^31.",
    [[[1, HALF - 1]], [[HALF, HALF]], [[1, HALF]], HALF],
    [[1, HALF - 1]],
    HALF - 1,
  ),
  merged(
    "2^32",
    "Two that overlap at 2^32.",
    [[[HALF, WORD]], [[WORD, WORD + 5]], [[HALF, WORD + 5]], HALF + 6],
    [[HALF, WORD - 1]],
    HALF,
  ),
  merged(
    "2^53-1",
    "All that there can be.",
    [[[1, MAX - 1]], [[MAX, MAX]], [[1, MAX]], MAX],
    [[1, MAX - 1]],
    MAX - 1,
  ),
  merged(
    "all-but-one",
    "All that there can be, without one.",
    [[[1, MAX]], [[WORD, WORD]], [[1, MAX]], MAX],
    [
      [1, WORD - 1],
      [WORD + 1, MAX],
    ],
    MAX - 1,
  ),
];

const FULL = everyOther(1, 1024);
const HIGH = everyOther(10_001, 1024);

const ONE_MORE: Two = {
  one: FULL,
  other: [[5000, 5000]],
  union: [[1, 3], ...everyOther(5, 1022), [5000, 5000]],
  union_count: 1026,
  difference: FULL,
  difference_count: 1024,
};

function filled(name: string, description: string, sets: Two): ConversationCase {
  return two("CNV-31", [`bound-${name}`, description], sets);
}

function misfilled(name: string, description: string, union: readonly Range[], count: number) {
  const sets = { ...ONE_MORE, union, union_count: count };
  return two("CNV-31", [`bound-mistake-${name}`, description], sets, "MISTAKE");
}

const BOUNDED: readonly ConversationCase[] = [
  filled("one-more", "One range more than there may be: the lowest gap is filled.", ONE_MORE),
  filled("turned-round", "The full set comes second.", {
    ...ONE_MORE,
    one: [[5000, 5000]],
    other: FULL,
    difference: [[5000, 5000]],
    difference_count: 1,
  }),
  filled("reached", "1,024 ranges: no gap is filled.", {
    one: everyOther(1, 1023),
    other: [[5000, 5000]],
    union: [...everyOther(1, 1023), [5000, 5000]],
    union_count: 1024,
    difference: everyOther(1, 1023),
    difference_count: 1023,
  }),
  filled("made-up-for", "A gap that the other set fills: no other one is.", {
    one: FULL,
    other: [
      [1000, 1000],
      [5000, 5000],
    ],
    union: [...everyOther(1, 499), [999, 1001], ...everyOther(1003, 523), [5000, 5000]],
    union_count: 1026,
    difference: FULL,
    difference_count: 1024,
  }),
  filled("first-numbers", "What lies before the first range is no gap.", {
    one: everyOther(101, 1024),
    other: [[5000, 5000]],
    union: [[101, 103], ...everyOther(105, 1022), [5000, 5000]],
    union_count: 1026,
    difference: everyOther(101, 1024),
    difference_count: 1024,
  }),
  filled("wide-gap", "The lowest gap, and not the narrowest.", {
    one: [[1, 1], ...everyOther(101, 1023)],
    other: [[5000, 5000]],
    union: [[1, 101], ...everyOther(103, 1022), [5000, 5000]],
    union_count: 1124,
    difference: [[1, 1], ...everyOther(101, 1023)],
    difference_count: 1024,
  }),
  filled("new-lowest", "What comes new is the lowest: it is joined to the next.", {
    one: everyOther(101, 1024),
    other: [[1, 1]],
    union: [[1, 101], ...everyOther(103, 1023)],
    union_count: 1124,
    difference: everyOther(101, 1024),
    difference_count: 1024,
  }),
  filled("twice-as-many", "As many gaps as there are ranges too many.", {
    one: FULL,
    other: HIGH,
    union: [[1, 10_001], ...everyOther(10_003, 1023)],
    union_count: 11_024,
    difference: FULL,
    difference_count: 1024,
  }),
  misfilled(
    "highest",
    "The highest gap is filled.",
    [...everyOther(1, 1023), [2047, 5000]],
    1023 + 2954,
  ),
  misfilled("left-out", "What came new is left out.", FULL, 1024),
  misfilled(
    "first-lost",
    "The lowest range is lost.",
    [...everyOther(3, 1023), [5000, 5000]],
    1024,
  ),
  misfilled("not-filled", "1,025 ranges.", [...FULL, [5000, 5000]], 1025),
  misfilled("two", "Two gaps are filled.", [[1, 5], ...everyOther(7, 1021), [5000, 5000]], 1027),
];

interface Merging {
  readonly marks: readonly (readonly Range[])[];
  readonly merged: readonly Range[];
}

/** Whatever order they come in, and however often. */
function inAnyOrder(
  name: string,
  description: string,
  { marks, merged }: Merging,
  failure?: ConversationFailure,
): ConversationCase {
  const members = { marks: marks.map((ranges) => setOf(...ranges)), merged: setOf(...merged) };
  return conversationCase(["CNV-30", `marks-${name}`, description], "marks", members, failure);
}

const MARKS: readonly (readonly Range[])[] = [
  [[1, 4]],
  [
    [8, 8],
    [12, 20],
  ],
  [[3, 5]],
  [[30, 31]],
];

const IN_ANY_ORDER: readonly ConversationCase[] = [
  inAnyOrder("four", "Marks of several devices.", {
    marks: MARKS,
    merged: [
      [1, 5],
      [8, 8],
      [12, 20],
      [30, 31],
    ],
  }),
  inAnyOrder("joined", "The last one joins all the others.", {
    marks: [...MARKS, [[5, 29]]],
    merged: [[1, 31]],
  }),
  inAnyOrder("backwards", "From the newest to the oldest, one by one.", {
    marks: [5, 4, 3, 2, 1].map((number) => [[number, number]] as const),
    merged: [[1, 5]],
  }),
  inAnyOrder(
    "mistake-highest",
    "As if all below the highest number were read.",
    { marks: MARKS, merged: [[1, 31]] },
    "MISTAKE",
  ),
  inAnyOrder(
    "mistake-last",
    "As if the last mark took the place of the others.",
    { marks: MARKS, merged: [[30, 31]] },
    "MISTAKE",
  ),
];

export const MERGING: readonly ConversationCase[] = [...PLAIN, ...BOUNDED, ...IN_ANY_ORDER];
