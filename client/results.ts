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

/** The service refused an operation; permanent. Its code says why. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode) {
    super(`${errorRule(code).name}: ${errorRule(code).meaning}`);
    this.code = code;
  }
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
  else waiting?.reject(new RefusedError(outcome.code));
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
