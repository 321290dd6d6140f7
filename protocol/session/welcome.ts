import type { LoginProof, LoginRegistration } from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { CursorStart, type Hello, type Welcome } from "../../gen/posthorn/v1/session_pb.ts";
import { equalBytes, NO_BYTES } from "../envelope/octets.ts";
import { LOGIN_ACCOUNT_PATTERN, VERSION_MAX, VERSION_MIN } from "../limits.ts";
import type { Plain } from "../plain.ts";
import { type Violation, violation } from "../violation.ts";
import type { ClientSessionOptions } from "./client.ts";
import type { SubmitOutcome } from "./facts.ts";
import type { FlowWindow } from "./flow.ts";
import type { OutboxClaim } from "./hello.ts";
import { resumeHolds, type TimelineCursor } from "./resume.ts";
import { type LinkTimers, timersHold } from "./timers.ts";

/** Both positions of a device, as its Hello states them. */
export interface DeviceClaim {
  readonly outbox: OutboxClaim;
  readonly cursor: TimelineCursor;
}

/** Who a device is, for one attach. Nothing: the service runs without authentication. */
export interface Credential {
  /** Empty with a proof, and where the service runs without authentication. */
  readonly token: string;
  /** Sent with a token only. [ENV-55] */
  readonly registration?: Plain<LoginRegistration> | undefined;
  readonly login?: LoginAttempt | undefined;
}

/** A proof, good on one link, and the only answer that is right there. [ENV-35] [ENV-36] */
export interface LoginAttempt {
  readonly proof: Plain<LoginProof>;
  readonly answerMac: Uint8Array;
}

export function helloOf(
  options: ClientSessionOptions,
  claim: DeviceClaim,
  { token, registration, login }: Credential,
): Plain<Hello> {
  const start = options.start === "latest" ? CursorStart.LATEST : CursorStart.EARLIEST;
  return {
    versionMin: VERSION_MIN,
    versionMax: VERSION_MAX,
    token,
    userId: options.userId,
    deviceId: options.deviceId,
    outbox: claim.outbox,
    cursor: { ...claim.cursor, start },
    timers: options.timers,
    deliveryWindow: options.deliveryWindow,
    agent: options.agent,
    ...(options.indexAbove === undefined ? {} : { catchUp: { indexAbove: options.indexAbove } }),
    ...(registration === undefined ? {} : { registration }),
    ...(login === undefined ? {} : { loginProof: login.proof }),
  };
}

/** What a Welcome says wrong of a login or a registration. [ENV-36] [ENV-56] */
export function loginFault(
  { login, registration }: Credential,
  { loginAccount, loginAnswer }: Plain<Welcome>,
): Violation | undefined {
  if (login !== undefined && !equalBytes(login.answerMac, loginAnswer?.mac ?? NO_BYTES)) {
    const detail = "the service does not know this device on this link";
    return violation(ErrorCode.LOGIN_PROOF_INVALID, "ENV-36", detail);
  }
  if (loginAccount === "") return undefined;
  if (registration !== undefined && LOGIN_ACCOUNT_PATTERN.test(loginAccount)) return undefined;
  return untrue("ENV-56", "an account of no registration");
}

/** What a Welcome that keeps its rules puts in force. */
export interface Installed {
  readonly outbox: {
    readonly epoch: number;
    readonly through: number;
    readonly resultsThrough: number;
    readonly results: readonly SubmitOutcome[];
  };
  readonly cursor: TimelineCursor;
  readonly timers: LinkTimers;
  readonly submitWindow: FlowWindow;
  readonly frameBytes: number;
  /** Calls that may be without a reply. [RPC-2] */
  readonly calls: number;
}

/** Reads a Welcome against the Hello it answers. [RES-1] [RES-9] [SES-3] [SES-11] */
export function readWelcome(
  welcome: Plain<Welcome>,
  claim: DeviceClaim,
  start: "earliest" | "latest",
): Installed | Violation {
  const { outbox, timeline, resume, timers, submitWindow, limits } = welcome;
  if (!outbox || !timeline || !resume || !timers || !submitWindow || !limits) {
    return untrue("SES-7", "a part is missing");
  }
  if (welcome.version < VERSION_MIN || welcome.version > VERSION_MAX) {
    return untrue("SES-3", "a version that was not offered");
  }
  if (!timersHold(timers)) return untrue("SES-11", "timers that cannot work");
  if (!outboxHolds(outbox, claim.outbox)) return untrue("RES-9", "an impossible outbox position");
  if (!resumeHolds({ ...claim.cursor, start }, resume, timeline)) {
    return untrue("RES-1", "an impossible resume result");
  }
  return {
    outbox,
    cursor: { epoch: timeline.epoch, seq: resume.cursor },
    timers,
    submitWindow,
    frameBytes: limits.frameBytes,
    calls: limits.calls,
  };
}

function outboxHolds(granted: Installed["outbox"], claim: OutboxClaim): boolean {
  if (granted.results.length !== granted.through - granted.resultsThrough) return false;
  if (granted.epoch === claim.epoch && claim.epoch !== 0) {
    return granted.through >= claim.resultsThrough;
  }
  return granted.epoch > claim.epoch && granted.through === 0;
}

function untrue(requirement: string, what: string): Violation {
  return violation(ErrorCode.FRAME_MALFORMED, requirement, `Welcome holds ${what}`);
}
