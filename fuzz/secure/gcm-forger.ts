import { createCipheriv } from "node:crypto";

// A ciphertext that AES-GCM opens under two keys: what a cipher that does not commit allows.
// Source: Dodis, Grubbs, Ristenpart, Woodage, "Fast Message Franking" (invisible salamanders),
// ePrint 2019/016; GHASH of NIST SP 800-38D §6.

const BLOCK_BYTES = 16;
const POLYNOMIAL = 0xe1n << 120n;

/** One of two who are to open the same ciphertext. */
export interface GcmParty {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly header: Uint8Array;
}

/**
 * Ciphertext and tag that are right for both parties.
 *
 * @param text whole blocks, of which the last one is chosen here
 */
export function forgeForBoth(
  parties: readonly [GcmParty, GcmParty],
  text: Uint8Array,
): Uint8Array | undefined {
  const made = Buffer.from(text);
  made.fill(0, made.length - BLOCK_BYTES);
  const [first, second] = parties.map((party) => secretsOf(party, made)) as [Secrets, Secrets];
  // The last block is multiplied by the square of each hash key.
  const factor = multiplied(first.hash, first.hash) ^ multiplied(second.hash, second.hash);
  if (factor === 0n) return undefined;
  const block = multiplied(first.tag ^ second.tag, inverted(factor));
  bytesOf(block).copy(made, made.length - BLOCK_BYTES);
  const tag = first.tag ^ multiplied(block, multiplied(first.hash, first.hash));
  return Buffer.concat([made, bytesOf(tag)]);
}

interface Secrets {
  readonly hash: bigint;
  /** As the text is without its last block. */
  readonly tag: bigint;
}

function secretsOf({ key, nonce, header }: GcmParty, text: Uint8Array): Secrets {
  const encrypted = (block: Uint8Array): bigint => {
    const cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    return numberOf(cipher.update(block));
  };
  const hash = encrypted(new Uint8Array(BLOCK_BYTES));
  const mask = encrypted(Buffer.concat([nonce, Uint8Array.of(0, 0, 0, 1)]));
  const lengths = Buffer.alloc(BLOCK_BYTES);
  lengths.writeBigUInt64BE(BigInt(header.length * 8), 0);
  lengths.writeBigUInt64BE(BigInt(text.length * 8), 8);
  const filled = Buffer.alloc(Math.ceil(header.length / BLOCK_BYTES) * BLOCK_BYTES);
  filled.set(header);
  const all = Buffer.concat([filled, text, lengths]);
  let sum = 0n;
  for (let at = 0; at < all.length; at += BLOCK_BYTES) {
    sum = multiplied(sum ^ numberOf(all.subarray(at, at + BLOCK_BYTES)), hash);
  }
  return { hash, tag: sum ^ mask };
}

/** In GF(2^128), in GCM's order of bits. */
function multiplied(a: bigint, b: bigint): bigint {
  let product = 0n;
  let factor = b;
  for (let bit = 127n; bit >= 0n; bit -= 1n) {
    if (((a >> bit) & 1n) === 1n) product ^= factor;
    factor = (factor & 1n) === 1n ? (factor >> 1n) ^ POLYNOMIAL : factor >> 1n;
  }
  return product;
}

/** a to the power of 2^128 - 2. */
function inverted(a: bigint): bigint {
  let power = a;
  let result = 1n << 127n;
  for (let step = 1; step < 128; step += 1) {
    power = multiplied(power, power);
    result = multiplied(result, power);
  }
  return result;
}

function numberOf(block: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(block).toString("hex")}`);
}

function bytesOf(block: bigint): Buffer {
  return Buffer.from(block.toString(16).padStart(32, "0"), "hex");
}
