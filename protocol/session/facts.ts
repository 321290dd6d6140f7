import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { TimelineIndex } from "../timeline-index.ts";

// What the service's half of a session is told of its durable state: facts, made by a store and
// nowhere else.

declare const durable: unique symbol;
/** On disk. Only files in `server/store/` may cast to it (tidy). [SEQ-3] */
export type Durable<T> = T & { readonly [durable]: true };

/** What a store holds of a timeline. */
export interface TimelineBounds {
  readonly epoch: number;
  /** Newest number; 0: none. */
  readonly head: number;
  /** Oldest number held; head+1: none held. */
  readonly floor: number;
}

/** The one result of a submit. [SEQ-4] */
export interface SubmitOutcome {
  /** UNSPECIFIED: took effect. */
  readonly code: ErrorCode;
  readonly conversationSeq: number;
  readonly committedMs: number;
  /** CRC-32 of the operation's bytes. */
  readonly digest: number;
  /** Of a refusal: when the same would be granted, from then on. 0: nothing is said of that. */
  readonly retryAfterMs: number;
}

/** A device's attachment, as Welcome states it: it comes into force with Ready. [SES-6] */
export interface Attachment {
  /** 16 bytes, stable while the outbox epoch is. */
  readonly sessionId: Uint8Array;
  /** Fences off all earlier ones, once it is in force. */
  readonly generation: number;
  readonly outbox: {
    readonly epoch: number;
    readonly through: number;
    readonly resultsThrough: number;
    /** Of submits resultsThrough+1 to through. */
    readonly results: readonly SubmitOutcome[];
  };
  readonly timeline: TimelineBounds;
}

/**
 * Proof that submits are durable: the only thing that an acknowledgement can be built from. [SEQ-3]
 */
export interface Receipt {
  /** The device's outbox position after the batch. */
  readonly through: number;
  /**
   * Contiguous, the last one of `through`, the first one of the batch's lowest number that is still
   * held (numbers at or below resultsThrough are not).
   */
  readonly results: readonly SubmitOutcome[];
}

/** Part of a timeline. */
export interface TimelinePage {
  readonly bounds: TimelineBounds;
  /** Told in place of deliveries: begins at the asked number + 1, and `entries` after it. */
  readonly index?: TimelineIndex | undefined;
  /** Contiguous. Begins at the asked number + 1, or at the floor where that is above. */
  readonly entries: readonly TimelineEntry[];
}

export interface TimelineEntry {
  readonly seq: number;
  readonly conversationSeq: number;
  readonly committedMs: number;
  /** An encoded Event, the same bytes for every receiver. */
  readonly event: Uint8Array;
}
