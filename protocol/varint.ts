/** In its shortest form. */
export function writeVarint(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
}

/** A number of 2^53-1 at most, and where it ends; undefined for any but its shortest form. */
export function readVarint(bytes: Uint8Array, start: number) {
  let value = 0;
  let scale = 1;
  for (let at = start; at < bytes.length && at < start + 8; at += 1) {
    const byte = bytes[at] as number;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      const isShortest = byte !== 0 || at === start;
      return isShortest && value <= Number.MAX_SAFE_INTEGER ? { value, end: at + 1 } : undefined;
    }
    scale *= 0x80;
  }
  return undefined;
}
