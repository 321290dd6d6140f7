import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Outcome, runCommand } from "./command.ts";
import { type Check, readChecks, staticChecks } from "./trace/checks.ts";
import { readCitations } from "./trace/citations.ts";
import { coveragePage, isFreshPage, PAGE } from "./trace/coverage.ts";
import { lockFindings, readLock, writeLock } from "./trace/lock.ts";
import { readPitfalls } from "./trace/pitfalls.ts";
import { hashOf, type Requirement, readSpec } from "./trace/requirements.ts";

const HELP = `npm run trace -- [options]

Which test, mutant, vector and model checks each requirement of the specification, by what really
ran: npm test writes that down, and is run first when it has not. Fails on a MUST that nothing
checks, on ids that do not exist, on a reworded requirement that nobody accepted, and on a pitfall
without a place. Writes spec/generated/coverage.md.

  --run          runs npm test first in any case
  --check        writes nothing: fails when the page is stale
  --accept IDS   accepts the present wording, separated by commas (all: every one), and prints
                 every citation to read again
  --json         one JSON line for each requirement, and one for the whole at the end
`;

/** Everything that can be said without running a test: a step of npm run check. */
export async function checkTrace(root: string): Promise<Outcome> {
  const findings = staticFindings(root);
  return { isOk: findings.length === 0, output: findings.join("\n") };
}

function staticFindings(root: string): string[] {
  const { requirements, findings } = readSpec(root);
  const known = new Set(requirements.map(({ id }) => id));
  const unknown = readCitations(root)
    .filter(({ id }) => !known.has(id))
    .map(({ id, place }) => `${place}: there is no requirement ${id}`);
  const foreign = staticChecks(root).flatMap(({ where, ids }) =>
    ids.filter((id) => !known.has(id)).map((id) => `${where}: there is no requirement ${id}`),
  );
  const locked = lockFindings(requirements, readLock(root));
  return [...findings, ...unknown, ...foreign, ...locked, ...readPitfalls(root).findings];
}

interface Coverage {
  readonly requirements: readonly Requirement[];
  readonly checks: readonly Check[];
  readonly findings: readonly string[];
  readonly uncovered: readonly Requirement[];
  readonly unplaced: readonly string[];
}

function coverageOf(root: string, checks: readonly Check[]): Coverage {
  const { requirements } = readSpec(root);
  const covered = new Set(checks.flatMap(({ ids }) => ids));
  const uncovered = requirements.filter(({ id, level }) => level === "MUST" && !covered.has(id));
  const tested = new Set(checks.flatMap(({ pitfalls }) => pitfalls));
  const unplaced = readPitfalls(root)
    .pitfalls.filter(({ name, exception }) => exception === undefined && !tested.has(name))
    .map(({ name }) => name);
  const findings = [
    ...staticFindings(root),
    ...uncovered.map(({ id, file, line }) => `${file}:${line}: nothing checks ${id}`),
    ...unplaced.map((name) => `spec/10-pitfalls.md: no test names ${name}`),
  ];
  return { requirements, checks, findings, uncovered, unplaced };
}

function accept(root: string, asked: string, print: (line: string) => void): number {
  const { requirements } = readSpec(root);
  const ids = asked === "all" ? requirements.map(({ id }) => id) : asked.split(",");
  const hashes = new Map(readLock(root));
  const known = new Set(requirements.map(({ id }) => id));
  for (const id of hashes.keys()) if (!known.has(id)) hashes.delete(id);
  for (const requirement of requirements) {
    if (ids.includes(requirement.id)) hashes.set(requirement.id, hashOf(requirement));
  }
  writeLock(root, requirements, hashes);
  if (asked === "all") return 0;
  for (const { id, place, text } of readCitations(root)) {
    if (ids.includes(id)) print(`${place}: ${text}`);
  }
  return 0;
}

function report(coverage: Coverage, json: boolean, print: (line: string) => void): void {
  const { requirements, checks, findings, uncovered, unplaced } = coverage;
  for (const { id, level, file, line } of requirements) {
    const own = checks.filter(({ ids }) => ids.includes(id));
    const count = (kind: Check["kind"]) => own.filter((check) => check.kind === kind).length;
    const counts = {
      tests: count("test"),
      mutants: count("mutant"),
      vectors: count("vector"),
      models: count("model"),
    };
    if (json) print(JSON.stringify({ id, level, place: `${file}:${line}`, ...counts }));
    else print(`${id.padEnd(7)} ${level.padEnd(9)} ${file}:${line}  ${JSON.stringify(counts)}`);
  }
  for (const finding of findings) print(json ? JSON.stringify({ finding }) : finding);
  const summary = {
    requirements: requirements.length,
    checks: checks.length,
    uncovered: uncovered.length,
    unknown: findings.filter((finding) => finding.includes("there is no requirement")).length,
    findings: findings.length,
    pitfalls: 35,
    placed: 35 - unplaced.length,
  };
  print(
    json
      ? JSON.stringify(summary)
      : Object.entries(summary)
          .map((pair) => pair.join(" "))
          .join(", "),
  );
}

async function main(root: string, args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      run: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      accept: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const print = (line: string) => process.stdout.write(`${line}\n`);
  if (values.help) {
    print(HELP);
    return 0;
  }
  if (values.accept !== undefined) return accept(root, values.accept, print);
  let checks = values.run ? undefined : readChecks(root);
  if (checks === undefined) {
    process.stderr.write("running npm test first: it writes down what ran\n");
    const { isOk, output } = await runCommand(root, process.execPath, ["scripts/test.ts"]);
    checks = readChecks(root);
    if (!isOk || checks === undefined) {
      process.stderr.write(output);
      return 1;
    }
  }
  const coverage = coverageOf(root, checks);
  report(coverage, values.json, print);
  const page = coveragePage(coverage.requirements, checks);
  if (!values.check) writeFileSync(join(root, PAGE), page);
  const isFresh = isFreshPage(root, page);
  if (!isFresh) process.stderr.write(`stale: ${PAGE}; "npm run trace" writes it anew\n`);
  return coverage.findings.length === 0 && isFresh ? 0 : 1;
}

if (import.meta.main) {
  process.exitCode = await main(join(import.meta.dirname, ".."), process.argv.slice(2));
}
