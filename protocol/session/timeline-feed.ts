import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { FrameWriter } from "../frames.ts";
import { COUNTER_MAX } from "../limits.ts";
import { indexBytes, writeIndex } from "../timeline-index.ts";
import { assert, type Violation, violation } from "../violation.ts";
import type { TimelinePage } from "./facts.ts";
import { type FlowWindow, Outstanding } from "./flow.ts";
import { classify } from "./sequence.ts";

/** The most that one `load` asks for, whatever the window: bounds the work of one turn. */
const LOAD_COUNT_MAX = 512;
/** Likewise in bytes: a link is written no more than this before it can say stop. */
const LOAD_BYTES_MAX = 512 * 1024;

/** What a session asks of the timeline. */
export interface TimelineRequest {
  readonly after: number;
  readonly limit: FlowWindow;
  /** The device takes an index of it. [CAT-1] */
  readonly mayIndex: boolean;
}

/** Where a device stands when it attaches, and what it takes. */
export interface FeedStart {
  readonly head: number;
  readonly cursor: number;
  readonly window: FlowWindow;
  /** Undefined: the device takes no index. */
  readonly indexAbove: number | undefined;
}

/**
 * The service's half of the timeline counter on one link: what was sent, what was acknowledged, and
 * when to read on. Buffers nothing: the timeline is the buffer. [SEQ-13] [SEQ-16]
 */
export class TimelineFeed {
  readonly #deliveries = new Outstanding({ count: 0, bytes: 0 });
  #indexAbove = COUNTER_MAX;
  #head = 0;
  #sentThrough = 0;
  #deliveredThrough = 0;
  #loading = false;
  #loadWanted = false;
  /** The next item is larger than the room: only room, not another load, helps. [SEQ-13] */
  #full = false;

  /** Welcome is about to say so. */
  begin({ head, cursor, window, indexAbove = COUNTER_MAX }: FeedStart): void {
    this.#head = head;
    this.#sentThrough = cursor;
    this.#deliveredThrough = cursor;
    this.#indexAbove = indexAbove;
    this.#deliveries.window = window;
  }

  get sentThrough(): number {
    return this.#sentThrough;
  }

  get deliveredThrough(): number {
    return this.#deliveredThrough;
  }

  /** The device grants another window. */
  set window(window: FlowWindow) {
    this.#deliveries.window = window;
    this.#full = false;
  }

  /** Nobody can say how long the timeline is: look. */
  look(): void {
    this.#loadWanted = true;
  }

  /** The timeline may have grown. */
  woken(head: number): void {
    if (head > this.#head) this.#head = head;
  }

  /** What to read next, once at a time; undefined: nothing, or there is no room. */
  next(): TimelineRequest | undefined {
    if (this.#loading) return undefined;
    if (this.#sentThrough >= this.#head && !this.#loadWanted) return undefined;
    const room = this.#deliveries.room;
    if (this.#full || room.count === 0) return undefined;
    this.#loading = true;
    this.#loadWanted = false;
    const count = Math.min(room.count, LOAD_COUNT_MAX);
    const limit = { count, bytes: Math.min(room.bytes, LOAD_BYTES_MAX) };
    const after = this.#sentThrough;
    return { after, limit, mayIndex: this.#head - after > this.#indexAbove };
  }

  /** The answer has come, whether or not it is of any use. */
  answered(): void {
    this.#loading = false;
  }

  /** Writes what there is room for. @returns why the session has to end */
  loaded(page: TimelinePage, writer: FrameWriter): Violation | undefined {
    this.#head = page.bounds.head;
    if (this.#sentThrough + 1 < page.bounds.floor) {
      // Retention overtook a device that is attached and slow: only a new resume can say LOST
      // truthfully. [RES-4]
      return violation(ErrorCode.SEQUENCE_GAP, "RES-4", "retention passed the cursor");
    }
    const isWhole = this.#pushIndex(page, writer) && this.#pushEntries(page, writer);
    this.#full = !isWhole;
    return undefined;
  }

  /** The device holds everything up to a number. [SEQ-9] */
  acknowledged(deliveredThrough: number): void {
    if (deliveredThrough <= this.#deliveredThrough) return;
    this.#deliveries.acknowledged(deliveredThrough);
    this.#deliveredThrough = deliveredThrough;
    this.#full = false;
  }

  /** @returns whether all of it was sent */
  #pushIndex({ index }: TimelinePage, writer: FrameWriter): boolean {
    if (index === undefined) return true;
    const isNext = classify(index.firstSeq, this.#sentThrough) === "next";
    assert(isNext, "an index begins where the link is [CAT-7]");
    const plain = writeIndex(index);
    const bytes = indexBytes(plain);
    if (!this.#deliveries.admits(bytes)) return false;
    writer.push("index", plain);
    this.#deliveries.sent(index.seq, bytes);
    this.#sentThrough = index.seq;
    return true;
  }

  /** Likewise. */
  #pushEntries({ entries }: TimelinePage, writer: FrameWriter): boolean {
    for (const entry of entries) {
      if (entry.seq <= this.#sentThrough) continue;
      assert(classify(entry.seq, this.#sentThrough) === "next", "a page is contiguous [SEQ-10]");
      if (!this.#deliveries.admits(entry.event.length)) return false;
      writer.push("deliver", entry);
      this.#deliveries.sent(entry.seq, entry.event.length);
      this.#sentThrough = entry.seq;
    }
    return true;
  }
}
