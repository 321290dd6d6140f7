import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Mutant } from "./mutant.ts";
import { MUTANTS } from "./table.ts";

/** Names the mutant to plant; this module is then given to Node with --import. */
export const MUTANT_VARIABLE = "POSTHORN_MUTANT";

const ROOT = join(import.meta.dirname, "../..");

/**
 * A mutant's file as it is loaded.
 *
 * @throws Error when the text to replace is not there exactly once: the mutant has rotted
 */
export function mutated({ name, file, find, replace }: Mutant): string {
  const source = readFileSync(join(ROOT, file), "utf8");
  const count = source.split(find).length - 1;
  if (count !== 1) throw new Error(`mutant ${name}: its text is ${count} times in ${file}`);
  return source.replace(find, () => replace);
}

/** Replaces one file's text while Node loads it: nothing is written anywhere. */
function plant(name: string): void {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (mutant === undefined) throw new Error(`no mutant ${name}`);
  const url = pathToFileURL(join(ROOT, mutant.file)).href;
  const source = mutated(mutant);
  registerHooks({
    load: (loaded, context, nextLoad) =>
      loaded === url
        ? { format: "module-typescript", source, shortCircuit: true }
        : nextLoad(loaded, context),
  });
}

const wanted = process.env[MUTANT_VARIABLE];
if (wanted !== undefined) plant(wanted);
