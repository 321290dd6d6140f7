import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { SubmitPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import { type Violation, violation } from "../violation.ts";
import type { FlowWindow } from "./flow.ts";
import { classify } from "./sequence.ts";

/**
 * The service's half of the outbox counter on one link: which submits may come, which wait for the
 * store, which are acknowledged. One batch is with the store at a time; what arrives meanwhile
 * makes the next one.
 *
 * Bounded by the submit window in count and bytes. [SEQ-8] [SEQ-16]
 */
export class SubmitQueue {
  readonly #window: FlowWindow;
  #waiting: SubmitPlain[] = [];
  #bytes = 0;
  #batchBytes = 0;
  #committing = false;
  #receivedThrough = 0;
  #ackedThrough = 0;
  #resultsThrough = 0;

  constructor(window: FlowWindow) {
    this.#window = window;
  }

  get receivedThrough(): number {
    return this.#receivedThrough;
  }

  /** Results up to here are durable at the device. */
  get resultsThrough(): number {
    return this.#resultsThrough;
  }

  attached(position: { readonly through: number; readonly resultsThrough: number }): void {
    this.#receivedThrough = position.through;
    this.#ackedThrough = position.through;
    this.#resultsThrough = position.resultsThrough;
  }

  /**
   * Takes a submit. A repeat goes to the store as well: only the store knows its result and its
   * content. [SEQ-4]
   */
  received(submit: SubmitPlain): Violation | undefined {
    const verdict = classify(submit.seq, this.#receivedThrough);
    if (verdict === "gap") {
      const detail = `submit ${submit.seq} after ${this.#receivedThrough}`;
      return violation(ErrorCode.SEQUENCE_GAP, "SEQ-2", detail);
    }
    if (submit.seq <= this.#resultsThrough) return undefined;
    const bytes = this.#bytes + this.#batchBytes;
    const idle = this.#waiting.length === 0 && !this.#committing;
    const tooMany = submit.seq > this.#resultsThrough + this.#window.count;
    const tooLong = this.#waiting.length >= this.#window.count;
    if (tooMany || tooLong || (!idle && bytes + submit.operation.length > this.#window.bytes)) {
      const detail = `submit ${submit.seq} is beyond the window`;
      return violation(ErrorCode.CREDIT_EXCEEDED, "SEQ-8", detail);
    }
    if (verdict === "next") this.#receivedThrough = submit.seq;
    this.#waiting.push(submit);
    this.#bytes += submit.operation.length;
    return undefined;
  }

  /** The next batch: contiguous, in order; undefined while one is with the store or none waits. */
  take(): readonly SubmitPlain[] | undefined {
    if (this.#committing || this.#waiting.length === 0) return undefined;
    const length = contiguousLength(this.#waiting);
    const batch = this.#waiting.slice(0, length);
    this.#waiting = length === this.#waiting.length ? [] : this.#waiting.slice(length);
    this.#committing = true;
    this.#batchBytes = batch.reduce((sum, submit) => sum + submit.operation.length, 0);
    this.#bytes -= this.#batchBytes;
    return batch;
  }

  /** The batch is durable. */
  committed(through: number): void {
    this.#committing = false;
    this.#batchBytes = 0;
    if (through > this.#ackedThrough) this.#ackedThrough = through;
  }

  /**
   * The device holds results durably: above the acknowledged is a violation, below is an old
   * report. [SEQ-9]
   */
  acknowledged(resultsThrough: number): Violation | undefined {
    if (resultsThrough > this.#ackedThrough) {
      const detail = `results through ${resultsThrough} of ${this.#ackedThrough} sent`;
      return violation(ErrorCode.ACK_BEYOND_SENT, "SEQ-9", detail);
    }
    if (resultsThrough > this.#resultsThrough) this.#resultsThrough = resultsThrough;
    return undefined;
  }
}

function contiguousLength(submits: readonly SubmitPlain[]): number {
  let length = 1;
  while (
    length < submits.length &&
    (submits[length] as SubmitPlain).seq === (submits[length - 1] as SubmitPlain).seq + 1
  ) {
    length += 1;
  }
  return length;
}
