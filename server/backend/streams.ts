import { toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Operation, OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { crc32 } from "../../protocol/crc32.ts";
import type { Attachment, SubmitOutcome } from "../../protocol/session/facts.ts";
import { BACKEND_PREFIX, type Backend } from "../auth/authenticate.ts";
import type { DecodedOperation, OperationRules } from "../operations/plan.ts";
import type { PublishBudget } from "../operations/publish-budget.ts";
import { CallRefused } from "../services/service.ts";
import type { Hub } from "../sessions/hub.ts";
import { endDevices, PLANNING_ATTEMPTS_MAX, planAndCommit } from "../sessions/plan-and-commit.ts";
import type { SignalBoard } from "../signals/board.ts";
import { type DeviceRef, type Store, userRefOf } from "../store/store.ts";

/** Results that are kept of a stream: the newest ones. [BCK-9] */
export const STREAM_RESULTS_KEPT = 64;

/**
 * A stream is never attached a second time: its numbers alone say what was done, whichever node was
 * asked.
 */
const POSITION = { generation: 1, outboxEpoch: 1 } as const;

export interface StreamContext {
  readonly store: Pick<
    Store,
    "loadForPlanning" | "prepare" | "attach" | "commit" | "advance" | "ensureUser"
  >;
  readonly rules: OperationRules;
  readonly publishing: PublishBudget;
  readonly signals: Pick<SignalBoard, "committed">;
  readonly hub: Pick<Hub, "endDevice">;
  readonly nowMs: () => number;
  readonly committed: (submitCount: number) => void;
}

/** What a backend asks to be done. */
export interface StreamSubmit {
  readonly backend: Backend;
  readonly stream: string;
  readonly seq: number;
  readonly asUserId: string;
  /** Undefined: none was given. */
  readonly operation: Operation | undefined;
}

/**
 * Has backends' operations done exactly once. A stream is to the store what a device's outbox is:
 * one commit holds the number, its result and its effect. [BCK-5]
 */
export class Streams {
  readonly #context: StreamContext;

  constructor(context: StreamContext) {
    this.#context = context;
  }

  /** The number that a stream takes next. */
  async nextSeq(backend: Backend, stream: string): Promise<number> {
    const device = deviceOf(backend, stream);
    const { devices = [] } = await this.#context.store.loadForPlanning({
      users: [],
      devices: [device],
    });
    if (devices.length === 0) return 1;
    return (await this.#outboxOf(device)).outbox.through + 1;
  }

  /**
   * The one result of a number. [BCK-5] [BCK-6]
   *
   * @throws CallRefused STREAM_GAP, SUBMIT_CONFLICT, RESULT_FORGOTTEN, DEVICES_FULL: nothing was
   *   done by this call
   */
  async submit(submit: StreamSubmit): Promise<SubmitOutcome> {
    const { backend, stream, seq } = submit;
    const next = await this.nextSeq(backend, stream);
    if (seq > next) throw new CallRefused(ErrorCode.STREAM_GAP, { nextSeq: next });
    const device = deviceOf(backend, stream);
    if (next === 1) await this.#open(device);
    const { outcome, planned } = await this.#commit(device, submit);
    switch (outcome.kind) {
      case "committed": {
        const { through, results } = outcome.receipt;
        endDevices(this.#context.hub, planned, through);
        this.#forget(device, through);
        const result = results[results.length - 1 - (through - seq)];
        if (result === undefined) throw new CallRefused(ErrorCode.RESULT_FORGOTTEN);
        return result;
      }
      case "conflict":
        throw new CallRefused(ErrorCode.SUBMIT_CONFLICT);
      case "stale":
        throw new Error(`${PLANNING_ATTEMPTS_MAX} plans in a row were stale`);
      default:
        throw new Error(`a stream is ${outcome.kind}`);
    }
  }

  async #commit(device: DeviceRef, { backend, seq, asUserId, operation }: StreamSubmit) {
    const { nowMs, committed } = this.#context;
    // Of no device: none of the user's own may take it for what it has sent itself. [BCK-11]
    const sender = { tenant: backend.tenant, userId: asUserId, deviceId: "" };
    const decoded = await this.#decoded(backend.tenant, asUserId, operation);
    const { digest, bytes } = digestOf(asUserId, operation);
    const submits = [{ seq, digest, bytes, decoded }];
    const position = { ...POSITION, device };
    // What users may submit in a time is no limit of the operator's own programs. [LIM-3]
    const context = { ...this.#context, budget: undefined, nowMs: nowMs() };
    const done = await planAndCommit(context, { sender, position, submits });
    committed(submits.length);
    return done;
  }

  /** What cannot be asked for by a backend is refused like what cannot be done: for good. */
  async #decoded(
    tenant: string,
    asUserId: string,
    operation: Operation | undefined,
  ): Promise<DecodedOperation> {
    const kind = operation?.kind;
    if (kind?.case === undefined) return refusal(ErrorCode.OPERATION_MALFORMED);
    if (OF_DEVICES.includes(kind.case)) return refusal(ErrorCode.NOT_PERMITTED);
    const user = userRefOf(tenant, asUserId);
    const { knownUsers } = await this.#context.store.loadForPlanning({ users: [user] });
    if (!knownUsers.has(user)) return refusal(ErrorCode.USER_UNKNOWN);
    return { kind: "operation", operation: kind };
  }

  /** Makes a stream that may be there already. @throws CallRefused DEVICES_FULL */
  async #open(device: DeviceRef): Promise<void> {
    const attachment = await this.#outboxOf(device);
    if (attachment.generation === POSITION.generation) {
      await this.#context.store.attach({ device, attachment });
    }
  }

  /** A stream as it is; one that is not there comes to be. */
  async #outboxOf(device: DeviceRef): Promise<Attachment> {
    const { devices = [] } = await this.#context.store.loadForPlanning({
      users: [],
      devices: [device],
    });
    const epoch = devices.length === 0 ? 0 : POSITION.outboxEpoch;
    const prepared = await this.#context.store.prepare({
      device,
      outbox: { epoch, resultsThrough: 0, next: 1 },
      cursor: { epoch: 0, seq: 0, start: "latest" },
    });
    if (prepared.kind === "refused") throw new CallRefused(prepared.code);
    return prepared.attachment;
  }

  #forget(device: DeviceRef, through: number): void {
    const resultsThrough = through - STREAM_RESULTS_KEPT;
    if (resultsThrough <= 0) return;
    const note = { ...POSITION, device, deliveredThrough: 0, resultsThrough };
    void this.#context.store.advance(note);
  }
}

/**
 * What devices sign or are named by: a backend that could do it could put itself between two
 * devices of a secure chat. [BCK-10]
 */
const OF_DEVICES: readonly string[] = [
  "sendPacket",
  "publishDevice",
  "revokeDevice",
] satisfies Operation["kind"]["case"][];

function refusal(code: ErrorCode): DecodedOperation {
  return { kind: "refuse", code };
}

function deviceOf({ tenant, backendId }: Backend, stream: string): DeviceRef {
  return { user: userRefOf(tenant, `${BACKEND_PREFIX}${backendId}`), deviceId: stream };
}

/** Of all that a repeat has to have too: the user as whom, and what. No user id has a NUL. */
function digestOf(asUserId: string, operation: Operation | undefined) {
  const user = new TextEncoder().encode(`${asUserId}\0`);
  const encoded =
    operation === undefined ? new Uint8Array(0) : toBinary(OperationSchema, operation);
  return { digest: crc32(Buffer.concat([user, encoded])), bytes: encoded.length };
}
