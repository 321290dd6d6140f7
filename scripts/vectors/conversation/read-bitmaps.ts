import { varint } from "../builder.ts";
import { join } from "../envelope/primitives.ts";
import { type ConversationCase, type ConversationFailure, conversationCase, hex } from "./cases.ts";

const ORDINALS = 2 ** 32;

interface Readers {
  readonly watermark: number;
  /** Who has read besides. */
  readonly above?: readonly number[];
}

/** One form for each; ordinals may be any above the watermark. */
function bitmapOf({ watermark, above = [] }: Readers): Uint8Array {
  const bits: number[] = [];
  for (const ordinal of above) {
    const distance = ordinal - watermark;
    const at = Math.floor(distance / 8);
    while (bits.length <= at) bits.push(0);
    bits[at] = (bits[at] as number) | (1 << (distance % 8));
  }
  return join(Uint8Array.from(varint(watermark)), Uint8Array.from(bits));
}

/** Its bytes are written by hand. */
function form(name: string, description: string, bytes: string, readers: Readers) {
  const bitmap = hex(bytes);
  if (!Buffer.from(bitmap).equals(bitmapOf(readers))) throw new TypeError(`${name}: ${bytes}`);
  const { watermark, above = [] } = readers;
  const members = { bitmap, watermark, above, count: watermark + above.length };
  return conversationCase(["CNV-36", `form-${name}`, description], "read-bitmap", members);
}

const FORMS: readonly ConversationCase[] = [
  form("some", "Three have read without a gap, and four of the others.", "03 0640", {
    watermark: 3,
    above: [4, 5, 17],
  }),
  form("nobody", "Nobody.", "00", { watermark: 0 }),
  form("first", "The first one.", "01", { watermark: 1 }),
  form("second", "The second one.", "00 02", { watermark: 0, above: [1] }),
  form("bit-7", "The last bit of a byte.", "00 80", { watermark: 0, above: [7] }),
  form("bit-8", "The first bit of the next byte.", "00 0001", { watermark: 0, above: [8] }),
  form("bits-from-watermark", "Bits begin at the watermark, not at a byte.", "05 02", {
    watermark: 5,
    above: [6],
  }),
  form("all-but-one", "All of 17 but the first.", "00 feff01", {
    watermark: 0,
    above: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  }),
  form("watermark-127", "A watermark of one byte.", "7f", { watermark: 127 }),
  form("watermark-128", "A watermark of two bytes.", "8001 02", { watermark: 128, above: [129] }),
  form("watermark-10000", "All members of a full conversation.", "904e", { watermark: 10_000 }),
  form("2^31", "Ordinals around 2^31.", "ffffffff07 02", {
    watermark: 2 ** 31 - 1,
    above: [2 ** 31],
  }),
  form("highest", "The highest ordinal.", "feffffff0f 02", {
    watermark: ORDINALS - 2,
    above: [ORDINALS - 1],
  }),
  form("everybody", "All ordinals that there can be.", "8080808010", { watermark: ORDINALS }),
];

function refused(name: string, description: string, bytes: string): ConversationCase {
  const about = ["CNV-36 CNV-38", `form-${name}`, description] as const;
  return conversationCase(about, "read-bitmap", { bitmap: hex(bytes) }, "MARK_INVALID");
}

const REFUSED: readonly ConversationCase[] = [
  refused("empty", "No watermark.", ""),
  refused("watermark-cut", "A watermark that does not end.", "80"),
  refused("watermark-long-0", "A watermark of 0 in two bytes.", "8000"),
  refused("watermark-long-3", "A watermark of 3 in two bytes.", "8300 0640"),
  refused("watermark-long-5", "A watermark of 3 in five bytes.", "8380808000"),
  refused("watermark-endless", "A varint of eleven bytes that does not end.", "ff".repeat(11)),
  refused("watermark-2^32-and-1", "A watermark above 2^32.", "8180808010"),
  refused("watermark-2^53", "A watermark of 2^53: its lower 32 bits are 0.", "8080808080808010"),
  refused(
    "watermark-2^64",
    "A watermark of 2^64: its lower 64 bits are 0.",
    "80808080808080808002",
  ),
  refused("first-bit", "The ordinal of the watermark has read: it could be higher.", "03 0740"),
  refused("first-bit-alone", "Only that one.", "00 01"),
  refused("last-byte-0", "A byte of 0 at the end.", "03 064000"),
  refused("only-byte-0", "No bits, in one byte.", "03 00"),
  refused("many-zeros", "No bits, in four bytes.", "00 00000000"),
  refused("above-2^32-1", "An ordinal of 2^32.", "ffffffff0f 02"),
  refused("far-above-2^32-1", "The last bit is an ordinal above.", "feffffff0f 0280"),
  refused("bits-at-2^32", "A bit behind all ordinals.", "8080808010 02"),
];

interface Merging {
  readonly one: Readers;
  readonly other: Readers;
  readonly merged: Readers;
  readonly count: number;
}

function merging(
  name: string,
  description: string,
  { one, other, merged, count }: Merging,
  failure?: ConversationFailure,
): ConversationCase {
  const members = { one: bitmapOf(one), other: bitmapOf(other), merged: bitmapOf(merged), count };
  const about = ["CNV-37", `merge-${name}`, description] as const;
  return conversationCase(about, "read-bitmaps", members, failure);
}

const [ONE, OTHER]: readonly [Readers, Readers] = [
  { watermark: 3, above: [5, 8, 20] },
  { watermark: 5, above: [6, 9] },
];

const MERGED: readonly ConversationCase[] = [
  merging("watermarks", "The watermarks differ: bits are moved, and the gap at 5 is filled.", {
    one: ONE,
    other: OTHER,
    merged: { watermark: 7, above: [8, 9, 20] },
    count: 10,
  }),
  merging("bits", "The same watermark.", {
    one: { watermark: 4, above: [6, 30] },
    other: { watermark: 4, above: [8] },
    merged: { watermark: 4, above: [6, 8, 30] },
    count: 7,
  }),
  merging("eight-apart", "Watermarks a byte apart.", {
    one: { watermark: 1, above: [11, 18] },
    other: { watermark: 9, above: [13] },
    merged: { watermark: 9, above: [11, 13, 18] },
    count: 12,
  }),
  merging("swallowed", "All of one is below the other's watermark.", {
    one: ONE,
    other: { watermark: 21 },
    merged: { watermark: 21 },
    count: 21,
  }),
  merging("gap-filled", "The watermark moves over two whole bytes.", {
    one: { watermark: 2, above: Array.from({ length: 17 }, (_, at) => 4 + at) },
    other: { watermark: 4 },
    merged: { watermark: 21 },
    count: 21,
  }),
  merging("gap-closed", "Two that are full together.", {
    one: { watermark: 0, above: [1, 3, 5, 7, 9] },
    other: { watermark: 1, above: [2, 4, 6, 8] },
    merged: { watermark: 10 },
    count: 10,
  }),
  merging("same", "A bitmap with itself.", { one: ONE, other: ONE, merged: ONE, count: 6 }),
  merging("nobody", "Nobody new.", {
    one: ONE,
    other: { watermark: 0 },
    merged: ONE,
    count: 6,
  }),
  merging("nobodies", "Nobody at all.", {
    one: { watermark: 0 },
    other: { watermark: 0 },
    merged: { watermark: 0 },
    count: 0,
  }),
  merging("2^32", "One far above the other.", {
    one: { watermark: 3, above: [70] },
    other: { watermark: ORDINALS - 2, above: [ORDINALS - 1] },
    merged: { watermark: ORDINALS - 2, above: [ORDINALS - 1] },
    count: ORDINALS - 1,
  }),
  merging(
    "mistake-highest",
    "The higher watermark, and bits that were not moved.",
    {
      one: ONE,
      other: OTHER,
      merged: { watermark: 5, above: [6, 7, 9, 10, 22] },
      count: 10,
    },
    "MISTAKE",
  ),
  merging(
    "mistake-not-compacted",
    "The watermark stays where it was.",
    {
      one: ONE,
      other: OTHER,
      merged: { watermark: 5, above: [5, 6, 8, 9, 20] },
      count: 10,
    },
    "MISTAKE",
  ),
  merging(
    "mistake-last",
    "The other one takes the place of one.",
    { one: ONE, other: OTHER, merged: OTHER, count: 7 },
    "MISTAKE",
  ),
];

/** One after the other. */
function adding(
  name: string,
  description: string,
  ordinals: readonly number[],
  [before, after]: readonly [Readers, Readers],
): ConversationCase {
  const members = { before: bitmapOf(before), ordinals, after: bitmapOf(after) };
  return conversationCase(
    ["CNV-36 CNV-37", `add-${name}`, description],
    "read-bitmap-adds",
    members,
  );
}

const ADDED: readonly ConversationCase[] = [
  adding(
    "some",
    "Some above, one of them next to the watermark.",
    [9, 3, 12],
    [ONE, { watermark: 4, above: [5, 8, 9, 12, 20] }],
  ),
  adding(
    "from-nobody",
    "From nobody on, backwards.",
    [4, 3, 2, 1, 0],
    [{ watermark: 0 }, { watermark: 5 }],
  ),
  adding("again", "Who has read already.", [0, 2, 5, 20, 5], [ONE, ONE]),
  adding("next-byte", "A byte more.", [11], [ONE, { watermark: 3, above: [5, 8, 11, 20] }]),
  adding(
    "gap",
    "The one that was missing.",
    [3, 4],
    [{ watermark: 3, above: [5, 6, 7, 8, 9, 10, 11, 12, 13, 14] }, { watermark: 15 }],
  ),
];

export const READ_BITMAPS: readonly ConversationCase[] = [
  ...FORMS,
  ...REFUSED,
  ...MERGED,
  ...ADDED,
];
