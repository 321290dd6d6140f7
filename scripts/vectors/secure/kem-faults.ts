import { fromHex, join } from "../envelope/primitives.ts";

// Keys and ciphertexts that X-Wing refuses. [SEC-21]

/** Coefficient 0 of ML-KEM's part is 3329. */
export function unreduced(key: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(key);
  changed[0] = 0x01;
  changed[1] = ((key[1] as number) & 0xf0) | 0x0d;
  return changed;
}

const LOW_ORDER = fromHex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");

/** The point of a key or a ciphertext is of order 8. */
export function lowOrder(bytes: Uint8Array): Uint8Array {
  return join(bytes.subarray(0, -32), LOW_ORDER);
}

/** It is zero. */
export function zeroPoint(bytes: Uint8Array): Uint8Array {
  return join(bytes.subarray(0, -32), new Uint8Array(32));
}
