/**
 * Where open chats survive a restart, if an application wants that. What is in it is never used
 * twice: an older state would seal other messages under keys that were used. [SEC-71]
 */
export interface SecureVault {
  /**
   * What was kept last, for whoever asks last: in one step with the look, nobody who has asked
   * before keeps anything any more. So of two programs, or tabs, one goes on with a state, and what
   * the other one makes of it never leaves. A failure changes nothing: what is kept stays.
   */
  take(): Promise<TakenVault>;
}

/** A vault in the hands of one life of a device. */
export interface TakenVault {
  /** Undefined when there is nothing, or nothing of use. */
  readonly state: Uint8Array | undefined;
  /**
   * Keeps a state in the place of the one before. Durable when it resolves. [SEC-69]
   *
   * @throws JournalError DATA_LOCKED when somebody else has taken the vault since; nothing is kept
   */
  keep(state: Uint8Array): Promise<void>;
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
 * @param place that holds what was encrypted
 * @param key of WebCrypto, AES-GCM, for encrypting and decrypting
 * @throws TypeError for another key
 */
export function wrappedVault(place: SecureVault, key: WebKey): SecureVault {
  if (key.algorithm.name !== "AES-GCM") throw new TypeError("key: not of AES-GCM");
  return {
    take: async () => {
      const taken = await place.take();
      return {
        state: taken.state && (await unwrapped(taken.state, key)),
        keep: async (state) => await taken.keep(await wrapped(state, key)),
      };
    },
  };
}

async function wrapped(state: Uint8Array, key: WebKey): Promise<Uint8Array> {
  const { subtle } = globalThis.crypto;
  const iv = globalThis.crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const text = await subtle.encrypt({ name: "AES-GCM", iv }, key, Uint8Array.from(state));
  const whole = new Uint8Array(IV_BYTES + text.byteLength);
  whole.set(iv);
  whole.set(new Uint8Array(text), IV_BYTES);
  return whole;
}

/** @throws what keeps the platform from looking at it now */
async function unwrapped(whole: Uint8Array, key: WebKey): Promise<Uint8Array | undefined> {
  const { subtle } = globalThis.crypto;
  const iv = Uint8Array.from(whole.subarray(0, IV_BYTES));
  const text = Uint8Array.from(whole.subarray(IV_BYTES));
  try {
    return new Uint8Array(await subtle.decrypt({ name: "AES-GCM", iv }, key, text));
  } catch (error) {
    // What WebCrypto says of a tag that does not fit (§28.4.2); anything else may pass.
    if ((error as Partial<Error>).name === "OperationError") return undefined;
    throw error;
  }
}
