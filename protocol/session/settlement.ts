import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { crc32 } from "../crc32.ts";
import type { SubmitOutcome } from "./facts.ts";
import type { OutboxEntry } from "./outbox.ts";

/** A submit and the one result that it has for ever. [SEQ-4] */
export interface Settlement {
  readonly entry: OutboxEntry;
  /** "rolled-back": it cannot be known whether it took effect. [RES-12] */
  readonly outcome: SubmitOutcome | "rolled-back";
}

/** A withheld submit was too large, unless an older attachment had it committed. [SEQ-18] */
export function settlementOf(entry: OutboxEntry, outcome: SubmitOutcome): Settlement {
  if (!entry.withheld || outcome.digest === crc32(entry.operation)) return { entry, outcome };
  return { entry, outcome: { ...outcome, code: ErrorCode.MESSAGE_TOO_LARGE } };
}
