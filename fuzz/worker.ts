import { canary } from "./properties/canary.ts";
import type { Outcome, RunParameters } from "./property.ts";
import { PROPERTIES } from "./table.ts";

/** What a worker is asked to run: cases of one property from one seed. */
export interface Batch extends RunParameters {
  readonly name: string;
}

/** What came of a batch; a message between processes. */
export interface BatchOutcome extends Omit<Outcome, "seen"> {
  readonly name: string;
  readonly seen: readonly (readonly [string, number])[];
  readonly ms: number;
}

async function work(batch: Batch): Promise<BatchOutcome> {
  const property = [...PROPERTIES, canary].find(({ name }) => name === batch.name);
  if (property === undefined) throw new TypeError(`no property ${batch.name}`);
  const startedMs = performance.now();
  const { runCount, seen, failure } = await property.run(batch);
  const ms = performance.now() - startedMs;
  const { name } = batch;
  return { name, runCount, seen: [...seen], ms, ...(failure === undefined ? {} : { failure }) };
}

if (process.send !== undefined) {
  process.on("message", async (batch: Batch) => process.send?.(await work(batch)));
  process.on("disconnect", () => process.exit());
}
