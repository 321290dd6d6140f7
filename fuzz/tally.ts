import type { Failure, Property } from "./property.ts";
import type { BatchOutcome } from "./worker.ts";

/** What became of one property over a whole run. */
export interface Tally {
  readonly property: Property;
  readonly seen: Map<string, number>;
  runCount: number;
  /** Time of all processes together. */
  ms: number;
  failure?: Failure;
}

export function newTally(property: Property): Tally {
  return { property, seen: new Map(), runCount: 0, ms: 0 };
}

export function add(tally: Tally, outcome: BatchOutcome): void {
  tally.runCount += outcome.runCount;
  tally.ms += outcome.ms;
  for (const [kind, count] of outcome.seen) {
    tally.seen.set(kind, (tally.seen.get(kind) ?? 0) + count);
  }
  if (outcome.failure !== undefined) tally.failure = outcome.failure;
}

/** What should have been exercised and was not. */
export function unseen({ property, seen }: Tally): string[] {
  return property.kinds.filter((kind) => !seen.has(kind));
}

/** Cases a second of one process. */
export function rate({ runCount, ms }: Tally): number {
  return ms === 0 ? 0 : Math.round((runCount / ms) * 1000);
}

export function tallyJson(tally: Tally, jobCount: number): string {
  const { property, runCount, ms, seen, failure } = tally;
  return JSON.stringify({
    property: property.name,
    runs: runCount,
    runsPerSecond: rate(tally) * jobCount,
    seconds: Math.round(ms / 100) / 10 / jobCount,
    kinds: `${property.kinds.length - unseen(tally).length}/${property.kinds.length}`,
    unseen: unseen(tally),
    seen: Object.fromEntries([...seen].sort(([a], [b]) => (a < b ? -1 : 1))),
    ...(failure === undefined ? {} : { failed: failure.error.split("\n")[0] }),
  });
}

export function tallyTable(tallies: readonly Tally[], jobCount: number): string {
  const rows = tallies.map((tally) => {
    const { property, runCount, failure } = tally;
    const { length } = property.kinds;
    const kinds = length === 0 ? "" : `${length - unseen(tally).length} of ${length} kinds`;
    const state = failure === undefined ? "ok" : "FAILED";
    const perSecond = `${(rate(tally) * jobCount).toLocaleString("en")}/s`;
    return [state, property.name, runCount.toLocaleString("en"), perSecond, kinds];
  });
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  return rows
    .map(([state = "", name = "", runs = "", perSecond = "", kinds = ""]) =>
      [
        state.padEnd(widths[0] as number),
        name.padEnd(widths[1] as number),
        runs.padStart(widths[2] as number),
        perSecond.padStart(widths[3] as number),
        kinds,
      ]
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
