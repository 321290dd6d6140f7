import { indexFrameBytes } from "../../protocol/frames.ts";
import { INDEX_CONVERSATIONS_MAX, INDEX_EVENTS_MAX } from "../../protocol/limits.ts";
import {
  intersection,
  NO_NUMBERS,
  NUMBER_SET_RANGES_MAX,
  type NumberSet,
  numbersFrom,
  union,
  without,
} from "../../protocol/number-set.ts";
import type { FlowWindow } from "../../protocol/session/flow.ts";
import { indexBytes, type TimelineIndex, writeIndex } from "../../protocol/timeline-index.ts";
import { indexReads, type ToldByNumber, toldByNumber } from "../operations/indexed.ts";
import type { Sender } from "../operations/plan.ts";
import {
  type LogRef,
  type LogRun,
  type Store,
  type TimelinePage,
  toldName,
  userRefOf,
} from "../store/store.ts";

/** The most events that an index tells whole, and that it covers: bounds the work of one turn. */
const WHOLE_EVENTS_MAX = 512;
const EVENTS_MAX = Math.min(16_384, INDEX_EVENTS_MAX);

/** A part of the timeline that is told in one way. */
interface Part {
  readonly firstSeq: number;
  readonly count: number;
  /** Undefined: its events are told whole. */
  readonly messages: { readonly conversationId: string; readonly first: number } | undefined;
}

/**
 * Reads a part of a timeline without what its messages say. Where the first events there have to be
 * told whole, the page has those and no index. [CAT-3] [CAT-4]
 */
export async function loadIndexPage(
  store: Pick<Store, "loadRuns" | "loadForPlanning" | "loadTimeline">,
  sender: Sender,
  asked: { readonly after: number; readonly limit: FlowWindow; readonly frameBytes: number },
): Promise<TimelinePage> {
  const { after, limit } = asked;
  const user = userRefOf(sender.tenant, sender.userId);
  const { bounds, runs: all } = await store.loadRuns(user, after, EVENTS_MAX);
  const firstSeq = after + 1;
  if (firstSeq < bounds.floor) return { bounds, entries: [] };
  const { runs, names } = runsWithin(all);
  const ids = [...names.values()];
  const state = await store.loadForPlanning(indexReads(sender, ids));
  const told = new Map(ids.map((id) => [id, toldByNumber(sender, id, state)]));
  const parts = partsOf(runs, { names, told });
  const wholeParts = parts.filter(({ messages }) => messages === undefined);
  const ranges = wholeParts.map((part) => ({ from: part.firstSeq, through: lastOf(part) }));
  const whole: NumberSet = union(ranges, NO_NUMBERS);
  const page = { count: WHOLE_EVENTS_MAX, bytes: limit.bytes };
  const loaded = await store.loadTimeline(user, whole, page, sender.deviceId);
  const { entries } = loaded;
  const last = parts.at(-1);
  // Retention may have come between: then the session has to end, or there is nothing new. [RES-4]
  if (last === undefined || loaded.bounds.floor > firstSeq) {
    return { bounds: loaded.bounds, entries: [] };
  }
  const missing = without(whole, numbersFrom(1, entries.at(-1)?.seq ?? 0))[0]?.from;
  const through = missing === undefined ? lastOf(last) : missing - 1;
  const index = largest({ parts, told, events: entries, firstSeq, through }, asked);
  if (index.conversations.length === 0) return { bounds, entries: index.events };
  return { bounds, index, entries: [] };
}

type Names = ReadonlyMap<LogRef, string>;

/** As many as name no more conversations than an index may. */
function runsWithin(all: readonly LogRun[]): { runs: readonly LogRun[]; names: Names } {
  const names = new Map<LogRef, string>();
  const unnamed = new Set<LogRef>();
  for (const [at, { log }] of all.entries()) {
    if (names.has(log) || unnamed.has(log)) continue;
    const name = toldName(log);
    if (name === undefined) unnamed.add(log);
    else if (names.size === INDEX_CONVERSATIONS_MAX) return { runs: all.slice(0, at), names };
    else names.set(log, name);
  }
  return { runs: all, names };
}

/** What is known of the conversations of a stretch. */
interface Known {
  readonly names: Names;
  readonly told: ReadonlyMap<string, ToldByNumber>;
}

/** In order, up to where too many would have to be told whole; one at least. */
function partsOf(runs: readonly LogRun[], known: Known): Part[] {
  const parts: Part[] = [];
  let wholeCount = 0;
  for (const run of runs) {
    for (const part of partsOfRun(run, known)) {
      if (part.messages === undefined) wholeCount += part.count;
      parts.push(part);
      if (wholeCount >= WHOLE_EVENTS_MAX) return parts;
    }
  }
  return parts;
}

function* partsOfRun(run: LogRun, { names, told }: Known): Iterable<Part> {
  const { firstSeq, firstLogSeq, log } = run;
  const conversationId = names.get(log);
  const numbers = told.get(conversationId ?? "")?.numbers ?? NO_NUMBERS;
  if (conversationId === undefined || numbers.length === 0) {
    yield { firstSeq, count: run.count, messages: undefined };
    return;
  }
  const own = numbersFrom(firstLogSeq, firstLogSeq + run.count - 1);
  const parts = [
    ...intersection(own, numbers).map((range) => ({ ...range, byNumber: true })),
    ...without(own, numbers).map((range) => ({ ...range, byNumber: false })),
  ].sort((a, b) => a.from - b.from);
  for (const { from, through, byNumber } of parts) {
    yield {
      firstSeq: firstSeq + from - firstLogSeq,
      count: through - from + 1,
      messages: byNumber ? { conversationId, first: from } : undefined,
    };
  }
}

function lastOf({ firstSeq, count }: Part): number {
  return firstSeq + count - 1;
}

interface Material {
  readonly parts: readonly Part[];
  readonly told: ReadonlyMap<string, ToldByNumber>;
  readonly events: TimelinePage["entries"];
  readonly firstSeq: number;
  readonly through: number;
}

/** The index of as much as there is room for; one event at least. */
function largest(
  material: Material,
  { limit, frameBytes }: { readonly limit: FlowWindow; readonly frameBytes: number },
): TimelineIndex {
  let { through } = material;
  for (;;) {
    const index = indexThrough(material, through);
    if (through <= material.firstSeq) return index;
    const plain = writeIndex(index);
    const fits = indexBytes(plain) <= limit.bytes && indexFrameBytes(plain) <= frameBytes;
    if (fits && isBounded(index)) return index;
    through = material.firstSeq + Math.floor((through - material.firstSeq) / 2);
  }
}

function isBounded({ conversations }: TimelineIndex): boolean {
  return conversations.every(({ told, read }) => {
    return told.length <= NUMBER_SET_RANGES_MAX && read.length <= NUMBER_SET_RANGES_MAX;
  });
}

function indexThrough({ parts, told, events, firstSeq }: Material, through: number): TimelineIndex {
  const ranges = new Map<string, { from: number; through: number }[]>();
  for (const part of parts) {
    if (part.firstSeq > through || part.messages === undefined) continue;
    const { conversationId, first } = part.messages;
    const last = first + Math.min(part.count, through - part.firstSeq + 1) - 1;
    const known = ranges.get(conversationId) ?? [];
    ranges.set(conversationId, known);
    known.push({ from: first, through: last });
  }
  const conversations = [...ranges]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([conversationId, own]) => {
      const numbers = union(own, NO_NUMBERS);
      const [from, last] = [numbers[0]?.from ?? 1, numbers.at(-1)?.through ?? 0];
      const read = told.get(conversationId)?.read ?? NO_NUMBERS;
      return { conversationId, told: numbers, read: intersection(read, numbersFrom(from, last)) };
    });
  const whole = events.filter(({ seq }) => seq <= through);
  return { firstSeq, seq: through, conversations, events: whole };
}
