/** How much may be outstanding. Bytes count payload only. */
export interface FlowWindow {
  readonly count: number;
  readonly bytes: number;
}

/**
 * What one side has sent and the other has not acknowledged, measured against the other's window.
 * Role-blind: what a device was handed and what a service has delivered are counted alike. An item
 * may cover several numbers: it is outstanding until the last of them is acknowledged. [SEQ-13]
 * [CAT-8]
 *
 * Costs two numbers per outstanding item and nothing when none is outstanding.
 */
export class Outstanding {
  #window: FlowWindow;
  #items: { readonly through: number; readonly bytes: number }[] = [];
  #first = 0;
  #bytes = 0;

  constructor(window: FlowWindow) {
    this.#window = window;
  }

  set window(window: FlowWindow) {
    this.#window = window;
  }

  get count(): number {
    return this.#items.length - this.#first;
  }

  /**
   * What may be sent now. One item may always be outstanding while the window's count is above 0.
   */
  get room(): FlowWindow {
    const count = Math.max(0, this.#window.count - this.count);
    const bytes = this.#window.bytes - this.#bytes;
    if (count > 0 && this.count === 0) return { count, bytes: Math.max(1, bytes) };
    return bytes > 0 ? { count, bytes } : { count: 0, bytes: 0 };
  }

  /** Whether an item of this size may be sent now. */
  admits(bytes: number): boolean {
    if (this.count >= this.#window.count) return false;
    return this.count === 0 || this.#bytes + bytes <= this.#window.bytes;
  }

  /** @param through the last number of the item, above that of the one before */
  sent(through: number, bytes: number): void {
    this.#items.push({ through, bytes });
    this.#bytes += bytes;
  }

  /** Everything up to a number is acknowledged. @returns what is not outstanding any more */
  acknowledged(through: number): FlowWindow {
    const done = { count: 0, bytes: 0 };
    for (;;) {
      const item = this.#items[this.#first];
      if (item === undefined || item.through > through) break;
      this.#first += 1;
      done.count += 1;
      done.bytes += item.bytes;
    }
    this.#bytes -= done.bytes;
    if (this.#first === this.#items.length) {
      this.#items = [];
      this.#first = 0;
    } else if (this.#first > 1024) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return done;
  }
}

/** Acknowledge at the latest this long after there is something to acknowledge. [SEQ-12] */
export const ACK_DELAY_MS = 200;

/**
 * When a device acknowledges: after half a window, after a delay, or whenever a frame goes up
 * anyway. [SEQ-12]
 */
export class AckSchedule {
  #waiting = 0;
  #waitingBytes = 0;
  #sinceMs = Number.POSITIVE_INFINITY;

  /** Something became durable that the other side waits to hear of. */
  add(count: number, bytes: number, nowMs: number): void {
    if (this.#waiting === 0) this.#sinceMs = nowMs;
    this.#waiting += count;
    this.#waitingBytes += bytes;
  }

  get waiting(): boolean {
    return this.#waiting > 0;
  }

  due(window: FlowWindow, nowMs: number): boolean {
    if (this.#waiting === 0) return false;
    const half = this.#waiting * 2 >= window.count || this.#waitingBytes * 2 >= window.bytes;
    return half || nowMs >= this.deadlineMs;
  }

  get deadlineMs(): number {
    return this.#sinceMs + ACK_DELAY_MS;
  }

  /** The acknowledgement has been written. */
  clear(): void {
    this.#waiting = 0;
    this.#waitingBytes = 0;
    this.#sinceMs = Number.POSITIVE_INFINITY;
  }
}
