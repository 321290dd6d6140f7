// What an Ed25519 key and signature have to look like before any verifier is asked. Six verifiers
// give four verdicts on the inputs that are refused here. [ENV-31]
//
// Source: Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", SSR 2020, table 6c.

import { copyOf } from "./octets.ts";

export const ED25519_PUBLIC_KEY_BYTES = 32;
export const ED25519_SIGNATURE_BYTES = 64;

/** 2^255 - 19, little-endian. */
const FIELD = littleEndian("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed");
/** The order of the base point. */
const ORDER = littleEndian("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");
/** The y of the eight points of small order: of order 1, 2, 4, 4, and four of order 8. */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000001",
  "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826",
  "7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7",
].map(littleEndian);

/** Whether a key may be a signer's at all: encoded in its one form, and not of small order. */
export function isSoundEd25519Key(publicKey: Uint8Array): boolean {
  return publicKey.length === ED25519_PUBLIC_KEY_BYTES && isSoundPoint(publicKey);
}

/** The same of a signature's R, and S below the order: there is one S for a message. */
export function isSoundEd25519Signature(signature: Uint8Array): boolean {
  if (signature.length !== ED25519_SIGNATURE_BYTES) return false;
  return isSoundPoint(signature.subarray(0, 32)) && isBelow(signature.subarray(32), ORDER);
}

function isSoundPoint(encoded: Uint8Array): boolean {
  const y = copyOf(encoded);
  // The highest bit is the sign of x; x = 0 with either sign is among the points of small order.
  y[31] = (y[31] as number) & 0x7f;
  return isBelow(y, FIELD) && !SMALL_ORDER.some((small) => small.every((v, at) => v === y[at]));
}

/** Compares public numbers, the lowest byte first. */
function isBelow(number: Uint8Array, bound: Uint8Array): boolean {
  for (let at = bound.length - 1; at >= 0; at -= 1) {
    const difference = (number[at] as number) - (bound[at] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function littleEndian(hex: string): Uint8Array {
  const bytes = (hex.match(/../g) as string[]).map((pair) => Number.parseInt(pair, 16));
  return Uint8Array.from(bytes.reverse());
}
