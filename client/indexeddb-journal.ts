import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { groupedJournal, type JournalDisk, type JournalGroup } from "./grouped-journal.ts";
import {
  EMPTY_JOURNAL,
  type Journal,
  JournalError,
  type JournalPositions,
  type JournalState,
} from "./journal.ts";

const STORE = "journal";
/** Beside the submits, which have numbers as keys. */
const POSITIONS_KEY = "state";
const VERSION = 1;

/**
 * A journal in the browser's IndexedDB. Operations that wait together become one transaction of
 * strict durability; a lock keeps two tabs from being the same device. The browser may throw it
 * away when room is short, as a whole, unless the page was granted `navigator.storage.persist()`.
 *
 * @param name of the device, within the page's origin
 * @throws JournalError DATA_LOCKED while another tab has it, DATA_UNWRITABLE, DATA_FULL, DATA_NEWER
 *   or DATA_DAMAGED
 */
export async function indexedDbJournal(name: string): Promise<Journal> {
  return await groupedJournal(await IndexedDbDisk.open(`posthorn-${name}`));
}

class IndexedDbDisk implements JournalDisk {
  readonly #database: IDBDatabase;
  readonly #unlock: Unlock;

  constructor(database: IDBDatabase, unlock: Unlock) {
    this.#database = database;
    this.#unlock = unlock;
  }

  static async open(name: string): Promise<IndexedDbDisk> {
    const unlock = await takeTabLock(name);
    try {
      return new IndexedDbDisk(await openDatabase(name), unlock);
    } catch (error) {
      await unlock();
      throw asJournalError(error);
    }
  }

  async read(): Promise<JournalState> {
    try {
      const store = this.#database.transaction(STORE, "readonly").objectStore(STORE);
      const submits = IDBKeyRange.bound(0, Number.MAX_SAFE_INTEGER);
      const [positions, keys, values] = await Promise.all([
        resultOf(store.get(POSITIONS_KEY)),
        resultOf(store.getAllKeys(submits)),
        resultOf(store.getAll(submits)),
      ]);
      const pending = keys.map((key, index) => ({
        seq: key as number,
        operation: operationOf(values[index]),
      }));
      return { ...positionsOf(positions), pending };
    } catch (error) {
      throw asJournalError(error);
    }
  }

  async write(group: JournalGroup): Promise<void> {
    try {
      await writeGroup(this.#database, group);
    } catch (error) {
      throw asJournalError(error);
    }
  }

  async close(): Promise<void> {
    this.#database.close();
    await this.#unlock();
  }
}

async function writeGroup(database: IDBDatabase, group: JournalGroup): Promise<void> {
  const { after, puts } = group;
  const transaction = database.transaction(STORE, "readwrite", { durability: "strict" });
  const end = endOf(transaction);
  try {
    const store = transaction.objectStore(STORE);
    store.delete(IDBKeyRange.bound(0, after.resultsThrough));
    store.delete(IDBKeyRange.bound(after.next, Number.MAX_SAFE_INTEGER));
    // A copy: of a part of a larger buffer, IndexedDB would keep the whole.
    for (const [seq, operation] of puts) store.put(new Uint8Array(operation), seq);
    store.put(after, POSITIONS_KEY);
  } catch (error) {
    // Left alone, the transaction would commit what was asked for so far.
    transaction.abort();
    await end.catch(() => {});
    throw error;
  }
  await end;
}

function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, VERSION);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return resultOf(request);
}

function resultOf<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function endOf(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

/** What stands in the wrong shape becomes NaN, which no position can be. */
function positionsOf(stored: unknown): JournalPositions {
  const { pending: _, ...fresh } = EMPTY_JOURNAL;
  if (stored === undefined) return fresh;
  const { outboxEpoch, resultsThrough, next, cursor } = Object(stored) as JournalPositions;
  const { epoch, seq } = Object(cursor) as JournalPositions["cursor"];
  const numberOf = (value: unknown) => (typeof value === "number" ? value : Number.NaN);
  return {
    outboxEpoch: numberOf(outboxEpoch),
    resultsThrough: numberOf(resultsThrough),
    next: numberOf(next),
    cursor: { epoch: numberOf(epoch), seq: numberOf(seq) },
  };
}

function operationOf(stored: unknown): Uint8Array {
  if (stored instanceof Uint8Array) return stored;
  throw new JournalError(ErrorCode.DATA_DAMAGED, "the journal holds what is no submit");
}

/** Names of Indexed Database API 3.0, and those that browsers use for a damaged database. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  VersionError: ErrorCode.DATA_NEWER,
  QuotaExceededError: ErrorCode.DATA_FULL,
  NotFoundError: ErrorCode.DATA_DAMAGED,
  NotReadableError: ErrorCode.DATA_DAMAGED,
};

function asJournalError(error: unknown): JournalError {
  if (error instanceof JournalError) return error;
  const { name = "" } = Object(error) as { readonly name?: string };
  const code = CODES[name] ?? ErrorCode.DATA_UNWRITABLE;
  return new JournalError(code, "IndexedDB cannot keep the journal", { cause: error });
}

/** Resolves when another tab may have the lock. */
type Unlock = () => Promise<void>;

/** Web Locks, where there are any: the browser lets go of them when the tab ends. */
async function takeTabLock(name: string): Promise<Unlock> {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks;
  if (locks === undefined) return async () => {};
  return await new Promise<Unlock>((resolve, reject) => {
    const released = locks.request(name, { ifAvailable: true }, async (lock) => {
      if (lock === null) throw new JournalError(ErrorCode.DATA_LOCKED, `${name} is in use`);
      await new Promise<void>((release) => {
        resolve(async () => {
          release();
          await released;
        });
      });
    });
    released.catch(reject);
  });
}
