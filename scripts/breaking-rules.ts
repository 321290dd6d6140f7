import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * The tables that decide behaviour: a message can stay readable while what may be said, when, and
 * what an error asks for, changes under those who rely on it.
 */
export const RULE_FILES: readonly string[] = [
  "gen/posthorn/v1/frame_rules.ts",
  "gen/posthorn/v1/error_rules.ts",
  "protocol/session/phases.ts",
];
/** What the tables themselves read. */
export const RULE_SOURCES: readonly string[] = [...RULE_FILES, "protocol/violation.ts"];

type Table = ReadonlyMap<string, string>;

/** What of the tables at one root is changed or gone at another; additions break nothing. */
export async function brokenRules(before: string, now: string): Promise<string[]> {
  const hasAll = [before, now].every((root) =>
    RULE_SOURCES.every((file) => existsSync(join(root, file))),
  );
  if (!hasAll) return [];
  const [old, present] = await Promise.all([readRules(before), readRules(now)]);
  return [...old].flatMap(([rule, value]) => {
    const is = present.get(rule);
    if (is === value) return [];
    return [`${rule} was ${value}, is ${is ?? "gone"}\n`];
  });
}

async function readRules(root: string): Promise<Table> {
  const [frames, errors, phases] = await Promise.all(
    RULE_FILES.map((file) => import(pathToFileURL(join(root, file)).href)),
  );
  return new Map([
    ...frameRules(frames.FRAME_RULES),
    ...errorRules(errors.ERROR_RULES),
    ...transitions("device", phases.CLIENT_TRANSITIONS),
    ...transitions("service", phases.SERVER_TRANSITIONS),
  ]);
}

interface FrameRule {
  readonly number: number;
  readonly sender: string;
  readonly phases: readonly string[];
  readonly counter: string;
}

function frameRules(rules: Readonly<Record<string, FrameRule>>): [string, string][] {
  return Object.entries(rules).map(([kind, { number, sender, phases, counter }]) => [
    `frame ${kind}`,
    `${number} from ${sender} in ${[...phases].sort().join("+")} consuming ${counter}`,
  ]);
}

interface ErrorRule {
  readonly name: string;
  readonly scope: string;
  readonly retry: string;
}

function errorRules(rules: ReadonlyMap<number, ErrorRule>): [string, string][] {
  return [...rules].map(([code, { name, scope, retry }]) => [
    `error ${code}`,
    `${name} of ${scope}, retry ${retry}`,
  ]);
}

function transitions(
  side: string,
  table: Readonly<Record<string, Readonly<Record<string, string>>>>,
): [string, string][] {
  return Object.entries(table).flatMap(([fact, from]) =>
    Object.entries(from).map(([phase, to]): [string, string] => [
      `${side} ${fact} in ${phase}`,
      `to ${to}`,
    ]),
  );
}
