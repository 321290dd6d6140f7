import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import {
  addReader,
  countReaders,
  decodeReadBitmap,
  encodeReadBitmap,
  hasRead,
  mergeReaders,
  NO_READERS,
  type ReadBitmap,
} from "../../protocol/read-bitmap.ts";
import { property } from "../property.ts";

const stretch = fc
  .tuple(fc.nat(140), fc.nat(50))
  .map(([from, count]) => Array.from({ length: count }, (_, at) => from + at));

/**
 * A first stretch without gaps, another one above it, and single ones: watermarks of one and of two
 * bytes, and whole bytes to move them over.
 */
const readers = fc
  .tuple(
    fc.oneof(fc.nat(20), fc.integer({ min: 120, max: 140 })),
    stretch,
    fc.array(fc.nat(180), { maxLength: 10 }),
  )
  .map(([first, ...more]) => [...Array(first).keys(), ...more.flat()]);

interface Readers {
  /** What three devices were told, in the order in which they were. */
  readonly told: readonly (readonly number[])[];
  /** In which they hear of each other. */
  readonly order: readonly number[];
  readonly bytes: Uint8Array;
}

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  // Nearly a bitmap: zeros and full bytes are where forms go wrong.
  fc.array(fc.constantFrom(0, 1, 2, 0x7e, 0x7f, 0x80, 0xfe, 0xff), { maxLength: 8 }).map(toBytes),
  fc
    .tuple(fc.constantFrom(0xfe, 0xff, 0x80), fc.array(fc.nat(255), { maxLength: 3 }))
    .map(([low, bits]) => toBytes([low, 0xff, 0xff, 0xff, 0x0f, ...bits])),
);

function toBytes(list: readonly number[]): Uint8Array {
  return Uint8Array.from(list);
}

export const readBitmap = property<Readers>({
  name: "read-bitmap",
  title: "[CNV-36] [CNV-37] [CNV-38] who has read a message is a set, whoever heard of it when",
  smokeRuns: 400,
  kinds: [
    "watermark alone",
    "bits",
    "gap filled by merging",
    "whole bytes filled",
    "read back",
    "refused",
  ],
  arbitrary: fc.record({
    told: fc.tuple(readers, readers, readers),
    order: fc.array(fc.nat(2), { minLength: 3, maxLength: 9 }),
    bytes,
  }),
  start: (seen) => ({
    check: ({ told, order, bytes }) => {
      const bitmaps = told.map((ordinals) => ordinals.reduce(addReader, NO_READERS));
      told.forEach((ordinals, at) => {
        assertHolds(bitmaps[at] as ReadBitmap, new Set(ordinals));
      });
      const heard = [...order, 0, 1, 2];
      const merged = heard.map((at) => bitmaps[at] as ReadBitmap).reduce(mergeReaders, NO_READERS);
      assertHolds(merged, new Set(told.flat()));
      const [one, other, third] = bitmaps as [ReadBitmap, ReadBitmap, ReadBitmap];
      deepEqual(mergeReaders(one, other), mergeReaders(other, one), "commutative");
      const left = mergeReaders(mergeReaders(one, other), third);
      deepEqual(left, mergeReaders(one, mergeReaders(other, third)), "associative");
      deepEqual(mergeReaders(left, one), left, "idempotent");
      seen(merged.bits.length === 0 ? "watermark alone" : "bits");
      const highest = Math.max(...bitmaps.map(({ watermark }) => watermark));
      if (merged.watermark > highest) seen("gap filled by merging");
      if (merged.watermark > highest + 16) seen("whole bytes filled");
      const read = decodeReadBitmap(bytes);
      seen(read === undefined ? "refused" : "read back");
      equal(read === undefined, !isCanonical(bytes), "refused if and only if in another form");
      if (read !== undefined) deepEqual(encodeReadBitmap(read), bytes);
    },
  }),
});

/** [CNV-36] a second time, from a plain set. */
function assertHolds(bitmap: ReadBitmap, ordinals: ReadonlySet<number>): void {
  const highest = Math.max(-1, ...ordinals);
  for (let ordinal = 0; ordinal < highest + 20; ordinal += 1) {
    equal(hasRead(bitmap, ordinal), ordinals.has(ordinal), `ordinal ${ordinal}`);
  }
  equal(countReaders(bitmap), ordinals.size);
  const encoded = encodeReadBitmap(bitmap);
  deepEqual([...encoded], bytesOf(ordinals));
  deepEqual(decodeReadBitmap(encoded), bitmap);
}

function bytesOf(ordinals: ReadonlySet<number>): number[] {
  let watermark = 0;
  while (ordinals.has(watermark)) watermark += 1;
  const above = [...ordinals].filter((ordinal) => ordinal > watermark);
  const bits: number[] = [];
  for (const ordinal of above) {
    const [at, bit] = [(ordinal - watermark) >> 3, 1 << ((ordinal - watermark) & 7)];
    while (bits.length <= at) bits.push(0);
    bits[at] = (bits[at] as number) | bit;
  }
  // Watermarks here are of two bytes at most.
  return [...(watermark < 128 ? [watermark] : [(watermark & 127) | 128, watermark >> 7]), ...bits];
}

/** [CNV-38] a second time, with numbers of any size. */
function isCanonical(bytes: Uint8Array): boolean {
  const end = bytes.findIndex((byte) => byte < 0x80) + 1;
  if (end === 0 || (end > 1 && bytes[end - 1] === 0)) return false;
  const watermark = [...bytes.subarray(0, end)].reduce(
    (value, byte, at) => value + (BigInt(byte & 0x7f) << BigInt(7 * at)),
    0n,
  );
  const bits = [...bytes.subarray(end)];
  const text = bits.map((byte) => byte.toString(2).padStart(8, "0")).reverse();
  const value = BigInt(`0b0${text.join("")}`);
  if (bits.length === 0) return watermark <= 2n ** 32n;
  const isShort = bits.at(-1) !== 0 && (value & 1n) === 0n;
  return isShort && watermark + BigInt(value.toString(2).length) <= 2n ** 32n;
}
