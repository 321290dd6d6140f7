export type AeadName = "aes-128-gcm" | "aes-256-gcm" | "chacha20-poly1305";

/** 96 bits in all three (NIST SP 800-38D, RFC 8439). [ENV-5] */
export const NONCE_BYTES = 12;
/** Never shorter: a truncated tag is a forgery waiting. [ENV-5] */
export const TAG_BYTES = 16;
/** Of hashes, secrets, confirms and ids. */
export const HASH_BYTES = 32;

export const XWING_PUBLIC_KEY_BYTES = 1216;
export const XWING_CIPHERTEXT_BYTES = 1120;
/** 32 for ML-KEM-768, then 32 for X25519. */
export const XWING_RANDOMNESS_BYTES = 64;

/** One key of an AEAD algorithm; what the platform prepares once for it stays prepared. */
export interface Aead {
  /**
   * Writes ciphertext and tag.
   *
   * @param into exactly TAG_BYTES longer than the text, which may lie at its beginning
   */
  seal(message: AeadMessage, into: Uint8Array): void;
  /** The text; undefined when the tag does not fit, or is not whole. Never throws. */
  open(message: AeadMessage): Uint8Array | undefined;
}

export interface AeadMessage {
  /** NONCE_BYTES. */
  readonly nonce: Uint8Array;
  /** Authenticated, not encrypted. */
  readonly header: Uint8Array;
  /** What is to be sealed; or ciphertext and tag. */
  readonly text: Uint8Array;
}

/** A private key that stays with the platform. */
export interface SigningKey {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/**
 * The primitives of the envelope, synchronous because machines are: what has to wait (RSA in a
 * browser) is an effect. Nobody draws randomness for the protocol here. [ENV-7]
 *
 * Implementations agree on every input, refused ones too; `envelope-providers` holds them to that.
 */
export interface CryptoProvider {
  /** For logs. */
  readonly name: string;

  sha256(bytes: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array;
  /** 64 bytes; of secure chats. [SEC-1] */
  sha512(bytes: Uint8Array): Uint8Array;
  hmacSha512(key: Uint8Array, bytes: Uint8Array): Uint8Array;

  /** @param key 16 bytes for AES-128, otherwise 32; throws RangeError for another length */
  aead(name: AeadName, key: Uint8Array): Aead;

  /** The public key of a seed of 32 bytes (draft-connolly-cfrg-xwing-kem-10). [ENV-25] */
  xwingPublicKey(seed: Uint8Array): Uint8Array;
  /**
   * A secret and its ciphertext; undefined for a key that is no key: wrong length, ML-KEM
   * coefficients that are not reduced (FIPS 203 §7.2), X25519 point of low order.
   *
   * @param randomness XWING_RANDOMNESS_BYTES. A platform whose ML-KEM draws for itself may leave
   *   the first half unused
   */
  xwingEncapsulate(publicKey: Uint8Array, randomness: Uint8Array): Encapsulated | undefined;
  /**
   * The secret; undefined for a wrong length or a point of low order. A changed ciphertext gives
   * another secret and no error: success proves nothing before the confirm does. (P35)
   */
  xwingDecapsulate(ciphertext: Uint8Array, seed: Uint8Array): Uint8Array | undefined;

  /** Ed25519 of RFC 8032, from a seed of 32 bytes. */
  ed25519Key(seed: Uint8Array): SigningKey;
  /** Refuses points that are not encoded in their one form; see ed25519-form.ts for the rest. */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** ML-DSA-65 of FIPS 204, pure, empty context, from a seed of 32 bytes. */
  mlDsa65Key(seed: Uint8Array): SigningKey;
  mlDsa65Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

export interface Encapsulated {
  readonly ciphertext: Uint8Array;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** The length of an algorithm's key in bytes. */
export function aeadKeyBytes(name: AeadName): number {
  return name === "aes-128-gcm" ? 16 : 32;
}
