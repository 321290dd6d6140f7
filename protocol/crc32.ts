/**
 * CRC-32 of RFC 1952 section 8 (the checksum of gzip and zip), as an unsigned number.
 *
 * Guards a device against its own mistakes: another submit under a used number, a torn journal
 * record. It is no defence against an attacker, who could only deceive himself.
 */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  const end = bytes.length;
  const fourEnd = end - (end % 4);
  let at = 0;
  for (; at < fourEnd; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    const mixed = crc ^ word;
    crc =
      (TABLES[0x300 | (mixed & 0xff)] as number) ^
      (TABLES[0x200 | ((mixed >>> 8) & 0xff)] as number) ^
      (TABLES[0x100 | ((mixed >>> 16) & 0xff)] as number) ^
      (TABLES[mixed >>> 24] as number);
  }
  for (; at < end; at += 1) {
    crc = (crc >>> 8) ^ (TABLES[(crc ^ (bytes[at] as number)) & 0xff] as number);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

/** Four tables of 256 for four bytes at a time (Kounavis and Berry, "slicing-by-4", 2005). */
const TABLES: Int32Array = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(4 * 256);
  for (let index = 0; index < 256; index += 1) {
    let crc = index;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
    tables[index] = crc;
  }
  for (let index = 256; index < tables.length; index += 1) {
    const previous = tables[index - 256] as number;
    tables[index] = (previous >>> 8) ^ (tables[previous & 0xff] as number);
  }
  return tables;
}
