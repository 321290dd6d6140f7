import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { ServerTicket } from "../../protocol/envelope/ticket.ts";
import type { NumberSet } from "../../protocol/number-set.ts";
import type {
  Attachment,
  Durable,
  Receipt,
  TimelineBounds,
  TimelinePage,
} from "../../protocol/session/facts.ts";
import type { Plan } from "./plans.ts";

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
 * 9. A document changes from one revision to the next, or not at all: a plan that relied on another
 *    revision is stale. A batch that can plan anew is never stale, whatever others commit.
 * 10. A perishable event is read by one device only, until that device's cursor has passed it or it
 *    has expired. Then it is erased: nothing of it can be read any more from anything the store
 *    wrote. Queues bound how many wait, for a device and of whom they share the store's room with.
 * 11. What takes the place of an entry's content does so in its log and in every timeline, and what
 *     it was is erased: as soon as the commit has resolved, nobody reads it any more from anything
 *     the store wrote.
 *     What expires is read as what takes its place from that time on, and erased by `sweep`.
 * 12. A device that was ended is never attached again, and nothing that it submits or reports has
 *     any effect, from the commit on that ended it.
 * 13. A user has no more devices than the store's limit, nor four times as many with those that
 *     were ended, however many come at once. What announces a new one is there once, or not at
 *     all, as its attachment is.
 *
 * A store knows logs, timelines, devices and documents. What a message is, it never learns.
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
  /**
   * Creates a user's timeline, unless there is one.
   *
   * @returns whether it was created now
   */
  ensureUser(user: UserRef): Promise<boolean>;
  /** What a device has registered with, durably. [ENV-56] */
  loadLogin(device: DeviceRef): Promise<DeviceLogin | undefined>;
  /** All devices that a user ever had, by their ids in byte order. [DEV-1] */
  loadDevices(user: UserRef): Promise<readonly KnownDevice[]>;
  /** What planners need to know, as of now. Commit checks again what a plan relied on. */
  loadForPlanning(reads: PlanningReads): Promise<PlanningState>;
  /**
   * One device's submits, contiguous and in order, in one atomic durable write shared with other
   * devices' batches.
   */
  commit(batch: SubmitBatch): Promise<CommitOutcome>;
  /**
   * The timeline's entries after a number, or of some numbers, in order, with their content:
   * perishable content for the device that reads, where it is the one.
   */
  loadTimeline(
    user: UserRef,
    asked: number | NumberSet,
    limit: PageLimit,
    readerId?: string,
  ): Promise<TimelinePage>;
  /** Where the timeline's entries after a number are, in order. Reads no content. [CAT-3] */
  loadRuns(user: UserRef, after: number, countMax: number): Promise<TimelineRuns>;
  /** A log's entries with numbers of a range, in order, or from its end. */
  loadLog(log: LogRef, range: LogRange, limit: PageLimit): Promise<LogPage>;
  /**
   * Notes how far a device is. Written with the next group, or soon; never waits. A lost note costs
   * a longer replay of what the device then reports as duplicates, never a message. "fenced": a
   * newer attachment of the device exists, and the note has no effect. Never rejects. What is
   * perishable is gone from here on for a device that has passed it, and erased by `sweep`.
   */
  advance(position: DevicePosition): Promise<AdvanceOutcome>;
  /** As {@link advance}, of several devices at once, and durable when it resolves. */
  keep(positions: readonly DevicePosition[]): Promise<void>;
  /**
   * Erases for good what is perishable and was passed, has expired, or whose device was taken out,
   * what entries were that have expired, and entries that are older than a store keeps. To be
   * called again and again: nothing else erases.
   */
  sweep(): Promise<void>;
  /**
   * Calls back after a timeline has grown durably. A hint: may come late, doubled or not at all.
   */
  watch(user: UserRef, woken: (head: number) => void): () => void;
  /** Calls back after any log has grown durably. A hint likewise. */
  watchLogs(grown: (log: LogRef, head: number) => void): () => void;
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

const UNNUMBERED = "!";

/** A log whose entries have no number that anybody is told: 0 stands for it. */
export function unnumberedLogRefOf(tenant: string, name: string): LogRef {
  return `${tenant}/${UNNUMBERED}${name}` as LogRef;
}

/** The number of a log's entry, as it is told. */
export function toldSeq(log: LogRef, seq: number): number {
  return log[log.indexOf("/") + 1] === UNNUMBERED ? 0 : seq;
}

/** The name of a log whose numbers are told; undefined of another one. */
export function toldName(log: LogRef): string | undefined {
  return toldSeq(log, 1) === 0 ? undefined : log.slice(log.indexOf("/") + 1);
}

/** A document within its tenant: `tenant/name`. */
export type DocumentRef = string & { readonly [documentRef]: true };
declare const documentRef: unique symbol;

export function documentRefOf(tenant: string, name: string): DocumentRef {
  return `${tenant}/${name}` as DocumentRef;
}

/** The one of several documents that is of a number. */
export function documentNumbered(ref: DocumentRef, seq: number): DocumentRef {
  return `${ref}${seq}` as DocumentRef;
}

/** Bytes with a count of their changes. */
export interface StoredDocument {
  /** Rises by one with each change. 0: there is none. */
  readonly revision: number;
  readonly bytes: Uint8Array;
}

export const NO_DOCUMENT: StoredDocument = { revision: 0, bytes: new Uint8Array(0) };

export interface DeviceRef {
  readonly user: UserRef;
  readonly deviceId: string;
}

/** How many devices a user may have that are not ended, where nobody says otherwise. [DEV-8] */
export const DEVICES_MAX = 64;

/** What a store knows of a device, but for its submits. [DEV-1] */
export interface KnownDevice {
  readonly deviceId: string;
  /** Of its last attachment in force. */
  readonly generation: number;
  /** The timeline number that it reported last. */
  readonly deliveredThrough: number;
  /** 0: it never was. */
  readonly firstAttachedMs: number;
  readonly lastAttachedMs: number;
  /** For ever. */
  readonly isEnded: boolean;
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
  /** 32 bytes; none of a device that was ended, whose key says who has to be told so. [DEV-6] */
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
  /**
   * Enters the user's timeline with the first attachment of the device that is in force, unless the
   * user has never attached with another one: in the same commit, so once. [DEV-13]
   */
  readonly announces?: Announcement | undefined;
}

export interface Announcement {
  readonly log: LogRef;
  readonly event: Uint8Array;
}

export interface AttachOutcome {
  /**
   * "overtaken": another attachment came into force since, or an older one still committed: what
   * was prepared is not true any more. The older ones are fenced off all the same. "ended":
   * the device was. [DEV-6]
   */
  readonly kind: "attached" | "overtaken" | "ended";
  /** The device's generation from now on: everything below it is fenced off. */
  readonly generation: number;
}

export type AdvanceOutcome = "noted" | "fenced" | "ended";

export interface PlanningReads {
  readonly users: readonly UserRef[];
  readonly documents?: readonly DocumentRef[];
  readonly entries?: readonly EntryRef[];
  /** Logs whose newest number is asked for. */
  readonly heads?: readonly LogRef[];
  /** Logs of which is asked what has expired. */
  readonly expired?: readonly LogRef[];
  readonly devices?: readonly DeviceRef[];
}

/** Whether a device may attach. */
export interface DeviceStanding extends DeviceRef {
  readonly isEnded: boolean;
}

/** An entry of a log. */
export interface EntryRef {
  readonly log: LogRef;
  readonly seq: number;
}

/** For maps. */
export function entryName({ log, seq }: EntryRef): string {
  return `${log}\0${seq}`;
}

export interface LogEntry {
  readonly committedMs: number;
  /** The encoded event, as it is now. */
  readonly event: Uint8Array;
}

export interface LogRange {
  readonly from: number;
  /** Inclusive. */
  readonly through: number;
  /** The page ends at `through` and not at its limit: the newest entries, in order all the same. */
  readonly fromEnd?: boolean;
}

/** Where a part of a timeline is. */
export interface TimelineRuns {
  readonly bounds: TimelineBounds;
  /** Contiguous, as the entries of a {@link TimelinePage}. */
  readonly runs: readonly LogRun[];
}

/** Neighbours in a timeline that are neighbours in a log. */
export interface LogRun {
  /** In the timeline. */
  readonly firstSeq: number;
  readonly log: LogRef;
  readonly firstLogSeq: number;
  readonly count: number;
}

export interface LogPage {
  /** The number of the log's newest entry; 0: none. */
  readonly head: number;
  /** The number of the oldest entry that is kept; above the head: none is. */
  readonly floor: number;
  readonly entries: readonly (LogEntry & { readonly seq: number })[];
}

export interface PlanningState {
  readonly knownUsers: ReadonlySet<UserRef>;
  /** Those asked for that exist. */
  readonly documents: ReadonlyMap<DocumentRef, StoredDocument>;
  /** Those asked for that exist, by {@link entryName}. */
  readonly entries: ReadonlyMap<string, LogEntry>;
  /** 0: the log is empty. */
  readonly heads: ReadonlyMap<LogRef, number>;
  /** Of the same logs, the first number that is kept. */
  readonly floors?: ReadonlyMap<LogRef, number>;
  /** The numbers of entries that have expired, and whose marks are not set yet. */
  readonly expired?: ReadonlyMap<LogRef, NumberSet>;
  /** Those asked for that exist. */
  readonly devices?: readonly DeviceStanding[];
  /** By the clock that judges what has expired. */
  readonly nowMs: number;
}

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
  /** Without it, a batch whose plans do not hold any more is stale. */
  readonly replanning?: Replanning | undefined;
}

/**
 * How to plan anew where a plan's precondition does not hold any more: within the commit, on what
 * it is to change, so that nothing comes between, and nobody is kept out by what others commit.
 * [CNV-88]
 */
export interface Replanning {
  readonly reads: PlanningReads;
  /**
   * Pure, and called once at most.
   *
   * @param fresh the submits of the batch that were not committed before
   */
  plan(state: PlanningState, fresh: readonly PlannedSubmit[]): readonly PlannedSubmit[];
}

export type CommitOutcome =
  | { readonly kind: "committed"; readonly receipt: Durable<Receipt> }
  /** A newer attachment of the device exists. */
  | { readonly kind: "fenced" }
  /** The device was ended. [DEV-5] */
  | { readonly kind: "ended" }
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
