import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { cursorViolation } from "../../protocol/session/resume.ts";
import { classify } from "../../protocol/session/sequence.ts";
import { assert, type Violation, violation } from "../../protocol/violation.ts";
import type {
  AttachRequest,
  DevicePosition,
  PlannedSubmit,
  SubmitBatch,
  SubmitOutcome,
  TimelineBounds,
} from "./store.ts";

/**
 * One device's durable state, and the rules by which it changes: the one place of the service's
 * sequence rules, shared by every store. Pure; a record is never changed in place.
 */
export interface DeviceRecord {
  readonly generation: number;
  readonly sessionId: Uint8Array;
  readonly outboxEpoch: number;
  readonly through: number;
  readonly resultsThrough: number;
  /** Of submits resultsThrough+1 to through. [SEQ-8] */
  readonly results: readonly SubmitOutcome[];
  /** The timeline number that the device last reported. For operators; deliveries go by Hello. */
  readonly deliveredThrough: number;
}

/** Attaches a device: a refusal changes nothing. [SES-6] [RES-7] [RES-9] [RES-10] [RES-13] */
export function attachDevice(
  record: DeviceRecord | undefined,
  request: AttachRequest,
  given: { readonly bounds: TimelineBounds; readonly newSessionId: () => Uint8Array },
): DeviceRecord | Violation {
  const { outbox, cursor } = request;
  const ahead = cursorViolation(cursor, given.bounds);
  if (ahead !== undefined) return ahead;
  const known = record?.outboxEpoch ?? 0;
  const generation = (record?.generation ?? 0) + 1;
  if (outbox.epoch !== 0 && outbox.epoch < known) {
    const detail = `outbox epoch ${outbox.epoch} is older than ${known}`;
    return violation(ErrorCode.OUTBOX_EPOCH_STALE, "RES-10", detail);
  }
  if (record === undefined || outbox.epoch !== known) {
    return {
      generation,
      sessionId: given.newSessionId(),
      outboxEpoch: Math.max(known, outbox.epoch) + 1,
      through: 0,
      resultsThrough: 0,
      results: [],
      deliveredThrough: record?.deliveredThrough ?? 0,
    };
  }
  if (outbox.resultsThrough > record.through) {
    const detail = `results through ${outbox.resultsThrough} of ${record.through}`;
    return violation(ErrorCode.ACK_BEYOND_SENT, "RES-13", detail);
  }
  return { ...dropResults(record, outbox.resultsThrough), generation };
}

/** What a batch is to a record. */
export type BatchVerdict =
  | { readonly kind: "fenced" }
  | { readonly kind: "conflict"; readonly seq: number }
  /** The submits that are new, in order; all before them are repeats of the same content. */
  | { readonly kind: "accepted"; readonly fresh: readonly PlannedSubmit[] };

/**
 * Fence, dedupe and conflict, by number and content, never by time. [SES-6] [SEQ-2] [SEQ-4] [SEQ-5]
 * [SEQ-15]
 */
export function judgeBatch(record: DeviceRecord | undefined, batch: SubmitBatch): BatchVerdict {
  if (
    record === undefined ||
    record.generation !== batch.generation ||
    record.outboxEpoch !== batch.outboxEpoch
  ) {
    return { kind: "fenced" };
  }
  let through = record.through;
  const fresh: PlannedSubmit[] = [];
  for (const submit of batch.submits) {
    const verdict = classify(submit.seq, through);
    assert(verdict !== "gap", "sessions hand over no gap [SEQ-2]");
    if (verdict === "next") {
      through = submit.seq;
      fresh.push(submit);
      continue;
    }
    const kept = record.results[submit.seq - record.resultsThrough - 1];
    if (kept !== undefined && kept.digest !== submit.digest) {
      return { kind: "conflict", seq: submit.seq };
    }
  }
  return { kind: "accepted", fresh };
}

/** The record after new submits got their results. */
export function addResults(record: DeviceRecord, outcomes: readonly SubmitOutcome[]): DeviceRecord {
  if (outcomes.length === 0) return record;
  return {
    ...record,
    through: record.through + outcomes.length,
    results: [...record.results, ...outcomes],
  };
}

/**
 * The results that a receipt carries: from a batch's lowest number that is still held to the last.
 */
export function resultsFrom(record: DeviceRecord, firstSeq: number): readonly SubmitOutcome[] {
  return record.results.slice(Math.max(0, firstSeq - record.resultsThrough - 1));
}

/** The record after a device reported its position; undefined when the report changes nothing. */
export function advanceDevice(
  record: DeviceRecord | undefined,
  position: DevicePosition,
): DeviceRecord | undefined {
  if (record === undefined || record.generation !== position.generation) return undefined;
  if (record.outboxEpoch !== position.outboxEpoch) return undefined;
  const deliveredThrough = Math.max(record.deliveredThrough, position.deliveredThrough);
  const trimmed = dropResults(record, Math.min(position.resultsThrough, record.through));
  if (trimmed === record && deliveredThrough === record.deliveredThrough) return undefined;
  return { ...trimmed, deliveredThrough };
}

function dropResults(record: DeviceRecord, resultsThrough: number): DeviceRecord {
  if (resultsThrough <= record.resultsThrough) return record;
  const results = record.results.slice(resultsThrough - record.resultsThrough);
  return { ...record, resultsThrough, results };
}
