import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { ml_kem768_x25519 as xwing } from "@noble/post-quantum/hybrid.js";
import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import { copyOf } from "./octets.ts";
import {
  type Aead,
  type AeadName,
  aeadKeyBytes,
  type CryptoProvider,
  type Encapsulated,
  NONCE_BYTES,
  type SigningKey,
  TAG_BYTES,
} from "./provider.ts";

/**
 * The portable provider and the reference: plain JavaScript for browsers and for comparing others
 * with. It does not claim constant time; where a platform has native primitives, use those.
 */
export const NOBLE_CRYPTO: CryptoProvider = {
  name: "noble",
  sha256: (bytes) => sha256(bytes),
  hmacSha256: (key, bytes) => hmac(sha256, key, bytes),
  sha512: (bytes) => sha512(bytes),
  hmacSha512: (key, bytes) => hmac(sha512, key, bytes),
  aead: nobleAead,
  xwingPublicKey: (seed) => xwing.keygen(seed).publicKey,
  xwingEncapsulate,
  xwingDecapsulate: (ciphertext, seed) =>
    refusing(() => xwing.decapsulate(ciphertext, seed), undefined),
  ed25519Key: (seed) => ({
    publicKey: ed25519.getPublicKey(seed),
    sign: (message) => ed25519.sign(message, seed),
  }),
  // Without this flag the library follows ZIP 215, which takes points that RFC 8032 refuses.
  // [ENV-31]
  ed25519Verify: (publicKey, message, signature) =>
    refusing(() => ed25519.verify(signature, message, publicKey, { zip215: false }), false),
  mlDsa65Key,
  mlDsa65Verify: (publicKey, message, signature) =>
    refusing(() => ml_dsa65.verify(signature, message, publicKey), false),
};

function nobleAead(name: AeadName, key: Uint8Array): Aead {
  if (key.length !== aeadKeyBytes(name)) throw new RangeError(`key of ${key.length} bytes`);
  const kept = copyOf(key);
  const cipherOf = (nonce: Uint8Array, header: Uint8Array) => {
    // The library takes other lengths too. [ENV-5]
    if (nonce.length !== NONCE_BYTES) throw new RangeError(`nonce of ${nonce.length} bytes`);
    const make = name === "chacha20-poly1305" ? chacha20poly1305 : gcm;
    return make(kept, nonce, header);
  };
  return {
    seal({ nonce, header, text }, into) {
      into.set(cipherOf(nonce, header).encrypt(text));
    },
    open({ nonce, header, text }) {
      if (text.length < TAG_BYTES) return undefined;
      return refusing(() => cipherOf(nonce, header).decrypt(text), undefined);
    },
  };
}

function xwingEncapsulate(publicKey: Uint8Array, randomness: Uint8Array): Encapsulated | undefined {
  return refusing(() => {
    const { cipherText, sharedSecret } = xwing.encapsulate(publicKey, randomness);
    return { ciphertext: cipherText, secret: sharedSecret };
  }, undefined);
}

function mlDsa65Key(seed: Uint8Array): SigningKey {
  const { publicKey, secretKey } = ml_dsa65.keygen(seed);
  // The deterministic variant of FIPS 204 §3.4: otherwise the library draws randomness itself.
  const sign = (message: Uint8Array) => ml_dsa65.sign(message, secretKey, { extraEntropy: false });
  return { publicKey, sign };
}

/** The library throws for what it refuses; here that is an answer. */
function refusing<Answer>(ask: () => Answer, refusal: Answer): Answer {
  try {
    return ask();
  } catch {
    return refusal;
  }
}
