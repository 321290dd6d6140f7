import { type StdioOptions, spawn } from "node:child_process";
import { closeSync, globSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestRecord } from "./test-file.ts";
import { writePassed } from "./trace/passed-tests.ts";

export interface TestRunOptions {
  /** The folder whose `*.test.ts` files run. */
  readonly root: string;
  /** Parts of the paths of the files to run; all files when empty. */
  readonly patterns: readonly string[];
  /** A file that takes longer is killed, with what it started, and has failed. */
  readonly fileTimeoutMs: number;
  /** Whether a skipped test counts as a failed one: what is missing must not be missing in CI. */
  readonly skipFails: boolean;
  readonly print: (line: string) => void;
  /** Told which tests really ran, and passed. */
  readonly done?: (results: readonly PassedTests[]) => void;
}

export interface PassedTests {
  readonly file: string;
  /** Titles, with those of the suites around them. */
  readonly passed: readonly string[];
}

const CONCURRENCY = 2;
const FILE_TIMEOUT_MS = 600_000;

/**
 * Runs every test file in a process of its own. The last line printed says `N passed, N failed`.
 *
 * @returns whether something ran and nothing failed
 */
export async function runTests(options: TestRunOptions): Promise<boolean> {
  const waiting = testFiles(options);
  const results: FileResult[] = [];
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(file, options);
      results.push(result);
      printResult(result, options);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  options.done?.(results.map(({ file, passed }) => ({ file, passed })));
  return printTotals(results, options);
}

interface FileResult {
  readonly file: string;
  /** The titles of the tests that passed. */
  readonly passed: readonly string[];
  readonly failures: readonly { readonly title: string; readonly text: string }[];
  readonly skips: readonly string[];
  /** What the file's process printed. */
  readonly output: string;
  readonly durationMs: number;
}

function testFiles({ root, patterns }: TestRunOptions): string[] {
  const exclude = (name: string) => ["node_modules", "dist", ".git"].includes(name);
  return globSync("**/*.test.ts", { cwd: root, exclude })
    .filter((file) => patterns.length === 0 || patterns.some((part) => file.includes(part)))
    .sort();
}

async function runFile(file: string, options: TestRunOptions): Promise<FileResult> {
  const folder = mkdtempSync(join(tmpdir(), "posthorn-test-"));
  const recordsPath = join(folder, "records");
  const outputPath = join(folder, "output");
  closeSync(openSync(recordsPath, "w"));
  // A file takes the output, not a pipe: a process that a test left behind would hold it open.
  const output = openSync(outputPath, "a");
  const startedMs = performance.now();
  try {
    const script = join(import.meta.dirname, "test-file.ts");
    const ending = await endingOf([script, file, recordsPath], output, options);
    const records = readFileSync(recordsPath, "utf8").split("\n").slice(0, -1);
    return {
      ...resultOf(file, records.map(parseRecord), ending),
      output: readFileSync(outputPath, "utf8"),
      durationMs: performance.now() - startedMs,
    };
  } finally {
    closeSync(output);
    rmSync(folder, { recursive: true, force: true });
  }
}

function parseRecord(line: string): TestRecord {
  return JSON.parse(line);
}

/** Runs Node; undefined for an ending in peace, else how it ended. */
function endingOf(
  args: readonly string[],
  output: number,
  { root, fileTimeoutMs }: TestRunOptions,
): Promise<string | undefined> {
  // Tests that use the runner themselves must not take this one for their parent.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return new Promise((resolve) => {
    const stdio: StdioOptions = ["ignore", output, output];
    const child = spawn(process.execPath, args, { cwd: root, env, stdio, detached: true });
    const killGroup = () => {
      try {
        process.kill(-(child.pid as number), "SIGKILL");
      } catch {
        // Gone already.
      }
    };
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      killGroup();
    }, fileTimeoutMs);
    process.once("exit", killGroup);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      process.off("exit", killGroup);
      // Processes that the tests left behind end with them.
      killGroup();
      if (isLate) resolve(`was killed after ${fileTimeoutMs / 1000} s`);
      else if (signal !== null) resolve(`was killed by ${signal}`);
      else resolve(code === 0 ? undefined : `ended with exit status ${code}`);
    });
  });
}

function resultOf(
  file: string,
  records: readonly TestRecord[],
  ending: string | undefined,
): Pick<FileResult, "file" | "passed" | "failures" | "skips"> {
  const failures = records
    .filter((record) => record.kind === "failed")
    .map(({ name, at, text }) => ({ title: `${name} (${at})`, text }));
  const hasEnded = records.some(({ kind }) => kind === "ended");
  if (!hasEnded || (ending !== undefined && failures.length === 0)) {
    const how = ending ?? "left before all tests had run";
    failures.push({
      title: `${file} ${how}`,
      text: hasEnded ? notesOf(records) : runningOf(records),
    });
  }
  return {
    file,
    passed: records.filter((record) => record.kind === "passed").map(({ name }) => name),
    failures,
    skips: records
      .filter((record) => record.kind === "skipped")
      .map(({ name, reason }) => `${file}: ${name}: ${reason}`),
  };
}

function notesOf(records: readonly TestRecord[]): string {
  const notes = records.filter((record) => record.kind === "noted");
  return notes.map(({ text }) => text).join("\n");
}

function runningOf(records: readonly TestRecord[]): string {
  const running: string[] = [];
  for (const record of records) {
    if (record.kind === "started") running.push(record.name);
    if (record.kind === "completed") running.splice(running.indexOf(record.name), 1);
  }
  if (running.length > 0) return `while running: ${running.join(", ")}`;
  return "no test was running: something was left open";
}

function printResult(result: FileResult, { print }: TestRunOptions): void {
  const { file, failures, passed, skips, output, durationMs } = result;
  const seconds = `${(durationMs / 1000).toFixed(1)} s`;
  const skipped = skips.length > 0 ? `, ${skips.length} skipped` : "";
  const state = failures.length > 0 ? "FAILED" : "ok    ";
  print(`${state} ${file} (${passed.length} passed${skipped}, ${seconds})`);
  for (const { title, text } of failures) print(`\n  ✖ ${title}\n${indented(text)}\n`);
  if (failures.length > 0 && output !== "") print(`  output of ${file}:\n${indented(output)}`);
}

function indented(text: string): string {
  return text.trimEnd().replace(/^/gm, "    ");
}

function printTotals(results: readonly FileResult[], options: TestRunOptions): boolean {
  const { print, skipFails } = options;
  const failures = results.flatMap(({ failures }) => failures);
  const skips = results.flatMap(({ skips }) => skips);
  const passedCount = results.reduce((sum, { passed }) => sum + passed.length, 0);
  const failedCount = failures.length + (skipFails ? skips.length : 0);
  print("");
  for (const skip of skips) print(`skipped ${skip}`);
  if (skipFails && skips.length > 0) print("in CI nothing may be skipped: these have failed");
  for (const { title } of failures) print(`failed ${title}`);
  if (results.length === 0) print("no test file has such a name");
  const tail = skips.length > 0 && !skipFails ? `, ${skips.length} skipped` : "";
  print(`${passedCount} passed, ${failedCount} failed${tail}`);
  return failedCount === 0 && passedCount > 0;
}

if (import.meta.main) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  const root = join(import.meta.dirname, "..");
  const patterns = process.argv.slice(2);
  const isGood = await runTests({
    root,
    patterns,
    fileTimeoutMs: FILE_TIMEOUT_MS,
    skipFails: process.env.CI === "true",
    print: console.log,
    // What was left out would seem untested: only a whole run is written down, for npm run trace.
    ...(patterns.length === 0 && { done: (results) => writePassed(root, results) }),
  });
  process.exitCode = isGood ? 0 : 1;
}
