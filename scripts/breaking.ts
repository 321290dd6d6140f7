import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brokenRules, RULE_SOURCES } from "./breaking-rules.ts";
import { type Outcome, runCommand } from "./command.ts";

const SCHEMAS = ["buf.yaml", "proto"];

/**
 * Compares the schemas with those that others may rely on: what was said must stay readable. Passes
 * where there is nothing earlier: no repository, no commit, no schemas in it.
 */
export async function checkBreaking(root: string): Promise<Outcome> {
  const baseline = await baselineOf(root);
  if (baseline === undefined) return { isOk: true, output: "" };
  const folder = await mkdtemp(join(tmpdir(), "posthorn-breaking-"));
  try {
    // An archive instead of buf's own way into the repository: it works in a shallow clone.
    const archive = join(folder, "baseline.tar");
    const packed = await git(root, "archive", "--output", archive, baseline, ...SCHEMAS);
    if (!packed.isOk) return packed;
    const schemas = await runCommand(root, "buf", ["breaking", "--against", archive]);
    const rules = await rulesBroken(root, baseline, folder);
    const isOk = schemas.isOk && rules.length === 0;
    const output = `${schemas.output}${rules.join("")}compared with ${baseline}\n`;
    return { isOk, output: isOk ? "" : output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Our own gate beside buf's: the tables as they were are laid out in a folder and read. */
async function rulesBroken(root: string, baseline: string, folder: string): Promise<string[]> {
  const archive = join(folder, "rules.tar");
  const packed = await git(root, "archive", "--output", archive, baseline, ...RULE_SOURCES);
  // The earlier commit has no such tables yet.
  if (!packed.isOk) return [];
  const unpacked = await runCommand(folder, "tar", ["-xf", archive]);
  if (!unpacked.isOk) throw new Error(unpacked.output);
  return await brokenRules(folder, root);
}

/**
 * The commit to compare with: the newest release, for it is what was promised; before the first
 * one, where this branch left main; on main itself the commit before the present state, which is
 * HEAD while schemas are being edited and its parent afterwards.
 */
export async function baselineOf(root: string): Promise<string | undefined> {
  if (!existsSync(join(root, ".git"))) return undefined;
  const head = await commitOf(root, "HEAD");
  if (head === undefined) return undefined;
  const baseline =
    (await newestRelease(root)) ??
    (await leftMainAt(root, head)) ??
    ((await isEdited(root)) ? head : ((await commitOf(root, "HEAD~1")) ?? head));
  const hasSchemas = await git(root, "cat-file", "-e", `${baseline}:proto`);
  return hasSchemas.isOk ? baseline : undefined;
}

async function newestRelease(root: string): Promise<string | undefined> {
  const sorted = ["--sort=-version:refname", "--merged=HEAD", "--list", "v*"];
  const tags = await git(root, "tag", ...sorted);
  const newest = tags.isOk ? tags.output.split("\n")[0] : "";
  return newest === "" || newest === undefined ? undefined : commitOf(root, newest);
}

async function leftMainAt(root: string, head: string): Promise<string | undefined> {
  for (const main of ["origin/main", "main"]) {
    const base = await git(root, "merge-base", head, main);
    if (base.isOk && base.output.trim() !== head) return base.output.trim();
  }
  return undefined;
}

async function isEdited(root: string): Promise<boolean> {
  const same = await git(root, "diff", "--quiet", "HEAD", "--", ...SCHEMAS, ...RULE_SOURCES);
  return !same.isOk;
}

async function commitOf(root: string, name: string): Promise<string | undefined> {
  const found = await git(root, "rev-parse", "--verify", "--quiet", `${name}^{commit}`);
  return found.isOk ? found.output.trim() : undefined;
}

function git(root: string, ...args: readonly string[]): Promise<Outcome> {
  return runCommand(root, "git", args);
}
