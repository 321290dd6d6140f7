import { join } from "node:path";
import { checkBreaking } from "./breaking.ts";
import { type Outcome, runCommand } from "./command.ts";
import { checkGenerated } from "./gen.ts";
import { findingText, tidy } from "./tidy.ts";
import { checkTrace } from "./trace.ts";
import { checkVectors } from "./vectors.ts";

/** Everything that can be said about a tree without running it. */
export const STEPS: Readonly<Record<string, (root: string) => Promise<Outcome>>> = {
  types: (root) => runCommand(root, "tsc", ["-p", "."]),
  "types-protocol": (root) => runCommand(root, "tsc", ["-p", "protocol"]),
  "types-client": (root) => runCommand(root, "tsc", ["-p", "client"]),
  "types-client-tests": (root) => runCommand(root, "tsc", ["-p", "client/tsconfig.test.json"]),
  "types-package": (root) => runCommand(root, "tsc", ["-p", "tsconfig.build.json", "--noEmit"]),
  lint: (root) => runCommand(root, "biome", ["check", "--error-on-warnings", "."]),
  tidy: checkTidy,
  trace: checkTrace,
  vectors: checkVectors,
  generated: checkGenerated,
  "schema-lint": (root) => runCommand(root, "buf", ["lint"]),
  "schema-breaking": checkBreaking,
};

/**
 * Runs steps at the same time and prints a line for each.
 *
 * @returns the names of those that failed
 */
export async function check(
  root: string,
  names: readonly string[],
  print: (line: string) => void,
): Promise<string[]> {
  const failed: string[] = [];
  const runStep = async (name: string) => {
    const step = STEPS[name];
    if (step === undefined) throw new TypeError(`no step is named ${name}`);
    const startedMs = performance.now();
    const { isOk, output } = await step(root);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    print(`${isOk ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
    if (isOk) return;
    print(output.trimEnd());
    failed.push(name);
  };
  await Promise.all(names.map(runStep));
  return failed;
}

async function checkTidy(root: string): Promise<Outcome> {
  const findings = tidy(root);
  return { isOk: findings.length === 0, output: findings.map(findingText).join("\n") };
}

if (import.meta.main) {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !(name in STEPS));
  if (unknown.length > 0) {
    console.error(`${unknown.join(", ")}: the steps are ${Object.keys(STEPS).join(", ")}`);
    process.exit(2);
  }
  const names = wanted.length > 0 ? wanted : Object.keys(STEPS);
  const failed = await check(join(import.meta.dirname, ".."), names, console.log);
  if (failed.length > 0) console.log(`failed: ${failed.join(", ")}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}
