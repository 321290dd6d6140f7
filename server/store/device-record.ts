import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { equalBytes } from "../../protocol/envelope/octets.ts";
import { COUNTER_MAX } from "../../protocol/limits.ts";
import { cursorViolation } from "../../protocol/session/resume.ts";
import { classify } from "../../protocol/session/sequence.ts";
import { assert, type Violation, violation } from "../../protocol/violation.ts";
import type {
  AdvanceOutcome,
  Attachment,
  AttachOutcome,
  DeviceLogin,
  DevicePosition,
  DeviceRef,
  KnownDevice,
  PlannedSubmit,
  PrepareRequest,
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
  /**
   * The outbox epochs that were granted here, from and through: none may be given out twice, and
   * one that another service granted is not among them. [RES-9]
   */
  readonly granted: { readonly from: number; readonly through: number };
  /** The epoch of the last attachment in force; 0: none yet. */
  readonly outboxEpoch: number;
  readonly through: number;
  readonly resultsThrough: number;
  /** Of submits resultsThrough+1 to through. [SEQ-8] */
  readonly results: readonly SubmitOutcome[];
  /** The timeline number that the device last reported. For operators; deliveries go by Hello. */
  readonly deliveredThrough: number;
  /** What the device last registered with. [ENV-56] */
  readonly login?: DeviceLogin | undefined;
  /** 0: never. */
  readonly firstAttachedMs: number;
  readonly lastAttachedMs: number;
  /** For ever. [DEV-6] */
  readonly isEnded: boolean;
}

/** What an attachment would be, and the record that must be durable before a device is told. */
export interface Preparation {
  readonly attachment: Attachment;
  readonly record: DeviceRecord;
}

/**
 * What an attachment of a device would be. Nothing changes but what the device registers with, and
 * the epochs granted: a granted epoch is kept, because the device may submit under it before the
 * service hears of it again. [RES-7] [RES-9] [RES-10] [RES-13] [ENV-56]
 * [DEV-6] [DEV-8]
 */
export function prepareAttachment(
  known: DeviceRecord | undefined,
  request: PrepareRequest,
  given: {
    readonly bounds: TimelineBounds;
    readonly newSessionId: () => Uint8Array;
    /** Whether the user may have one more device. */
    readonly hasRoom: () => boolean;
  },
): Preparation | Violation {
  const { outbox, cursor } = request;
  if (known?.isEnded) return violation(ErrorCode.DEVICE_ENDED, "DEV-6", "the device was ended");
  const { bounds: timeline } = given;
  const ahead = cursorViolation(cursor, timeline);
  if (ahead !== undefined) return ahead;
  if (known === undefined && !given.hasRoom()) {
    return violation(ErrorCode.DEVICES_FULL, "DEV-8", "the user has too many devices");
  }
  const before = known ?? { ...NEVER_ATTACHED, sessionId: given.newSessionId() };
  const record = withLogin(before, request.login);
  const generation = record.generation + 1;
  if (outbox.epoch !== 0 && outbox.epoch < record.outboxEpoch) {
    const detail = `outbox epoch ${outbox.epoch} is older than ${record.outboxEpoch}`;
    return violation(ErrorCode.OUTBOX_EPOCH_STALE, "RES-10", detail);
  }
  if (outbox.epoch === 0 || outbox.epoch !== record.outboxEpoch) {
    const { from, through } = record.granted;
    const isGranted = outbox.epoch >= from && outbox.epoch <= through;
    const epoch = isGranted ? outbox.epoch : Math.max(through, outbox.epoch) + 1;
    if (isGranted && outbox.resultsThrough > 0) {
      const detail = `results through ${outbox.resultsThrough} of an epoch without submits`;
      return violation(ErrorCode.ACK_BEYOND_SENT, "RES-13", detail);
    }
    if (epoch > COUNTER_MAX) {
      return violation(ErrorCode.COUNTER_OUT_OF_RANGE, "FRM-5", "no outbox epoch is left");
    }
    const fresh = { epoch, through: 0, resultsThrough: 0, results: [] };
    const sessionId = given.newSessionId();
    return {
      attachment: { sessionId, generation, outbox: fresh, timeline },
      record: isGranted ? record : withGrant(record, epoch),
    };
  }
  if (outbox.resultsThrough > record.through) {
    const detail = `results through ${outbox.resultsThrough} of ${record.through}`;
    return violation(ErrorCode.ACK_BEYOND_SENT, "RES-13", detail);
  }
  const { sessionId, outboxEpoch: epoch, through } = record;
  const { resultsThrough, results } = dropResults(record, outbox.resultsThrough);
  const held = { epoch, through, resultsThrough, results };
  return { attachment: { sessionId, generation, outbox: held, timeline }, record };
}

/** The same registration again is written anew so seldom that it costs no write per attach. */
const REGISTERED_MS = 3_600_000;

/** A newer registration takes the older one's place. [ENV-56] */
function withLogin(record: DeviceRecord, login: DeviceLogin | undefined): DeviceRecord {
  if (login === undefined) return record;
  const { login: held } = record;
  const isHeld =
    held !== undefined &&
    equalBytes(held.publicKey, login.publicKey) &&
    equalBytes(held.registrationSecret, login.registrationSecret) &&
    Math.abs(login.registeredMs - held.registeredMs) < REGISTERED_MS;
  return isHeld ? record : { ...record, login };
}

/** A grant that leaves numbers out makes those before it void: only a foreign epoch does that. */
function withGrant(record: DeviceRecord, epoch: number): DeviceRecord {
  const { from, through } = record.granted;
  return { ...record, granted: { from: epoch === through + 1 ? from : epoch, through: epoch } };
}

const NEVER_ATTACHED = {
  generation: 0,
  granted: { from: 1, through: 0 },
  outboxEpoch: 0,
  through: 0,
  resultsThrough: 0,
  results: [],
  deliveredThrough: 0,
  firstAttachedMs: 0,
  lastAttachedMs: 0,
  isEnded: false,
} as const satisfies Partial<DeviceRecord>;

/** How a prepared attachment stands to its device's record. */
export interface AttachVerdict {
  /** Undefined: nothing changes. */
  readonly record: DeviceRecord | undefined;
  readonly kind: AttachOutcome["kind"];
}

/**
 * Puts an attachment into force, unless another one came into force since it was prepared: a late
 * Ready is as harmless as a late Hello. [SES-6] [SES-18] [DEV-6]
 */
export function attachDevice(
  record: DeviceRecord | undefined,
  { generation, sessionId, outbox }: Attachment,
  nowMs: number,
): AttachVerdict {
  if (record?.isEnded) return { record: undefined, kind: "ended" };
  if (record === undefined || generation !== record.generation + 1) {
    return { record: undefined, kind: "overtaken" };
  }
  const times = { firstAttachedMs: record.firstAttachedMs || nowMs, lastAttachedMs: nowMs };
  if (record.outboxEpoch !== outbox.epoch) {
    const { epoch: outboxEpoch, through, resultsThrough, results } = outbox;
    const positions = { outboxEpoch, through, resultsThrough, results };
    const attached = { ...record, ...times, generation, sessionId, ...positions };
    return { record: attached, kind: "attached" };
  }
  // An older attachment may have committed after Welcome was written: it is fenced off now, and the
  // device comes again to hear the truth.
  const kind = record.through === outbox.through ? "attached" : "overtaken";
  const dropped = dropResults(record, outbox.resultsThrough);
  return { record: { ...dropped, ...(kind === "attached" ? times : {}), generation }, kind };
}

/** What a batch is to a record. */
export type BatchVerdict =
  | { readonly kind: "fenced" }
  | { readonly kind: "ended" }
  | { readonly kind: "conflict"; readonly seq: number }
  /** The submits that are new, in order; all before them are repeats of the same content. */
  | { readonly kind: "accepted"; readonly fresh: readonly PlannedSubmit[] };

/**
 * Fence, dedupe and conflict, by number and content, never by time. [SES-6] [SEQ-2] [SEQ-4] [SEQ-5]
 * [SEQ-15] [DEV-5]
 */
export function judgeBatch(record: DeviceRecord | undefined, batch: SubmitBatch): BatchVerdict {
  if (record?.isEnded) return { kind: "ended" };
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

/** What a report of a session of some generation is worth. */
export function advanceOutcome(
  record: DeviceRecord | undefined,
  { generation }: { readonly generation: number },
): AdvanceOutcome {
  if (record?.isEnded) return "ended";
  return record !== undefined && record.generation > generation ? "fenced" : "noted";
}

/**
 * The record of a device from its end on: of a newer generation than any session of it, without
 * secrets and results. [DEV-4]
 */
export function endDevice(record: DeviceRecord): DeviceRecord {
  const { login, through } = record;
  const registrationSecret = new Uint8Array(0);
  return {
    ...dropResults(record, through),
    generation: record.generation + 1,
    login: login && { ...login, registrationSecret },
    isEnded: true,
  };
}

/** What a user is shown of its device. */
export function knownDevice({ deviceId }: DeviceRef, record: DeviceRecord): KnownDevice {
  const { generation, deliveredThrough, firstAttachedMs, lastAttachedMs, isEnded } = record;
  return { deviceId, generation, deliveredThrough, firstAttachedMs, lastAttachedMs, isEnded };
}

/** The record after a device reported its position; undefined when the report changes nothing. */
export function advanceDevice(
  record: DeviceRecord | undefined,
  position: DevicePosition,
): DeviceRecord | undefined {
  if (record === undefined || record.isEnded) return undefined;
  if (record.generation !== position.generation) return undefined;
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
