import { sha256 as hash } from "@noble/hashes/sha2.js";

/** SHA-256 alone, for who needs nothing else of a provider: bundlers leave the rest out. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash(bytes);
}
