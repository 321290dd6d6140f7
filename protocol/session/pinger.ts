/** Measures round trips; one ping at a time counts. */
export class Pinger {
  #id = 0;
  #sentMs: number | undefined;
  roundTripMs: number | undefined;

  /** A ping is written now; returns its id. */
  ping(nowMs: number): number {
    this.#id = (this.#id + 1) >>> 0;
    this.#sentMs = nowMs;
    return this.#id;
  }

  ponged(id: number, nowMs: number): void {
    if (id !== this.#id || this.#sentMs === undefined) return;
    this.roundTripMs = nowMs - this.#sentMs;
    this.#sentMs = undefined;
  }

  relinked(): void {
    this.#sentMs = undefined;
  }
}
