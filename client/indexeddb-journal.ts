import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { type Journal, type JournalCursor, JournalError, type JournalState } from "./journal.ts";
import { EMPTY_JOURNAL } from "./memory-journal.ts";

const STORE = "journal";
const STATE_KEY = "state";
const VERSION = 1;

type Positions = Omit<JournalState, "pending">;

/**
 * A journal in the browser's IndexedDB. Every operation is one transaction of strict durability; a lock keeps two tabs
 * from being the same device.
 *
 * @throws JournalError DATA_LOCKED when another tab has it, DATA_NEWER, DATA_UNWRITABLE
 */
export async function indexedDbJournal(name: string): Promise<Journal> {
  const unlock = await takeTabLock(`posthorn-${name}`);
  try {
    return new IndexedDbJournal(await openDatabase(`posthorn-${name}`), unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

class IndexedDbJournal implements Journal {
  readonly #database: IDBDatabase;
  readonly #unlock: () => void;
  #positions: Positions = EMPTY_JOURNAL;

  constructor(database: IDBDatabase, unlock: () => void) {
    this.#database = database;
    this.#unlock = unlock;
  }

  async load(): Promise<JournalState> {
    const store = this.#database.transaction(STORE, "readonly").objectStore(STORE);
    const [state, keys, values] = await Promise.all([
      settled(store.get(STATE_KEY)),
      settled(store.getAllKeys(IDBKeyRange.lowerBound(0))),
      settled(store.getAll(IDBKeyRange.lowerBound(0))),
    ]);
    // Numbers sort before strings: the range from 0 holds the state as well, last.
    const pending = keys.flatMap((key, index) =>
      typeof key === "number" ? [{ seq: key, operation: values[index] as Uint8Array }] : [],
    );
    const { outboxEpoch, resultsThrough, next, cursor } = (state as Positions) ?? EMPTY_JOURNAL;
    this.#positions = { outboxEpoch, resultsThrough, next, cursor };
    return { ...this.#positions, pending };
  }

  append({ seq, operation }: { readonly seq: number; readonly operation: Uint8Array }) {
    this.#positions = { ...this.#positions, next: seq + 1 };
    return this.#write((store) => store.put(operation, seq));
  }

  install(state: JournalState): Promise<void> {
    const { pending, ...positions } = state;
    this.#positions = positions;
    return this.#write((store) => {
      store.delete(IDBKeyRange.bound(0, Number.MAX_SAFE_INTEGER));
      for (const { seq, operation } of pending) store.put(operation, seq);
    });
  }

  settle(resultsThrough: number): Promise<void> {
    this.#positions = { ...this.#positions, resultsThrough };
    return this.#write((store) => store.delete(IDBKeyRange.bound(0, resultsThrough)));
  }

  advance(cursor: JournalCursor): Promise<void> {
    this.#positions = { ...this.#positions, cursor };
    return this.#write(() => {});
  }

  async close(): Promise<void> {
    this.#database.close();
    this.#unlock();
  }

  /** One transaction; IndexedDB runs those of one store in the order in which they were made. */
  #write(change: (store: IDBObjectStore) => void): Promise<void> {
    const { outboxEpoch, resultsThrough, next, cursor } = this.#positions;
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(STORE, "readwrite", { durability: "strict" });
      const store = transaction.objectStore(STORE);
      change(store);
      store.put({ outboxEpoch, resultsThrough, next, cursor }, STATE_KEY);
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => {
        const full = transaction.error?.name === "QuotaExceededError";
        const code = full ? ErrorCode.DATA_FULL : ErrorCode.DATA_UNWRITABLE;
        reject(new JournalError(code, "IndexedDB did not write", { cause: transaction.error }));
      };
    });
  }
}

function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => {
      const newer = request.error?.name === "VersionError";
      const code = newer ? ErrorCode.DATA_NEWER : ErrorCode.DATA_UNWRITABLE;
      const cause = request.error;
      reject(new JournalError(code, `IndexedDB ${name} cannot be opened`, { cause }));
    };
  });
}

function settled<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Web Locks, where there are any (W3C Web Locks API). */
function takeTabLock(name: string): Promise<() => void> {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks;
  if (locks === undefined) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    const held = locks.request(name, { ifAvailable: true }, (lock) => {
      if (lock === null) throw new JournalError(ErrorCode.DATA_LOCKED, `${name} is in use`);
      return new Promise<void>((release) => resolve(() => release()));
    });
    held.catch(reject);
  });
}
