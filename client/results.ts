import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../gen/posthorn/v1/error_rules.ts";
import type { Settlement } from "../protocol/session/settlement.ts";

/** A message is durable at the service. */
export interface SendResult {
  /** Its number in its conversation. */
  readonly conversationSeq: number;
  /** When it was committed, Unix milliseconds by the service's clock. For display only. */
  readonly committedMs: number;
}

/**
 * The service refused an operation, or a call; for an operation this is its one result. Its code
 * says why. What was asked too often may be asked anew: see {@link whenGranted}.
 */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly code: ErrorCode;
  /** When the same would be granted, from the refusal on. 0: nothing is said of that. [LIM-12] */
  readonly retryAfterMs: number;
  constructor(code: ErrorCode, retryAfterMs = 0) {
    const again = retryAfterMs === 0 ? "" : ` (again in ${secondsText(retryAfterMs)} s)`;
    super(`${errorRule(code).name}: ${errorRule(code).meaning}${again}`);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** With one digit behind the point, and never too early. */
function secondsText(ms: number): string {
  return String(Math.ceil(ms / 100) / 10);
}

/** Who waits for the result of a submit. */
export interface Waiter {
  resolve(result: SendResult): void;
  reject(error: Error): void;
}

/** Tells who waits, if anybody does, what came of a submit. */
export function tellResult(waiting: Waiter | undefined, outcome: Settlement["outcome"]): void {
  if (outcome === "rolled-back") {
    waiting?.reject(new RefusedError(ErrorCode.OUTBOX_ROLLED_BACK));
  } else if (outcome.code === ErrorCode.UNSPECIFIED) waiting?.resolve(outcome);
  else waiting?.reject(new RefusedError(outcome.code, outcome.retryAfterMs));
}

/** The session ended for good. GOODBYE: the application closed it. */
export class SessionError extends Error {
  override readonly name = "SessionError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode) {
    super(`${errorRule(code).name}: ${errorRule(code).meaning}`);
    this.code = code;
  }
}
