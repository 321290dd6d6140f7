import { readU32, writeU32 } from "../envelope/octets.ts";

/** The smallest and the largest length of an inner text. [SEC-48] */
export const BUCKET_BYTES_MIN = 256;
export const BUCKET_BYTES_MAX = 65_536;
const LENGTH_BYTES = 4;

/** Whether a length is 256 or a doubling of it, up to 65,536. [SEC-48] */
export function isBucket(length: number): boolean {
  const isPower = (length & (length - 1)) === 0;
  return length >= BUCKET_BYTES_MIN && length <= BUCKET_BYTES_MAX && isPower;
}

/**
 * `before ‖ u32 length ‖ content ‖ zeros`, as long as the smallest bucket that holds it; undefined
 * when none does. [SEC-48]
 */
export function padded(before: Uint8Array, content: Uint8Array): Uint8Array | undefined {
  const length = before.length + LENGTH_BYTES + content.length;
  let bucket = BUCKET_BYTES_MIN;
  while (bucket < length) bucket *= 2;
  if (bucket > BUCKET_BYTES_MAX) return undefined;
  const inner = new Uint8Array(bucket);
  inner.set(before);
  writeU32(content.length, inner, before.length);
  inner.set(content, before.length + LENGTH_BYTES);
  return inner;
}

/**
 * The content of what begins with its length; undefined when the length is a lie or a byte after
 * the content is not zero: a sender could hide something there, or tell receivers apart. [SEC-49]
 */
export function unpadded(inner: Uint8Array): Uint8Array | undefined {
  if (inner.length < LENGTH_BYTES) return undefined;
  const end = LENGTH_BYTES + readU32(inner, 0);
  if (end > inner.length) return undefined;
  let rest = 0;
  for (let at = end; at < inner.length; at += 1) rest |= inner[at] as number;
  return rest === 0 ? inner.subarray(LENGTH_BYTES, end) : undefined;
}
