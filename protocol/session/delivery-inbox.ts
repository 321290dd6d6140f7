import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { DeliverPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import { type IndexPlain, indexBytes, readIndex, type TimelineIndex } from "../timeline-index.ts";
import { type Violation, violation } from "../violation.ts";
import { AckSchedule, type FlowWindow, Outstanding } from "./flow.ts";
import type { TimelineCursor } from "./resume.ts";
import { classify } from "./sequence.ts";

/** How many windows an application may leave unhandled, over all links. */
export const UNHANDLED_WINDOWS = 4;

/** What the timeline brings: events, or a stretch of it without what messages say. [CAT-7] */
export type Arrival =
  | { readonly kind: "deliver"; readonly deliveries: readonly DeliverPlain[] }
  | { readonly kind: "index"; readonly index: TimelineIndex };

/** What an item of the timeline covers, and counts for in the window. */
interface Item {
  readonly firstSeq: number;
  readonly seq: number;
  readonly bytes: number;
}

/**
 * The device's half of the timeline counter: what came on this link, what was handed to the
 * application, what the application has handled.
 */
export class DeliveryInbox {
  readonly acks = new AckSchedule();
  readonly #window: FlowWindow;
  /** What the service has sent on this link and was not told that it came. [SEQ-13] */
  #onLink: Outstanding;
  /**
   * What the application was handed and has not handled, from whatever link. A message that was
   * recalled since, or an index of another stretch, comes again in fewer bytes: so links together
   * may bring more than one window.
   */
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
  readonly #takesIndex: boolean;
  #fresh: (DeliverPlain | TimelineIndex)[] = [];

  constructor(
    cursor: TimelineCursor,
    asked: { readonly deliveryWindow: FlowWindow; readonly indexAbove?: number | undefined },
  ) {
    this.#takesIndex = asked.indexAbove !== undefined;
    this.#cursor = cursor;
    this.#linkThrough = cursor.seq;
    this.#handedThrough = cursor.seq;
    this.#handledThrough = cursor.seq;
    this.#window = asked.deliveryWindow;
    this.#onLink = new Outstanding(this.#window);
    const { count, bytes } = this.#window;
    const most = { count: UNHANDLED_WINDOWS * count, bytes: UNHANDLED_WINDOWS * bytes };
    this.#unhandled = new Outstanding(most);
  }

  /** Up to where the application has durably handled the timeline. */
  get cursor(): TimelineCursor {
    return this.#cursor;
  }

  get linkThrough(): number {
    return this.#linkThrough;
  }

  /** An acknowledgement is about to be written. @returns how far, on this link [SEQ-9] [SEQ-11] */
  acknowledge(): number {
    const through = Math.min(this.#cursor.seq, this.#linkThrough);
    this.#onLink.acknowledged(through);
    this.acks.clear();
    return through;
  }

  /** A delivery: next, a duplicate of what an earlier link brought, or a gap. [SEQ-2] [SEQ-10] */
  received(delivery: DeliverPlain, nowMs: number): Violation | undefined {
    const { seq, event } = delivery;
    const verdict = this.#judge({ firstSeq: seq, seq, bytes: event.length }, nowMs);
    if (verdict === "duplicate") return undefined;
    if (verdict !== "next") return verdict;
    this.#fresh.push(delivery);
    return undefined;
  }

  /** An index, which begins where the link is. [CAT-7] */
  indexed(plain: IndexPlain, nowMs: number): Violation | undefined {
    if (!this.#takesIndex) {
      return violation(ErrorCode.INDEX_UNASKED, "CAT-1", "an index that was not asked for");
    }
    const index = readIndex(plain);
    if ("code" in index) return index;
    const handed = this.#handedThrough;
    const verdict = this.#judge({ ...index, bytes: indexBytes(plain) }, nowMs);
    if (verdict === "duplicate") return undefined;
    if (verdict !== "next") return verdict;
    // What is told by its number may be told again; an event may not.
    const events = index.events.filter(({ seq }) => seq > handed);
    this.#fresh.push({ ...index, events });
    return undefined;
  }

  /** By its first number against this link, and by its last against what was handed over. */
  #judge({ firstSeq, seq, bytes }: Item, nowMs: number): "next" | "duplicate" | Violation {
    const begins = classify(firstSeq, this.#linkThrough);
    const isAcross = begins === "duplicate" && classify(seq, this.#linkThrough) !== "duplicate";
    if (begins === "gap" || isAcross) {
      const detail = `${firstSeq} to ${seq} after ${this.#linkThrough}`;
      return violation(ErrorCode.SEQUENCE_GAP, "SEQ-2", detail);
    }
    if (begins === "next") {
      if (!this.#onLink.admits(bytes)) {
        return violation(ErrorCode.CREDIT_EXCEEDED, "SEQ-13", `${seq} is beyond the window`);
      }
      this.#onLink.sent(seq, bytes);
      this.#linkThrough = seq;
    }
    // Handled since this link's Hello was written: the service sends it again and waits to hear of
    // it.
    if (seq <= this.#cursor.seq) this.acks.add(1, bytes, nowMs);
    if (classify(seq, this.#handedThrough) === "duplicate") return "duplicate";
    if (!this.#unhandled.admits(bytes)) {
      return violation(ErrorCode.TOO_SLOW, "SEQ-13", "too much is not handled");
    }
    this.#unhandled.sent(seq, bytes);
    this.#handedThrough = seq;
    return "next";
  }

  /** What is to be handed to the application, in order. */
  take(): readonly Arrival[] {
    const arrivals: Arrival[] = [];
    let deliveries: DeliverPlain[] = [];
    for (const item of this.#fresh) {
      if ("event" in item) {
        if (deliveries.length === 0) arrivals.push({ kind: "deliver", deliveries });
        deliveries.push(item);
      } else {
        arrivals.push({ kind: "index", index: item });
        deliveries = [];
      }
    }
    this.#fresh = [];
    return arrivals;
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
    const { count, bytes } = this.#unhandled.acknowledged(cursor.seq);
    this.#cursor = cursor;
    // In the midst of an index nothing waits for an acknowledgement yet. [CAT-8]
    if (count > 0) this.acks.add(count, bytes, nowMs);
  }

  /** A new link: it begins behind the cursor again. */
  relinked(): void {
    this.#linkThrough = this.#cursor.seq;
    this.#onLink = new Outstanding(this.#window);
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
    this.#onLink = new Outstanding(this.#window);
    if (cursor.epoch === this.#cursor.epoch && cursor.seq <= this.#handledThrough) return false;
    this.#unhandled.acknowledged(this.#handedThrough);
    this.#fresh = [];
    this.#handedThrough = cursor.seq;
    this.#handledThrough = cursor.seq;
    this.#cursor = cursor;
    return true;
  }
}
