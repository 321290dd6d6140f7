import { createHash } from "node:crypto";
import {
  type CryptoProvider,
  XWING_CIPHERTEXT_BYTES,
  XWING_PUBLIC_KEY_BYTES,
} from "../../protocol/envelope/provider.ts";

/**
 * A provider whose key agreement is fast, the same every time, and NO SECURITY: for walking past it
 * to what stands on it. Its secret hangs on the ciphertext alone, so that it binds nothing.
 */
export function withToyKem(crypto: CryptoProvider): CryptoProvider {
  const stretched = (bytes: Uint8Array, length: number): Uint8Array =>
    createHash("shake256", { outputLength: length }).update(bytes).digest();
  return {
    ...crypto,
    name: `${crypto.name} with a toy`,
    xwingPublicKey: (seed) => stretched(seed, XWING_PUBLIC_KEY_BYTES),
    xwingEncapsulate(publicKey, randomness) {
      if (publicKey.length !== XWING_PUBLIC_KEY_BYTES) return undefined;
      const ciphertext = stretched(randomness, XWING_CIPHERTEXT_BYTES);
      return { ciphertext, secret: stretched(ciphertext, 32) };
    },
    xwingDecapsulate: (ciphertext) =>
      ciphertext.length === XWING_CIPHERTEXT_BYTES ? stretched(ciphertext, 32) : undefined,
  };
}
