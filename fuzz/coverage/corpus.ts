import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "../corpus");
const NAME_DIGITS = 16;

/** The inputs kept for a target, in the order of their names. */
export function readCorpus(target: string, folder: string = FOLDER): Uint8Array[] {
  const path = join(folder, target);
  if (!existsSync(path)) return [];
  const names = readdirSync(path).sort();
  return names.map((name) => new Uint8Array(readFileSync(join(path, name))));
}

/** What writing a corpus changed. */
export interface CorpusChange {
  readonly added: number;
  readonly removed: number;
}

/** Keeps just these inputs for a target, each named after its content. */
export function writeCorpus(
  target: string,
  inputs: readonly Uint8Array[],
  folder: string = FOLDER,
): CorpusChange {
  const path = join(folder, target);
  mkdirSync(path, { recursive: true });
  const wanted = new Map(inputs.map((input) => [corpusName(input), input]));
  const present = new Set(readdirSync(path));
  const unwanted = [...present].filter((name) => !wanted.has(name));
  const missing = [...wanted].filter(([name]) => !present.has(name));
  for (const name of unwanted) rmSync(join(path, name));
  for (const [name, input] of missing) writeFileSync(join(path, name), input);
  return { added: missing.length, removed: unwanted.length };
}

/** The beginning of the SHA-256 of an input. */
export function corpusName(input: Uint8Array): string {
  return createHash("sha256").update(input).digest("hex").slice(0, NAME_DIGITS);
}
