import type { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";

/**
 * The device's durable outbox and cursor: written before acting. Each promise resolves when its change is durable and
 * atomic with respect to a crash at any instruction. Calls are made one after the other, never overlapping in effect:
 * an implementation may group calls that wait together, in order.
 */
export interface Journal {
  /** What a former life left; a fresh journal holds epoch 0, next 1 and nothing pending. */
  load(): Promise<JournalState>;
  /** Adds a submit to the outbox before it is sent; its number is the state's `next`, which it raises. */
  append(submit: PendingSubmit): Promise<void>;
  /**
   * Installs what a Welcome said, before Ready is sent: outbox epoch, the pending submits (perhaps under new numbers),
   * the next number, and the cursor with its epoch as one value.
   */
  install(state: JournalState): Promise<void>;
  /** Results up to and including a number are durable here: drops those submits. */
  settle(resultsThrough: number): Promise<void>;
  /** The application has handled the timeline up to this cursor. */
  advance(cursor: JournalCursor): Promise<void>;
  /** Finishes what was begun and lets go. */
  close(): Promise<void>;
}

export interface JournalCursor {
  /** 0: none yet. */
  readonly epoch: number;
  readonly seq: number;
}

/** A submit that has no durable result yet. */
export interface PendingSubmit {
  readonly seq: number;
  /** An encoded Operation, repeated byte for byte. */
  readonly operation: Uint8Array;
}

export interface JournalState {
  /** 0: none granted yet. */
  readonly outboxEpoch: number;
  readonly resultsThrough: number;
  readonly next: number;
  /** In order, contiguous, numbers above resultsThrough and below next. */
  readonly pending: readonly PendingSubmit[];
  readonly cursor: JournalCursor;
}

/** The journal cannot be opened or written. `code` is one of the DATA_ codes. [OPS-2] */
export class JournalError extends Error {
  override readonly name = "JournalError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
