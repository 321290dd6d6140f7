import {
  byHand,
  type ConversationCase,
  conversationCase,
  everyOther,
  hex,
  type Range,
  setOf,
} from "./cases.ts";
import { MERGING } from "./merging.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const [HALF, WORD] = [2 ** 31, 2 ** 32];

function form(
  name: string,
  bytes: string,
  ranges: readonly Range[],
  count: number,
): ConversationCase {
  const description = ranges.map(([from, through]) => `${from}–${through}`).join(", ");
  const members = { set: byHand(bytes, ranges), ranges, count };
  return conversationCase(["CNV-32", `set-${name}`, `${description}.`], "number-set", members);
}

const single = (name: string, number: number, bytes: string) =>
  form(name, bytes, [[number, number]], 1);

const FULL = everyOther(1, 1024);

const FORMS: readonly ConversationCase[] = [
  form(
    "three",
    "0204 0200 a102bc05",
    [
      [3, 7],
      [10, 10],
      [300, 1000],
    ],
    707,
  ),
  form("first", "0000", [[1, 1]], 1),
  form("first-five", "0004", [[1, 5]], 5),
  form(
    "apart-by-one",
    "0000 0100",
    [
      [1, 1],
      [3, 3],
    ],
    2,
  ),
  single("gap-127", 128, "7f00"),
  single("gap-128", 129, "800100"),
  form("more-127", "007f", [[1, 128]], 128),
  form("more-128", "008001", [[1, 129]], 129),
  single("gap-16383", 16_384, "ff7f00"),
  single("gap-16384", 16_385, "80800100"),
  single("2^31-1", HALF - 1, "feffffff0700"),
  single("2^31", HALF, "ffffffff0700"),
  single("2^31-and-1", HALF + 1, "808080800800"),
  single("2^32-1", WORD - 1, "feffffff0f00"),
  single("2^32", WORD, "ffffffff0f00"),
  single("2^32-and-1", WORD + 1, "808080801000"),
  form("through-2^31", "00ffffffff07", [[1, HALF]], HALF),
  form("through-2^32", "00ffffffff0f", [[1, WORD]], WORD),
  form("over-2^31-and-2^32", "feffffff07 8280808008", [[HALF - 1, WORD + 1]], HALF + 3),
  single("2^53-1", MAX, "feffffffffffff0f00"),
  form("all", "00feffffffffffff0f", [[1, MAX]], MAX),
  form(
    "all-but-one",
    "00fcffffffffffff0f 0100",
    [
      [1, MAX - 2],
      [MAX, MAX],
    ],
    MAX - 1,
  ),
  form("ranges-1024", `0000${"0100".repeat(1023)}`, FULL, 1024),
];

function refused(name: string, description: string, set: Uint8Array): ConversationCase {
  const about = ["CNV-32", `set-${name}`, description] as const;
  return conversationCase(about, "number-set", { set }, "MARK_INVALID");
}

const TOO_HIGH = "A number above 2^53-1: ";

const REFUSED: readonly ConversationCase[] = [
  refused("touching", "A range that touches the one before.", hex("0000 0000")),
  refused("touching-later", "The third one touches the second.", hex("0204 0200 0005")),
  refused("gap-long-0", "A gap of 0 in two bytes.", hex("8000 00")),
  refused("gap-long-1", "A gap of 1 in two bytes.", hex("8100 00")),
  refused("gap-long-5", "A gap of 1 in five bytes.", hex("8180808000 00")),
  refused("more-long-0", "A range of one number, in two bytes.", hex("00 8000")),
  refused("more-long-300", "A range of 301 numbers, in three bytes.", hex("00 ac8200")),
  refused("long-later", "The second range has the long varint.", hex("0000 8100 00")),
  refused("cut-in-gap", "A gap that does not end.", hex("80")),
  refused("cut-behind-gap", "A range without its length.", hex("00")),
  refused("cut-in-more", "A length that does not end.", hex("0080")),
  refused("cut-second", "The second range has no length.", hex("0000 01")),
  refused("from-2^53", `${TOO_HIGH}by the gap.`, hex("ffffffffffffff0f 00")),
  refused("through-2^53", `${TOO_HIGH}by the length.`, hex("00 ffffffffffffff0f")),
  refused("third-2^53", `${TOO_HIGH}by the third range.`, hex("fcffffffffffff0f 00 0100 0100")),
  refused("sum-2^53", `${TOO_HIGH}by gap and length.`, hex("8080808080808008 ffffffffffffff07")),
  refused("gap-2^56", `${TOO_HIGH}a varint of nine bytes.`, hex("808080808080808001 00")),
  refused("gap-2^63", `${TOO_HIGH}a varint of ten bytes.`, hex("80808080808080808001 00")),
  refused("gap-2^64", `${TOO_HIGH}its lower 64 bits are 0.`, hex("80808080808080808002 00")),
  refused("more-2^64-1", `${TOO_HIGH}its lower 64 bits are -1.`, hex("05 ffffffffffffffffff01")),
  refused("gap-2^53", `${TOO_HIGH}its lower 32 bits are 0.`, hex("8080808080808010 00")),
  refused("endless", "A varint of eleven bytes that does not end.", hex("ff".repeat(11))),
  refused("ranges-1025", "One range more.", setOf(...everyOther(1, 1025))),
];

interface Mark {
  readonly read?: readonly Range[];
  readonly delivered_through?: number;
  readonly newest: number;
}

function mark(name: string, description: string, said: Mark, isRefused = false): ConversationCase {
  const { read: ranges = [], delivered_through = 0, newest } = said;
  const about = ["CNV-32", `mark-${name}`, description] as const;
  const members = { read: setOf(...ranges), delivered_through, newest };
  return isRefused
    ? conversationCase(about, "mark", members, "MARK_INVALID")
    : conversationCase(about, "mark", { ...members, ranges });
}

const noMark = (name: string, description: string, said: Mark) =>
  mark(name, description, said, true);

const MARKS: readonly ConversationCase[] = [
  mark("some", "Some of twenty.", {
    read: [
      [1, 3],
      [20, 20],
    ],
    delivered_through: 20,
    newest: 20,
  }),
  mark("all", "All of them.", { read: [[1, 20]], newest: 20 }),
  mark("only", "The only message.", { read: [[1, 1]], newest: 1 }),
  mark("highest", "The highest number there can be.", { read: [[MAX, MAX]], newest: MAX }),
  mark("got-only", "Nothing read, but all has come.", { delivered_through: 20, newest: 20 }),
  noMark("nothing", "No number at all.", { newest: 20 }),
  noMark("above-newest", "One number more than there are.", { read: [[1, 21]], newest: 20 }),
  noMark("later-above-newest", "The second range is above.", {
    read: [
      [1, 3],
      [21, 21],
    ],
    newest: 20,
  }),
  noMark("none-there", "The conversation has no message.", { read: [[1, 1]], newest: 0 }),
  noMark("got-above-newest", "What has come is above the newest.", {
    read: [[1, 3]],
    delivered_through: 21,
    newest: 20,
  }),
  noMark("far-above", "Above by 2^32: the lower 32 bits are legal.", {
    read: [[WORD + 1, WORD + 1]],
    newest: 20,
  }),
];

export const NUMBER_SETS: readonly ConversationCase[] = [
  ...FORMS,
  ...REFUSED,
  ...MARKS,
  ...MERGING,
];
