import { Delimiter } from "./delimit.ts";

/**
 * Whether a message of a message transport holds whole frames only; what they are is the session's
 * to judge. [LNK-5]
 *
 * Faults of a length prefix are left to the session, which names them precisely.
 */
export function holdsWholeFrames(message: Uint8Array): boolean {
  const delimiter = new Delimiter(Number.MAX_SAFE_INTEGER);
  const fault = delimiter.push(message, () => true);
  return fault !== undefined || !delimiter.unfinished;
}
