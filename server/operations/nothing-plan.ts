import type { AppendPlan, PlannedChanges } from "../store/plans.ts";
import type { LogRef } from "../store/store.ts";

/** Taken, but there is nothing to change, and nobody to tell: it is so already. */
export function nothingPlan(
  log: LogRef,
  reliedOn: Pick<PlannedChanges, "requires" | "requiresEntries">,
): AppendPlan {
  return { kind: "append", log, event: new Uint8Array(0), timelines: [], ...reliedOn };
}
