import { createHash, createHmac, hkdfSync } from "node:crypto";

// The schedule of chapters 12 and 13 once more, from their text and with Node's own HKDF: what the
// machines do is held against it.

/** TH of chapter 12. [SEC-1] */
export function th(label: string, items: readonly Uint8Array[]): Buffer {
  const hash = createHash("sha512").update(Uint8Array.of(label.length)).update(label);
  for (const item of items) hash.update(u32(item.length)).update(item);
  return hash.digest();
}

/** XL of chapter 12: HKDF-Expand alone, written out as one block. [SEC-2] */
export function xl(secret: Uint8Array, label: string, ...rest: [Uint8Array?, number?]): Buffer {
  const [context = new Uint8Array(0), length = 64] = rest;
  const name = `phorn1 ${label}`;
  const info = Buffer.concat([
    Uint8Array.of(length >>> 8, length, name.length),
    Buffer.from(name),
    Uint8Array.of(context.length),
    context,
    Uint8Array.of(1),
  ]);
  return createHmac("sha512", secret).update(info).digest().subarray(0, length);
}

export function extract(salt: Uint8Array, secret: Uint8Array): Buffer {
  return createHmac("sha512", salt).update(secret).digest();
}

/** RK_{e+1} with the platform's whole HKDF, which extracts and expands. [SEC-57] */
export function epochRoot(
  salt: Uint8Array,
  secret: Uint8Array,
  items: readonly [Uint8Array, number, Uint8Array, Uint8Array],
): Buffer {
  const [sessionId, epoch, key, ciphertext] = items;
  const context = th("phorn-sc-1 epoch", [sessionId, u32(epoch), key, ciphertext]);
  const name = "phorn1 epoch";
  const info = Buffer.concat([
    Uint8Array.of(0, 64, name.length),
    Buffer.from(name),
    Uint8Array.of(context.length),
    context,
  ]);
  return Buffer.from(hkdfSync("sha512", secret, salt, info, 64));
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
