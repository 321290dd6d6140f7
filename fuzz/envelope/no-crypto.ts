import {
  ML_DSA_65_PUBLIC_KEY_BYTES,
  ML_DSA_65_SIGNATURE_BYTES,
} from "../../protocol/envelope/identity.ts";
import {
  type Aead,
  type CryptoProvider,
  HASH_BYTES,
  type SigningKey,
  TAG_BYTES,
  XWING_CIPHERTEXT_BYTES,
  XWING_PUBLIC_KEY_BYTES,
} from "../../protocol/envelope/provider.ts";

/**
 * Gives NO SECURITY AT ALL: hashes are constant, texts stay as they are, tags are zeros, and every
 * signature of the right form is right. With it bytes that a fuzzer makes up get past the
 * cryptography, to what is behind it. What cryptography itself is there for, other properties hold.
 */
export const NO_CRYPTO: CryptoProvider = {
  name: "none",
  sha256: () => new Uint8Array(HASH_BYTES),
  hmacSha256: () => new Uint8Array(HASH_BYTES),
  sha512: () => new Uint8Array(2 * HASH_BYTES),
  hmacSha512: () => new Uint8Array(2 * HASH_BYTES),
  aead: () => PLAIN,
  xwingPublicKey: () => new Uint8Array(XWING_PUBLIC_KEY_BYTES),
  xwingEncapsulate: (publicKey) =>
    publicKey.length === XWING_PUBLIC_KEY_BYTES
      ? { ciphertext: new Uint8Array(XWING_CIPHERTEXT_BYTES), secret: new Uint8Array(HASH_BYTES) }
      : undefined,
  xwingDecapsulate: (ciphertext) =>
    ciphertext.length === XWING_CIPHERTEXT_BYTES ? new Uint8Array(HASH_BYTES) : undefined,
  ed25519Key: () => ed25519Key(),
  ed25519Verify: () => true,
  mlDsa65Key: () => ({
    publicKey: new Uint8Array(ML_DSA_65_PUBLIC_KEY_BYTES),
    sign: () => new Uint8Array(ML_DSA_65_SIGNATURE_BYTES),
  }),
  mlDsa65Verify: () => true,
};

const PLAIN: Aead = {
  seal: ({ text }, into) => {
    into.set(text);
    into.fill(0, text.length);
  },
  open: ({ text }) => {
    const end = text.length - TAG_BYTES;
    if (end < 0 || text.subarray(end).some((byte) => byte !== 0)) return undefined;
    return Uint8Array.from(text.subarray(0, end));
  },
};

/** The base point, which has the form of a key; with zeros behind it, of a signature. [ENV-31] */
function ed25519Key(): SigningKey {
  const point = new Uint8Array(32).fill(0x66);
  point[0] = 0x58;
  const signature = new Uint8Array(64);
  signature.set(point);
  return { publicKey: point, sign: () => Uint8Array.from(signature) };
}
