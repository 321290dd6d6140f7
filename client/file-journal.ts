import { open, statfs } from "node:fs/promises";
import { constants } from "node:os";
import { dirname, resolve } from "node:path";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { type DataFolder, FolderError, openDataFolder } from "../platform/lmdb-folder.ts";
import { GroupWrites } from "../platform/lmdb-writes.ts";
import { crc32 } from "../protocol/crc32.ts";
import { groupedJournal, type JournalDisk, type JournalGroup } from "./grouped-journal.ts";
import {
  EMPTY_JOURNAL,
  type Journal,
  JournalError,
  type JournalPositions,
  type JournalState,
} from "./journal.ts";

const FORMAT = { version: 1, key: Buffer.from("F"), mapBytes: 16 * 1024 * 1024 };
/** The outbox is bounded by the client; this bounds what a defect could make of it. */
const JOURNAL_BYTES_MAX = 8 * 1024 * 1024 * 1024;
const POSITIONS_KEY = Buffer.from("P");

/**
 * A journal in a folder, for Node: an LMDB file of its own, for one process at a time. Operations
 * that wait together become one flushed transaction, in order.
 *
 * @throws JournalError DATA_LOCKED, DATA_UNWRITABLE, DATA_FULL, DATA_NEWER or DATA_DAMAGED
 */
export async function fileJournal(folder: string): Promise<Journal> {
  return await groupedJournal(await LmdbDisk.open(folder));
}

class LmdbDisk implements JournalDisk {
  readonly #folder: DataFolder;
  readonly #path: string;

  constructor(folder: DataFolder, path: string) {
    this.#folder = folder;
    this.#path = path;
  }

  static async open(path: string): Promise<LmdbDisk> {
    let folder: DataFolder | undefined;
    try {
      folder = await openDataFolder(path, FORMAT);
      await syncFolder(resolve(path));
      await syncFolder(dirname(resolve(path)));
      return new LmdbDisk(folder, path);
    } catch (error) {
      await folder?.close();
      if (error instanceof FolderError) {
        throw new JournalError(error.code, error.message, { cause: error.cause });
      }
      throw unwritable(path, error);
    }
  }

  async read(): Promise<JournalState> {
    const { env } = this.#folder;
    const stored = env.getBinary(POSITIONS_KEY);
    const range = env.getRange({ start: submitKey(0), end: submitKey(2 ** 53) });
    const pending = [...range].map(({ key, value }) => ({
      seq: seqOf(key),
      operation: unchecked(key, value),
    }));
    if (stored !== undefined) return { ...readPositions(stored), pending };
    return { ...EMPTY_JOURNAL, pending };
  }

  async write({ before, after, puts }: JournalGroup): Promise<void> {
    const writes = new GroupWrites(this.#folder.env);
    const removeRange = (above: number, below: number) => {
      for (let seq = above + 1; seq < below; seq += 1) writes.remove(submitKey(seq));
    };
    removeRange(before.resultsThrough, Math.min(after.resultsThrough + 1, before.next));
    removeRange(Math.max(before.resultsThrough, after.next - 1), before.next);
    for (const [seq, operation] of puts) {
      const key = submitKey(seq);
      writes.put(key, checked(key, operation));
    }
    writes.put(POSITIONS_KEY, checked(POSITIONS_KEY, writePositions(after)));
    try {
      await writes.commit(JOURNAL_BYTES_MAX);
    } catch (error) {
      throw (await isFull(this.#path, error))
        ? new JournalError(ErrorCode.DATA_FULL, `no room for ${this.#path}`, { cause: error })
        : unwritable(this.#path, error);
    }
  }

  async close(): Promise<void> {
    await this.#folder.close();
  }
}

/** A new file survives a power cut once the folder that names it is flushed (fsync(2)). */
async function syncFolder(path: string): Promise<void> {
  // Windows flushes names with files, and cannot open a folder.
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

const { EIO, ENOSPC, EDQUOT, EFBIG } = constants.errno;
const FULL: readonly unknown[] = [ENOSPC, EDQUOT, EFBIG];
const FREE_BYTES_MIN = 1024 * 1024;

/**
 * Whether a write failed for want of room. LMDB calls it EIO when part of the write still fitted.
 */
async function isFull(path: string, error: unknown): Promise<boolean> {
  if (error instanceof RangeError) return true;
  const { code } = Object((error as Error).cause) as { readonly code?: unknown };
  if (code !== EIO) return FULL.includes(code);
  const room = await statfs(path).catch(() => undefined);
  return room !== undefined && room.bavail * room.bsize < FREE_BYTES_MIN;
}

function unwritable(path: string, cause: unknown): JournalError {
  const text = `${path} cannot be written to`;
  return new JournalError(ErrorCode.DATA_UNWRITABLE, text, { cause });
}

/** Five numbers as doubles: exact up to 2^53-1. */
function writePositions(positions: JournalPositions): Uint8Array {
  const { outboxEpoch, resultsThrough, next, cursor } = positions;
  const bytes = Buffer.alloc(40);
  const numbers = [outboxEpoch, resultsThrough, next, cursor.epoch, cursor.seq];
  numbers.forEach((value, index) => {
    bytes.writeDoubleBE(value, index * 8);
  });
  return bytes;
}

function readPositions(value: Uint8Array): JournalPositions {
  const { buffer, byteLength } = unchecked(POSITIONS_KEY, value);
  if (byteLength !== 40) throw damaged("its positions are of another size");
  const numbers = new DataView(buffer);
  const [outboxEpoch = 0, resultsThrough = 0, next = 0, epoch = 0, seq = 0] = [0, 1, 2, 3, 4].map(
    (index) => numbers.getFloat64(index * 8),
  );
  return { outboxEpoch, resultsThrough, next, cursor: { epoch, seq } };
}

function submitKey(seq: number): Buffer {
  const key = Buffer.alloc(9);
  key.write("S");
  key.writeUInt32BE(Math.floor(seq / 2 ** 32), 1);
  key.writeUInt32BE(seq % 2 ** 32, 5);
  return key;
}

function seqOf(key: Buffer): number {
  return key.readUInt32BE(1) * 2 ** 32 + key.readUInt32BE(5);
}

const CHECKSUM_BYTES = 4;

/** What is stored under a key: content after a checksum of both. LMDB itself keeps none. */
function checked(key: Buffer, content: Uint8Array): Buffer {
  const value = Buffer.alloc(CHECKSUM_BYTES + content.length);
  value.writeUInt32BE(checksumOf(key, content));
  value.set(content, CHECKSUM_BYTES);
  return value;
}

/** Takes the content out again, in memory of its own. */
function unchecked(key: Buffer, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(value.subarray(CHECKSUM_BYTES));
  const stored = Buffer.from(value.subarray(0, CHECKSUM_BYTES));
  const intact = stored.length === CHECKSUM_BYTES;
  if (intact && stored.readUInt32BE() === checksumOf(key, content)) return content;
  throw damaged(`a checksum of ${key.toString("hex")} does not match`);
}

function checksumOf(key: Buffer, content: Uint8Array): number {
  return crc32(Buffer.concat([key, content]));
}

function damaged(why: string): JournalError {
  return new JournalError(ErrorCode.DATA_DAMAGED, `the journal is damaged: ${why}`);
}
