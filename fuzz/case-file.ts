import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "regressions");

/** A case that broke a property once: `npm test` and every fuzzing run begin with it. */
interface CaseFile {
  readonly property: string;
  /** What went wrong, in a sentence. */
  readonly found: string;
  readonly input: unknown;
}

/** The inputs of every regression kept for a property, in the order of their files' names. */
export function readCases(
  property: string,
  folder: string = FOLDER,
): { readonly file: string; readonly input: unknown }[] {
  const files = globSync(`${property}.*.json`, { cwd: folder }).sort();
  return files.map((file) => ({ file, input: readCase(join(folder, file)).input }));
}

/** @throws SyntaxError when the file is not JSON, Error when there is none */
export function readCase(path: string): CaseFile {
  return JSON.parse(readFileSync(path, "utf8"), revive);
}

/** Keeps a case under the next free name. @returns its path */
export function writeCase(kept: CaseFile, folder: string = FOLDER): string {
  mkdirSync(folder, { recursive: true });
  const count = globSync(`${kept.property}.*.json`, { cwd: folder }).length;
  const path = join(folder, `${kept.property}.${count + 1}.json`);
  writeFileSync(path, `${JSON.stringify(kept, replace)}\n`, { flag: "wx" });
  return path;
}

/** JSON has neither bytes nor large integers. */
function replace(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return { bigint: String(value) };
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString("hex") };
  return value;
}

function revive(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Object.keys(value).length !== 1) return value;
  if ("bigint" in value) return BigInt(String(value.bigint));
  if ("hex" in value) return new Uint8Array(Buffer.from(String(value.hex), "hex"));
  return value;
}
