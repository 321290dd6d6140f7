import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";

/** How a step of the toolchain ended. */
export interface Outcome {
  readonly isOk: boolean;
  /** What it printed, both streams in the order of arrival. */
  readonly output: string;
}

/** Runs a command in a folder, with the tools installed there before all others. Never throws. */
export function runCommand(root: string, name: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(name, args, { cwd: root, env: environmentOf(root) });
    child.stdin.end();
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("error", (error) => resolve({ isOk: false, output: error.message }));
    child.once("close", (status) =>
      resolve({ isOk: status === 0, output: Buffer.concat(chunks).toString() }),
    );
  });
}

/** The environment for tools, without what Git says to its hooks: it would name another folder. */
function environmentOf(root: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_"));
  const path = [join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter);
  return { ...Object.fromEntries(own), PATH: path };
}
