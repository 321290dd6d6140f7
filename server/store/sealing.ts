import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";

const CIPHER = "aes-256-gcm";
/** Each key seals one thing. */
const NONCE: Buffer = Buffer.alloc(12);
const TAG_BYTES = 16;
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Seals the one thing that a key is for.
 *
 * @param place where it is stored: elsewhere it does not open
 * @param head stands before it, in clear
 */
export function sealOnce(
  key: KeyObject,
  place: Uint8Array,
  text: Uint8Array,
  head: Uint8Array = NOTHING,
): Buffer {
  const cipher = createCipheriv(CIPHER, key, NONCE).setAAD(place);
  const sealed = cipher.update(text);
  // In this mode nothing is left over for the end.
  cipher.final();
  return Buffer.concat([head, sealed, cipher.getAuthTag()]);
}

/** @throws when it was sealed with another key, for another place, or was changed */
export function openSealed(key: KeyObject, place: Uint8Array, sealed: Uint8Array): Buffer {
  const end = sealed.length - TAG_BYTES;
  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv(CIPHER, key, NONCE, options).setAAD(place);
  decipher.setAuthTag(sealed.subarray(end));
  const text = decipher.update(sealed.subarray(0, end));
  decipher.final();
  return text;
}
