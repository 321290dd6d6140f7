import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashOf, type Requirement } from "./requirements.ts";

const PATH = join("spec", "requirements.lock");

/** What was accepted: a hash of each requirement's text. Empty when there is no lock yet. */
export function readLock(root: string): ReadonlyMap<string, string> {
  const path = join(root, PATH);
  if (!existsSync(path)) return new Map();
  const lines = readFileSync(path, "utf8").split("\n");
  return new Map(
    lines
      .filter((line) => /^[A-Z]{3}-\d+ /.test(line))
      .map((line) => line.split(" ").slice(0, 2) as [string, string]),
  );
}

export function writeLock(
  root: string,
  requirements: readonly Requirement[],
  hashes: ReadonlyMap<string, string>,
): void {
  const lines = requirements
    .filter(({ id }) => hashes.has(id))
    .map(({ id, level }) => `${id} ${hashes.get(id)} ${level}`);
  const note = "# The wording that tests and code were read against: npm run trace -- --accept ID";
  writeFileSync(join(root, PATH), `${[note, ...lines.sort(byId)].join("\n")}\n`);
}

/** Requirements that were reworded, added or removed since they were accepted. */
export function lockFindings(
  requirements: readonly Requirement[],
  lock: ReadonlyMap<string, string>,
): string[] {
  const known = new Set(requirements.map(({ id }) => id));
  const changed = requirements
    .filter((requirement) => lock.get(requirement.id) !== hashOf(requirement))
    .map(({ id, file, line }) => {
      const what = lock.has(id) ? "was reworded" : "is new";
      return `${file}:${line}: ${id} ${what}: npm run trace -- --accept ${id}`;
    });
  const gone = [...lock.keys()]
    .filter((id) => !known.has(id))
    .map((id) => `${PATH}: ${id} is gone: a retired requirement keeps its line, with "retired"`);
  return [...changed, ...gone];
}

function byId(a: string, b: string): number {
  const key = (line: string) => {
    const [, area = "", number = ""] = /^([A-Z]+)-(\d+)/.exec(line) ?? [];
    return area + number.padStart(4, "0");
  };
  return key(a) < key(b) ? -1 : 1;
}
