import { getTextEncoding } from "@bufbuild/protobuf/wire";
import type { LoginProof, LoginRegistration } from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { CursorStart, type Hello } from "../../gen/posthorn/v1/session_pb.ts";
import { isSoundEd25519Key } from "../envelope/ed25519-form.ts";
import { HASH_BYTES } from "../envelope/provider.ts";
import {
  AGENT_BYTES_MAX,
  DEVICE_ID_PATTERN,
  TOKEN_BYTES_MAX,
  VERSION_MAX,
  VERSION_MIN,
} from "../limits.ts";
import type { Plain } from "../plain.ts";
import { type Violation, violation } from "../violation.ts";
import type { FlowWindow } from "./flow.ts";
import type { CursorClaim } from "./resume.ts";
import type { LinkTimers } from "./timers.ts";

/** Where a device says that its outbox stands. */
export interface OutboxClaim {
  readonly epoch: number;
  readonly resultsThrough: number;
  readonly next: number;
}

/** A Hello that keeps its rules: what authentication and the store are asked with. */
export interface AttachClaim {
  readonly version: number;
  readonly token: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly outbox: OutboxClaim;
  readonly cursor: CursorClaim;
  readonly timers: LinkTimers | undefined;
  readonly deliveryWindow: FlowWindow;
  /** An index may be sent while more events are missing. Absent: never. [CAT-1] */
  readonly indexAbove?: number | undefined;
  readonly agent: string;
  /** Instead of a token. [ENV-57] */
  readonly loginProof: Plain<LoginProof> | undefined;
  /** With a token only. [ENV-55] */
  readonly registration: Plain<LoginRegistration> | undefined;
}

/** Reads a Hello by its rules. [SES-3] [SES-5] */
export function readHello(hello: Plain<Hello>): AttachClaim | Violation {
  const version = Math.min(hello.versionMax, VERSION_MAX);
  if (hello.versionMin < 1 || hello.versionMin > hello.versionMax) {
    return invalid("version range");
  }
  if (version < Math.max(hello.versionMin, VERSION_MIN)) {
    const detail = `versions ${VERSION_MIN} to ${VERSION_MAX} are spoken here`;
    return violation(ErrorCode.VERSION_UNSUPPORTED, "SES-3", detail);
  }
  if (!DEVICE_ID_PATTERN.test(hello.deviceId)) return invalid("device_id");
  if (utf8Bytes(hello.token) > TOKEN_BYTES_MAX) return invalid("token");
  if (utf8Bytes(hello.agent) > AGENT_BYTES_MAX) return invalid("agent");
  const outbox = hello.outbox;
  if (outbox === undefined || !outboxHolds(outbox)) return invalid("outbox");
  const cursor = hello.cursor;
  if (cursor === undefined || (cursor.epoch === 0 && cursor.seq !== 0)) return invalid("cursor");
  const window = hello.deliveryWindow;
  if (window === undefined) return invalid("delivery_window");
  const { loginProof, registration } = hello;
  if (loginProof !== undefined && (hello.token !== "" || registration !== undefined)) {
    return invalid("login_proof");
  }
  if (registration !== undefined && !registrationHolds(registration)) {
    return invalid("registration");
  }
  const start = cursor.start === CursorStart.LATEST ? "latest" : "earliest";
  return {
    version,
    token: hello.token,
    userId: hello.userId,
    deviceId: hello.deviceId,
    outbox,
    cursor: { epoch: cursor.epoch, seq: cursor.seq, start },
    timers: hello.timers,
    deliveryWindow: window,
    indexAbove: hello.catchUp?.indexAbove,
    agent: hello.agent,
    loginProof,
    registration,
  };
}

function registrationHolds({ loginKey, registrationSecret }: Plain<LoginRegistration>): boolean {
  // A key of small order has signatures that anybody makes. [ENV-31]
  return isSoundEd25519Key(loginKey) && registrationSecret.length === HASH_BYTES;
}

function outboxHolds(outbox: OutboxClaim): boolean {
  if (outbox.next < 1 || outbox.resultsThrough >= outbox.next) return false;
  return outbox.epoch !== 0 || (outbox.next === 1 && outbox.resultsThrough === 0);
}

function invalid(field: string): Violation {
  return violation(ErrorCode.HELLO_INVALID, "SES-5", `Hello.${field}`);
}

function utf8Bytes(text: string): number {
  return getTextEncoding().encodeUtf8(text).length;
}
