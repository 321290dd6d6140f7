import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tidy } from "./tidy.ts";

// Everything that can be said about the tree without running it; seconds. `npm run check -- STEP
// ...` runs some steps.

const ROOT = join(import.meta.dirname, "..");
const BIN = join(ROOT, "node_modules", ".bin");

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

const STEPS: Readonly<Record<string, () => Promise<Outcome>>> = {
  types: () => command("tsc", ["-p", "."]),
  "types of protocol": () => command("tsc", ["-p", "protocol"]),
  "types of client": () => command("tsc", ["-p", "client"]),
  "format and lint": () => command("biome", ["check", "--error-on-warnings", "."]),
  "house rules": async () => {
    const faults = tidy(ROOT);
    return { ok: faults.length === 0, output: faults.join("\n") };
  },
  "generated files": generatedFilesFresh,
  "schema lint": () => command("buf", ["lint"]),
  "schema compatibility": schemaCompatible,
};

async function main(): Promise<number> {
  const wanted = process.argv.slice(2);
  const names = Object.keys(STEPS).filter((name) => wanted.length === 0 || wanted.includes(name));
  const outcomes = await Promise.all(names.map(runStep));
  return names.length > 0 && outcomes.every(Boolean) ? 0 : 1;
}

async function runStep(name: string): Promise<boolean> {
  const startedMs = performance.now();
  const { ok, output } = await (STEPS[name] as () => Promise<Outcome>)();
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`${ok ? "ok    " : "FAILED"} ${name} (${seconds} s)\n`);
  if (!ok) process.stdout.write(`${output}\n`);
  return ok;
}

function command(name: string, args: readonly string[], cwd = ROOT): Promise<Outcome> {
  return new Promise((resolve) => {
    const path = existsSync(join(BIN, name)) ? join(BIN, name) : name;
    const env = { ...process.env, PATH: `${BIN}:${process.env.PATH}` };
    const child = spawn(path, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const gather = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on("data", gather);
    child.stderr.on("data", gather);
    child.once("error", (error) => resolve({ ok: false, output: error.message }));
    child.once("close", (status) => resolve({ ok: status === 0, output }));
  });
}

/** Generates elsewhere and compares: committed output is what the sources say. */
async function generatedFilesFresh(): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-gen-"));
  try {
    for (const name of [
      "proto",
      "protocol",
      "codegen",
      "buf.yaml",
      "buf.gen.yaml",
      "package.json",
    ]) {
      await cp(join(ROOT, name), join(folder, name), { recursive: true });
    }
    await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
    const generated = await command("buf", ["generate"], folder);
    if (!generated.ok) return generated;
    const stale = await Promise.all(
      ["gen", "spec/generated"].map((name) => differing(folder, name)),
    );
    const output = stale.flat().map((path) => `stale: ${path}; run npm run gen`);
    return { ok: output.length === 0, output: output.join("\n") };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function differing(folder: string, name: string): Promise<string[]> {
  const [fresh, committed] = await Promise.all([
    filesIn(join(folder, name)),
    filesIn(join(ROOT, name)),
  ]);
  const paths = new Set([...fresh.keys(), ...committed.keys()]);
  return [...paths]
    .filter((path) => fresh.get(path) !== committed.get(path))
    .map((path) => join(name, path));
}

async function filesIn(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const texts = files.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    return [path.slice(folder.length + 1), await readFile(path, "utf8")] as const;
  });
  return new Map(await Promise.all(texts));
}

/**
 * Compares the schemas with the newest release tag, or the commit before this one where there is no
 * tag: what was published must stay readable. Says so where there is neither (the first commit, a
 * shallow clone).
 */
async function schemaCompatible(): Promise<Outcome> {
  const tag = await command("git", ["describe", "--tags", "--match", "v*", "--abbrev=0"]);
  const ref = tag.ok ? tag.output.trim() : "HEAD~1";
  const known = await command("git", ["cat-file", "-e", `${ref}:proto`]);
  if (!known.ok) return { ok: true, output: "" };
  const folder = await mkdtemp(join(tmpdir(), "posthorn-proto-"));
  try {
    const unpack = `git archive ${ref} proto buf.yaml | tar -x -C "${folder}"`;
    const unpacked = await command("bash", ["-o", "pipefail", "-c", unpack]);
    if (!unpacked.ok) return unpacked;
    return await command("buf", ["breaking", "--against", folder]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
