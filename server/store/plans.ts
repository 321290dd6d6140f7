import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { NumberSet } from "../../protocol/number-set.ts";
import type { DeviceRef, DocumentRef, EntryRef, LogRef, UserRef } from "./store.ts";

/** What an operation decided: pure data, without numbers, which only the commit can give. */
export type Plan = RefusePlan | AppendPlan | RepeatPlan;

export interface RefusePlan {
  readonly kind: "refuse";
  readonly code: ErrorCode;
  /** As its result says. */
  readonly retryAfterMs?: number;
  /** What the refusal relied on. Precondition: it is still so. */
  readonly requires?: readonly DocumentRevision[];
  /** Likewise. */
  readonly requiresEntries?: readonly EntryContent[];
}

/** What an entry is, or is to be. */
export interface EntryContent extends EntryRef {
  readonly event: Uint8Array;
}

export interface AppendPlan extends PlannedChanges {
  readonly kind: "append";
  readonly log: LogRef;
  /** The encoded event, stored once. */
  readonly event: Uint8Array;
  readonly expiry?: EntryExpiry;
}

/** An entry that is another one from some time on. */
export interface EntryExpiry {
  /** By the store's clock. */
  readonly expiresMs: number;
  /** What the entry is then: timelines get nothing. */
  readonly event: Uint8Array;
  /** Sets of numbers that get the entry's own, when it is swept. */
  readonly marks: readonly DocumentRef[];
  /** The names of documents that are emptied then, each without the entry's number at its end. */
  readonly clears: readonly DocumentRef[];
}

/** What takes an entry's place. It expires as what it was would have. */
export interface EntryReplacement extends EntryContent {
  /** It does not expire any more. */
  readonly endsExpiry?: boolean;
}

/** An entry that is there already comes into timelines once more: it is another one now. */
export interface RepeatPlan extends PlannedChanges {
  readonly kind: "repeat";
  readonly entry: EntryRef;
}

export interface PlannedChanges {
  /** Whose timelines get an entry; without repeats. Precondition: all exist. */
  readonly timelines: readonly UserRef[];
  /** Precondition: these documents have these revisions. */
  readonly requires?: readonly DocumentRevision[];
  /** Precondition: these entries are as they were planned on. */
  readonly requiresEntries?: readonly EntryContent[];
  /** Precondition: these logs have not grown. */
  readonly requiresHeads?: readonly { readonly log: LogRef; readonly head: number }[];
  /** Entries that get another content, and lose theirs for good; what they were is required. */
  readonly replaces?: readonly EntryReplacement[];
  /** Documents that get new bytes: who relied on what they had requires their revisions. */
  readonly puts?: readonly { readonly ref: DocumentRef; readonly bytes: Uint8Array }[];
  /** Documents that are lists of names and get one more. */
  readonly adds?: readonly NameAddition[];
  /** Documents that are lists of names and lose one. */
  readonly drops?: readonly NameRemoval[];
  /** Documents that are sets of numbers and get more. */
  readonly marks?: readonly NumberAddition[];
  /** For one device, in place of the event, for a while. */
  readonly perishable?: PerishableContent;
  /** Devices whose perishable content is erased. */
  readonly erases?: readonly DeviceRef[];
  /**
   * Devices that end for ever, and what they have at the store with them: what they registered
   * with, their results, their perishable content. Precondition: all exist and were not ended. What
   * follows in the batch of one that ends itself has no effect. [DEV-4]
   */
  readonly ends?: readonly DeviceRef[];
}

export interface DocumentRevision {
  readonly ref: DocumentRef;
  readonly revision: number;
}

/** Asks for no revision: additions do not disturb each other. */
export interface NameAddition {
  readonly ref: DocumentRef;
  /**
   * Without line feeds. One that is listed is renewed when it is of the older half: so that who is
   * active stays, and not every mention changes the document.
   */
  readonly name: string;
  /** The oldest go first. */
  readonly countMax: number;
}

/** Asks for no revision, as {@link NameAddition}. */
export interface NameRemoval {
  readonly ref: DocumentRef;
  readonly name: string;
}

/** Asks for no revision: sets only grow. */
export interface NumberAddition {
  readonly ref: DocumentRef;
  /** "own": the number that the plan's own entry gets in its log. */
  readonly numbers: NumberSet | "own";
}

export interface PerishableContent {
  /** Of one of the plan's timelines. */
  readonly device: DeviceRef;
  /** What this device reads in place of the plan's event. */
  readonly event: Uint8Array;
  readonly expiresMs: number;
  /** In all of which there has to be room. */
  readonly queues: readonly PerishableQueue[];
  /** The outcome where there is none. */
  readonly full: ErrorCode;
}

/** What waits for one device, or a part of it, and how much that may be. */
export interface PerishableQueue {
  readonly name: string;
  readonly countMax: number;
  readonly bytesMax: number;
  /**
   * The queue is not one device's: it counts what waits under this name for all devices. It may
   * have one part in so many of the room that the store has left, so that who comes later always
   * finds some, however many fill it. (Choudhury and Hahne, "Dynamic queue length thresholds",
   * 1998.)
   */
  readonly shareOf?: number;
}
