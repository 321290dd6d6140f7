import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import type { DialledLink } from "../protocol/link.ts";
import { type Dialer, LinkError } from "./dialer.ts";
import type { Sleep } from "./sleep.ts";

/**
 * How long a dialler gets before the next one starts (RFC 8305 calls it the connection attempt
 * delay). [LNK-15]
 */
export const HEAD_START_MS = 300;
/**
 * How long a failure is remembered before the transport is tried again; twice as long with each
 * further one, up to a bound. [LNK-15]
 */
export const VERDICT_MS = 60_000;
export const VERDICT_MS_MAX = 1_800_000;

/** Which diallers failed lately; an application may keep it between lives. */
export class Verdicts {
  readonly #failedUntilMs = new Map<string, number>();
  /** How long the last verdict holds; not kept between lives. */
  readonly #restMs = new Map<string, number>();

  constructor(entries: Iterable<readonly [string, number]> = []) {
    for (const [address, untilMs] of entries) this.#failedUntilMs.set(address, untilMs);
  }

  /** Failures while a verdict holds, of which an outage brings many, prolong it and no more. */
  failed(dialer: Dialer, nowMs: number): void {
    const name = nameOf(dialer);
    const lastMs = this.#restMs.get(name);
    const growth = this.#blocked(dialer, nowMs) ? 1 : 2;
    const restMs = lastMs === undefined ? VERDICT_MS : Math.min(lastMs * growth, VERDICT_MS_MAX);
    this.#restMs.set(name, restMs);
    this.#failedUntilMs.set(name, nowMs + restMs);
  }

  succeeded(dialer: Dialer): void {
    this.#failedUntilMs.delete(nameOf(dialer));
    this.#restMs.delete(nameOf(dialer));
  }

  entries(): readonly (readonly [string, number])[] {
    return [...this.#failedUntilMs];
  }

  /** In order of preference, but those that failed lately last. */
  order(dialers: readonly Dialer[], nowMs: number): Dialer[] {
    const failed = (dialer: Dialer) => this.#blocked(dialer, nowMs);
    return [...dialers.filter((dialer) => !failed(dialer)), ...dialers.filter(failed)];
  }

  /** What is preferred to a dialler and may be tried again now. */
  better(dialers: readonly Dialer[], than: Dialer, nowMs: number): Dialer[] {
    const rank = dialers.indexOf(than);
    return dialers.slice(0, Math.max(0, rank)).filter((dialer) => !this.#blocked(dialer, nowMs));
  }

  #blocked(dialer: Dialer, nowMs: number): boolean {
    return (this.#failedUntilMs.get(nameOf(dialer)) ?? 0) > nowMs;
  }
}

function nameOf(dialer: Dialer): string {
  return `${dialer.kind} ${dialer.address}`;
}

export interface RaceResult {
  readonly dialer: Dialer;
  readonly link: DialledLink;
}

/**
 * Dials in order, each with a head start over the next; the first usable link wins and the others
 * are given up.
 *
 * @throws the first dialler's LinkError when all fail; the signal's reason when aborted
 */
export async function raceDialers(
  dialers: readonly Dialer[],
  options: {
    readonly signal: AbortSignal;
    readonly sleep: Sleep;
    readonly onFailure: (dialer: Dialer, error: unknown) => void;
    /** Whose the link is to be. */
    readonly owner?: object;
  },
): Promise<RaceResult> {
  const { signal, sleep, onFailure, owner } = options;
  signal.throwIfAborted();
  if (dialers.length === 0) throw new LinkError(ErrorCode.LINK_LOST, "no address to dial");
  const losers = new AbortController();
  const abortAll = () => losers.abort(signal.reason);
  signal.addEventListener("abort", abortAll, { once: true });
  const failures: unknown[] = [];
  let won = false;
  let started = 0;
  try {
    return await new Promise<RaceResult>((resolve, reject) => {
      losers.signal.addEventListener("abort", () => reject(losers.signal.reason), { once: true });
      const startNext = () => {
        const dialer = dialers[started];
        if (dialer === undefined || won) return;
        const rank = started;
        started += 1;
        let passedOn = false;
        const passOn = () => {
          if (passedOn) return;
          passedOn = true;
          startNext();
        };
        dialer.dial(losers.signal, owner).then(
          (link) => {
            if (won || losers.signal.aborted) return discard(link);
            won = true;
            resolve({ dialer, link });
          },
          (error: unknown) => {
            if (losers.signal.aborted) return;
            onFailure(dialer, error);
            failures[rank] = error;
            if (failures.filter(Boolean).length === dialers.length) reject(failures[0]);
            passOn();
          },
        );
        sleep(HEAD_START_MS, losers.signal).then(passOn, () => {});
      };
      startNext();
    });
  } finally {
    signal.removeEventListener("abort", abortAll);
    losers.abort();
  }
}

/** Closes a link that nobody wants: to be closed in order it has to be started. */
export function discard(link: DialledLink): void {
  link.start({ received: () => {}, drained: () => {}, closed: () => {} });
  link.close(ErrorCode.GOODBYE);
}
