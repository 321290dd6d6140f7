import { TIMER_MS_MAX } from "../limits.ts";

/** The timers of a link, milliseconds. `ageMs` 0: never. [SES-12] */
export interface LinkTimers {
  readonly keepaliveMs: number;
  readonly idleMs: number;
  readonly ageMs: number;
}

export interface TimerRange {
  readonly defaultMs: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/** What a service grants. */
export interface TimerLimits {
  readonly keepalive: TimerRange;
  readonly idle: TimerRange;
  /** A maximum of 0 means that links may live for ever; a default of 0 that they do. */
  readonly age: TimerRange;
}

/**
 * Grants timers within the service's limits, or refuses a request that could never work: a device
 * that pings no more than once in an idle time is cut by any jitter (P28). [SES-11]
 *
 * @param asked undefined, or zeros, leave the choice to the service
 */
export function grantTimers(
  asked: LinkTimers | undefined,
  limits: TimerLimits,
): LinkTimers | "impossible" {
  if (asked !== undefined && !possible(asked)) return "impossible";
  const idleMs = within(asked?.idleMs ?? 0, limits.idle);
  const wanted = within(asked?.keepaliveMs ?? 0, limits.keepalive);
  const keepaliveMs = Math.min(wanted, Math.ceil(idleMs / 2) - 1);
  const age = within(asked?.ageMs ?? 0, limits.age);
  const ageMs = age === 0 ? 0 : Math.max(age, idleMs + 1);
  return { keepaliveMs, idleMs, ageMs };
}

/** Whether granted timers keep the rule; a device checks its grant by it. [SES-11] */
export function timersHold(timers: LinkTimers): boolean {
  const { keepaliveMs, idleMs, ageMs } = timers;
  if (keepaliveMs === 0 || idleMs === 0) return false;
  return possible({ keepaliveMs, idleMs, ageMs });
}

function possible({ keepaliveMs, idleMs, ageMs }: LinkTimers): boolean {
  if (Math.max(keepaliveMs, idleMs, ageMs) > TIMER_MS_MAX) return false;
  if (idleMs > 0 && keepaliveMs * 2 >= idleMs) return false;
  return ageMs === 0 || ageMs > idleMs;
}

function within(askedMs: number, range: TimerRange): number {
  const wanted = askedMs === 0 ? range.defaultMs : askedMs;
  return Math.max(range.minMs, Math.min(range.maxMs, wanted));
}

/** What a link has heard and said, as times: idle, keepalive and age follow from them. */
export class LinkClock {
  heardMs: number;
  saidMs: number;
  readonly openedMs: number;

  constructor(nowMs: number) {
    this.heardMs = nowMs;
    this.saidMs = nowMs;
    this.openedMs = nowMs;
  }
}
