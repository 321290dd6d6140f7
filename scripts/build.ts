import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

// Makes dist/ for the npm package: plain JavaScript with types. Node refuses to strip types under
// node_modules.

const ROOT = join(import.meta.dirname, "..");

rmSync(join(ROOT, "dist"), { recursive: true, force: true });
const tsc = join(ROOT, "node_modules", ".bin", "tsc");
const built = spawnSync(tsc, ["-p", join(ROOT, "tsconfig.build.json")], { stdio: "inherit" });
if (built.status !== 0) process.exit(built.status ?? 1);
const { bin } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  bin: Record<string, string>;
};
for (const path of Object.values(bin)) chmodSync(join(ROOT, path), 0o755);
