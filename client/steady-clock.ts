/**
 * A clock for timers: it never goes back, whatever is done to the wall clock, and it goes on while
 * the machine sleeps. [SEQ-15] (P24)
 *
 * The wall clock alone may be set back an hour, and a link would be thought alive for that hour;
 * the monotonic clock alone stands still during sleep on some systems, and a link that died
 * meanwhile would be thought alive as well. Each reading advances by the larger of the two.
 */
export class SteadyClock {
  readonly #wallMs: () => number;
  readonly #monotonicMs: () => number;
  #lastWallMs: number;
  #lastMonotonicMs: number;
  #nowMs: number;

  constructor(
    sources: { readonly wallMs: () => number; readonly monotonicMs: () => number } = {
      wallMs: () => Date.now(),
      monotonicMs: () => Math.floor(performance.now()),
    },
  ) {
    this.#wallMs = sources.wallMs;
    this.#monotonicMs = sources.monotonicMs;
    this.#lastWallMs = this.#wallMs();
    this.#lastMonotonicMs = this.#monotonicMs();
    this.#nowMs = this.#lastWallMs;
  }

  /** Milliseconds; near the wall clock's reading until that is set back. */
  nowMs(): number {
    const [wallMs, monotonicMs] = [this.#wallMs(), this.#monotonicMs()];
    const passedMs = Math.max(wallMs - this.#lastWallMs, monotonicMs - this.#lastMonotonicMs, 0);
    this.#lastWallMs = wallMs;
    this.#lastMonotonicMs = monotonicMs;
    this.#nowMs += passedMs;
    return this.#nowMs;
  }
}
