import { entryAt } from "./expiries.ts";
import type { DurableView } from "./group.ts";
import { entryName, type LogEntry, type PlanningReads, type PlanningState } from "./store.ts";

/** What planners ask for, from what is durable, or will be with a group. */
export function planningState(
  view: Omit<DurableView, "devices" | "perishables">,
  reads: PlanningReads,
  nowMs: number,
): PlanningState {
  const { users, documents = [], entries: refs = [], heads = [], devices = [] } = reads;
  const { expired = [] } = reads;
  const entries = new Map<string, LogEntry>();
  for (const ref of refs) {
    const stored = view.entry(ref);
    if (stored === undefined) continue;
    const entry = entryAt(stored, nowMs);
    // A copy: what is replaced meanwhile is written over in place.
    entries.set(entryName(ref), { ...entry, event: Uint8Array.from(entry.event) });
  }
  return {
    knownUsers: new Set(users.filter((user) => view.bounds(user) !== undefined)),
    documents: new Map(documents.map((ref) => [ref, view.document(ref)])),
    entries,
    heads: new Map(heads.map((log) => [log, view.logHead(log)])),
    floors: new Map(heads.map((log) => [log, view.logFloor(log)])),
    expired: new Map(expired.map((log) => [log, view.expiredIn(log, nowMs)])),
    devices: devices.flatMap((device) => {
      const record = view.device(device);
      return record === undefined ? [] : [{ ...device, isEnded: record.isEnded }];
    }),
    nowMs,
  };
}
