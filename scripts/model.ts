import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { runCommand } from "./command.ts";

const HELP = `npm run model -- [options]

Checks spec/models/session.pml with Spin: every state of each bounded model, and of the same model
with one bug planted by a switch, which has to be found. Needs spin and cc.

  --only NAMES   models whose names hold one of these, separated by commas
  --json         one JSON line for each model, and one for the whole at the end
`;

/** One run of the model checker. */
export interface Model {
  readonly name: string;
  /** Preprocessor switches: bounds, and for a negative model its planted bug. */
  readonly switches: readonly string[];
  readonly expected: "holds" | "fails";
  /**
   * "states": assertions and deadlock, in every state. "cycles": no execution goes on for ever,
   * which with no deadlock means that everything drains.
   */
  readonly looksFor: "states" | "cycles";
}

const SMALL = ["NSUB=1", "NEV=1", "CUTS=1", "KILLS=1", "CRASHES=0"];
const FAULTS = ["NSUB=2", "NEV=0", "CUTS=1", "KILLS=1", "CRASHES=1"];

export const MODELS: readonly Model[] = [
  holds("small", SMALL),
  holds("cuts", ["NSUB=2", "NEV=0", "CUTS=2", "KILLS=0", "CRASHES=0"]),
  holds("events", ["NSUB=2", "NEV=1", "CUTS=1", "KILLS=0", "CRASHES=0"]),
  holds("links", ["NSUB=1", "NEV=0", "CUTS=2", "KILLS=0", "CRASHES=1", "NLINK=3"]),
  holds("faults", FAULTS),
  { name: "drains", switches: SMALL, expected: "holds", looksFor: "cycles" },
  fails("no-dedupe", "NO_DEDUPE"),
  fails("no-fence", "NO_FENCE"),
  fails("ack-before-commit", "ACK_BEFORE_COMMIT"),
  fails("results-forgotten", "RESULTS_FORGOTTEN"),
  fails("grant-forgotten", "GRANT_FORGOTTEN"),
  fails("attach-on-hello", "ATTACH_ON_HELLO"),
  fails("cursor-before-handled", "CURSOR_BEFORE_HANDLED"),
];

function holds(name: string, switches: readonly string[]): Model {
  return { name, switches, expected: "holds", looksFor: "states" };
}

function fails(name: string, bug: string): Model {
  return { name, switches: [bug, ...FAULTS], expected: "fails", looksFor: "states" };
}

export interface ModelVerdict {
  readonly model: Model;
  readonly found: "holds" | "fails" | "incomplete";
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly megabytes: number;
  readonly seconds: number;
  /** What was violated; for an unexpected verdict with the execution that leads there. */
  readonly detail: string;
}

const PATH = join(import.meta.dirname, "..", "spec", "models", "session.pml");
const DEPTH_MAX = 500_000;
const MEMORY_MB = 6_000;

/** The programs that are missing here; the model cannot be checked without them. */
export function missingTools(): string[] {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return ["spin", "cc"].filter((tool) => !folders.some((folder) => existsSync(join(folder, tool))));
}

/** Checks one model exhaustively, in a folder of its own that is removed again. */
export async function checkModel(model: Model): Promise<ModelVerdict> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-model-"));
  try {
    const switches = model.switches.map((name) => `-D${name}`);
    const kind = model.looksFor === "cycles" ? "-DNP" : "-DSAFETY";
    const flags = ["-O2", "-w", "-DCOLLAPSE", kind, `-DMEMLIM=${MEMORY_MB}`];
    const startedMs = performance.now();
    const steps = [
      ["spin", "-a", ...switches, PATH],
      ["cc", ...flags, "-o", "pan", "pan.c"],
      ["./pan", ...(model.looksFor === "cycles" ? ["-l"] : []), `-m${DEPTH_MAX}`],
    ] as const;
    let output = "";
    for (const [program, ...args] of steps) {
      const step = await runCommand(folder, program, args);
      if (!step.isOk) throw new Error(`${program}: ${step.output}`);
      output = step.output;
    }
    const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
    const verdict = verdictOf(model, output, seconds);
    if (verdict.found === model.expected || verdict.found === "incomplete") return verdict;
    const trail = await runCommand(folder, "spin", [
      "-k",
      "session.pml.trail",
      "-t",
      "-p",
      ...switches,
      PATH,
    ]);
    return { ...verdict, detail: `${verdict.detail}\n${trail.output}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function verdictOf(model: Model, output: string, seconds: number): ModelVerdict {
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? "0");
  const errors = number(/errors: (\d+)/);
  const violated = /pan:1: (.*) \(at depth/.exec(output)?.[1] ?? "";
  const isWhole = !/reached -DMEMLIM|max search depth too small/.test(output);
  const isOver = /errors: \d+/.test(output);
  const found = errors > 0 ? "fails" : isWhole && isOver ? "holds" : "incomplete";
  return {
    model,
    found,
    states: number(/^\s*([\d.e+]+) states, stored/m),
    transitions: number(/^\s*([\d.e+]+) transitions/m),
    depth: number(/depth reached (\d+)/),
    megabytes: Math.round(number(/^\s*([\d.]+)\s+total actual memory usage/m)),
    seconds,
    detail: violated,
  };
}

function line(verdict: ModelVerdict, json: boolean): string {
  const { model, found, states, transitions, depth, megabytes, seconds, detail } = verdict;
  const { name, switches, expected } = model;
  if (json) {
    const counts = { states, transitions, depth, megabytes, seconds };
    return JSON.stringify({ model: name, switches, expected, found, ...counts, detail });
  }
  const state = found === expected ? "ok    " : "WRONG ";
  const size = `${states.toLocaleString("en")} states, depth ${depth}`;
  const cost = `${megabytes} MB, ${seconds} s`;
  const why = detail && `\n       ${detail}`;
  return `${state} ${name.padEnd(22)} ${found.padEnd(6)} ${size}, ${cost}${why}`;
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const print = (text: string) => process.stdout.write(`${text}\n`);
  if (values.help) {
    print(HELP);
    return 0;
  }
  const missing = missingTools();
  if (missing.length > 0) {
    print(`skipped: model (${missing.join(", ")} is not installed)`);
    return process.env.CI === "true" ? 1 : 0;
  }
  const parts = values.only.split(",");
  const models = MODELS.filter(({ name }) => parts.some((part) => name.includes(part)));
  const waiting = [...models];
  let wrong = 0;
  const work = async () => {
    for (let model = waiting.shift(); model !== undefined; model = waiting.shift()) {
      const verdict = await checkModel(model);
      if (verdict.found !== model.expected) wrong += 1;
      print(line(verdict, values.json));
    }
  };
  await Promise.all([work(), work()]);
  if (values.json) print(JSON.stringify({ models: models.length, wrong }));
  else print(`${models.length - wrong} of ${models.length} as expected`);
  return wrong === 0 && models.length > 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
