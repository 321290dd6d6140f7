import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { DeliverPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import { type Violation, violation } from "../violation.ts";
import { AckSchedule, type FlowWindow, Outstanding } from "./flow.ts";
import type { TimelineCursor } from "./resume.ts";
import { classify } from "./sequence.ts";

/**
 * The device's half of the timeline counter: what came on this link, what was handed to the
 * application, what the application has handled.
 */
export class DeliveryInbox {
  readonly acks = new AckSchedule();
  readonly #unhandled: Outstanding;
  #cursor: TimelineCursor;
  /**
   * The last delivery received on this link. Never acknowledge beyond it: the service counts what
   * it sent here.
   */
  #linkThrough: number;
  /** The last delivery handed to the application, on any link. */
  #handedThrough: number;
  /** The last that the application has handled, durably or not yet. */
  #handledThrough: number;
  #fresh: DeliverPlain[] = [];

  constructor(cursor: TimelineCursor, window: FlowWindow) {
    this.#cursor = cursor;
    this.#linkThrough = cursor.seq;
    this.#handedThrough = cursor.seq;
    this.#handledThrough = cursor.seq;
    this.#unhandled = new Outstanding(window);
  }

  /** Up to where the application has durably handled the timeline. */
  get cursor(): TimelineCursor {
    return this.#cursor;
  }

  get linkThrough(): number {
    return this.#linkThrough;
  }

  /** How far to acknowledge on this link. [SEQ-9] [SEQ-11] */
  get ackThrough(): number {
    return Math.min(this.#cursor.seq, this.#linkThrough);
  }

  /** A delivery: next, a duplicate of what an earlier link brought, or a gap. [SEQ-2] [SEQ-10] */
  received(delivery: DeliverPlain, nowMs: number): Violation | undefined {
    if (classify(delivery.seq, this.#linkThrough) === "gap") {
      const detail = `delivery ${delivery.seq} after ${this.#linkThrough}`;
      return violation(ErrorCode.SEQUENCE_GAP, "SEQ-2", detail);
    }
    this.#linkThrough = Math.max(this.#linkThrough, delivery.seq);
    // Handled since this link's Hello was written: the service sends it again and waits to hear of
    // it.
    if (delivery.seq <= this.#cursor.seq) this.acks.add(1, delivery.event.length, nowMs);
    if (classify(delivery.seq, this.#handedThrough) !== "next") return undefined;
    if (!this.#unhandled.admits(delivery.event.length)) {
      const detail = `delivery ${delivery.seq} is beyond the window`;
      return violation(ErrorCode.CREDIT_EXCEEDED, "SEQ-13", detail);
    }
    this.#unhandled.sent(delivery.event.length);
    this.#handedThrough = delivery.seq;
    this.#fresh.push(delivery);
    return undefined;
  }

  /** What is to be handed to the application. */
  take(): readonly DeliverPlain[] | undefined {
    if (this.#fresh.length === 0) return undefined;
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }

  /** The application has handled it, and it becomes durable: no Welcome undoes that. [RES-15] */
  handled(cursor: TimelineCursor): void {
    if (cursor.epoch !== this.#cursor.epoch || cursor.seq > this.#handedThrough) return;
    this.#handledThrough = Math.max(this.#handledThrough, cursor.seq);
  }

  applied(cursor: TimelineCursor, nowMs: number): void {
    if (cursor.epoch !== this.#cursor.epoch || cursor.seq <= this.#cursor.seq) return;
    if (cursor.seq > this.#handedThrough) return;
    this.handled(cursor);
    const bytesBefore = this.#unhandled.bytes;
    const count = cursor.seq - this.#cursor.seq;
    this.#unhandled.acknowledged(count);
    this.#cursor = cursor;
    this.acks.add(count, bytesBefore - this.#unhandled.bytes, nowMs);
  }

  /** A new link: it begins behind the cursor again. */
  relinked(): void {
    this.#linkThrough = this.#cursor.seq;
    this.acks.clear();
  }

  /**
   * Takes over the cursor in force, epoch and number as one. [RES-6] Within an epoch it never goes
   * back: what was handled since Hello stays handled, durable or not yet. [RES-15]
   *
   * @returns whether it moved: deliveries that were not handled then mean nothing any more
   */
  install(cursor: TimelineCursor): boolean {
    this.#linkThrough = cursor.seq;
    if (cursor.epoch === this.#cursor.epoch && cursor.seq <= this.#handledThrough) return false;
    this.#unhandled.acknowledged(this.#unhandled.count);
    this.#fresh = [];
    this.#handedThrough = cursor.seq;
    this.#handledThrough = cursor.seq;
    this.#cursor = cursor;
    return true;
  }
}
