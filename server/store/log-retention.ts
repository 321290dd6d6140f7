import { type DocumentRef, type LogRef, toldSeq } from "./store.ts";

/**
 * How long entries of logs are kept whose numbers are told. What is older goes for good, in whole
 * records and from the front: the log's floor rises.
 */
export interface LogRetention {
  /** Since their commit, milliseconds. 0: for ever. */
  readonly keptMs: number;
  /** What timelines are given in place of an entry that went, whenever that was. */
  readonly eventOf: (log: LogRef) => Uint8Array;
  /** The names of documents that go with an entry, each without the entry's number at its end. */
  readonly clearsOf: (log: LogRef) => readonly DocumentRef[];
}

export const NO_RETENTION: LogRetention = {
  keptMs: 0,
  eventOf: () => new Uint8Array(0),
  clearsOf: () => [],
};

/** A log of which the entries below a number are to go. */
export interface LogCut {
  readonly log: LogRef;
  /** The first that stays. */
  readonly floor: number;
}

/** What is committed before, goes; undefined: nothing does. */
export function cutoffMs({ keptMs }: LogRetention, nowMs: number): number | undefined {
  return keptMs === 0 ? undefined : nowMs - keptMs;
}

/** Whether the numbers of a log's entries are told to anybody. */
export function isNumbered(log: LogRef): boolean {
  return toldSeq(log, 1) === 1;
}
