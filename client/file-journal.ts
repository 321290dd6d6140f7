import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { type DataFolder, FolderError, openDataFolder } from "../platform/lmdb-folder.ts";
import { GroupWrites } from "../platform/lmdb-writes.ts";
import {
  type Journal,
  type JournalCursor,
  JournalError,
  type JournalState,
  type PendingSubmit,
} from "./journal.ts";

const FORMAT = { version: 1, key: Buffer.from("F"), mapBytes: 16 * 1024 * 1024 };
/** The outbox is bounded by the client; this bounds what a defect could make of it. */
const JOURNAL_BYTES_MAX = 8 * 1024 * 1024 * 1024;
const POSITIONS_KEY = Buffer.from("P");

type Positions = Omit<JournalState, "pending">;

/**
 * A journal in a folder, for Node: an LMDB file of its own. Operations that wait together become one flushed
 * transaction, in order.
 *
 * @throws JournalError DATA_LOCKED, DATA_UNWRITABLE, DATA_FULL, DATA_NEWER or DATA_DAMAGED
 */
export async function fileJournal(folder: string): Promise<Journal> {
  try {
    return new FileJournal(await openDataFolder(folder, FORMAT));
  } catch (error) {
    if (!(error instanceof FolderError)) throw error;
    throw new JournalError(error.code, error.message, { cause: error.cause });
  }
}

interface Waiting {
  apply(writes: GroupWrites): void;
  resolve(): void;
  reject(error: JournalError): void;
}

class FileJournal implements Journal {
  readonly #folder: DataFolder;
  #positions: Positions;
  #pending: number[];
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(folder: DataFolder) {
    this.#folder = folder;
    const stored = folder.env.getBinary(POSITIONS_KEY);
    this.#positions = stored === undefined ? FRESH : readPositions(stored);
    this.#pending = this.#stored().map(({ seq }) => seq);
  }

  async load(): Promise<JournalState> {
    return { ...this.#positions, pending: this.#stored() };
  }

  append({ seq, operation }: PendingSubmit): Promise<void> {
    return this.#enqueue((writes) => {
      this.#pending.push(seq);
      writes.put(submitKey(seq), operation);
      this.#put(writes, { ...this.#positions, next: seq + 1 });
    });
  }

  install(state: JournalState): Promise<void> {
    return this.#enqueue((writes) => {
      const { pending, ...positions } = state;
      const kept = new Set(pending.map(({ seq }) => seq));
      for (const seq of this.#pending) if (!kept.has(seq)) writes.remove(submitKey(seq));
      for (const { seq, operation } of pending) writes.put(submitKey(seq), operation);
      this.#pending = [...kept];
      this.#put(writes, positions);
    });
  }

  settle(resultsThrough: number): Promise<void> {
    return this.#enqueue((writes) => {
      const settled = this.#pending.filter((seq) => seq <= resultsThrough);
      this.#pending = this.#pending.filter((seq) => seq > resultsThrough);
      for (const seq of settled) writes.remove(submitKey(seq));
      this.#put(writes, { ...this.#positions, resultsThrough });
    });
  }

  advance(cursor: JournalCursor): Promise<void> {
    return this.#enqueue((writes) => this.#put(writes, { ...this.#positions, cursor }));
  }

  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    await this.#folder.close();
  }

  #stored(): PendingSubmit[] {
    const range = this.#folder.env.getRange({ start: submitKey(0), end: submitKey(2 ** 53) });
    return [...range].map(({ key, value }) => ({ seq: seqOf(key), operation: value }));
  }

  #put(writes: GroupWrites, positions: Positions): void {
    this.#positions = positions;
    writes.put(POSITIONS_KEY, writePositions(positions));
  }

  #enqueue(apply: (writes: GroupWrites) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ apply, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      const writes = new GroupWrites(this.#folder.env);
      for (const { apply } of group) apply(writes);
      try {
        await writes.commit(JOURNAL_BYTES_MAX);
        for (const { resolve } of group) resolve();
      } catch (cause) {
        // The client ends on the first failure: what is in memory here is not used again.
        const error = new JournalError(ErrorCode.DATA_FULL, "the journal cannot write", { cause });
        for (const { reject } of group) reject(error);
      }
    }
    this.#running = undefined;
  }
}

const FRESH: Positions = {
  outboxEpoch: 0,
  resultsThrough: 0,
  next: 1,
  cursor: { epoch: 0, seq: 0 },
};

/** Five numbers as doubles: exact up to 2^53-1. */
function writePositions({ outboxEpoch, resultsThrough, next, cursor }: Positions): Uint8Array {
  const bytes = Buffer.alloc(40);
  const numbers = [outboxEpoch, resultsThrough, next, cursor.epoch, cursor.seq];
  numbers.forEach((value, index) => {
    bytes.writeDoubleBE(value, index * 8);
  });
  return bytes;
}

function readPositions(bytes: Buffer): Positions {
  if (bytes.length !== 40) {
    throw new JournalError(ErrorCode.DATA_DAMAGED, "the journal's positions are damaged");
  }
  const [outboxEpoch = 0, resultsThrough = 0, next = 1, epoch = 0, seq = 0] = [0, 1, 2, 3, 4].map(
    (index) => bytes.readDoubleBE(index * 8),
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
