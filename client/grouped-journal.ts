import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { assert } from "../protocol/violation.ts";
import {
  type Journal,
  type JournalCursor,
  JournalError,
  type JournalPositions,
  type JournalState,
  journalFault,
  type PendingSubmit,
  positionsFault,
} from "./journal.ts";

/** Where a {@link groupedJournal} keeps its state; knows nothing of order, groups and failures. */
export interface JournalDisk {
  /** All that was written last. */
  read(): Promise<JournalState>;
  /**
   * Writes a group wholly or not at all; resolves when it is durable. Called one at a time.
   *
   * @throws JournalError
   */
  write(group: JournalGroup): Promise<void>;
  close(): Promise<void>;
}

/** What the operations of a group come to. Submits outside the new positions are to go. */
export interface JournalGroup {
  /** What the disk holds now: every submit above resultsThrough and below next. */
  readonly before: JournalPositions;
  /** What it is to hold. */
  readonly after: JournalPositions;
  /** The submits that are new or other than before, by number. */
  readonly puts: ReadonlyMap<number, Uint8Array>;
}

/**
 * A journal on a disk: what waits while one group is written becomes the next group, so that the
 * number of durable writes does not grow with the number of operations. The memory that it holds
 * is the operations that wait, which the outbox holds as well. [SEQ-16]
 *
 * @throws JournalError DATA_DAMAGED when what the disk holds is no journal; the disk's own
 */
export async function groupedJournal(disk: JournalDisk): Promise<Journal> {
  try {
    const { pending: _, ...positions } = checkedState(await disk.read());
    return new GroupedJournal(disk, positions);
  } catch (error) {
    await disk.close();
    throw error;
  }
}

/** A group that still gathers operations. */
interface Gathering {
  readonly puts: Map<number, Uint8Array>;
  readonly waiting: { resolve(): void; reject(error: unknown): void }[];
}

class GroupedJournal implements Journal {
  readonly #disk: JournalDisk;
  /** What is durable, and what will be once all groups are. */
  #durable: JournalPositions;
  #positions: JournalPositions;
  #gathering: Gathering | undefined;
  #writing: Promise<void> | undefined;
  #reading: Promise<unknown> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #closed: Promise<void> | undefined;

  constructor(disk: JournalDisk, positions: JournalPositions) {
    this.#disk = disk;
    this.#durable = positions;
    this.#positions = positions;
  }

  load(): Promise<JournalState> {
    const before = this.#change(this.#positions, () => {});
    const reading = before.then(async () => checkedState(await this.#disk.read()));
    this.#reading = reading;
    return reading;
  }

  async append({ seq, operation }: PendingSubmit): Promise<void> {
    this.#refuseWhenOver();
    const { next } = this.#positions;
    assert(seq === next, `submit ${seq} where ${next} is next [SEQ-1]`);
    const positions = { ...this.#positions, next: next + 1 };
    await this.#change(positions, (puts) => puts.set(seq, operation));
  }

  async install(state: JournalState): Promise<void> {
    this.#refuseWhenOver();
    const fault = journalFault(state);
    assert(fault === undefined, `no journal can hold this: ${fault}`);
    const { pending, ...positions } = state;
    await this.#change(positions, (puts) => {
      puts.clear();
      for (const { seq, operation } of pending) puts.set(seq, operation);
    });
  }

  async settle(resultsThrough: number): Promise<void> {
    this.#refuseWhenOver();
    const settled = this.#positions.resultsThrough;
    assert(resultsThrough >= settled, `results through ${resultsThrough} after ${settled}`);
    await this.#change({ ...this.#positions, resultsThrough }, (puts) => {
      for (let seq = settled + 1; seq <= resultsThrough; seq += 1) puts.delete(seq);
    });
  }

  async advance(cursor: JournalCursor): Promise<void> {
    await this.#change({ ...this.#positions, cursor }, () => {});
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      await this.#writing;
      await this.#reading?.catch(() => {});
      await this.#disk.close();
    })();
    return this.#closed;
  }

  async #change(
    positions: JournalPositions,
    apply: (puts: Map<number, Uint8Array>) => void,
  ): Promise<void> {
    this.#refuseWhenOver();
    const fault = positionsFault(positions);
    assert(fault === undefined, `no journal can hold this: ${fault}`);
    this.#positions = positions;
    this.#gathering ??= { puts: new Map(), waiting: [] };
    const { puts, waiting } = this.#gathering;
    apply(puts);
    this.#writing ??= this.#write();
    await new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
  }

  #refuseWhenOver(): void {
    if (this.#closed !== undefined) throw new TypeError("the journal is closed");
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #write(): Promise<void> {
    // What one turn of the caller asks for is one group.
    await Promise.resolve();
    while (this.#gathering !== undefined) {
      const { puts, waiting } = this.#gathering;
      this.#gathering = undefined;
      const before = this.#durable;
      const after = this.#positions;
      try {
        if (after !== before) await this.#disk.write({ before, after, puts });
        this.#durable = after;
        for (const { resolve } of waiting) resolve();
      } catch (error) {
        this.#fail(error, waiting);
      }
    }
    this.#writing = undefined;
  }

  #fail(error: unknown, waiting: Gathering["waiting"]): void {
    this.#failure = { error };
    const later = this.#gathering?.waiting ?? [];
    this.#gathering = undefined;
    for (const { reject } of [...waiting, ...later]) reject(error);
  }
}

function checkedState(state: JournalState): JournalState {
  const fault = journalFault(state);
  if (fault === undefined) return state;
  throw new JournalError(ErrorCode.DATA_DAMAGED, `the journal is damaged: ${fault}`);
}
