import { join } from "node:path";
import { parseArgs } from "node:util";
import type { BatchOutcome } from "../worker.ts";
import { workOff } from "../workers.ts";
import type { Mutant } from "./mutant.ts";
import { MUTANT_VARIABLE } from "./plant.ts";
import { CANARY, MUTANTS } from "./table.ts";
import { isTestFile, runTestFile } from "./test-file.ts";

const HELP = `npm run mutants -- [options]

Plants one bug at a time, in memory, and runs the property that has to kill it on random cases, or
the test file.

  --only NAMES   mutants or properties whose names hold one of these, separated by commas
  --seed N       the seed of the random cases [1]
  --seconds N    how long a mutant may live [60]
  --jobs N       processes [2]
  --list         the mutants
  --json         one JSON line for each mutant, and one for the whole at the end
`;

const RUNS_MAX = 1_000_000;
/** Longer than nearly every mutant lives. */
const CLEAN_SECONDS = 5;
/** A test file is run as a whole, however slow the machine is. */
const TEST_FILE_MS = 300_000;

export interface MutantRunOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly jobCount: number;
  readonly done: (verdict: MutantVerdict) => void;
}

export interface MutantVerdict {
  readonly mutant: Mutant;
  readonly isKilled: boolean;
  /** Cases, or tests, until it was killed. */
  readonly runCount: number;
  readonly ms: number;
  /** What the property said. */
  readonly why: string;
}

/** Runs each mutant in a process of its own. */
export async function runMutants(
  mutants: readonly Mutant[],
  options: MutantRunOptions,
): Promise<readonly MutantVerdict[]> {
  const waiting = [...mutants];
  const verdicts: MutantVerdict[] = [];
  const work = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const verdict = await runMutant(mutant, options);
      verdicts.push(verdict);
      options.done(verdict);
    }
  };
  await Promise.all(Array.from({ length: options.jobCount }, work));
  return verdicts;
}

async function runMutant(
  mutant: Mutant,
  { seed, seconds }: MutantRunOptions,
): Promise<MutantVerdict> {
  const planted = {
    execArgv: ["--import", join(import.meta.dirname, "plant.ts")],
    env: { ...process.env, [MUTANT_VARIABLE]: mutant.name },
  };
  if (isTestFile(mutant.killedBy)) {
    const options = { ...planted, timeoutMs: TEST_FILE_MS };
    const { failure: why = "", testCount, ms } = await runTestFile(mutant.killedBy, options);
    // As below: what does not even load proves nothing.
    return { mutant, isKilled: why !== "" && testCount > 0, runCount: testCount, ms, why };
  }
  const outcomes: BatchOutcome[] = [];
  const limitMs = seconds * 1000;
  const batch = { name: mutant.killedBy, seed, numRuns: RUNS_MAX, limitMs, raw: true };
  const batches = [batch];
  await workOff({
    jobCount: 1,
    ...planted,
    // A mutant that makes a case run for ever is killed by that.
    batchTimeoutMs: limitMs + 10_000,
    next: () => batches.shift(),
    done: (outcome) => outcomes.push(outcome),
  });
  const { failure, runCount, ms } = outcomes[0] as BatchOutcome;
  const why = failure?.error.split("\n")[0] ?? "";
  // A process that died before any case ran proves nothing: the planted text does not even load.
  return { mutant, isKilled: failure !== undefined && runCount > 0, runCount, ms, why };
}

/**
 * Runs each property on the same cases without a mutant: only where it passes does a kill mean
 * anything.
 *
 * @returns what failed
 */
export async function runClean(
  mutants: readonly Pick<Mutant, "killedBy">[],
  { seed, seconds, jobCount }: Omit<MutantRunOptions, "done">,
): Promise<readonly string[]> {
  const killers = [...new Set(mutants.map(({ killedBy }) => killedBy))];
  const names = killers.filter((name) => !isTestFile(name));
  const limitMs = Math.min(seconds, CLEAN_SECONDS) * 1000;
  const batches = names.map((name) => ({ name, seed, numRuns: RUNS_MAX, limitMs, raw: true }));
  const failed: string[] = [];
  await workOff({
    jobCount,
    batchTimeoutMs: limitMs + 10_000,
    next: () => batches.shift(),
    done: ({ name, failure }) => {
      if (failure !== undefined) failed.push(`${name}: ${failure.error}`);
    },
  });
  for (const path of killers.filter(isTestFile)) {
    const { failure } = await runTestFile(path, { timeoutMs: TEST_FILE_MS });
    if (failure !== undefined) failed.push(`${path}: ${failure}`);
  }
  return failed;
}

function verdictJson({ mutant, isKilled, runCount, ms, why }: MutantVerdict): string {
  const { name, killedBy } = mutant;
  return JSON.stringify({
    mutant: name,
    killed: isKilled,
    property: killedBy,
    runs: runCount,
    ms: Math.round(ms),
    why,
  });
}

function verdictLine({ mutant, isKilled, runCount, ms, why }: MutantVerdict): string {
  const state = isKilled ? "killed  " : "SURVIVED";
  const cost = `${runCount} cases, ${(ms / 1000).toFixed(1)} s`;
  const names = `${mutant.name.padEnd(28)} ${mutant.killedBy.padEnd(15)}`;
  return `${state} ${names} ${cost.padEnd(20)} ${why}`;
}

function listed(mutant: Mutant, json: boolean): string {
  const { name, title, killedBy } = mutant;
  if (!json) return `${name}\n    ${title}; ${killedBy} kills it`;
  const requirements = [...title.matchAll(/\[([A-Z]{3}-\d+)\]/g)].map((match) => match[1]);
  return JSON.stringify({ name, title, requirements, killedBy });
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      seed: { type: "string", default: "1" },
      seconds: { type: "string", default: "60" },
      jobs: { type: "string", default: "2" },
      list: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const print = (line: string) => process.stdout.write(`${line}\n`);
  if (values.help) {
    print(HELP);
    return 0;
  }
  const parts = values.only.split(",");
  const isChosen = ({ name, killedBy }: Mutant) =>
    parts.some((part) => name.includes(part) || killedBy === part);
  const mutants = MUTANTS.filter(isChosen);
  if (values.list) {
    for (const mutant of mutants) print(listed(mutant, values.json));
    return 0;
  }
  const startedMs = performance.now();
  const options = {
    seed: Number(values.seed),
    seconds: Number(values.seconds),
    jobCount: Number(values.jobs),
  };
  const unsound = await runClean([...mutants, CANARY], options);
  if (unsound.length !== 1 || !unsound[0]?.startsWith(CANARY.killedBy)) {
    print(`without any mutant: ${unsound.join("\n") || "the canary lives"}`);
    return 1;
  }
  const verdicts = await runMutants(mutants, {
    ...options,
    done: (verdict) => print(values.json ? verdictJson(verdict) : verdictLine(verdict)),
  });
  const killed = verdicts.filter(({ isKilled }) => isKilled).length;
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  const survived = verdicts.filter(({ isKilled }) => !isKilled).map(({ mutant }) => mutant.name);
  if (values.json) print(JSON.stringify({ mutants: mutants.length, killed, survived, seconds }));
  else print(`${killed} of ${mutants.length} killed in ${seconds} s`);
  return killed === mutants.length && killed > 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
