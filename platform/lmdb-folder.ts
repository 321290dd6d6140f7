import { chmodSync, closeSync, mkdirSync, openSync, readSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { syncNames } from "./folder-names.ts";
import { LockHeld, takeLock } from "./lock-file.ts";

export type Env = RootDatabase<Uint8Array, Buffer>;

/** A folder cannot be used. `code` is one of the DATA_ codes. */
export class FolderError extends Error {
  override readonly name = "FolderError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface FolderFormat {
  /** The version of what is kept there; another one is refused. */
  readonly version: number;
  /** Where the version stands. */
  readonly key: Buffer;
  /** The size that is mapped at first, bytes. */
  readonly mapBytes: number;
}

/** An opened data folder: the environment and the lock on it. */
export interface DataFolder {
  readonly env: Env;
  /** Closes the environment, then lets go of the lock. */
  close(): Promise<void>;
}

/**
 * Opens a data folder, making it when it is not there. [OPS-2]
 *
 * @throws FolderError DATA_LOCKED, DATA_UNWRITABLE, DATA_FULL, DATA_NEWER or DATA_DAMAGED
 */
export async function openDataFolder(folder: string, format: FolderFormat): Promise<DataFolder> {
  const unlock = prepare(folder);
  let env: Env | undefined;
  try {
    const path = join(folder, "store");
    checkMetaPages(path, folder);
    env = open({
      path,
      noSubdir: true,
      mapSize: format.mapBytes,
      keyEncoding: "binary",
      encoding: "binary",
      // A promise of a write resolves after its flush, not before. [SEQ-3]
      overlappingSync: false,
      compression: false,
    }) as Env;
    await checkFormat(env, folder, format);
    syncNames(folder);
  } catch (error) {
    await env?.close().catch(() => {});
    unlock();
    throw asFolderError(error, folder);
  }
  const opened = env;
  return {
    env: opened,
    close: async () => {
      await opened.close();
      unlock();
    },
  };
}

function prepare(folder: string): () => void {
  try {
    const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (made !== undefined) syncNames(dirname(resolve(folder)));
    chmodSync(folder, 0o700);
    return takeLock(join(folder, "lock.sqlite"));
  } catch (error) {
    throw asFolderError(error, folder);
  }
}

const META_MAGIC = 0xbeefc0de;
const META_MAGIC_AT = 24;
const META_PAGE_BYTES_AT = 48;

/**
 * LMDB trusts the file it maps, to the point of a crash: its two meta pages are looked at before it
 * is opened.
 */
function checkMetaPages(path: string, folder: string): void {
  const file = openSync(path, "a+", 0o600);
  try {
    const head = Buffer.alloc(META_PAGE_BYTES_AT + 4);
    if (readSync(file, head, 0, head.length, 0) === 0) return;
    const second = Buffer.alloc(4);
    readSync(file, second, 0, 4, head.readUInt32LE(META_PAGE_BYTES_AT) + META_MAGIC_AT);
    const magics = [head.readUInt32LE(META_MAGIC_AT), second.readUInt32LE(0)];
    if (magics.some((magic) => magic !== META_MAGIC)) throw damaged(folder, "not an LMDB file");
  } finally {
    closeSync(file);
  }
}

async function checkFormat(env: Env, folder: string, format: FolderFormat): Promise<void> {
  const stored = env.getBinary(format.key);
  if (stored === undefined) {
    if (env.getKeysCount({ limit: 1 }) > 0) throw damaged(folder, "it holds no format version");
    await env.put(format.key, Buffer.from([format.version]));
    return;
  }
  const version = stored.length === 1 ? (stored[0] as number) : 0;
  if (version === format.version) return;
  if (version > format.version) {
    const text = `${folder} has format ${version}; this program knows ${format.version}`;
    throw new FolderError(ErrorCode.DATA_NEWER, text);
  }
  if (version === 0) throw damaged(folder, "its format version is illegible");
  // No release has written one.
  throw damaged(folder, `it has format ${version}, which this program does not read`);
}

function damaged(folder: string, why: string, cause?: unknown): FolderError {
  return new FolderError(ErrorCode.DATA_DAMAGED, `${folder} is no store: ${why}`, { cause });
}

const UNWRITABLE = new Set([
  "EACCES",
  "EPERM",
  "EROFS",
  "ENOTDIR",
  "EEXIST",
  "ENAMETOOLONG",
  // Of the lock, after the folder was made: its file cannot be made, written to or locked.
  "ERR_SQLITE_ERROR",
]);
const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

function asFolderError(error: unknown, folder: string): FolderError {
  if (error instanceof FolderError) return error;
  if (error instanceof LockHeld) {
    const text = `${folder} is in use by another process`;
    return new FolderError(ErrorCode.DATA_LOCKED, text, { cause: error });
  }
  const code = codeOf(error);
  if (UNWRITABLE.has(code)) {
    const text = `${folder} cannot be written to (${code})`;
    return new FolderError(ErrorCode.DATA_UNWRITABLE, text, { cause: error });
  }
  if (FULL.has(code)) {
    const text = `no room for ${folder} (${code})`;
    return new FolderError(ErrorCode.DATA_FULL, text, { cause: error });
  }
  return damaged(folder, "it cannot be opened", error);
}

/** Node gives names, the binding of LMDB gives errno numbers. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string") return code;
  const names: Readonly<Record<number, string>> = {
    1: "EPERM",
    13: "EACCES",
    20: "ENOTDIR",
    27: "EFBIG",
    28: "ENOSPC",
    30: "EROFS",
    122: "EDQUOT",
  };
  return typeof code === "number" ? (names[Math.abs(code)] ?? String(code)) : "";
}
