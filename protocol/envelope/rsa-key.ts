// The RSA public keys that suite 0x0001 takes. [ENV-21]

/** Bytes of the modulus: 2048, 3072 and 4096 bits. */
const MODULUS_BYTES: readonly number[] = [256, 384, 512];
/** AlgorithmIdentifier of rsaEncryption with NULL (RFC 8017 §A.1). */
const RSA_ENCRYPTION = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
/** INTEGER 65537. */
const EXPONENT = [2, 3, 1, 0, 1];

/**
 * The length of the modulus in bytes; undefined for any key that is not allowed.
 *
 * Size and exponent are fixed, so all of a key's DER is fixed but its modulus: comparing bytes
 * leaves nothing to parse, and nothing is computed with a key that is refused.
 */
export function rsaModulusBytes(spki: Uint8Array): number | undefined {
  for (const bytes of MODULUS_BYTES) {
    const prefix = prefixOf(bytes);
    if (spki.length !== prefix.length + bytes + EXPONENT.length) continue;
    const first = spki[prefix.length] as number;
    const last = spki[prefix.length + bytes - 1] as number;
    const isSound =
      prefix.every((value, at) => value === spki[at]) &&
      EXPONENT.every((value, at) => value === spki[prefix.length + bytes + at]) &&
      first >= 0x80 &&
      last % 2 === 1;
    return isSound ? bytes : undefined;
  }
  return undefined;
}

/** Everything in front of a modulus whose highest bit is set. */
function prefixOf(modulusBytes: number): readonly number[] {
  const modulus = [2, ...longLength(modulusBytes + 1), 0];
  const numbersBytes = modulus.length + modulusBytes + EXPONENT.length;
  const numbers = [0x30, ...longLength(numbersBytes), ...modulus];
  const textBytes = numbers.length - modulus.length + numbersBytes + 1;
  const text = [3, ...longLength(textBytes), 0, ...numbers];
  const rest = RSA_ENCRYPTION.length + 4 + textBytes;
  return [0x30, ...longLength(rest), ...RSA_ENCRYPTION, ...text];
}

/** A DER length of 256 to 65,535. */
function longLength(bytes: number): readonly number[] {
  return [0x82, bytes >>> 8, bytes & 0xff];
}
