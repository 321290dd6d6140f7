import { AssertionError } from "node:assert/strict";
import { openSync, writeSync } from "node:fs";
import { relative } from "node:path";
import { run } from "node:test";
import { inspect } from "node:util";

/** What is written down, one JSON object a line, while the tests of one file run. */
export type TestRecord =
  | { readonly kind: "started" | "completed"; readonly name: string }
  | { readonly kind: "passed"; readonly name: string }
  | { readonly kind: "skipped"; readonly name: string; readonly reason: string }
  | { readonly kind: "failed"; readonly name: string; readonly at: string; readonly text: string }
  /** Said by the runner about trouble outside of any test. */
  | { readonly kind: "noted"; readonly text: string }
  /** The file came to its end: a process that leaves before has not run all its tests. */
  | { readonly kind: "ended" };

/**
 * Runs the tests of one file in this process. Each record is on disk before the next test begins,
 * so that whoever started this process knows how far it came, whatever it died of.
 */
function runFile(file: string, recordsPath: string): void {
  const records = openSync(recordsPath, "a");
  const write = (record: TestRecord) => writeSync(records, `${JSON.stringify(record)}\n`);
  const path: string[] = [];
  const nameAt = (nesting: number) => path.slice(0, nesting + 1).join(" › ");
  const stream = run({ files: [file], isolation: "none" });

  stream.on("test:dequeue", ({ name }) => write({ kind: "started", name }));
  stream.on("test:complete", ({ name }) => write({ kind: "completed", name }));
  // These come in the order of the text, parents before their children begin.
  stream.on("test:start", ({ name, nesting }) => {
    path[nesting] = name;
  });
  stream.on("test:pass", ({ name, nesting, skip, todo, details }) => {
    if (skip !== undefined || todo !== undefined) {
      const reason = skip ?? todo;
      const text = reason === true || reason === "" ? "no reason given" : String(reason);
      write({ kind: "skipped", name: nameAt(nesting), reason: text });
    } else if (isFileItself(name, file)) {
      write({ kind: "failed", name: file, at: file, text: "has no tests" });
    } else if (details.type !== "suite") {
      write({ kind: "passed", name: nameAt(nesting) });
    }
  });
  stream.on("test:fail", ({ nesting, file: at, line, details }) => {
    const hasFailedWithin = failureTypeOf(details.error) === "subtestsFailed";
    if (hasFailedWithin && details.type === "suite") return;
    const text = hasFailedWithin ? details.error.message : causeText(details.error);
    const place = at === undefined ? file : `${relative(process.cwd(), at)}:${line}`;
    write({ kind: "failed", name: nameAt(nesting), at: place, text });
  });
  stream.on("test:diagnostic", ({ message, level }) => {
    if (level !== "info" || message.startsWith("Error:")) write({ kind: "noted", text: message });
  });
  stream.once("end", () => write({ kind: "ended" }));
  stream.resume();
}

/** A file without tests counts as one test of its own name. */
function isFileItself(name: string, file: string): boolean {
  return name === file || name.endsWith(`/${file}`);
}

function failureTypeOf(error: Error): string | undefined {
  return "failureType" in error ? String(error.failureType) : undefined;
}

/** The error that a test threw, without the runner's own frames. */
function causeText(error: Error): string {
  const cause = error.cause ?? error;
  const text = cause instanceof AssertionError ? String(cause.stack) : inspect(cause);
  const lines = text
    .split("\n")
    .filter((line) => !/^\s+at .*\bnode:(?:internal|async_hooks)\b/.test(line));
  return lines.join("\n");
}

if (import.meta.main) runFile(process.argv[2] as string, process.argv[3] as string);
