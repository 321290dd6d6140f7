import type { Aead, AeadName, CryptoProvider, SigningKey } from "../protocol/envelope/provider.ts";

/** What a provider computes, as it is told apart in a share of time. */
export type Primitive = "X-Wing" | "ML-DSA-65" | "Ed25519" | "SHA-2 and HMAC" | "AEAD";

/** A provider that says where its time goes. Slower than the one behind it: not for rates. */
export class TimedProvider implements CryptoProvider {
  readonly name: string;
  readonly spentMs = new Map<Primitive, number>();
  readonly #inner: CryptoProvider;

  constructor(inner: CryptoProvider) {
    this.#inner = inner;
    this.name = inner.name;
  }

  sha256(bytes: Uint8Array) {
    return this.#timed("SHA-2 and HMAC", () => this.#inner.sha256(bytes));
  }

  hmacSha256(key: Uint8Array, bytes: Uint8Array) {
    return this.#timed("SHA-2 and HMAC", () => this.#inner.hmacSha256(key, bytes));
  }

  sha512(bytes: Uint8Array) {
    return this.#timed("SHA-2 and HMAC", () => this.#inner.sha512(bytes));
  }

  hmacSha512(key: Uint8Array, bytes: Uint8Array) {
    return this.#timed("SHA-2 and HMAC", () => this.#inner.hmacSha512(key, bytes));
  }

  aead(name: AeadName, key: Uint8Array): Aead {
    const inner = this.#timed("AEAD", () => this.#inner.aead(name, key));
    return {
      seal: (message, into) => this.#timed("AEAD", () => inner.seal(message, into)),
      open: (message) => this.#timed("AEAD", () => inner.open(message)),
    };
  }

  xwingPublicKey(seed: Uint8Array) {
    return this.#timed("X-Wing", () => this.#inner.xwingPublicKey(seed));
  }

  xwingEncapsulate(publicKey: Uint8Array, randomness: Uint8Array) {
    return this.#timed("X-Wing", () => this.#inner.xwingEncapsulate(publicKey, randomness));
  }

  xwingDecapsulate(ciphertext: Uint8Array, seed: Uint8Array) {
    return this.#timed("X-Wing", () => this.#inner.xwingDecapsulate(ciphertext, seed));
  }

  ed25519Key(seed: Uint8Array) {
    return this.#timedKey("Ed25519", this.#inner.ed25519Key(seed));
  }

  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) {
    return this.#timed("Ed25519", () => this.#inner.ed25519Verify(publicKey, message, signature));
  }

  mlDsa65Key(seed: Uint8Array) {
    return this.#timedKey("ML-DSA-65", this.#inner.mlDsa65Key(seed));
  }

  mlDsa65Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) {
    return this.#timed("ML-DSA-65", () => this.#inner.mlDsa65Verify(publicKey, message, signature));
  }

  #timedKey(primitive: Primitive, key: SigningKey): SigningKey {
    const { publicKey } = key;
    return { publicKey, sign: (message) => this.#timed(primitive, () => key.sign(message)) };
  }

  #timed<Out>(primitive: Primitive, work: () => Out): Out {
    const startedMs = performance.now();
    const out = work();
    const spentMs = performance.now() - startedMs;
    this.spentMs.set(primitive, (this.spentMs.get(primitive) ?? 0) + spentMs);
    return out;
  }
}
