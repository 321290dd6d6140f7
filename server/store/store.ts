import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { ServerTicket } from "../../protocol/envelope/ticket.ts";
import type { Attachment, Durable, Receipt, TimelinePage } from "../../protocol/session/facts.ts";

export type {
  Attachment,
  Durable,
  Receipt,
  SubmitOutcome,
  TimelineBounds,
  TimelineEntry,
  TimelinePage,
} from "../../protocol/session/facts.ts";

/**
 * The durable state behind the server. Its promises, each a test in `contract.ts`:
 *
 * 1. A promise that resolves to a `Durable` value resolves after everything the value speaks of is
 *    on disk.
 * 2. A batch is atomic: its device's outbox position, its results, its log entries and all its
 *    timeline entries are there together or not at all, whatever instruction the process dies at.
 * 3. Numbers are assigned at commit, contiguous, in commit order, for each log and each timeline;
 *    delivered order is committed order.
 * 4. A submit has one effect and one result for ever: a repeat of (device, outbox epoch, seq)
 *    returns the kept result, other content under the same number is a conflict.
 * 5. Results are kept until the device acknowledged them, and never more than the submit window of
 *    them.
 * 6. Nothing of a generation older than the device's newest has any effect.
 * 7. A failed write has no effect, and the store goes on from the last durable state.
 * 8. Content is stored once, however many timelines refer to it.
 *
 * A store knows logs, timelines and devices. What a message is, it never learns.
 */
export interface Store {
  /**
   * What an attachment of the device would be now. Creates a new user's timeline, grants a new
   * outbox epoch where the device needs one and keeps what it registers with; disturbs no other
   * attachment: whoever asks may be long gone.
   */
  prepare(request: PrepareRequest): Promise<PrepareOutcome>;
  /**
   * Puts a prepared attachment into force: raises the device's generation, which fences off all
   * earlier ones. One that was overtaken since it was prepared does not come into force.
   */
  attach(request: AttachRequest): Promise<AttachOutcome>;
  /** What a device has registered with, durably. [ENV-56] */
  loadLogin(device: DeviceRef): Promise<DeviceLogin | undefined>;
  /** What planners need to know, as of now. Commit checks again what a plan relied on. */
  loadForPlanning(reads: PlanningReads): Promise<PlanningState>;
  /**
   * One device's submits, contiguous and in order, in one atomic durable write shared with other
   * devices' batches.
   */
  commit(batch: SubmitBatch): Promise<CommitOutcome>;
  /** The timeline's entries after a number, in order, with their content. */
  loadTimeline(user: UserRef, after: number, limit: PageLimit): Promise<TimelinePage>;
  /**
   * Notes how far a device is. Written with the next group, or soon; never waits. A lost note costs
   * a longer replay of what the device then reports as duplicates, never a message. "fenced": a
   * newer attachment of the device exists, and the note has no effect. Never rejects.
   */
  advance(position: DevicePosition): Promise<AdvanceOutcome>;
  /**
   * Calls back after a timeline has grown durably. A hint: may come late, doubled or not at all.
   */
  watch(user: UserRef, woken: (head: number) => void): () => void;
  /** Finishes what was begun, makes it durable and lets go of the files. */
  close(): Promise<void>;
}

declare const userRef: unique symbol;
/** `tenant/user`: a user within its tenant. Made by {@link userRefOf} only. */
export type UserRef = string & { readonly [userRef]: true };

/** Neither part may contain "/"; both are checked where they enter (authentication, planning). */
export function userRefOf(tenant: string, userId: string): UserRef {
  return `${tenant}/${userId}` as UserRef;
}

/** A conversation's log within its tenant: `tenant/conversation id`. */
export type LogRef = string & { readonly [logRef]: true };
declare const logRef: unique symbol;

export function logRefOf(tenant: string, conversationId: string): LogRef {
  return `${tenant}/${conversationId}` as LogRef;
}

export interface DeviceRef {
  readonly user: UserRef;
  readonly deviceId: string;
}

export interface PrepareRequest {
  readonly device: DeviceRef;
  /** As stated in Hello. */
  readonly outbox: {
    readonly epoch: number;
    readonly resultsThrough: number;
    readonly next: number;
  };
  readonly cursor: {
    readonly epoch: number;
    readonly seq: number;
    readonly start: "earliest" | "latest";
  };
  /** Takes the place of what the device registered with before. [ENV-56] */
  readonly login?: DeviceLogin | undefined;
}

/** With what a device shows who it is, and the service that it knows it. Never logged. */
export interface DeviceLogin {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes. */
  readonly registrationSecret: Uint8Array;
  readonly registeredMs: number;
}

export type PrepareOutcome =
  | { readonly kind: "prepared"; readonly attachment: Durable<Attachment> }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly requirement: string };

export interface AttachRequest {
  readonly device: DeviceRef;
  /** As it was prepared. */
  readonly attachment: Attachment;
}

export interface AttachOutcome {
  /**
   * "overtaken": another attachment came into force since, or an older one still committed: what
   * was prepared is not true any more. The older ones are fenced off all the same.
   */
  readonly kind: "attached" | "overtaken";
  /** The device's generation from now on: everything below it is fenced off. */
  readonly generation: number;
}

export type AdvanceOutcome = "noted" | "fenced";

export interface PlanningReads {
  readonly users: readonly UserRef[];
}

export interface PlanningState {
  readonly knownUsers: ReadonlySet<UserRef>;
}

/** What an operation decided: pure data, without numbers, which only the commit can give. */
export type Plan =
  | { readonly kind: "refuse"; readonly code: ErrorCode }
  | {
      readonly kind: "append";
      readonly log: LogRef;
      /** The encoded event, stored once. */
      readonly event: Uint8Array;
      /** Whose timelines get an entry; without repeats. Precondition: all exist. */
      readonly timelines: readonly UserRef[];
    };

export interface PlannedSubmit {
  readonly seq: number;
  readonly digest: number;
  readonly plan: Plan;
}

export interface SubmitBatch {
  readonly device: DeviceRef;
  readonly generation: number;
  readonly outboxEpoch: number;
  /**
   * In order and contiguous; numbers that were committed before are allowed at the front (repeats).
   */
  readonly submits: readonly PlannedSubmit[];
}

export type CommitOutcome =
  | { readonly kind: "committed"; readonly receipt: Durable<Receipt> }
  /** A newer attachment of the device exists. */
  | { readonly kind: "fenced" }
  /** This number was committed with other content. Nothing of the batch took effect. */
  | { readonly kind: "conflict"; readonly seq: number }
  /**
   * A plan's precondition does not hold (any more): plan again. Nothing of the batch took effect.
   */
  | { readonly kind: "stale" };

export interface PageLimit {
  readonly count: number;
  /** Sum of event bytes; a page holds at least one entry all the same. */
  readonly bytes: number;
}

export interface DevicePosition {
  readonly device: DeviceRef;
  readonly generation: number;
  readonly outboxEpoch: number;
  /** Timeline number durable at the device. */
  readonly deliveredThrough: number;
  /** Outbox number whose result is durable at the device; results up to it may be dropped. */
  readonly resultsThrough: number;
}

/**
 * The store cannot be opened or cannot write. `code` is one of the DATA_ codes or
 * STORE_UNAVAILABLE.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Where the tickets of a service are kept, so that each works once. [ENV-44] */
export interface TicketStore {
  keep(ticket: ServerTicket): void;
  find(ticketId: Uint8Array): Promise<ServerTicket | undefined>;
  /** True once at most, whoever asks, on whatever node. */
  take(ticketId: Uint8Array): Promise<boolean>;
  /** Somebody showed a wrong binder for it. */
  failed(ticketId: Uint8Array): void;
  revoke(ticketId: Uint8Array): void;
}
