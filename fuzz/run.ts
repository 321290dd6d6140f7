import { relative } from "node:path";
import { readCase, writeCase } from "./case-file.ts";
import { type FuzzOptions, fuzzOptions, HELP } from "./options.ts";
import type { Failure, Property } from "./property.ts";
import { add, newTally, type Tally, tallyJson, tallyTable, unseen } from "./tally.ts";
import type { Batch, BatchOutcome } from "./worker.ts";
import { workOff } from "./workers.ts";

/** One batch is so short that a failure shows soon, and so long that starting it costs nothing. */
const BATCH_MS = 2_000;
const BATCH_RUNS = 1_000_000;
/** Shrinking a failure may take long; a case that never ends is a failure too. */
const BATCH_TIMEOUT_MS = 180_000;

async function main(args: readonly string[]): Promise<number> {
  const options = fuzzOptions(args);
  switch (options.action) {
    case "help":
      process.stdout.write(HELP);
      return 0;
    case "list":
      for (const property of options.properties) process.stdout.write(listed(property, options));
      return 0;
    case "replay":
      process.stdout.write(await traceOf(options));
      return 0;
    case "fuzz":
      return await fuzz(options);
  }
}

function listed({ name, title }: Property, { json }: FuzzOptions): string {
  if (!json) return `${name}\n    ${title}\n`;
  const requirements = [...title.matchAll(/\[([A-Z]{3}-\d+)\]/g)].map((match) => match[1]);
  const pitfalls = [...title.matchAll(/\bP\d+\b/g)].map(([pitfall]) => pitfall);
  return `${JSON.stringify({ name, title, requirements, pitfalls })}\n`;
}

async function traceOf({ replay, properties }: FuzzOptions): Promise<string> {
  const drawn = /^(-?\d+):([\d:]+)$/.exec(replay);
  if (drawn === null) {
    const kept = readCase(replay);
    const property = properties.find(({ name }) => name === kept.property);
    if (property === undefined) throw new TypeError(`${replay}: no property ${kept.property}`);
    return await property.trace(kept.input);
  }
  const [property, another] = properties;
  if (property === undefined || another !== undefined) {
    throw new TypeError("--replay SEED:PATH needs an --only that names one property");
  }
  const at = { seed: Number(drawn[1]), path: drawn[2] as string };
  return await property.trace(property.caseAt(at));
}

async function fuzz(options: FuzzOptions): Promise<number> {
  const { jobCount, properties } = options;
  const tallies = properties.map(newTally);
  const show = progress(tallies, options);
  await workOff({
    jobCount,
    batchTimeoutMs: BATCH_TIMEOUT_MS,
    next: batches(tallies, options),
    done: (outcome) => {
      add(tallies.find(({ property }) => property.name === outcome.name) as Tally, outcome);
      show(outcome);
    },
  });
  process.stderr.write(process.stderr.isTTY ? "\r\x1b[K" : "");
  return report(tallies, options);
}

/** Properties in turn, each batch with the next seed, until time or runs are used up. */
function batches(tallies: readonly Tally[], options: FuzzOptions): () => Batch | undefined {
  const { seed, path, runs, seconds } = options;
  const endMs = performance.now() + seconds * 1000;
  const asked = new Map<string, number>();
  const order = inTurns(tallies);
  let turn = 0;
  return () => {
    for (let tried = 0; tried < order.length; tried += 1, turn += 1) {
      const { property, failure } = order[turn % order.length] as Tally;
      const { name } = property;
      const count = asked.get(name) ?? 0;
      const isOver = runs === undefined ? performance.now() >= endMs : count > 0;
      if (failure !== undefined || (count > 0 && (isOver || path !== undefined))) continue;
      turn += 1;
      asked.set(name, count + 1);
      const limitMs = Math.max(1, Math.min(BATCH_MS, endMs - performance.now()));
      return {
        name,
        seed: seed + count,
        numRuns: runs ?? BATCH_RUNS,
        ...(path === undefined ? {} : { path }),
        ...(runs === undefined && path === undefined ? { limitMs } : {}),
      };
    }
    return undefined;
  };
}

/** First each once, then the further turns of those that have more. */
function inTurns(tallies: readonly Tally[]): readonly Tally[] {
  const most = Math.max(...tallies.map(({ property }) => property.turns));
  return Array.from({ length: most }, (_, turn) =>
    tallies.filter(({ property }) => property.turns > turn),
  ).flat();
}

/** One line that is written over again and again, where somebody looks. */
function progress(
  tallies: readonly Tally[],
  { seconds, json }: FuzzOptions,
): (outcome: BatchOutcome) => void {
  const startedMs = performance.now();
  return ({ name }) => {
    if (!process.stderr.isTTY || json) return;
    const passedS = (performance.now() - startedMs) / 1000;
    const runCount = tallies.reduce((sum, tally) => sum + tally.runCount, 0);
    const kinds = tallies.flatMap(({ property }) => property.kinds).length;
    const left = tallies.flatMap(unseen).length;
    const text = [
      `${Math.round(passedS)} of ${seconds} s`,
      `${runCount.toLocaleString("en")} cases, ${Math.round(runCount / passedS)}/s`,
      `${kinds - left} of ${kinds} kinds of faults, transitions and codes`,
      name,
    ].join(" · ");
    process.stderr.write(`\r\x1b[K${text}`);
  };
}

function report(tallies: readonly Tally[], options: FuzzOptions): number {
  const { json, jobCount, seed } = options;
  if (!json) process.stdout.write(`${tallyTable(tallies, jobCount)}\n`);
  for (const tally of tallies) {
    if (json) process.stdout.write(`${tallyJson(tally, jobCount)}\n`);
    const left = unseen(tally);
    if (!json && left.length > 0) {
      process.stdout.write(`${tally.property.name} has not seen: ${left.join(", ")}\n`);
    }
    if (tally.failure !== undefined) process.stderr.write(failureText(tally, tally.failure));
  }
  const failed = tallies.filter(({ failure }) => failure !== undefined);
  const runs = tallies.reduce((sum, { runCount }) => sum + runCount, 0);
  const names = failed.map(({ property }) => property.name);
  if (json) process.stdout.write(`${JSON.stringify({ runs, seed, jobCount, failed: names })}\n`);
  else
    process.stdout.write(
      `seed ${seed}: ${runs.toLocaleString("en")} cases, ${failed.length} failed\n`,
    );
  return failed.length === 0 ? 0 : 1;
}

/** Keeps a new failure as a regression and says how to see it again. */
function failureText({ property }: Tally, failure: Failure): string {
  const { name } = property;
  const lines = ["", `✖ ${name}: ${failure.error}`];
  if (failure.replay !== undefined) {
    const found = failure.error.split("\n")[0] ?? "";
    const file = writeCase({ property: name, found, input: failure.input });
    const { seed, path } = failure.replay;
    lines.push(`again:  npm run fuzz -- --only ${name} --seed ${seed} --path ${path}`);
    lines.push(`drawn:  npm run -s fuzz -- --replay ${relative(process.cwd(), file)}`);
  } else if (failure.kept !== undefined) {
    lines.push(`kept:   fuzz/regressions/${failure.kept}`);
  }
  return `${lines.join("\n")}\n`;
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n\n${HELP}`);
    process.exitCode = 2;
  }
}
