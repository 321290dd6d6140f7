/** How long a receiver that fails is left alone. */
export interface WebhookRetry {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * The wait before the next try: twice as long after each failure, up to a limit, of which half is
 * by chance, so that receivers that failed together do not come back to a storm. A receiver may ask
 * for more, and not for longer than the limit. [BCK-19]
 *
 * @param random 0 ≤ random < 1
 */
export function retryWaitMs(
  failed: {
    /** In a row; 1 or more. */
    readonly failureCount: number;
    /** As the receiver wrote it. */
    readonly retryAfter: string | undefined;
    readonly nowMs: number;
    readonly random: number;
  },
  { minMs, maxMs }: WebhookRetry,
): number {
  const { failureCount, retryAfter, nowMs, random } = failed;
  const whole = Math.min(maxMs, minMs * 2 ** Math.min(failureCount - 1, DOUBLINGS_MAX));
  const own = whole / 2 + (random * whole) / 2;
  const asked = retryAfter === undefined ? 0 : retryAfterMs(retryAfter, nowMs);
  return Math.ceil(Math.max(own, Math.min(asked, maxMs)));
}

const DOUBLINGS_MAX = 40;

/** RFC 9110 §10.2.3: seconds, or a date. 0 for what is neither. */
function retryAfterMs(text: string, nowMs: number): number {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const atMs = /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - nowMs);
}
