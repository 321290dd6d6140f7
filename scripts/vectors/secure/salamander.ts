import { createCipheriv } from "node:crypto";
import { big, join } from "../envelope/primitives.ts";
import { sealingKeys } from "./schedule.ts";

// One AES-GCM ciphertext that opens under two keys: Grubbs, Lu and Ristenpart, "Message Franking
// via Committing Authenticated Encryption", CRYPTO 2017, and ePrint 2019/016. Written out on GHASH,
// NIST SP 800-38D §6: of one block the sender decides, and it is the root of a linear equation.

const ONE = 1n << 127n;
const REDUCED = 0xe1n << 120n;

function number(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex").padStart(32, "0")}`);
}

/** SP 800-38D §6.3: the first bit is the highest. */
function times(a: bigint, b: bigint): bigint {
  let [product, shifted] = [0n, b];
  for (let bit = 127n; bit >= 0n; bit -= 1n) {
    if ((a >> bit) & 1n) product ^= shifted;
    shifted = shifted & 1n ? (shifted >> 1n) ^ REDUCED : shifted >> 1n;
  }
  return product;
}

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [ONE, base];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = times(result, square);
    square = times(square, square);
  }
  return result;
}

const inverse = (value: bigint) => power(value, (1n << 128n) - 2n);

function blocksOf(bytes: Uint8Array): bigint[] {
  const padded = join(bytes, new Uint8Array(-bytes.length & 15));
  return Array.from({ length: padded.length / 16 }, (_, index) =>
    number(padded.subarray(16 * index, 16 * index + 16)),
  );
}

function oneBlock(key: Uint8Array, block: Uint8Array): bigint {
  const cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
  return number(cipher.update(block));
}

/**
 * Takes a ciphertext without its tag that opens under the first message key, and puts a block in,
 * at an index of blocks, and a tag, so that the second one opens it too.
 */
export function forTwoKeys(
  ciphertext: Uint8Array,
  header: Uint8Array,
  [first, second]: readonly [Uint8Array, Uint8Array],
  at: number,
): Uint8Array {
  const keys = [first, second].map((messageKey) => {
    const { enc, nonce } = sealingKeys(messageKey);
    return { h: oneBlock(enc, new Uint8Array(16)), mask: oneBlock(enc, join(nonce, big(1, 4))) };
  });
  const text = Uint8Array.from(ciphertext).fill(0, 16 * at, 16 * at + 16);
  const lengths = join(big(8 * header.length, 8), big(8 * text.length, 8));
  const blocks = [...blocksOf(header), ...blocksOf(text), number(lengths)];
  const tagOf = ({ h, mask }: { h: bigint; mask: bigint }) =>
    blocks.reduce((hash, block) => times(hash ^ block, h), 0n) ^ mask;
  const exponent = BigInt(blocks.length - blocksOf(header).length - at);
  const slope = keys.reduce((sum, { h }) => sum ^ power(h, exponent), 0n);
  const wrong = keys.reduce((sum, key) => sum ^ tagOf(key), 0n);
  const block = times(wrong, inverse(slope));
  text.set(big(block, 16), 16 * at);
  blocks[blocksOf(header).length + at] = block;
  return join(text, big(tagOf(keys[0] as { h: bigint; mask: bigint }), 16));
}
