/**
 * Where open chats survive a restart, if an application wants that. What is in it is never used
 * twice: an older state would seal other messages under keys that were used. [SEC-71]
 */
export interface SecureVault {
  /** What was kept last, which is gone from then on, durably; undefined when there is nothing. */
  take(): Promise<Uint8Array | undefined>;
  /** Keeps a state in the place of the one before. Durable when it resolves. [SEC-69] */
  keep(state: Uint8Array): Promise<void>;
}

/** Bytes in a place, durable when a promise resolves. */
export interface VaultPlace {
  read(): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array): Promise<void>;
  remove(): Promise<void>;
}

/** A key of WebCrypto. */
export type WebKey = Parameters<typeof globalThis.crypto.subtle.encrypt>[1];

/** Of AES-GCM, before the ciphertext. Random: a key may wrap 2^32 states (SP 800-38D §8.3). */
const IV_BYTES = 12;

/**
 * Encrypts what is kept under a key of the platform's, which should not be extractable. [SEC-69]
 *
 * What is wrapped with another key, or damaged, is as good as nothing: its chats are over.
 *
 * @param key of WebCrypto, AES-GCM, for encrypting and decrypting
 * @throws TypeError for another key
 */
export function wrappedVault(place: VaultPlace, key: WebKey): SecureVault {
  if (key.algorithm.name !== "AES-GCM") throw new TypeError("key: not of AES-GCM");
  const { subtle } = globalThis.crypto;
  return {
    take: async () => {
      const wrapped = await place.read();
      if (wrapped === undefined) return undefined;
      await place.remove();
      const iv = Uint8Array.from(wrapped.subarray(0, IV_BYTES));
      const text = Uint8Array.from(wrapped.subarray(IV_BYTES));
      try {
        return new Uint8Array(await subtle.decrypt({ name: "AES-GCM", iv }, key, text));
      } catch {
        return undefined;
      }
    },
    keep: async (state) => {
      const iv = globalThis.crypto.getRandomValues(new Uint8Array(IV_BYTES));
      const text = await subtle.encrypt({ name: "AES-GCM", iv }, key, Uint8Array.from(state));
      const wrapped = new Uint8Array(IV_BYTES + text.byteLength);
      wrapped.set(iv);
      wrapped.set(new Uint8Array(text), IV_BYTES);
      await place.write(wrapped);
    },
  };
}
