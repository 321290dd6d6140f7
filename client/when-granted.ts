import { RefusedError } from "./results.ts";
import { type Sleep, sleep } from "./sleep.ts";

export interface WhenGrantedOptions {
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
  /** The longest time that is waited after one refusal, milliseconds; 1 minute by default. */
  readonly waitMsMax?: number;
  /** How often it is asked at most; 5 by default. */
  readonly triesMax?: number;
  /** Replaced in tests. */
  readonly sleep?: Sleep;
}

const WAIT_MS_MAX = 60_000;
const TRIES_MAX = 5;

/**
 * Asks again what was refused for now, after the time that the service has said. Each time is a new
 * operation with a number of its own: what was sent meanwhile comes before it. [LIM-12]
 *
 * @param ask such as `() => client.send("bob", "hello")`
 * @throws RefusedError that says nothing of a time, or too long a one, or is the last that is
 *   waited for; whatever else `ask` throws; the signal's reason
 */
export async function whenGranted<Result>(
  ask: () => Promise<Result>,
  options: WhenGrantedOptions = {},
): Promise<Result> {
  const { waitMsMax = WAIT_MS_MAX, triesMax = TRIES_MAX, sleep: wait = sleep } = options;
  const signal = options.signal ?? new AbortController().signal;
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      const retryAfterMs = error instanceof RefusedError ? error.retryAfterMs : 0;
      if (retryAfterMs === 0 || retryAfterMs > waitMsMax || tries >= triesMax) throw error;
      await wait(retryAfterMs, signal);
    }
  }
}
