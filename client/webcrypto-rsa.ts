import type { RsaKey } from "./service-envelope.ts";

const ALGORITHM = { name: "RSA-OAEP", hash: "SHA-256" } as const;
const LABEL = new TextEncoder().encode("posthorn/link/v1/rsa-oaep");
const MODULUS_BITS = 3072;

/**
 * A fresh RSA key for suite 0x0001 where there is WebCrypto; it cannot be exported and decrypts
 * once. [ENV-22] [ENV-23]
 */
export async function webCryptoRsaKey(): Promise<RsaKey> {
  const { subtle } = globalThis.crypto;
  const parameters = { ...ALGORITHM, modulusLength: MODULUS_BITS };
  const publicExponent = Uint8Array.of(1, 0, 1);
  const pair = await subtle.generateKey({ ...parameters, publicExponent }, false, [
    "encrypt",
    "decrypt",
  ]);
  const publicKey = new Uint8Array(await subtle.exportKey("spki", pair.publicKey));
  let privateKey: typeof pair.privateKey | undefined = pair.privateKey;
  return {
    publicKey,
    decrypt: async (ciphertext) => {
      const key = privateKey;
      if (key === undefined) throw new RangeError("this key has decrypted");
      privateKey = undefined;
      try {
        const text = ciphertext as Uint8Array<ArrayBuffer>;
        return new Uint8Array(await subtle.decrypt({ ...ALGORITHM, label: LABEL }, key, text));
      } catch {
        return undefined;
      }
    },
  };
}
