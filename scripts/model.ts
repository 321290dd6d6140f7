import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { MODELS, SYMBOLIC_MODELS, type SymbolicModel } from "./model/models.ts";
import {
  proveModel,
  RECORD_PATH,
  recordOf,
  type SymbolicVerdict,
  symbolicRecord,
  unrecordedModels,
} from "./model/proverif.ts";
import { checkModel, type ModelVerdict } from "./model/spin.ts";

const HELP = `npm run model -- [options]

Checks spec/models: with Spin every state of each bounded model (*.pml), with ProVerif the queries
of each symbolic one (*.pv), and both with the same models with one bug planted by a switch, which
has to be found. Needs spin and cc. Without proverif its models are named as skipped, and their
files compared with those that were checked last. Chapters 9 and 15 say what is checked.

  --only NAMES   models whose names hold one of these, separated by commas
  --json         one JSON line for each model, and one for the whole at the end
  --record       runs the symbolic models that are not in spec/models/proverif-results.json as they
                 are now, and writes it
`;

type Print = (text: string) => void;

/** Those of some programs that are missing here. */
export function missingTools(tools: readonly string[]): string[] {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return tools.filter((tool) => !folders.some((folder) => existsSync(join(folder, tool))));
}

function boundedLine(verdict: ModelVerdict, json: boolean): string {
  const { model, found, states, transitions, depth, megabytes, seconds, detail } = verdict;
  const { name, file, switches, expected } = model;
  if (json) {
    const counts = { states, transitions, depth, megabytes, seconds };
    return JSON.stringify({ model: name, file, switches, expected, found, ...counts, detail });
  }
  const state = found === expected ? "ok    " : "WRONG ";
  const size = `${states.toLocaleString("en")} states, depth ${depth}`;
  const cost = `${megabytes} MB, ${seconds} s`;
  const why = detail && `\n       ${detail}`;
  return `${state} ${name.padEnd(28)} ${found.padEnd(6)} ${size}, ${cost}${why}`;
}

function symbolicLine(verdict: SymbolicVerdict, json: boolean): string {
  const { model, found, seconds, detail } = verdict;
  const { name, file, switches, expected } = model;
  if (json) {
    return JSON.stringify({ model: name, file, switches, expected, found, seconds, detail });
  }
  const state = found === expected ? "ok    " : "WRONG ";
  return `${state} ${name.padEnd(28)} ${found}, ${seconds} s${detail && `\n${detail}`}`;
}

/** Names what is not run here, and says whether its record is of the files as they are. */
async function skipSymbolic(models: readonly SymbolicModel[], json: boolean, print: Print) {
  const stale = new Set(await unrecordedModels(symbolicRecord()));
  for (const { name, file, switches, expected } of models) {
    const found = stale.has(name) ? "stale" : "skipped";
    if (json) print(JSON.stringify({ model: name, file, switches, expected, found }));
    else if (found === "stale") print(`WRONG  ${name.padEnd(28)} is not what was checked last`);
    else print(`skipped: ${name} (proverif is not installed; checked last as it is)`);
  }
  return models.filter(({ name }) => stale.has(name)).length;
}

/** Two at a time. */
async function eachOf<T>(items: readonly T[], check: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const work = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await check(item);
  };
  await Promise.all([work(), work()]);
}

async function prove(models: readonly SymbolicModel[], json: boolean, print: Print) {
  const verdicts: SymbolicVerdict[] = [];
  await eachOf(models, async (model) => {
    const verdict = await proveModel(model);
    verdicts.push(verdict);
    print(symbolicLine(verdict, json));
  });
  return verdicts;
}

async function record(parts: readonly string[], print: Print): Promise<number> {
  const stale = new Set(await unrecordedModels(symbolicRecord()));
  const models = SYMBOLIC_MODELS.filter(({ name }) => stale.has(name) && isNamed(name, parts));
  const verdicts = await prove(models, false, print);
  const updated = await recordOf(symbolicRecord(), verdicts);
  await writeFile(RECORD_PATH, `${JSON.stringify(updated, undefined, 2)}\n`);
  return verdicts.every(({ model, found }) => found === model.expected) ? 0 : 1;
}

function isNamed(name: string, parts: readonly string[]): boolean {
  return parts.some((part) => name.includes(part));
}

/** @returns how many models there were, how many were not as expected, how many were not run */
async function checkAll(parts: readonly string[], json: boolean, print: Print) {
  const bounded = MODELS.filter(({ name }) => isNamed(name, parts));
  const symbolic = SYMBOLIC_MODELS.filter(({ name }) => isNamed(name, parts));
  let wrong = 0;
  await eachOf(bounded, async (model) => {
    const verdict = await checkModel(model);
    if (verdict.found !== model.expected) wrong += 1;
    print(boundedLine(verdict, json));
  });
  const models = bounded.length + symbolic.length;
  if (missingTools(["proverif"]).length > 0) {
    const stale = await skipSymbolic(symbolic, json, print);
    return { models, wrong: wrong + stale, skipped: symbolic.length - stale };
  }
  const verdicts = await prove(symbolic, json, print);
  wrong += verdicts.filter(({ model, found }) => found !== model.expected).length;
  return { models, wrong, skipped: 0 };
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      record: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const print = (text: string) => process.stdout.write(`${text}\n`);
  if (values.help) {
    print(HELP);
    return 0;
  }
  const missing = missingTools(values.record ? ["cc", "proverif"] : ["spin", "cc"]);
  if (missing.length > 0) {
    print(`skipped: model (${missing.join(", ")} is not installed)`);
    return process.env.CI === "true" || values.record ? 1 : 0;
  }
  const parts = values.only.split(",");
  if (values.record) return record(parts, print);
  const { models, wrong, skipped } = await checkAll(parts, values.json, print);
  if (values.json) print(JSON.stringify({ models, wrong, skipped }));
  else print(`${models - wrong - skipped} of ${models} as expected, ${skipped} skipped`);
  return wrong === 0 && models > 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
