import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";

/** The status of an answer without a refusal. */
export const STATUS_OK = 0;

/** The statuses of gRPC that this service gives, which are Connect's codes too. */
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

const STATUSES: ReadonlyMap<ErrorCode, number> = new Map<ErrorCode, number>([
  [ErrorCode.UNSPECIFIED, STATUS_OK],
  [ErrorCode.TOO_SLOW, DEADLINE_EXCEEDED],
  [ErrorCode.CONVERSATION_UNKNOWN, NOT_FOUND],
  [ErrorCode.MESSAGE_UNKNOWN, NOT_FOUND],
  [ErrorCode.NOT_PERMITTED, PERMISSION_DENIED],
  // The token is as good as ever: a new one would be of no help.
  [ErrorCode.DEVICE_ENDED, PERMISSION_DENIED],
  [ErrorCode.TRANSPORT_NOT_SERVED, PERMISSION_DENIED],
  [ErrorCode.ENVELOPE_REQUIRED, PERMISSION_DENIED],
  [ErrorCode.DEVICE_ENDED, PERMISSION_DENIED],
  [ErrorCode.TOO_OFTEN, RESOURCE_EXHAUSTED],
  [ErrorCode.METHOD_UNKNOWN, UNIMPLEMENTED],
  [ErrorCode.INTERNAL, INTERNAL],
  [ErrorCode.CALL_FAILED, UNAVAILABLE],
  [ErrorCode.STORE_UNAVAILABLE, UNAVAILABLE],
  [ErrorCode.CREDENTIALS_REQUIRED, UNAUTHENTICATED],
  [ErrorCode.TOKEN_MALFORMED, UNAUTHENTICATED],
  [ErrorCode.TOKEN_EXPIRED, UNAUTHENTICATED],
  [ErrorCode.TOKEN_FOREIGN, UNAUTHENTICATED],
]);

/** What a code is to those who know gRPC's statuses only. [SVC-9] */
export function callStatus(code: ErrorCode): number {
  return STATUSES.get(code) ?? INVALID_ARGUMENT;
}
