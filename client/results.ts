import type { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../gen/posthorn/v1/error_rules.ts";

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

/** The session ended for good. GOODBYE: the application closed it. */
export class SessionError extends Error {
  override readonly name = "SessionError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode) {
    super(`${errorRule(code).name}: ${errorRule(code).meaning}`);
    this.code = code;
  }
}
