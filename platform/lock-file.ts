import { chmodSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** Somebody who is alive holds the lock. */
export class LockHeld extends Error {
  override readonly name = "LockHeld";
}

/** Two that ask at one instant can be in each other's way: so long is the lock asked for again. */
const CONTENDED_MS = 20;
const SQLITE_BUSY = 5;

/** What is held, out of the garbage collector's reach: it would close the file. */
const held = new Set<DatabaseSync>();

/**
 * Takes a lock that dies with its process: the exclusive lock of an empty SQLite database, which is
 * a lock of the system's on a byte range (fcntl(2); LockFileEx on Windows). Node has no call of its
 * own for one.
 *
 * The kernel gives it to one process at a time and takes it back when that process ends, however it
 * ends. It belongs to the file and names nobody, so that neither a process id that is used again
 * nor one that means another process elsewhere (containers that share a folder) can mislead. No
 * file is ever removed or replaced: whoever decides that another's lock file is a dead one's can be
 * overtaken between looking and acting. LMDB needs locks of the same kind in the same folder.
 *
 * The file is SQLite's alone: a process that opens and closes it in another way loses its lock.
 *
 * @returns how to let go
 * @throws LockHeld; or SQLite's own error when the file cannot be made or locked
 */
export function takeLock(path: string): () => void {
  const database = new DatabaseSync(path, { timeout: CONTENDED_MS });
  try {
    chmodSync(path, 0o600);
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    const { errcode = 0 } = error as { readonly errcode?: number };
    // Its low byte is the cause, the rest says more.
    if ((errcode & 0xff) !== SQLITE_BUSY) throw error;
    throw new LockHeld(`${path} is held by a living process`, { cause: error });
  }
  held.add(database);
  return () => {
    if (held.delete(database)) database.close();
  };
}
