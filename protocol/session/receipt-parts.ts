import type { Receipt } from "./facts.ts";

/** Room in a SubmitAck beside its results: tags, lengths and `through`. */
const ACK_OVERHEAD_BYTES = 64;
/**
 * The largest SubmitResult with tag and length: two counters of 8 bytes, a code, a digest. One that
 * says when to come again has no number.
 */
const RESULT_BYTES_MAX = 32;

/**
 * Cuts a receipt into such as fit a frame, each with the results up to its own `through`. [FRM-3]
 */
export function* receiptParts(
  { through, results }: Receipt,
  frameBytes: number,
): Generator<Receipt> {
  const countMax = Math.floor((frameBytes - ACK_OVERHEAD_BYTES) / RESULT_BYTES_MAX);
  const first = through - results.length + 1;
  for (let from = 0; from + countMax < results.length; from += countMax) {
    const part = results.slice(from, from + countMax);
    yield { through: first + from + countMax - 1, results: part };
  }
  const rest = results.length % countMax || Math.min(results.length, countMax);
  yield { through, results: results.slice(results.length - rest) };
}
