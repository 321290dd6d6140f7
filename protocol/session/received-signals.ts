import type { SetPresence, Signal, Typing, Watch } from "../../gen/posthorn/v1/signal_pb.ts";
import { SIGNALS_AT_ONCE, SIGNALS_PER_SECOND, WATCH_SIGNALS } from "../limits.ts";
import type { Plain } from "../plain.ts";

/** A signal that says something. */
export type SignalPlain =
  | { readonly case: "typing"; readonly value: Plain<Typing> }
  | { readonly case: "setPresence"; readonly value: Plain<SetPresence> }
  | { readonly case: "watch"; readonly value: Plain<Watch> };

/**
 * The service's half of the signals of one link. However many come, no more are heard than the
 * budget has: typing above it drops, of presence and of what is watched the latest waits. [SIG-3]
 * [SIG-4]
 */
export class ReceivedSignals {
  #budget = SIGNALS_AT_ONCE;
  #budgetMs: number;
  #presence: SignalPlain | undefined;
  #watch: SignalPlain | undefined;
  #heard: SignalPlain[] = [];

  constructor(nowMs: number) {
    this.#budgetMs = nowMs;
  }

  received({ kind }: Plain<Signal>, nowMs: number): void {
    this.#refill(nowMs);
    const signal = kind as SignalPlain | { readonly case: undefined };
    if (signal.case === "typing") this.#hear(signal, 1);
    else if (signal.case === "setPresence") this.#presence = signal;
    else if (signal.case === "watch") this.#watch = signal;
    this.#hearWaiting();
  }

  /** Time has passed: what waits may be heard now. */
  elapsed(nowMs: number): void {
    this.#refill(nowMs);
    this.#hearWaiting();
  }

  /** When to call {@link elapsed}; Infinity when never. */
  get deadlineMs(): number {
    if (this.#presence === undefined && this.#watch === undefined) return Number.POSITIVE_INFINITY;
    const missing = (this.#presence === undefined ? WATCH_SIGNALS : 1) - this.#budget;
    return this.#budgetMs + Math.ceil((Math.max(0, missing) * 1000) / SIGNALS_PER_SECOND);
  }

  /** What was heard since. */
  take(): readonly SignalPlain[] {
    const taken = this.#heard;
    if (taken.length > 0) this.#heard = [];
    return taken;
  }

  #hearWaiting(): void {
    if (this.#presence !== undefined && this.#hear(this.#presence, 1)) this.#presence = undefined;
    if (this.#watch !== undefined && this.#hear(this.#watch, WATCH_SIGNALS)) {
      this.#watch = undefined;
    }
  }

  #hear(signal: SignalPlain, cost: number): boolean {
    if (this.#budget < cost) return false;
    this.#budget -= cost;
    this.#heard.push(signal);
    return true;
  }

  #refill(nowMs: number): void {
    if (nowMs <= this.#budgetMs) return;
    const more = ((nowMs - this.#budgetMs) * SIGNALS_PER_SECOND) / 1000;
    this.#budget = Math.min(SIGNALS_AT_ONCE, this.#budget + more);
    this.#budgetMs = nowMs;
  }
}
