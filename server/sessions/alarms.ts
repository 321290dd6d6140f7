/** How late an alarm may ring, milliseconds: the width of a slot of the wheel. */
export const TICK_MS = 20;

/** Something that rings once, unless it is set again. */
export interface Alarm {
  /** Rings at a time, unless it is already set to an earlier one. Infinity changes nothing. */
  set(atMs: number): void;
  cancel(): void;
}

/** Waits and calls back; returns how to cancel. Replaced in tests by a hand-turned one. */
export type Timer = (delayMs: number, callback: () => void) => () => void;

export const realTimer: Timer = (delayMs, callback) => {
  const handle = setTimeout(callback, delayMs);
  return () => clearTimeout(handle);
};

/**
 * One timing wheel for every deadline of a node: one timer for all sessions and long polls,
 * whatever their number.
 *
 * Setting an alarm later than it is set costs nothing: it rings early, and whoever it wakes finds
 * nothing to do and sets it anew. So a busy session touches the wheel about once an idle time, not
 * once a frame.
 */
export class Alarms {
  readonly #nowMs: () => number;
  readonly #timer: Timer;
  readonly #slots = new Map<number, Set<WheelAlarm>>();
  #turnedTo: number;
  #stop: (() => void) | undefined;

  constructor(options: { readonly nowMs: () => number; readonly timer?: Timer }) {
    this.#nowMs = options.nowMs;
    this.#timer = options.timer ?? realTimer;
    this.#turnedTo = this.#tickNow();
  }

  nowMs(): number {
    return this.#nowMs();
  }

  /** An alarm that is not set yet. */
  alarm(ring: (nowMs: number) => void): Alarm {
    return new WheelAlarm(ring, this.#slots, (atMs) => this.#tickOf(atMs));
  }

  /** Calls back once at a time; returns how to cancel. */
  schedule(atMs: number, callback: () => void): () => void {
    const alarm = this.alarm(callback);
    alarm.set(atMs);
    return () => alarm.cancel();
  }

  /** Forgets everything. */
  close(): void {
    this.#slots.clear();
    this.#stop?.();
    this.#stop = undefined;
  }

  #tickNow(): number {
    return Math.floor(this.#nowMs() / TICK_MS);
  }

  /**
   * The slot of a time: rounded up, so that nothing rings early, and never one that was turned
   * past.
   */
  #tickOf(atMs: number): number {
    if (this.#stop === undefined) {
      this.#turnedTo = this.#tickNow();
      this.#wait();
    }
    return Math.max(Math.ceil(atMs / TICK_MS), this.#turnedTo + 1);
  }

  #wait(): void {
    this.#stop = this.#timer(TICK_MS, () => this.#turn());
  }

  #turn(): void {
    const nowTick = this.#tickNow();
    // A clock that jumped far would walk empty slots one by one: walk the set ones instead.
    const jumped = nowTick - this.#turnedTo > this.#slots.size;
    const due = jumped
      ? [...this.#slots.keys()].filter((tick) => tick <= nowTick).sort((a, b) => a - b)
      : ticksBetween(this.#turnedTo, nowTick);
    this.#turnedTo = Math.max(this.#turnedTo, nowTick);
    for (const tick of due) {
      const slot = this.#slots.get(tick);
      this.#slots.delete(tick);
      for (const alarm of slot ?? []) alarm.ring(this.#nowMs());
    }
    if (this.#slots.size === 0) this.#stop = undefined;
    else this.#wait();
  }
}

function ticksBetween(after: number, through: number): number[] {
  const ticks: number[] = [];
  for (let tick = after + 1; tick <= through; tick += 1) ticks.push(tick);
  return ticks;
}

class WheelAlarm implements Alarm {
  readonly #ring: (nowMs: number) => void;
  readonly #slots: Map<number, Set<WheelAlarm>>;
  readonly #tickOf: (atMs: number) => number;
  #tick = 0;

  constructor(
    ring: (nowMs: number) => void,
    slots: Map<number, Set<WheelAlarm>>,
    tickOf: (atMs: number) => number,
  ) {
    this.#ring = ring;
    this.#slots = slots;
    this.#tickOf = tickOf;
  }

  set(atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY) return;
    if (this.#tick !== 0 && this.#tick <= Math.ceil(atMs / TICK_MS)) return;
    this.cancel();
    this.#tick = this.#tickOf(atMs);
    const slot = this.#slots.get(this.#tick);
    if (slot === undefined) this.#slots.set(this.#tick, new Set([this]));
    else slot.add(this);
  }

  cancel(): void {
    if (this.#tick === 0) return;
    const slot = this.#slots.get(this.#tick);
    slot?.delete(this);
    if (slot?.size === 0) this.#slots.delete(this.#tick);
    this.#tick = 0;
  }

  ring(nowMs: number): void {
    this.#tick = 0;
    this.#ring(nowMs);
  }
}
