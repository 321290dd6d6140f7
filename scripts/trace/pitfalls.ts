import { readFileSync } from "node:fs";
import { join } from "node:path";

export const PITFALL_COUNT = 35;
export const PITFALL = /\bP(?:[1-9]|[12]\d|3[0-5])\b/g;
const PAGE = "spec/10-pitfalls.md";
const ROW = /^\| (P\d+) \| (.+) \| (.+) \|$/;

/** A bug that others had. */
export interface Pitfall {
  readonly name: string;
  /** Why nothing here checks it: it cannot occur, or belongs to what does not exist yet. */
  readonly exception: string | undefined;
}

/** The pitfalls as their page lists them, and what is wrong with the page. */
export function readPitfalls(root: string): {
  readonly pitfalls: readonly Pitfall[];
  readonly findings: readonly string[];
} {
  const rows = readFileSync(join(root, PAGE), "utf8")
    .split("\n")
    .flatMap((line) => {
      const row = ROW.exec(line);
      return row === null ? [] : [{ name: row[1] as string, placed: row[3] as string }];
    });
  const findings = rows
    .filter(({ name }) => Number(name.slice(1)) > PITFALL_COUNT)
    .map(({ name }) => `${PAGE}: ${name} is no pitfall`);
  const pitfalls = Array.from({ length: PITFALL_COUNT }, (_, index) => {
    const name = `P${index + 1}`;
    const row = rows.find((candidate) => candidate.name === name);
    if (row === undefined) findings.push(`${PAGE}: ${name} is missing`);
    const exception = /^(?:cannot occur|later): (.{20,})$/.exec(row?.placed ?? "")?.[1];
    const isTested = row?.placed === "tested";
    if (row !== undefined && !isTested && exception === undefined) {
      findings.push(`${PAGE}: ${name} says neither "tested" nor why it is not`);
    }
    return { name, exception };
  });
  return { pitfalls, findings };
}
