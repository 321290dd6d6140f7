import { execFile } from "node:child_process";
import { join } from "node:path";

/** What a program of another language said. */
export interface Said {
  readonly status: number;
  readonly lines: readonly string[];
}

const ROOT = join(import.meta.dirname, "..");
// Nothing is to be fetched: neither modules nor another Go.
const ENV = { ...process.env, GOTOOLCHAIN: "local", GOPROXY: "off", GOWORK: "off" };

/** Runs a program at the root of the repository; status 127 where there is none of this name. */
export function said(command: string, args: readonly string[]): Promise<Said> {
  const options = { env: ENV, cwd: ROOT, timeout: 120_000, maxBuffer: 2 ** 26 };
  return new Promise((resolve) => {
    execFile(command, args, options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : 127;
      resolve({ status, lines: `${stdout}${stderr}`.trim().split("\n") });
    });
  });
}

/** Why Python cannot run the readers, if so. */
export async function lackingPython(): Promise<string | undefined> {
  const { status } = await said("python3", ["-c", "import cryptography"]);
  return status === 0 ? undefined : "python3 with the package cryptography is not installed";
}

/** Why Go cannot, if so. */
export async function lackingGo(): Promise<string | undefined> {
  const { lines } = await said("go", ["version"]);
  const [, minor] = /go1\.(\d+)/.exec(lines.join(" ")) ?? [];
  return Number(minor ?? 0) < 26 ? "Go 1.26 is not installed" : undefined;
}

/**
 * Builds a command of verify/go.
 *
 * @param folder "." or "./live"
 * @throws Error with what the compiler says
 */
export async function buildGo(folder: string, output: string): Promise<void> {
  const { status, lines } = await said("go", ["-C", "verify/go", "build", "-o", output, folder]);
  if (status !== 0) throw new Error(lines.join("\n"));
}
