import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { JournalError } from "../journal.ts";
import { type SecureVault, wrappedVault } from "./vault.ts";

const STORE = "vault";
const KEY_KEY = "key";
const STATE_KEY = "state";
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
  const key = await inStore(database, "readwrite", async (store) => {
    const known = await resultOf(store.get(KEY_KEY));
    if (known === undefined) await resultOf(store.put(made, KEY_KEY));
    return (known ?? made) as CryptoKey;
  });
  return wrappedVault({ take: () => taken(database) }, key);
}

async function taken(database: IDBDatabase) {
  const { life, state } = await inStore(database, "readwrite", async (store) => {
    const lives = await numberOf(store, LIFE_KEY);
    const kept: unknown = await resultOf(store.get(STATE_KEY));
    await resultOf(store.put(lives + 1, LIFE_KEY));
    return { life: lives + 1, state: kept instanceof Uint8Array ? kept : undefined };
  });
  const keep = (fresh: Uint8Array) =>
    inStore(database, "readwrite", async (store) => {
      if ((await numberOf(store, LIFE_KEY)) !== life) {
        throw new JournalError(ErrorCode.DATA_LOCKED, "the vault is somebody else's by now");
      }
      await resultOf(store.put(fresh, STATE_KEY));
    });
  return { state, keep };
}

async function numberOf(store: IDBObjectStore, key: string): Promise<number> {
  const value: unknown = await resultOf(store.get(key));
  return typeof value === "number" ? value : 0;
}

async function opened(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return await resultOf(request).catch(unwritable);
}

/** Durable when it resolves. */
async function inStore<Out>(
  database: IDBDatabase,
  mode: "readonly" | "readwrite",
  work: (store: IDBObjectStore) => Promise<Out>,
): Promise<Out> {
  try {
    const transaction = database.transaction(STORE, mode, { durability: "strict" });
    const end = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    const [out] = await Promise.all([work(transaction.objectStore(STORE)), end]);
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
