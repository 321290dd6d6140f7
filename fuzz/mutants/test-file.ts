import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** What a test file came to. */
export interface TestFileOutcome {
  /** Tests that were over. */
  readonly testCount: number;
  /** The title of the first that failed, or what happened to the process; undefined: all passed. */
  readonly failure: string | undefined;
  readonly ms: number;
}

export interface TestFileOptions {
  /** Node's options, such as what plants a mutant. */
  readonly execArgv?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** A file that takes longer counts as failed: its process is killed. */
  readonly timeoutMs: number;
}

/** Whether what kills a mutant is a test file, and no property. */
export function isTestFile(name: string): boolean {
  return name.endsWith(".test.ts");
}

const RESULT = /^\s*(not )?ok \d+ - (.*?)(?: # .*)?$/;

/**
 * Runs a test file in a process of its own, from the root of the repository, until the first of its
 * tests fails.
 */
export async function runTestFile(
  path: string,
  { execArgv = [], env = process.env, timeoutMs }: TestFileOptions,
): Promise<TestFileOutcome> {
  const startedMs = performance.now();
  const args = [...execArgv, "--test-reporter=tap", path];
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "ignore"] });
  let testCount = 0;
  let failure: string | undefined;
  const timer = setTimeout(() => {
    failure ??= `not over in ${timeoutMs / 1000} s`;
    child.kill("SIGKILL");
  }, timeoutMs);
  const ended = new Promise<string>((resolve) => {
    child.once("close", (code, signal) => resolve(signal ?? `exit status ${code}`));
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const [, not, title] = RESULT.exec(line) ?? [];
    if (title === undefined) continue;
    testCount += 1;
    if (not === undefined) continue;
    failure ??= title;
    child.kill("SIGKILL");
  }
  const end = await ended;
  clearTimeout(timer);
  if (end !== "exit status 0") failure ??= `the process ended: ${end}`;
  return { testCount, failure, ms: performance.now() - startedMs };
}
