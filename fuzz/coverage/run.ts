import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { writeCase } from "../case-file.ts";
import { type CorpusChange, readCorpus, writeCorpus } from "./corpus.ts";
import { guardedSearch } from "./guard.ts";
import { TARGETS } from "./targets.ts";
import type { SearchReport } from "./worker.ts";

const HELP = `node fuzz/coverage/run.ts [options]

Mutates the committed corpus of byte-level targets and follows the inputs that reach blocks of code
which none reached before. A failure is made small, kept as a file in fuzz/regressions/ (npm test
begins with it from then on), and printed with the line that replays it.

  --target NAMES  targets, separated by commas, or all [all]
  --seconds N     for each target [60]
  --runs N        inputs of each target instead; the same seed takes the same ones
  --seed N        the seed; random otherwise
  --keep          writes what was found to fuzz/corpus/, and removes what reaches nothing more
  --fresh         begins with nothing instead of the corpus
  --blind         keeps nothing that it finds, to compare
  --jobs N        threads [the number of cores]
  --list          the targets
  --json          one JSON line for each target, and one for the whole at the end
`;

const TABLE = join(import.meta.dirname, "targets.ts");
const HANG_MS = 10_000;
const HEAP_MIB = 512;
const SEED_MAX = 2 ** 31 - 1;

interface RunOptions {
  readonly targets: readonly string[];
  readonly seconds: number;
  readonly runs: number;
  readonly seed: number;
  readonly isKept: boolean;
  readonly isFresh: boolean;
  readonly isBlind: boolean;
  readonly jobCount: number;
  readonly isJson: boolean;
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: "string", default: "all" },
      seconds: { type: "string" },
      runs: { type: "string" },
      seed: { type: "string" },
      jobs: { type: "string", default: String(availableParallelism()) },
      keep: { type: "boolean", default: false },
      fresh: { type: "boolean", default: false },
      blind: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.list) {
    for (const { name, title } of TARGETS) process.stdout.write(`${name}\n    ${title}\n`);
    return 0;
  }
  if (values.keep && values.blind) throw new TypeError("--blind finds nothing that --keep keeps");
  return await runAll({
    targets: namesOf(values.target),
    seconds: values.runs === undefined ? whole("--seconds", values.seconds ?? "60") : Infinity,
    runs: values.runs === undefined ? Infinity : whole("--runs", values.runs),
    seed: values.seed === undefined ? randomSeed() : whole("--seed", values.seed),
    isKept: values.keep,
    isFresh: values.fresh,
    isBlind: values.blind,
    jobCount: Math.max(1, whole("--jobs", values.jobs)),
    isJson: values.json,
  });
}

async function runAll(options: RunOptions): Promise<number> {
  const waiting = [...options.targets];
  const failed: string[] = [];
  let runCount = 0;
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const report = await runOne(name, options);
      runCount += report.runCount;
      if (report.failure !== undefined) failed.push(name);
    }
  };
  await Promise.all(Array.from({ length: options.jobCount }, work));
  const { seed } = options;
  if (options.isJson) print(JSON.stringify({ runs: runCount, seed, failed }));
  else print(`seed ${seed}: ${runCount.toLocaleString("en")} inputs, ${failed.length} failed`);
  return failed.length === 0 ? 0 : 1;
}

async function runOne(target: string, options: RunOptions): Promise<SearchReport> {
  const { seconds, runs, seed, isBlind, isFresh, isKept } = options;
  const corpus = isFresh ? [] : readCorpus(target);
  const bounds = { seed, runs, seconds, isBlind, isDistilled: isKept };
  const task = { target, table: TABLE, corpus, ...bounds };
  const report = await guardedSearch({ ...task, hangMs: HANG_MS, heapMib: HEAP_MIB });
  const isWhole = isKept && report.failure === undefined;
  const change = isWhole ? writeCorpus(target, report.corpus) : undefined;
  print(options.isJson ? jsonOf(target, report, change) : lineOf(target, report, change));
  if (report.failure !== undefined) process.stderr.write(failureText(target, report.failure));
  return report;
}

function jsonOf(target: string, report: SearchReport, change: CorpusChange | undefined): string {
  const { runCount: runs, blockCount: blocks, corpus, ms, failure } = report;
  const error = failure?.error.split("\n")[0];
  const seconds = Math.round(ms / 100) / 10;
  return JSON.stringify({ target, runs, seconds, blocks, corpus: corpus.length, ...change, error });
}

function lineOf(target: string, report: SearchReport, change: CorpusChange | undefined): string {
  const { runCount, blockCount, corpus, ms, failure } = report;
  const parts = [
    `${failure === undefined ? "ok    " : "FAILED"} ${target.padEnd(15)}`,
    `${runCount.toLocaleString("en")} inputs, ${Math.round((runCount / ms) * 1000)}/s`,
    `${blockCount} blocks`,
    `${corpus.length} in the corpus`,
    ...(change === undefined ? [] : [`${change.added} added, ${change.removed} removed`]),
  ];
  return parts.join(" · ");
}

/** Keeps a failure as a regression of the target's property and says how to see it again. */
function failureText(target: string, { input, error }: Required<SearchReport>["failure"]): string {
  const found = error.split("\n")[0] ?? "";
  const file = writeCase({ property: `bytes-${target}`, found, input });
  const again = `again:  npm run -s fuzz -- --replay ${relative(process.cwd(), file)}`;
  return `\n✖ ${target}: ${error}\n${again}\n`;
}

function namesOf(text: string): readonly string[] {
  const names = TARGETS.map(({ name }) => name);
  if (text === "all") return names;
  const wanted = text.split(",");
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length === 0) return wanted;
  throw new TypeError(`--target ${unknown.join(",")}: the targets are ${names.join(", ")}`);
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new TypeError(`${name} ${text}: not a whole number`);
}

function randomSeed(): number {
  return Math.floor(Math.random() * SEED_MAX);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
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
