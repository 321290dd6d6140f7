import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../command.ts";
import { SYMBOLIC_MODELS, type SymbolicModel } from "./models.ts";

const FOLDER = join(import.meta.dirname, "..", "..", "spec", "models");
export const RECORD_PATH: string = join(FOLDER, "proverif-results.json");

export interface SymbolicVerdict {
  readonly model: SymbolicModel;
  /** Of each query "true", "false", or "unproved". */
  readonly found: string;
  readonly seconds: number;
  readonly detail: string;
}

/** What ProVerif said when it was run last, of which bytes. */
export interface SymbolicRecord {
  readonly proverif: string;
  readonly runs: readonly SymbolicRun[];
}

interface SymbolicRun {
  readonly model: string;
  readonly file: string;
  readonly sha256: string;
  readonly switches: string;
  readonly results: string;
}

/** Runs one file through the preprocessor, with its switches, and through ProVerif. */
export async function proveModel(model: SymbolicModel): Promise<SymbolicVerdict> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-model-"));
  try {
    const switches = model.switches.map((name) => `-D${name}`);
    const flags = ["-E", "-P", "-w", "-undef", "-x", "c", ...switches];
    const startedMs = performance.now();
    const source = join(FOLDER, model.file);
    const made = await runCommand(folder, "cc", [...flags, source, "-o", "model.pv"]);
    if (!made.isOk) throw new Error(`cc: ${made.output}`);
    const { output } = await runCommand(folder, "proverif", ["model.pv"]);
    const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
    const found = resultsIn(output);
    const detail = found === model.expected ? "" : output.split("\n").slice(-40).join("\n");
    return { model, found, seconds, detail };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Each query has one line; "(even ...)" says of an injective one what it would be otherwise. */
function resultsIn(output: string): string {
  const lines = output.split("\n").filter((text) => /^RESULT (?!\(even)/.test(text));
  const results = lines.map((text) => / is (true|false)\.$/.exec(text)?.[1] ?? "unproved");
  return results.join(" ");
}

async function proverifVersion(): Promise<string> {
  const { output } = await runCommand(FOLDER, "proverif", ["-help"]);
  return /^Proverif ([\d.]*\d)/i.exec(output)?.[1] ?? "unknown";
}

export function symbolicRecord(): SymbolicRecord {
  if (!existsSync(RECORD_PATH)) return { proverif: "", runs: [] };
  return JSON.parse(readFileSync(RECORD_PATH, "utf8")) as SymbolicRecord;
}

/** The record with what was found now; of a model that has changed only what was found now. */
export async function recordOf(
  before: SymbolicRecord,
  verdicts: readonly SymbolicVerdict[],
): Promise<SymbolicRecord> {
  const found = new Map(verdicts.map(({ model, found }) => [model.name, found]));
  const runs = await Promise.all(
    SYMBOLIC_MODELS.map(async (model) => {
      const own = await identityOf(model);
      const known = before.runs.find(
        ({ model, results: _, ...rest }) =>
          JSON.stringify({ model, ...rest }) === JSON.stringify(own),
      );
      const results = found.get(model.name) ?? known?.results;
      return results === undefined ? [] : [{ ...own, results }];
    }),
  );
  return { proverif: await proverifVersion(), runs: runs.flat() };
}

/**
 * The models that the record does not have as they are now: another file, other switches, another
 * expectation. Without ProVerif this is all that can be said.
 */
export async function unrecordedModels(record: SymbolicRecord): Promise<readonly string[]> {
  const known = new Map(record.runs.map((run) => [run.model, JSON.stringify(run)]));
  const present = await Promise.all(
    SYMBOLIC_MODELS.map(async (model) => {
      const run = { ...(await identityOf(model)), results: model.expected };
      return known.get(model.name) === JSON.stringify(run) ? undefined : model.name;
    }),
  );
  return present.filter((name) => name !== undefined);
}

async function identityOf({ name, file, switches }: SymbolicModel) {
  const bytes = await readFile(join(FOLDER, file));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { model: name, file, sha256, switches: switches.join(" ") };
}
