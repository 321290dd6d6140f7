import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { type Outcome, runCommand } from "./command.ts";
import { statesPage } from "./states.ts";

const STATES_PATH = join("spec", "generated", "states.md");
/** Printed by others into the folders that buf empties. */
const FOREIGN_PATHS: readonly string[] = [join("spec", "generated", "coverage.md")];

/** Prints everything that is printed from the schemas and the tables of phases, in place. */
export async function generate(root: string): Promise<Outcome> {
  const foreign = await textsAt(root, FOREIGN_PATHS);
  const generated = await runCommand(root, "buf", ["generate"]);
  await writeFile(join(root, STATES_PATH), statesPage());
  for (const [path, text] of foreign) await writeFile(join(root, path), text);
  return generated;
}

/** Prints it elsewhere and compares: committed output is what the sources say, no more, no less. */
export async function checkGenerated(root: string): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-gen-"));
  try {
    const generated = await runCommand(root, "buf", ["generate", "--output", folder]);
    if (!generated.isOk) return generated;
    await writeFile(join(folder, STATES_PATH), statesPage());
    for (const [path, text] of await textsAt(root, FOREIGN_PATHS)) {
      await writeFile(join(folder, path), text);
    }
    const stale: string[] = [];
    for (const name of await outputFolders(root)) {
      const [fresh, committed] = [join(folder, name), join(root, name)];
      stale.push(...(await differing(fresh, committed)).map((path) => join(name, path)));
    }
    const output = stale.map((path) => `stale: ${path}; "npm run gen" prints it anew\n`).join("");
    return { isOk: stale.length === 0, output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function textsAt(
  root: string,
  paths: readonly string[],
): Promise<readonly (readonly [string, string])[]> {
  const there = paths.filter((path) => existsSync(join(root, path)));
  const read = async (path: string) => [path, await readFile(join(root, path), "utf8")] as const;
  return await Promise.all(there.map(read));
}

/** The folders that buf.gen.yaml names as `out`. */
async function outputFolders(root: string): Promise<Set<string>> {
  const text = await readFile(join(root, "buf.gen.yaml"), "utf8");
  return new Set([...text.matchAll(/^\s*out: (\S+)$/gm)].map((match) => match[1] as string));
}

async function differing(fresh: string, committed: string): Promise<string[]> {
  const [freshTexts, committedTexts] = await Promise.all([textsIn(fresh), textsIn(committed)]);
  const paths = new Set([...freshTexts.keys(), ...committedTexts.keys()]);
  return [...paths].filter((path) => freshTexts.get(path) !== committedTexts.get(path)).sort();
}

async function textsIn(folder: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const texts = new Map<string, string>();
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name);
    texts.set(relative(folder, path), await readFile(path, "utf8"));
  }
  return texts;
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  const isCheck = process.argv.slice(2).includes("--check");
  const { isOk, output } = await (isCheck ? checkGenerated(root) : generate(root));
  process.stdout.write(output);
  process.exitCode = isOk ? 0 : 1;
}
