import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MUTANTS } from "../../fuzz/mutants/table.ts";
import { readPassed } from "./passed-tests.ts";
import { PITFALL } from "./pitfalls.ts";
import { ID } from "./requirements.ts";

export type CheckKind = "test" | "mutant" | "vector" | "model";

/** Something that fails when a requirement is broken, and the ids it names. */
export interface Check {
  readonly kind: CheckKind;
  /** Its file, or its name. */
  readonly where: string;
  readonly title: string;
  readonly ids: readonly string[];
  readonly pitfalls: readonly string[];
}

/** The checks that ran, and those that are data; undefined when no whole run was recorded. */
export function readChecks(root: string): readonly Check[] | undefined {
  const passed = readPassed(root);
  if (passed === undefined) return undefined;
  const tests = passed.flatMap(({ file, passed: titles }) =>
    titles.map((title) => checkOf("test", file, title)),
  );
  return [...tests, ...staticChecks(root)];
}

/** Mutants, vectors and the model: what they name can be read without running them. */
export function staticChecks(root: string): readonly Check[] {
  const mutants = MUTANTS.map(({ name, title }) => checkOf("mutant", name, title));
  return [...mutants, ...vectorChecks(root), ...modelChecks(root)];
}

function vectorChecks(root: string): Check[] {
  return globSync("spec/vectors/**/*.json", { cwd: root })
    .sort()
    .flatMap((file) => {
      const { cases } = JSON.parse(readFileSync(join(root, file), "utf8")) as { cases?: unknown };
      if (!Array.isArray(cases)) return [];
      return cases.map(({ name, requirements, pitfalls = [] }) =>
        checkOf("vector", file, `${name} ${[...requirements, ...pitfalls].join(" ")}`),
      );
    });
}

function modelChecks(root: string): Check[] {
  // In the second one only rows of Spin end with requirements: CI does not run the rest.
  const pages = ["spec/09-model.md", "spec/15-models-of-secrecy.md"];
  return pages.flatMap((page) => {
    if (!existsSync(join(root, page))) return [];
    const text = readFileSync(join(root, page), "utf8");
    const rows = text.match(/^\| [a-z].*\|.*\[[A-Z]{3}-\d+\] \|$/gm) ?? [];
    return rows.map((row) => checkOf("model", page, row));
  });
}

function checkOf(kind: CheckKind, where: string, title: string): Check {
  return { kind, where, title, ids: title.match(ID) ?? [], pitfalls: title.match(PITFALL) ?? [] };
}
