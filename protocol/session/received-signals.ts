import type { SetPresence, Signal, Typing, Watch } from "../../gen/posthorn/v1/signal_pb.ts";
import { SIGNALS_AT_ONCE, SIGNALS_PER_SECOND, WATCH_SIGNALS } from "../limits.ts";
import type { Plain } from "../plain.ts";
import { TokenBucket } from "../token-bucket.ts";
import type { PassingTally } from "./passing-tally.ts";

const BUDGET = { atOnce: SIGNALS_AT_ONCE, refill: SIGNALS_PER_SECOND, periodMs: 1_000 };

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
  readonly #budget: TokenBucket;
  #nowMs: number;
  #presence: SignalPlain | undefined;
  #watch: SignalPlain | undefined;
  #heard: SignalPlain[] = [];

  readonly #tally: PassingTally;

  constructor(nowMs: number, tally: PassingTally) {
    this.#tally = tally;
    this.#budget = new TokenBucket(BUDGET, nowMs);
    this.#nowMs = nowMs;
  }

  received({ kind }: Plain<Signal>, nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    const signal = kind as SignalPlain | { readonly case: undefined };
    if (signal.case === "typing") {
      if (!this.#hear(signal, 1)) this.#tally.add("signalsDropped");
    } else if (signal.case === "setPresence") {
      if (this.#presence !== undefined) this.#tally.add("signalsDropped");
      this.#presence = signal;
    } else if (signal.case === "watch") {
      if (this.#watch !== undefined) this.#tally.add("signalsDropped");
      this.#watch = signal;
    }
    this.#hearWaiting();
  }

  /** Time has passed: what waits may be heard now. */
  elapsed(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#hearWaiting();
  }

  /** When to call {@link elapsed}; Infinity when never. */
  get deadlineMs(): number {
    if (this.#presence === undefined && this.#watch === undefined) return Number.POSITIVE_INFINITY;
    const cost = this.#presence === undefined ? WATCH_SIGNALS : 1;
    return this.#nowMs + this.#budget.waitMs(cost, this.#nowMs);
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
    if (this.#budget.take(cost, this.#nowMs) > 0) return false;
    this.#tally.add("signalsHeard");
    this.#heard.push(signal);
    return true;
  }
}
