import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addReader,
  countReaders,
  decodeReadBitmap,
  encodeReadBitmap,
  hasRead,
  mergeReaders,
  NO_READERS,
  type ReadBitmap,
} from "./read-bitmap.ts";

const of = (...ordinals: number[]): ReadBitmap => ordinals.reduce(addReader, NO_READERS);
const hex = (bitmap: ReadBitmap) => Buffer.from(encodeReadBitmap(bitmap)).toString("hex");
const decoded = (text: string) => decodeReadBitmap(Buffer.from(text, "hex"));

test("[CNV-36] nobody is one byte, and who has read from the first on is the watermark", () => {
  assert.equal(hex(NO_READERS), "00");
  assert.equal(hex(of(0)), "01");
  assert.equal(hex(of(0, 1, 2)), "03");
  assert.equal(hex(of(...Array.from({ length: 128 }, (_, ordinal) => ordinal))), "8001");
});

test("[CNV-36] above the watermark each ordinal is a bit, the lowest of a byte first", () => {
  assert.equal(hex(of(1)), "0002");
  assert.equal(hex(of(7, 8)), "008001");
  assert.equal(hex(of(0, 2)), "0102");
  assert.equal(hex(of(0, 1, 2, 17)), "030040");
});

test("[CNV-37] the last gap that is filled moves the watermark over all that follows", () => {
  const above = of(1, 2, 3, 4, 5, 6, 7, 8, 9, 11);
  assert.equal(hex(above), "00fe0b");
  assert.deepEqual(addReader(above, 0), of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11));
  assert.equal(hex(addReader(above, 0)), "0a02");
  assert.equal(hex(addReader(addReader(above, 0), 10)), "0c");
});

test("[CNV-37] merging is union, whichever watermark is higher", () => {
  const one = of(0, 1, 2, 9, 20);
  const other = of(0, 1, 2, 3, 4, 6, 8);
  const both = of(0, 1, 2, 3, 4, 6, 8, 9, 20);
  assert.deepEqual(mergeReaders(one, other), both);
  assert.deepEqual(mergeReaders(other, one), both);
  assert.deepEqual(mergeReaders(both, one), both);
  assert.deepEqual(mergeReaders(both, NO_READERS), both);
});

test("[CNV-37] one far above another costs no more than the bits that either has", () => {
  const high = decoded("8080808010") as ReadBitmap;
  assert.deepEqual(high, { watermark: 2 ** 32, bits: new Uint8Array(0) });
  assert.deepEqual(mergeReaders(of(3, 70), high), high);
  const almost = decoded("faffffff0f10") as ReadBitmap;
  assert.ok(hasRead(almost, 2 ** 32 - 2) && !hasRead(almost, 2 ** 32 - 1));
  assert.equal(countReaders(mergeReaders(almost, of(9))), 2 ** 32 - 5);
});

test("who has read is counted, and found", () => {
  const some = of(0, 1, 5, 64, 1000);
  assert.equal(countReaders(some), 5);
  const found = Array.from({ length: 1010 }, (_, ordinal) => ordinal).filter((ordinal) =>
    hasRead(some, ordinal),
  );
  assert.deepEqual(found, [0, 1, 5, 64, 1000]);
});

test("[CNV-38] what is in another form is refused", () => {
  const refused = {
    nothing: "",
    "a watermark that does not end": "80",
    "a watermark longer than its shortest form": "8000",
    "the watermark itself has read": "0001",
    "a last byte of 0": "000200",
    "only a byte of 0": "0500",
    "an ordinal above 2^32-1": "ffffffff0f02",
    "a watermark above 2^32": "8180808010",
  };
  for (const [why, text] of Object.entries(refused)) assert.equal(decoded(text), undefined, why);
  assert.ok(decoded("feffffff0f02"), "the highest ordinal");
});
