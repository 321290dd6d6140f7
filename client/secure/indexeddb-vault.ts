import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { JournalError } from "../journal.ts";
import { type SecureVault, type TakenVault, type VaultChanges, wrappedVault } from "./vault.ts";

const VERSION = 2;
const STORE = "vault";
const KEY_KEY = "key";
/** Records by their names. */
const RECORDS = "records";
/** How often it was taken: what one life keeps is told from another's by that. */
const LIFE_KEY = "life";

/**
 * A vault in the browser's IndexedDB, with a key that no script can read.
 *
 * @param name of the device, within the page's origin
 * @throws JournalError DATA_UNWRITABLE, from all of its methods too; DATA_LOCKED from `keep` once
 *   another tab has taken it
 */
export async function indexedDbVault(name: string): Promise<SecureVault> {
  const database = await opened(`posthorn-vault-${name}`);
  const usages = ["encrypt", "decrypt"] as const;
  const made = await globalThis.crypto.subtle.generateKey(
    { name: "AES-GCM", length: 256 },
    false,
    usages,
  );
  // Whoever was first: two tabs agree on one key.
  const key = await inStores(database, async (store) => {
    const known = await resultOf(store.get(KEY_KEY));
    if (known === undefined) await resultOf(store.put(made, KEY_KEY));
    return (known ?? made) as CryptoKey;
  });
  return wrappedVault({ take: () => taken(database) }, key);
}

async function taken(database: IDBDatabase): Promise<TakenVault> {
  const { life, records } = await inStores(database, async (store, kept) => {
    const lives = await numberOf(store, LIFE_KEY);
    // Both in the order of the names.
    const [names, values] = await Promise.all([
      resultOf(kept.getAllKeys()),
      resultOf<unknown[]>(kept.getAll()),
    ]);
    await resultOf(store.put(lives + 1, LIFE_KEY));
    const all = names.map((name, index) => [String(name), bytesOf(values[index])] as const);
    return { life: lives + 1, records: new Map(all) };
  });
  const keep = (changes: VaultChanges) =>
    inStores(database, async (store, kept) => {
      if ((await numberOf(store, LIFE_KEY)) !== life) {
        throw new JournalError(ErrorCode.DATA_LOCKED, "the vault is somebody else's by now");
      }
      for (const [name, record] of changes) {
        if (record === undefined) await resultOf(kept.delete(name));
        else await resultOf(kept.put(record, name));
      }
    });
  return { records, keep };
}

/** What is none opens as none. */
function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array(0);
}

async function numberOf(store: IDBObjectStore, key: string): Promise<number> {
  const value: unknown = await resultOf(store.get(key));
  return typeof value === "number" ? value : 0;
}

async function opened(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, VERSION);
  request.onupgradeneeded = () => {
    const { result: database } = request;
    for (const store of [STORE, RECORDS]) {
      if (!database.objectStoreNames.contains(store)) database.createObjectStore(store);
    }
  };
  return await resultOf(request).catch(unwritable);
}

/** One transaction, durable when it resolves; nothing has happened when it rejects. */
async function inStores<Out>(
  database: IDBDatabase,
  work: (store: IDBObjectStore, records: IDBObjectStore) => Promise<Out>,
): Promise<Out> {
  const durability = { durability: "strict" } as const;
  try {
    const transaction = database.transaction([STORE, RECORDS], "readwrite", durability);
    const end = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    const [store, records] = [transaction.objectStore(STORE), transaction.objectStore(RECORDS)];
    const done = work(store, records).catch((error: unknown) => {
      transaction.abort();
      throw error;
    });
    const [out] = await Promise.all([done, end]);
    return out;
  } catch (error) {
    if (error instanceof JournalError) throw error;
    return unwritable(error);
  }
}

function resultOf<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function unwritable(cause: unknown): never {
  throw new JournalError(ErrorCode.DATA_UNWRITABLE, "the vault cannot be written", { cause });
}
