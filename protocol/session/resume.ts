import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { LostReason, type ResumeResult } from "../../gen/posthorn/v1/session_pb.ts";
import type { Plain } from "../plain.ts";
import { type Violation, violation } from "../violation.ts";
import type { TimelineBounds } from "./facts.ts";

/** Up to where a device holds its timeline: epoch and number are one value. [RES-6] */
export interface TimelineCursor {
  /** 0: the device holds nothing yet. */
  readonly epoch: number;
  readonly seq: number;
}

export interface CursorClaim extends TimelineCursor {
  /** Where to begin when epoch is 0. [RES-8] */
  readonly start: "earliest" | "latest";
}

/** A cursor ahead of its timeline is refused before anything is installed. [RES-7] */
export function cursorViolation(
  claim: TimelineCursor,
  bounds: TimelineBounds,
): Violation | undefined {
  if (claim.epoch !== bounds.epoch || claim.seq <= bounds.head) return undefined;
  const detail = `cursor ${claim.seq} is ahead of the head ${bounds.head}`;
  return violation(ErrorCode.CURSOR_AHEAD, "RES-7", detail);
}

/**
 * How a device's cursor relates to the timeline: exactly one outcome, never a silent partial
 * recovery. [RES-1]
 */
export function resumeResult(claim: CursorClaim, bounds: TimelineBounds): Plain<ResumeResult> {
  const { epoch, head, floor } = bounds;
  if (claim.epoch === 0) {
    const cursor = claim.start === "latest" ? head : floor - 1;
    return { cursor, outcome: replayFrom(cursor, head) };
  }
  if (claim.epoch !== epoch) {
    const value = { oldEpoch: claim.epoch };
    return { cursor: floor - 1, outcome: { case: "epochChanged", value } };
  }
  if (claim.seq + 1 < floor) {
    const value = { from: claim.seq + 1, to: floor - 1, reason: LostReason.RETENTION };
    return { cursor: floor - 1, outcome: { case: "lost", value } };
  }
  return { cursor: claim.seq, outcome: replayFrom(claim.seq, head) };
}

function replayFrom(cursor: number, head: number): Plain<ResumeResult>["outcome"] {
  if (cursor === head) return { case: "resumed", value: {} };
  return { case: "replaying", value: { count: head - cursor } };
}

/**
 * Whether a Welcome's resume result can be true for the cursor that the device sent: it is not
 * believed blindly, since a cursor paired with the wrong epoch delivers another life's events as a
 * success (P14). [RES-2] to [RES-6]
 */
export function resumeHolds(
  claim: CursorClaim,
  result: Plain<ResumeResult>,
  bounds: TimelineBounds,
): boolean {
  const { outcome, cursor } = result;
  if (bounds.epoch === 0 || bounds.floor === 0 || bounds.floor > bounds.head + 1) return false;
  if (cursor > bounds.head || cursor + 1 < bounds.floor) return false;
  const known = claim.epoch !== 0 && claim.epoch === bounds.epoch;
  switch (outcome.case) {
    case "resumed":
      return cursor === bounds.head && (claim.epoch === 0 || (known && cursor === claim.seq));
    case "replaying":
      if (claim.epoch !== 0 && !(known && cursor === claim.seq)) return false;
      return outcome.value.count > 0 && outcome.value.count === bounds.head - cursor;
    case "lost": {
      const { from, to } = outcome.value;
      return known && from === claim.seq + 1 && from <= to && to === cursor;
    }
    case "epochChanged":
      return claim.epoch !== 0 && !known && outcome.value.oldEpoch === claim.epoch;
    default:
      return false;
  }
}
