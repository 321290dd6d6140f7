import {
  type CipherGCM,
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  sign,
} from "node:crypto";
import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";

// What the vectors of the envelope are computed with: written from chapter 11 once more, on what
// node:crypto has. Nothing of protocol/envelope is used, so that a bug there cannot become the
// expectation.

export const NOTHING: Uint8Array = new Uint8Array(0);
/** Stands for a secret that there is none of. [ENV-15] */
export const ZEROS: Uint8Array = new Uint8Array(32);

/** Bytes that look random and are the same for the same name. */
export function drawn(name: string, length: number): Uint8Array {
  return createHash("shake256", { outputLength: length }).update(`vectors ${name}`).digest();
}

export function ascii(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

export function fromHex(text: string): Uint8Array {
  return Buffer.from(text, "hex");
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** A number of so many bytes, the highest first. */
export function big(value: number | bigint, width: number): Uint8Array {
  return fromHex(
    BigInt(value)
      .toString(16)
      .padStart(2 * width, "0"),
  );
}

export function lv8(bytes: Uint8Array): Uint8Array {
  return join(big(bytes.length, 1), bytes);
}

export function lv32(bytes: Uint8Array): Uint8Array {
  return join(big(bytes.length, 4), bytes);
}

export function hmac(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(bytes).digest();
}

/** [ENV-1] */
export function th(label: string, ...items: readonly Uint8Array[]): Uint8Array {
  const text = join(lv8(ascii(label)), ...items.map(lv32));
  return createHash("sha256").update(text).digest();
}

export interface Expansion {
  readonly secret: Uint8Array;
  readonly label: string;
  readonly context?: Uint8Array;
  readonly length?: number;
}

/** [ENV-2] */
export function expanded({ secret, label, context, length = 32 }: Expansion): Uint8Array {
  const info = join(big(length, 2), lv8(ascii(`phorn1 ${label}`)), lv8(context ?? NOTHING));
  return expandedRaw(secret, info, length);
}

/** HKDF-Expand of RFC 5869 §2.3, with any info. */
export function expandedRaw(secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let count = 1; blocks.length * 32 < length; count += 1) {
    blocks.push(hmac(secret, join(blocks.at(-1) ?? NOTHING, info, big(count, 1))));
  }
  return join(...blocks).subarray(0, length);
}

/** A derived secret of 32 bytes. */
export function xl(secret: Uint8Array, label: string, context?: Uint8Array): Uint8Array {
  return expanded({ secret, label, ...(context === undefined ? {} : { context }) });
}

/** The form of RFC 8446 §4.4.3. [ENV-14] */
export function signedText(context: string, meant: Uint8Array): Uint8Array {
  return join(new Uint8Array(64).fill(0x20), ascii(context), big(0, 1), meant);
}

export type AeadName = "aes-128-gcm" | "aes-256-gcm" | "chacha20-poly1305";

export interface Sealing {
  readonly aead: AeadName;
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly header: Uint8Array;
}

/** Ciphertext and tag. */
export function aeadSeal({ aead, key, nonce, header }: Sealing, inner: Uint8Array): Uint8Array {
  const cipher = createCipheriv(aead as "aes-256-gcm", key, nonce, {
    authTagLength: 16,
  }) as CipherGCM;
  cipher.setAAD(header, { plaintextLength: inner.length });
  return join(cipher.update(inner), cipher.final(), cipher.getAuthTag());
}

export function aeadKeyBytes(aead: AeadName): number {
  return aead === "aes-128-gcm" ? 16 : 32;
}

type RawKind = "x25519" | "ed25519";

function privateKeyOf(kind: RawKind, bytes: Uint8Array): KeyObject {
  const format = "raw-private";
  return createPrivateKey({ key: bytes, format, asymmetricKeyType: kind } as never);
}

function publicKeyOf(kind: RawKind, bytes: Uint8Array): KeyObject {
  const format = "raw-public";
  return createPublicKey({ key: bytes, format, asymmetricKeyType: kind } as never);
}

function publicBytes(privateKey: KeyObject): Uint8Array {
  return createPublicKey(privateKey).export({ format: "raw-public" } as never) as never;
}

/** X-Wing of draft-connolly-cfrg-xwing-kem-10 from its parts. [ENV-25] */
export function xwingKey(seed: Uint8Array): {
  readonly publicKey: Uint8Array;
  readonly open: (ciphertext: Uint8Array) => Uint8Array;
} {
  const parts = createHash("shake256", { outputLength: 96 }).update(seed).digest();
  const kem = ml_kem768.keygen(parts.subarray(0, 64));
  const curve = privateKeyOf("x25519", parts.subarray(64));
  const point = publicBytes(curve);
  const open = (ciphertext: Uint8Array) => {
    const theirs = ciphertext.subarray(1088);
    const publicKey = publicKeyOf("x25519", theirs);
    const curveSecret = diffieHellman({ privateKey: curve, publicKey });
    const kemSecret = ml_kem768.decapsulate(ciphertext.subarray(0, 1088), kem.secretKey);
    return combined(kemSecret, curveSecret, theirs, point);
  };
  return { publicKey: join(kem.publicKey, point), open };
}

/** @param randomness 64 bytes: 32 of ML-KEM's, 32 of X25519's */
export function xwingSeal(
  publicKey: Uint8Array,
  randomness: Uint8Array,
): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array } {
  const point = publicKey.subarray(1184);
  const kem = ml_kem768.encapsulate(publicKey.subarray(0, 1184), randomness.subarray(0, 32));
  const ephemeral = privateKeyOf("x25519", randomness.subarray(32));
  const curveText = publicBytes(ephemeral);
  const curveSecret = diffieHellman({
    privateKey: ephemeral,
    publicKey: publicKeyOf("x25519", point),
  });
  const secret = combined(kem.sharedSecret, curveSecret, curveText, point);
  return { ciphertext: join(kem.cipherText, curveText), secret };
}

function combined(...parts: readonly Uint8Array[]): Uint8Array {
  const text = join(...parts, fromHex("5c2e2f2f5e5c"));
  return createHash("sha3-256").update(text).digest();
}

export function ed25519Public(seed: Uint8Array): Uint8Array {
  return publicBytes(privateKeyOf("ed25519", seed));
}

export function ed25519Sign(seed: Uint8Array, text: Uint8Array): Uint8Array {
  return sign(null, text, privateKeyOf("ed25519", seed));
}

export function mlDsa65Public(seed: Uint8Array): Uint8Array {
  return ml_dsa65.keygen(seed).publicKey;
}

/** The deterministic variant of FIPS 204. */
export function mlDsa65Sign(
  seed: Uint8Array,
  text: Uint8Array,
  context: Uint8Array = NOTHING,
): Uint8Array {
  const { secretKey } = ml_dsa65.keygen(seed);
  return ml_dsa65.sign(text, secretKey, { extraEntropy: false, context });
}
