import { create } from "@bufbuild/protobuf";
import {
  type HistoryEntry,
  HistoryEntrySchema,
  type HistoryService,
} from "../../gen/posthorn/v1/history_pb.ts";
import { messageIn } from "../operations/entries.ts";
import { isGone } from "../operations/lifetimes.ts";
import { todoRef } from "../operations/read-state.ts";
import { todoIn } from "../operations/todos.ts";
import { documentsIn } from "../store/documents.ts";
import type { LogPage, LogRange, Store } from "../store/store.ts";
import type { Caller } from "./access.ts";
import { type Place, pageBytesMax, pageCount, placeIn, staysIn, visibleSeq } from "./place.ts";
import type { Implementation } from "./service.ts";

const PAGE_COUNT = { usual: 50, most: 200 };
const AROUND_COUNT = { usual: 25, most: 100 };

type Reads = Pick<Store, "loadForPlanning" | "loadLog">;
type Entries = LogPage["entries"];

/** Answers what was said, to whom may read it. [SVC-11] to [SVC-14] */
export function history(
  store: Reads,
  limits: { readonly frameBytes: number },
): Implementation<typeof HistoryService> {
  const bytesMax = pageBytesMax(limits);
  return {
    listMessages: async (request, caller) => {
      const place = await placeIn(store, caller, request.conversationId);
      const { visibleFrom, head, floor, log } = place;
      const limit = {
        count: pageCount(request.countMax, PAGE_COUNT.usual, PAGE_COUNT.most),
        bytes: pageCount(request.bytesMax, bytesMax, bytesMax),
      };
      const range = rangeOf(request.position, place);
      const { entries } = await store.loadLog(log, range, limit);
      const [first, last] = [entries[0]?.seq ?? 0, entries.at(-1)?.seq ?? 0];
      const next = range.fromEnd ? nextBefore(first, visibleFrom) : nextAfter(last, head);
      const shown = await marked(store, caller, place, told(entries));
      await staysIn(store, caller, place);
      const bounds = { head: BigInt(head), floor: BigInt(floor) };
      return { entries: shown, next: BigInt(next), ...bounds };
    },

    listMessagesAround: async (request, caller) => {
      const place = await placeIn(store, caller, request.conversationId);
      const seq = visibleSeq(place, request.conversationSeq);
      const count = pageCount(request.countMax, AROUND_COUNT.usual, AROUND_COUNT.most);
      const { below, above } = await around(store, place, { seq, count, bytesMax });
      const entries = await marked(store, caller, place, told([...below, ...above]));
      await staysIn(store, caller, place);
      return {
        entries,
        nextBefore: BigInt(nextBefore(below[0]?.seq ?? 0, place.visibleFrom)),
        nextAfter: BigInt(nextAfter(above.at(-1)?.seq ?? seq, place.head)),
        head: BigInt(place.head),
        floor: BigInt(place.floor),
      };
    },

    findMessageByDate: async (request, caller) => {
      const place = await placeIn(store, caller, request.conversationId);
      const found = await firstSince(store, place, Number(request.fromMs));
      const [entry] = await marked(store, caller, place, found === undefined ? [] : [found]);
      await staysIn(store, caller, place);
      return entry === undefined ? {} : { entry };
    },
  };
}

/** With what members say of messages, read after these: of one that is recalled, none. [CNV-82] */
async function marked(
  store: Reads,
  { tenant }: Caller,
  { conversation: { id } }: Place,
  entries: readonly HistoryEntry[],
): Promise<HistoryEntry[]> {
  const refOf = ({ conversationSeq }: HistoryEntry) => todoRef(tenant, id, Number(conversationSeq));
  const { documents } = await store.loadForPlanning({ users: [], documents: entries.map(refOf) });
  const read = documentsIn(documents);
  return entries.map((entry) => {
    // Of what has expired it is there until it is erased.
    const isThere = entry.message !== undefined && !isGone(entry.message);
    const todo = isThere ? todoIn(read(refOf(entry))) : undefined;
    return todo === undefined ? entry : { ...entry, todo };
  });
}

/** The newest message that a caller may read, however large. */
export async function lastMessage(
  store: Reads,
  caller: Caller,
  place: Place,
): Promise<HistoryEntry | undefined> {
  const range = { from: place.visibleFrom, through: place.head, fromEnd: true };
  const { entries } = await store.loadLog(place.log, range, { count: 1, bytes: 0 });
  const [last] = await marked(store, caller, place, told(entries));
  return last;
}

/** What a page is of. Nothing newer than the caller's place: it may have left since. [SVC-11] */
function rangeOf(
  position: { readonly case?: string | undefined; readonly value?: bigint | undefined },
  { visibleFrom, head }: Place,
): LogRange {
  const value = Number(position.value ?? 0);
  if (position.case === "after") return { from: Math.max(value + 1, visibleFrom), through: head };
  const through = position.case === "before" ? Math.min(value - 1, head) : head;
  return { from: visibleFrom, through, fromEnd: true };
}

function nextBefore(first: number, visibleFrom: number): number {
  return first > visibleFrom ? first : 0;
}

function nextAfter(last: number, head: number): number {
  return last > 0 && last < head ? last : 0;
}

/** A message with those before it, and those after it, together within a page's bytes. */
async function around(
  store: Reads,
  { visibleFrom, head, log }: Place,
  asked: { readonly seq: number; readonly count: number; readonly bytesMax: number },
): Promise<{ readonly below: Entries; readonly above: Entries }> {
  const { seq, count, bytesMax } = asked;
  const downwards = { from: visibleFrom, through: seq, fromEnd: true };
  // Half of the room for either side.
  const belowLimit = { count: count + 1, bytes: Math.floor(bytesMax / 2) };
  const { entries: below } = await store.loadLog(log, downwards, belowLimit);
  const bytes = bytesMax - bytesOf(below);
  const upwards = { from: seq + 1, through: head };
  const { entries: above } = await store.loadLog(log, upwards, { count, bytes });
  // A page of the store holds one entry however large.
  return { below, above: bytesOf(above) <= bytes ? above : [] };
}

function bytesOf(entries: Entries): number {
  return entries.reduce((sum, { event }) => sum + event.length, 0);
}

/**
 * By halving, since numbers and times rise together. Where the clock was set back they do not: then
 * it is one of the places where the time begins. [SVC-14]
 */
async function firstSince(
  store: Reads,
  { visibleFrom, head, log }: Place,
  fromMs: number,
): Promise<HistoryEntry | undefined> {
  let [low, high] = [visibleFrom, head + 1];
  let found: HistoryEntry | undefined;
  while (low < high) {
    const seq = Math.floor((low + high) / 2);
    const { entries } = await store.loadLog(
      log,
      { from: seq, through: seq },
      { count: 1, bytes: 0 },
    );
    const [entry] = entries;
    if (entry !== undefined && entry.committedMs >= fromMs) {
      high = seq;
      found = told(entries)[0];
    } else {
      low = seq + 1;
    }
  }
  return found;
}

function told(entries: Entries): HistoryEntry[] {
  return entries.flatMap(({ seq, committedMs, event }) => {
    const message = messageIn(event);
    if (message === undefined) return [];
    const place = { conversationSeq: BigInt(seq), committedMs: BigInt(committedMs) };
    return [create(HistoryEntrySchema, { ...place, message })];
  });
}
