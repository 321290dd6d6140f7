import type { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";

/**
 * The peer broke a numbered requirement. A value, not an exception: what a peer sends can never
 * make a machine throw.
 *
 * `detail` is for people and logs; nothing matches on it.
 */
export interface Violation {
  readonly code: ErrorCode;
  /**
   * The id of the broken requirement, such as "SEQ-9"; empty where no requirement names the cause.
   */
  readonly requirement: string;
  readonly detail: string;
}

export function violation(code: ErrorCode, requirement: string, detail: string): Violation {
  return { code, requirement, detail };
}

/**
 * A bug of ours, found by an assertion. The session dies, nothing acknowledged is lost, the process
 * counts it.
 */
export class Defect extends Error {
  override readonly name = "Defect";
}

/** Throws a {@link Defect} when an invariant of our own does not hold. Stays on in production. */
export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Defect(why);
}

/** Ends a `switch` over a closed set: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new Defect(`unreachable: ${String(value)}`);
}
