import { readVarint, writeVarint } from "./varint.ts";

/**
 * Who of a conversation's members has read one message, by ordinal. Only grows, and merging in any
 * order and any number of times comes to the same bytes. [CNV-36] [CNV-37]
 */
export interface ReadBitmap {
  /** All ordinals below have read. */
  readonly watermark: number;
  /**
   * From the watermark on, the lowest bit of a byte first. The first bit is 0 and the last byte is
   * not: what is said by the watermark, and by the end, is not said twice.
   */
  readonly bits: Uint8Array;
}

/** Ordinals are below. */
const ORDINALS = 2 ** 32;

export const NO_READERS: ReadBitmap = { watermark: 0, bits: new Uint8Array(0) };

/** Costs a bit for each ordinal between the watermark and this one. */
export function addReader(bitmap: ReadBitmap, ordinal: number): ReadBitmap {
  const { watermark } = bitmap;
  if (hasRead(bitmap, ordinal)) return bitmap;
  const distance = ordinal - watermark;
  const bits = new Uint8Array(Math.floor(distance / 8) + 1);
  bits[bits.length - 1] = 1 << (distance % 8);
  return mergeReaders(bitmap, { watermark, bits });
}

/** All ordinals that are in either bitmap. Commutative, associative and idempotent. [CNV-37] */
export function mergeReaders(one: ReadBitmap, other: ReadBitmap): ReadBitmap {
  const [low, high] = one.watermark <= other.watermark ? [one, other] : [other, one];
  const shifted = withoutFirst(low.bits, high.watermark - low.watermark);
  const [short, long] =
    shifted.length <= high.bits.length ? [shifted, high.bits] : [high.bits, shifted];
  const bits = long.map((byte, at) => byte | (short[at] ?? 0));
  return compacted(high.watermark, bits);
}

export function hasRead({ watermark, bits }: ReadBitmap, ordinal: number): boolean {
  if (ordinal < watermark) return true;
  const distance = ordinal - watermark;
  return (((bits[Math.floor(distance / 8)] ?? 0) >> (distance % 8)) & 1) === 1;
}

export function countReaders({ watermark, bits }: ReadBitmap): number {
  let count = watermark;
  for (const byte of bits) for (let rest = byte; rest > 0; rest &= rest - 1) count += 1;
  return count;
}

/** A varint, the watermark; then the bits. [CNV-36] */
export function encodeReadBitmap({ watermark, bits }: ReadBitmap): Uint8Array {
  const head: number[] = [];
  writeVarint(head, watermark);
  const bytes = new Uint8Array(head.length + bits.length);
  bytes.set(head);
  bytes.set(bits, head.length);
  return bytes;
}

/** Never throws; undefined for what {@link encodeReadBitmap} would not have written. [CNV-38] */
export function decodeReadBitmap(bytes: Uint8Array): ReadBitmap | undefined {
  const head = readVarint(bytes, 0);
  if (head === undefined || head.value > ORDINALS) return undefined;
  const bits = new Uint8Array(bytes.subarray(head.end));
  const bitmap = { watermark: head.value, bits };
  const last = bits.at(-1);
  if (last === undefined) return bitmap;
  const through = head.value + 8 * bits.length - 1 - (Math.clz32(last) - 24);
  const isCanonical = last !== 0 && !hasRead(bitmap, head.value) && through < ORDINALS;
  return isCanonical ? bitmap : undefined;
}

function withoutFirst(bits: Uint8Array, count: number): Uint8Array {
  const rest = bits.subarray(Math.floor(count / 8));
  const shift = count % 8;
  return rest.map((byte, at) => (byte >> shift) | ((rest[at + 1] ?? 0) << (8 - shift)));
}

function compacted(watermark: number, bits: Uint8Array): ReadBitmap {
  let full = 0;
  while (bits[full] === 0xff) full += 1;
  let read = 8 * full;
  for (let byte = bits[full] ?? 0; (byte & 1) === 1; byte >>= 1) read += 1;
  const rest = withoutFirst(bits, read);
  let end = rest.length;
  while (end > 0 && rest[end - 1] === 0) end -= 1;
  return { watermark: watermark + read, bits: rest.subarray(0, end) };
}
