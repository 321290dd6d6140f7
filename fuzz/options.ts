import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { Property } from "./property.ts";
import { PROPERTIES } from "./table.ts";

export const HELP = `npm run fuzz -- [options]

Tries to break every property with fresh random cases. A failure is shrunk, kept as a file in
fuzz/regressions/ (npm test begins with it from then on), and printed with the line that replays it.

  --seconds N     how long in all [60]
  --runs N        so many cases of each property instead
  --seed N        the first seed; random otherwise. The same seed takes the same cases
  --path P        one case of a seed, with --only
  --only NAMES    properties whose names hold one of these, separated by commas
  --replay FILE   draws a kept case frame by frame; or SEED:PATH, with --only
  --jobs N        processes [the number of cores]
  --list          the properties
  --json          one JSON line for each property, and one for the whole at the end
`;

export interface FuzzOptions {
  readonly action: "fuzz" | "help" | "list" | "replay";
  readonly properties: readonly Property[];
  readonly seconds: number;
  readonly runs: number | undefined;
  readonly seed: number;
  readonly path: string | undefined;
  readonly replay: string;
  readonly jobCount: number;
  readonly json: boolean;
}

const SEED_MAX = 2 ** 31 - 1;

/** @throws TypeError for what cannot be understood */
export function fuzzOptions(args: readonly string[]): FuzzOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string" },
      runs: { type: "string" },
      seed: { type: "string" },
      path: { type: "string" },
      only: { type: "string" },
      replay: { type: "string" },
      jobs: { type: "string" },
      list: { type: "boolean" },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  const properties = chosen(values.only);
  if (values.path !== undefined && (properties.length !== 1 || values.seed === undefined)) {
    throw new TypeError("--path needs --seed, and an --only that names one property");
  }
  const runs = values.runs === undefined ? undefined : whole("--runs", values.runs);
  const seed = values.seed === undefined ? randomSeed() : whole("--seed", values.seed);
  return {
    action: actionOf(values),
    properties,
    seconds: whole("--seconds", values.seconds ?? "60"),
    runs,
    seed,
    path: values.path,
    replay: values.replay ?? "",
    jobCount: Math.max(1, whole("--jobs", values.jobs ?? String(availableParallelism()))),
    json: values.json ?? false,
  };
}

function actionOf(values: {
  readonly help?: boolean | undefined;
  readonly list?: boolean | undefined;
  readonly replay?: string | undefined;
}): FuzzOptions["action"] {
  if (values.help) return "help";
  if (values.list) return "list";
  return values.replay === undefined ? "fuzz" : "replay";
}

function chosen(only: string | undefined): readonly Property[] {
  if (only === undefined) return PROPERTIES;
  const parts = only.split(",");
  const exact = PROPERTIES.filter(({ name }) => parts.includes(name));
  if (exact.length === parts.length) return exact;
  const found = PROPERTIES.filter(({ name }) => parts.some((part) => name.includes(part)));
  if (found.length === 0) throw new TypeError(`--only ${only}: no property has such a name`);
  return found;
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < -SEED_MAX || text.trim() === "") {
    throw new TypeError(`${name} ${text}: not a whole number`);
  }
  return value;
}

function randomSeed(): number {
  return Math.floor(Math.random() * SEED_MAX);
}
