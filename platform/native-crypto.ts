import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type DecipherGCM,
  decapsulate,
  diffieHellman,
  encapsulate,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import {
  type Aead,
  type AeadName,
  aeadKeyBytes,
  type CryptoProvider,
  type Encapsulated,
  type SigningKey,
  TAG_BYTES,
  XWING_CIPHERTEXT_BYTES,
  XWING_PUBLIC_KEY_BYTES,
  XWING_RANDOMNESS_BYTES,
} from "../protocol/envelope/provider.ts";

/** What Node 24 has natively: constant time where OpenSSL is, and several times faster. */
export const NATIVE_CRYPTO: CryptoProvider = {
  name: "node",
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  hmacSha256: (key, bytes) => createHmac("sha256", key).update(bytes).digest(),
  sha512: (bytes) => createHash("sha512").update(bytes).digest(),
  hmacSha512: (key, bytes) => createHmac("sha512", key).update(bytes).digest(),
  aead: nativeAead,
  xwingPublicKey: (seed) => xwingKeyOf(seed).publicKey,
  xwingEncapsulate,
  xwingDecapsulate,
  ed25519Key: (seed) => signingKeyOf("ed25519", seed),
  ed25519Verify: (publicKey, message, signature) =>
    verified("ed25519", { publicKey, message, signature }),
  mlDsa65Key: (seed) => signingKeyOf("ml-dsa-65", seed),
  mlDsa65Verify: (publicKey, message, signature) =>
    verified("ml-dsa-65", { publicKey, message, signature }),
};

function nativeAead(name: AeadName, key: Uint8Array): Aead {
  if (key.length !== aeadKeyBytes(name)) throw new RangeError(`key of ${key.length} bytes`);
  const kept = createSecretKey(key);
  // Without the length Node 24 takes tags of 4 bytes (DEP0182). [ENV-5]
  const options = { authTagLength: TAG_BYTES };
  return {
    seal({ nonce, header, text }, into) {
      const cipher = createCipheriv(name as "aes-256-gcm", kept, nonce, options) as CipherGCM;
      cipher.setAAD(header);
      into.set(cipher.update(text));
      cipher.final();
      into.set(cipher.getAuthTag(), text.length);
    },
    open({ nonce, header, text }) {
      const end = Math.max(0, text.length - TAG_BYTES);
      const decipher = createDecipheriv(name as "aes-256-gcm", kept, nonce, options) as DecipherGCM;
      return refusing(() => {
        decipher.setAAD(header);
        decipher.setAuthTag(text.subarray(end));
        const opened = decipher.update(text.subarray(0, end));
        decipher.final();
        return opened;
      }, undefined);
    },
  };
}

// X-Wing, draft-connolly-cfrg-xwing-kem-10, made of what OpenSSL has.

/** ML-KEM-768's part of a public key and of a ciphertext; X25519's 32 bytes follow. */
const KEM_KEY_BYTES = 1184;
const KEM_CIPHERTEXT_BYTES = 1088;
const XWING_LABEL = Buffer.from("5c2e2f2f5e5c", "hex");

interface XwingKey {
  readonly kem: KeyObject;
  readonly curve: KeyObject;
  readonly publicKey: Uint8Array;
}

/** draft §5.2: one seed, expanded by SHAKE-256 into those of both parts. */
function xwingKeyOf(seed: Uint8Array): XwingKey {
  const expanded = createHash("shake256", { outputLength: 96 }).update(seed).digest();
  const kem = privateKeyOf("ml-kem-768", expanded.subarray(0, 64));
  const curve = privateKeyOf("x25519", expanded.subarray(64));
  return { kem, curve, publicKey: Buffer.concat([publicBytes(kem), publicBytes(curve)]) };
}

/** draft §5.4. OpenSSL draws ML-KEM's part itself: the first half of the randomness is unused. */
function xwingEncapsulate(publicKey: Uint8Array, randomness: Uint8Array): Encapsulated | undefined {
  if (publicKey.length !== XWING_PUBLIC_KEY_BYTES) return undefined;
  if (randomness.length !== XWING_RANDOMNESS_BYTES) return undefined;
  return refusing(() => {
    const curveKey = publicKey.subarray(KEM_KEY_BYTES);
    const kem = publicKeyOf("ml-kem-768", publicKey.subarray(0, KEM_KEY_BYTES));
    const { sharedKey, ciphertext } = encapsulate(kem);
    const ephemeral = privateKeyOf("x25519", randomness.subarray(32));
    const curveText = publicBytes(ephemeral);
    const curve = agreed(ephemeral, curveKey);
    const secret = combined({ kem: sharedKey, curve, curveText, curveKey });
    return { ciphertext: Buffer.concat([ciphertext, curveText]), secret };
  }, undefined);
}

/** draft §5.5. */
function xwingDecapsulate(ciphertext: Uint8Array, seed: Uint8Array): Uint8Array | undefined {
  if (ciphertext.length !== XWING_CIPHERTEXT_BYTES) return undefined;
  return refusing(() => {
    const key = xwingKeyOf(seed);
    const curveText = ciphertext.subarray(KEM_CIPHERTEXT_BYTES);
    const kem = decapsulate(key.kem, ciphertext.subarray(0, KEM_CIPHERTEXT_BYTES));
    const curve = agreed(key.curve, curveText);
    const curveKey = key.publicKey.subarray(KEM_KEY_BYTES);
    return combined({ kem, curve, curveText, curveKey });
  }, undefined);
}

/** X25519. Throws for points of low order, with which one would agree on zero. [ENV-25] */
function agreed(privateKey: KeyObject, peer: Uint8Array): Uint8Array {
  return diffieHellman({ privateKey, publicKey: publicKeyOf("x25519", peer) });
}

/** draft §5.3. */
function combined(parts: {
  readonly kem: Uint8Array;
  readonly curve: Uint8Array;
  readonly curveText: Uint8Array;
  readonly curveKey: Uint8Array;
}): Uint8Array {
  const { kem, curve, curveText, curveKey } = parts;
  const hash = createHash("sha3-256").update(kem).update(curve).update(curveText);
  return hash.update(curveKey).update(XWING_LABEL).digest();
}

type KeyKind = "ed25519" | "x25519" | "ml-kem-768" | "ml-dsa-65";

function signingKeyOf(kind: KeyKind, seed: Uint8Array): SigningKey {
  const key = privateKeyOf(kind, seed);
  return { publicKey: publicBytes(key), sign: (message) => sign(null, message, key) };
}

function verified(
  kind: KeyKind,
  { publicKey, message, signature }: Record<"publicKey" | "message" | "signature", Uint8Array>,
): boolean {
  return refusing(() => verify(null, message, publicKeyOf(kind, publicKey), signature), false);
}

function privateKeyOf(kind: KeyKind, bytes: Uint8Array): KeyObject {
  const format = kind.startsWith("ml-") ? "raw-seed" : "raw-private";
  return createPrivateKey({ key: bytes, format, asymmetricKeyType: kind } as never);
}

function publicKeyOf(kind: KeyKind, bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: bytes, format: "raw-public", asymmetricKeyType: kind } as never);
}

function publicBytes(key: KeyObject): Uint8Array {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ format: "raw-public" } as never) as unknown as Uint8Array;
}

/** OpenSSL throws for what it refuses; here that is an answer. */
function refusing<Answer>(ask: () => Answer, refusal: Answer): Answer {
  try {
    return ask();
  } catch {
    return refusal;
  }
}
