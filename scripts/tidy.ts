import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FORM_RULES } from "./tidy/form-rules.ts";
import { IMPORT_RULES } from "./tidy/import-rules.ts";
import type { Dependencies, Rule } from "./tidy/rule.ts";
import { parseSource, type SourceFile } from "./tidy/source-file.ts";
import { WORD_RULES } from "./tidy/word-rules.ts";

export interface Finding {
  readonly rule: string;
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** The rules of the house by their names. */
export const RULES: Readonly<Record<string, Rule>> = {
  ...IMPORT_RULES,
  ...FORM_RULES,
  ...WORD_RULES,
};

/**
 * Checks every text file below a folder against the rules of the house: what is committed or could
 * be; all that is not installed or built where there is no repository.
 */
export function tidy(root: string): Finding[] {
  const dependencies = dependenciesOf(root);
  return sourceFiles(root).flatMap((file) =>
    Object.entries(RULES).flatMap(([rule, find]) =>
      find(file, dependencies).map((fault) => ({ rule, path: file.path, ...fault })),
    ),
  );
}

export function findingText({ rule, path, line, text }: Finding): string {
  return `${path}:${line} [${rule}] ${text}`;
}

function sourceFiles(root: string): SourceFile[] {
  return (committable(root) ?? present(root)).flatMap((path) => {
    const text = readFileSync(join(root, path), "utf8");
    return text.includes("\0") ? [] : [parseSource(path, text)];
  });
}

function committable(root: string): string[] | undefined {
  if (!existsSync(join(root, ".git"))) return undefined;
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const listed = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  if (listed.status !== 0) return undefined;
  const paths = listed.stdout.split("\0").filter((path) => path !== "");
  return [...new Set(paths)].filter((path) => existsSync(join(root, path)));
}

const NOT_OURS = new Set(["node_modules", "dist", ".git"]);

function present(root: string): string[] {
  const entries = globSync("**/*", {
    cwd: root,
    withFileTypes: true,
    exclude: ({ name }) => NOT_OURS.has(name),
  });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1));
}

function dependenciesOf(root: string): Dependencies {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly dependencies?: object;
    readonly devDependencies?: object;
  };
  return {
    product: Object.keys(manifest.dependencies ?? {}),
    development: Object.keys(manifest.devDependencies ?? {}),
  };
}

if (import.meta.main) {
  const findings = tidy(join(import.meta.dirname, ".."));
  for (const finding of findings) console.log(findingText(finding));
  process.exitCode = findings.length > 0 ? 1 : 0;
}
