import { chmod, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Outcome, runCommand } from "./command.ts";

/**
 * Makes dist/ for the npm package: plain JavaScript with types, for Node strips no types under
 * node_modules. What an earlier build left is removed.
 */
export async function build(root: string): Promise<Outcome> {
  await rm(join(root, "dist"), { recursive: true, force: true });
  const built = await runCommand(root, "tsc", ["-p", "tsconfig.build.json"]);
  if (!built.isOk) return built;
  for (const path of await commandFiles(root)) await chmod(join(root, path), 0o755);
  return built;
}

/** The files that package.json installs as commands. */
async function commandFiles(root: string): Promise<string[]> {
  const text = await readFile(join(root, "package.json"), "utf8");
  const manifest = JSON.parse(text) as { readonly bin: Readonly<Record<string, string>> };
  return Object.values(manifest.bin);
}

if (import.meta.main) {
  const { isOk, output } = await build(join(import.meta.dirname, ".."));
  process.stderr.write(output);
  process.exitCode = isOk ? 0 : 1;
}
