import type { SubmitPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import { crc32 } from "../crc32.ts";
import { submitFrameBytes } from "../frames.ts";
import type { FlowWindow } from "./flow.ts";

/** A submit that has no result yet. */
export interface OutboxEntry {
  /** Names the entry for the life of this object, whatever number it has. */
  readonly id: number;
  readonly operation: Uint8Array;
  /** The outbox number; changes when another epoch is granted. [RES-11] */
  readonly seq: number;
  /** No service takes it: no bytes go up under its number. [SEQ-18] */
  readonly withheld: boolean;
}

interface MutableEntry {
  readonly id: number;
  readonly operation: Uint8Array;
  seq: number;
  durable: boolean;
  withheld: boolean;
}

/** What stands in for a withheld operation: every service refuses it. [SEQ-18] */
const NO_OPERATION = new Uint8Array(0);

/** What a Welcome says of the outbox. */
export interface OutboxGrant {
  readonly epoch: number;
  readonly through: number;
  readonly resultsThrough: number;
  readonly results: readonly { readonly digest: number }[];
}

/** How the entries stand after a grant was installed. */
export interface OutboxInstalled {
  /** Entries whose own result is in the grant, with its index. */
  readonly settled: readonly { readonly entry: OutboxEntry; readonly resultIndex: number }[];
  /** Entries whose number was used in a life that this journal forgot. [RES-12] */
  readonly rolledBack: readonly OutboxEntry[];
}

/**
 * The device's submits that are not settled, in order and contiguous. [SEQ-1] [SEQ-7]
 *
 * An entry may be sent once its journal entry is durable, and stays until its result has come.
 */
export class Outbox {
  #entries: MutableEntry[] = [];
  #ids = 0;
  #epoch: number;
  #next: number;
  /** Those whose journal entry is under way, in order. */
  #appending: MutableEntry[] = [];
  #sentCount = 0;
  #sentBytes = 0;

  constructor(state: {
    readonly epoch: number;
    readonly next: number;
    readonly pending: readonly { readonly seq: number; readonly operation: Uint8Array }[];
  }) {
    this.#epoch = state.epoch;
    this.#next = state.next;
    for (const { seq, operation } of state.pending) {
      const entry = { id: this.#newId(), operation, seq, durable: true, withheld: false };
      this.#entries.push(entry);
    }
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The number of the next new submit. */
  get next(): number {
    return this.#next;
  }

  get entries(): readonly OutboxEntry[] {
    return this.#entries;
  }

  /** The submits as they are journalled, and sent. */
  get submits(): readonly SubmitPlain[] {
    return this.#entries.map(submitOf);
  }

  /** The last number sent on this link, or known as committed. */
  get sentThrough(): number {
    const first = this.#entries[0];
    return first === undefined ? this.#next - 1 : first.seq - 1 + this.#sentCount;
  }

  push(operation: Uint8Array): OutboxEntry {
    const id = this.#newId();
    const entry = { id, operation, seq: this.#next, durable: false, withheld: false };
    this.#next += 1;
    this.#entries.push(entry);
    this.#appending.push(entry);
    return entry;
  }

  /** The journal holds the oldest entry that it did not hold before, settled meanwhile or not. */
  appended(): void {
    const entry = this.#appending.shift();
    if (entry !== undefined) entry.durable = true;
  }

  /** A new link: nothing is sent on it yet. */
  relinked(): void {
    this.#sentCount = 0;
    this.#sentBytes = 0;
  }

  /** Whether {@link take} would return something. */
  canSend(window: FlowWindow, resultsThrough: number): boolean {
    const entry = this.#entries[this.#sentCount];
    if (entry === undefined || !entry.durable) return false;
    if (entry.seq > resultsThrough + window.count) return false;
    const fits = this.#sentBytes + entry.operation.length <= window.bytes;
    return fits || (this.#sentCount === 0 && window.count > 0);
  }

  /**
   * The next submit that may be sent within the window, which counts from the acknowledged results.
   * [SEQ-8]
   */
  take(window: FlowWindow, resultsThrough: number): SubmitPlain | undefined {
    if (!this.canSend(window, resultsThrough)) return undefined;
    const entry = this.#entries[this.#sentCount] as MutableEntry;
    this.#sentCount += 1;
    this.#sentBytes += entry.operation.length;
    return submitOf(entry);
  }

  /** Results have come for all entries up to a number: removes and returns them. */
  settle(through: number): OutboxEntry[] {
    let count = 0;
    while (count < this.#entries.length && (this.#entries[count] as MutableEntry).seq <= through) {
      count += 1;
    }
    const settled = this.#entries.splice(0, count);
    for (let index = 0; index < Math.min(count, this.#sentCount); index += 1) {
      this.#sentBytes -= (settled[index] as MutableEntry).operation.length;
    }
    this.#sentCount = Math.max(0, this.#sentCount - count);
    return settled;
  }

  /** Takes over what a Welcome says; what is left is to be sent again. [RES-11] [RES-12] */
  install(grant: OutboxGrant): OutboxInstalled {
    this.relinked();
    if (grant.epoch !== this.#epoch) {
      this.#epoch = grant.epoch;
      this.#entries.forEach((entry, index) => {
        entry.seq = index + 1;
      });
      this.#next = this.#entries.length + 1;
      return { settled: [], rolledBack: [] };
    }
    const settled: { entry: OutboxEntry; resultIndex: number }[] = [];
    const rolledBack: OutboxEntry[] = [];
    for (const entry of this.settle(grant.through)) {
      const resultIndex = entry.seq - grant.resultsThrough - 1;
      const own = grant.results[resultIndex]?.digest === crc32(entry.operation);
      if (own || isStandIns(entry, grant.results[resultIndex]))
        settled.push({ entry, resultIndex });
      else rolledBack.push(entry);
    }
    this.#next = Math.max(this.#next, grant.through + 1);
    return { settled, rolledBack };
  }

  /** Withholds what is a larger frame than a Welcome allows: before anything is sent. [SEQ-18] */
  withhold(frameBytesMax: number): void {
    for (const entry of this.#entries) {
      if (submitFrameBytes(submitOf(entry)) > frameBytesMax) entry.withheld = true;
    }
  }

  #newId(): number {
    this.#ids += 1;
    return this.#ids;
  }
}

function submitOf({ seq, operation, withheld }: OutboxEntry): SubmitPlain {
  return { seq, operation: withheld ? NO_OPERATION : operation };
}

/** Whether a result is that of what stood in for an entry. */
function isStandIns(entry: OutboxEntry, result: { readonly digest: number } | undefined): boolean {
  return entry.withheld && result?.digest === crc32(NO_OPERATION);
}
