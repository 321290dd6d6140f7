import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { Hello, Timers } from "../../gen/posthorn/v1/session_pb.ts";

const TIMER_MS_MAX = 2 ** 31 - 1;

/** What is wrong with a Hello of a device that was never attached. */
export interface HelloFault {
  /** From its content alone. */
  readonly now?: ErrorCode;
  /** When it is authenticated. */
  readonly later?: ErrorCode;
  /** Where the store may know the device after all: its name may have been another one's. */
  readonly perhaps: readonly ErrorCode[];
}

/** [SES-3], [SES-5] and [SES-11], written a second time. */
export function helloFault(hello: Hello): HelloFault {
  const { versionMin, versionMax, outbox, cursor, timers } = hello;
  const now = (code: ErrorCode) => ({ now: code, perhaps: [] });
  if (versionMin === 0 || versionMax < versionMin) return now(ErrorCode.HELLO_INVALID);
  if (versionMin > 1) return now(ErrorCode.VERSION_UNSUPPORTED);
  const isDevice = /^[A-Za-z0-9._-]+$/.test(hello.deviceId) && hello.deviceId.length <= 64;
  const isShort = bytesOf(hello.token) <= 8192 && bytesOf(hello.agent) <= 128;
  if (!isDevice || !isShort || hello.deliveryWindow === undefined) {
    return now(ErrorCode.HELLO_INVALID);
  }
  if (outbox === undefined || outbox.next === 0n || outbox.resultsThrough >= outbox.next) {
    return now(ErrorCode.HELLO_INVALID);
  }
  const isFirst = outbox.next === 1n && outbox.resultsThrough === 0n;
  if (outbox.epoch === 0n && !isFirst) return now(ErrorCode.HELLO_INVALID);
  if (cursor === undefined || (cursor.epoch === 0n && cursor.seq > 0n)) {
    return now(ErrorCode.HELLO_INVALID);
  }
  if (timers !== undefined && !timersHold(timers)) return now(ErrorCode.TIMERS_IMPOSSIBLE);
  const isUser = /^[A-Za-z0-9][A-Za-z0-9._@+-]*$/.test(hello.userId) && hello.userId.length <= 64;
  const later = isUser ? {} : { later: ErrorCode.HELLO_INVALID };
  const perhaps = [ErrorCode.OUTBOX_EPOCH_STALE, ErrorCode.COUNTER_OUT_OF_RANGE];
  return {
    ...later,
    perhaps: [
      ...(outbox.epoch === 0n ? [] : [...perhaps, ErrorCode.ACK_BEYOND_SENT]),
      ...(cursor.epoch === 0n ? [] : [ErrorCode.CURSOR_AHEAD]),
    ],
  };
}

function timersHold({ keepaliveMs, idleMs, ageMs }: Timers): boolean {
  if (keepaliveMs > TIMER_MS_MAX || idleMs > TIMER_MS_MAX || ageMs > TIMER_MS_MAX) return false;
  const isKept = idleMs === 0 || keepaliveMs * 2 < idleMs;
  return isKept && (ageMs === 0 || ageMs > idleMs);
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}
