import type { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { COUNTER_MAX } from "../protocol/limits.ts";

/**
 * The device's durable outbox and cursor: written before acting. [SEQ-7] [SEQ-11] [SES-7]
 *
 * Each promise resolves when its change is durable, and atomic with respect to a crash at any
 * instruction. Changes take effect in the order of the calls, never overlapping, and their
 * promises resolve in that order; an implementation writes those that wait together as one. What
 * is given is kept until then, not copied: it is not to change.
 *
 * A write that fails rejects with a {@link JournalError}, and so does everything after it: an
 * outbox with a hole would be worse than none. What had resolved is there when the journal is
 * opened again; what was rejected is there wholly or not at all.
 */
export interface Journal {
  /** What is durable; a fresh journal holds epoch 0, next 1 and nothing pending. */
  load(): Promise<JournalState>;
  /** Adds a submit to the outbox before it is sent. Its number is `next`, which it raises. */
  append(submit: PendingSubmit): Promise<void>;
  /**
   * Installs what a Welcome said, before Ready is sent: outbox epoch, the pending submits (perhaps
   * under new numbers), the next number, and the cursor with its epoch as one value. [RES-6]
   */
  install(state: JournalState): Promise<void>;
  /** Results up to and including a number, below `next`, are durable here: drops those submits. */
  settle(resultsThrough: number): Promise<void>;
  /** The application has handled the timeline up to this cursor. */
  advance(cursor: JournalCursor): Promise<void>;
  /** Finishes what was begun and lets go; what is asked after that is refused. */
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

/** All that is in a journal but the submits. Every number is 0 to 2^53-1. [FRM-5] */
export interface JournalPositions {
  /** 0: none granted yet. */
  readonly outboxEpoch: number;
  /** Below next. */
  readonly resultsThrough: number;
  /** The number of the next new submit, from 1. */
  readonly next: number;
  readonly cursor: JournalCursor;
}

export interface JournalState extends JournalPositions {
  /** In order: every number above resultsThrough and below next. */
  readonly pending: readonly PendingSubmit[];
}

/** What a fresh journal holds. */
export const EMPTY_JOURNAL: JournalState = {
  outboxEpoch: 0,
  resultsThrough: 0,
  next: 1,
  pending: [],
  cursor: { epoch: 0, seq: 0 },
};

/** The journal cannot be opened or written. `code` is one of the DATA_ codes. [OPS-2] */
export class JournalError extends Error {
  override readonly name = "JournalError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Why a state is not what {@link JournalState} says; undefined when it is. Never throws. */
export function journalFault(state: JournalState): string | undefined {
  const { resultsThrough, next, pending } = state;
  const dueCount = next - 1 - resultsThrough;
  const inOrder =
    pending.length === dueCount &&
    pending.every(({ seq }, index) => seq === resultsThrough + 1 + index);
  return positionsFault(state) ?? (inOrder ? undefined : `not ${dueCount} submits in order`);
}

/** Why positions are not what {@link JournalPositions} says; undefined when they are. */
export function positionsFault(positions: JournalPositions): string | undefined {
  const { outboxEpoch, resultsThrough, next, cursor } = positions;
  const numbers = [outboxEpoch, resultsThrough, next, cursor.epoch, cursor.seq];
  const inRange = (value: number) => Number.isInteger(value) && value >= 0 && value <= COUNTER_MAX;
  if (!numbers.every(inRange)) return "a number is not 0 to 2^53-1";
  return resultsThrough < next ? undefined : `results through ${resultsThrough}, next ${next}`;
}
