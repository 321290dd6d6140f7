import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PassedTests } from "../test.ts";

const NAME = ".passed-tests.json";

/** Writes down which tests of a whole run passed. */
export function writePassed(root: string, results: readonly PassedTests[]): void {
  const sorted = [...results].sort((a, b) => (a.file < b.file ? -1 : 1));
  writeFileSync(join(root, NAME), `${JSON.stringify(sorted)}\n`);
}

/** The tests that passed in the last whole run; undefined when there was none. */
export function readPassed(root: string): readonly PassedTests[] | undefined {
  const path = join(root, NAME);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}
