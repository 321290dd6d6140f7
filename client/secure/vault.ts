/** What is to be in a vault, record by record; undefined: no more. */
export type VaultChanges = ReadonlyMap<string, Uint8Array | undefined>;

/**
 * Where open chats survive a restart, if an application wants that: records by name. What is in it
 * is never used twice: an older state would seal other messages under keys that were used. [SEC-71]
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
  /** All of them; the bytes are the caller's. */
  readonly records: ReadonlyMap<string, Uint8Array>;
  /**
   * Puts records in the place of those of the same names, and takes some out: all or nothing,
   * whatever instruction the process dies at. Durable when it resolves. Other records stay as they
   * are. What is given is not the vault's any more then. [SEC-69]
   *
   * @throws JournalError DATA_LOCKED when somebody else has taken the vault since; nothing is kept
   */
  keep(changes: VaultChanges): Promise<void>;
}

/** A key of WebCrypto. */
export type WebKey = Parameters<typeof globalThis.crypto.subtle.encrypt>[1];

/**
 * Of AES-GCM, before the ciphertext. Random: a key may wrap 2^32 records (SP 800-38D §8.3), which
 * at ten a second is thirteen years.
 */
const IV_BYTES = 12;

/**
 * Encrypts what is kept under a key of the platform's, which should not be extractable. Names are
 * not encrypted, but no record opens under another name. [SEC-69]
 *
 * What is wrapped with another key, or damaged, is as good as nothing: its chat is over.
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
      const records = new Map<string, Uint8Array>();
      /** Of no use to anybody; taken out with the first change. */
      const dead = new Map<string, undefined>();
      for (const [name, wrapped] of taken.records) {
        const record = await unwrap(key, name, wrapped);
        if (record === undefined) dead.set(name, undefined);
        else records.set(name, record);
      }
      const keep = async (changes: VaultChanges) => {
        const wrapped = new Map<string, Uint8Array | undefined>(dead);
        for (const [name, record] of changes) {
          wrapped.set(name, record && (await wrap(key, name, record)));
        }
        await taken.keep(wrapped);
        dead.clear();
      };
      return { records, keep };
    },
  };
}

async function wrap(key: WebKey, name: string, record: Uint8Array): Promise<Uint8Array> {
  const iv = globalThis.crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const text = await globalThis.crypto.subtle.encrypt(gcm(iv, name), key, Uint8Array.from(record));
  const wrapped = new Uint8Array(IV_BYTES + text.byteLength);
  wrapped.set(iv);
  wrapped.set(new Uint8Array(text), IV_BYTES);
  return wrapped;
}

/** @throws what keeps the platform from looking at it now */
async function unwrap(
  key: WebKey,
  name: string,
  wrapped: Uint8Array,
): Promise<Uint8Array | undefined> {
  const iv = Uint8Array.from(wrapped.subarray(0, IV_BYTES));
  const text = Uint8Array.from(wrapped.subarray(IV_BYTES));
  try {
    return new Uint8Array(await globalThis.crypto.subtle.decrypt(gcm(iv, name), key, text));
  } catch (error) {
    // What WebCrypto says of a tag that does not fit (§28.4.2); anything else may pass.
    if ((error as Partial<Error>).name === "OperationError") return undefined;
    throw error;
  }
}

function gcm(iv: Uint8Array<ArrayBuffer>, name: string) {
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(name) };
}
