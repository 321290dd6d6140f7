// Byte strings of the envelope: big-endian numbers, labels, length-prefixed items. [ENV-1] [ENV-2]

export const NO_BYTES: Uint8Array = new Uint8Array(0);

/**
 * A copy of a range. Not `slice`: on Node's Buffer, which is a Uint8Array, that one shares memory.
 */
export function copyOf(bytes: Uint8Array, begin = 0, end: number = bytes.length): Uint8Array {
  return new Uint8Array(bytes.subarray(begin, end));
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The bytes of a label of this protocol: ASCII, by construction. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** A byte string behind its length in one byte. Throws RangeError above 255 bytes. */
export function lv8(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 0xff) throw new RangeError(`lv8 of ${bytes.length} bytes`);
  return concat([Uint8Array.of(bytes.length), bytes]);
}

/** A byte string behind its length in four bytes. */
export function lv32(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(4 + bytes.length);
  writeU32(bytes.length, whole, 0);
  whole.set(bytes, 4);
  return whole;
}

export function writeU32(value: number, into: Uint8Array, at: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

export function readU32(from: Uint8Array, at: number): number {
  const high = ((from[at] as number) << 24) | ((from[at + 1] as number) << 16);
  return (high | ((from[at + 2] as number) << 8) | (from[at + 3] as number)) >>> 0;
}

/**
 * Whether two byte strings are equal, in a time that does not depend on where they differ, as far
 * as an engine of JavaScript can promise that.
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index += 1) {
    difference |= (a[index] as number) ^ (b[index] as number);
  }
  return difference === 0;
}
