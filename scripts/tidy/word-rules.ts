import { DURABLE_MAKERS, isWithin, PURE_PLACES, TIMED_ROOMS, TIMER_PLACES } from "./rooms.ts";
import type { Fault, Rule } from "./rule.ts";
import type { SourceFile } from "./source-file.ts";
import type { Token } from "./tokens.ts";

/** Rules about what must not be written, in code or anywhere. */
export const WORD_RULES: Readonly<Record<string, Rule>> = {
  impure: (file) =>
    isIn(file, PURE_PLACES)
      ? IMPURE.flatMap((words) => found(file, words, "time and chance come in as arguments"))
      : [],

  timer: (file) =>
    isIn(file, TIMED_ROOMS) && !isIn(file, TIMER_PLACES) && !isIn(file, PURE_PLACES)
      ? TIMERS.flatMap((word) => found(file, [word], "timers have their places: see rooms.ts"))
      : [],

  "durable-cast": (file) =>
    file.isTest || file.isGenerated || isIn(file, DURABLE_MAKERS)
      ? []
      : found(file, ["as", "Durable"], "only a store knows what is durable"),

  any: (file) =>
    file.isGenerated
      ? []
      : ANY_AFTER.flatMap((before) => found(file, [before, "any"], "use unknown, and find out")),

  "default-export": (file) =>
    [
      ["export", "default"],
      ["as", "default"],
    ].flatMap((words) => found(file, words, "exports have names")),

  "open-end": (file) => linesWith(file, OPEN_END, "unfinished work belongs in an issue"),
  "machine-path": (file) => linesWith(file, MACHINE_PATH, "a path of one machine"),
  "registry-host": (file) => linesWith(file, REGISTRY_HOST, "the registry is the reader's choice"),
};

const TIMERS = ["setTimeout", "setInterval"];
const IMPURE = [
  ["Math", ".", "random"],
  ["performance", ".", "now"],
  ["Date", ".", "now"],
  ["new", "Date"],
  ["setImmediate"],
  ["queueMicrotask"],
  ...TIMERS.map((word) => [word]),
];
const ANY_AFTER = [":", "as", "<", "|", "&", ",", "=>", "satisfies"];

// Groups keep these patterns from finding themselves.
const OPEN_END = /\b(?:TO(?:DO)|FIX(?:ME)|X(?:XX)|HA(?:CK))\b/;
const MACHINE_PATH = /(?<![\w.:/$}-])\/(?:(?:root|work|tmp)\b|(?:home|Users)\/\w)/;
const REGISTRY_HOST =
  /\b(?:npm(?:js)\.(?:org|com)|npm(?:mirror)|verd(?:accio)|(?:j)frog|art(?:ifactory))\b/i;

function isIn({ path, isTest }: SourceFile, places: readonly string[]): boolean {
  return !isTest && places.some((place) => isWithin(path, place));
}

/** Where these tokens follow each other. */
function found({ tokens }: SourceFile, words: readonly string[], why: string): Fault[] {
  return tokens.flatMap(({ line }, index) => {
    const isHere = words.every((word, offset) => tokens[index + offset]?.text === word);
    if (!isHere || isNameOfMember(tokens, index, words.length)) return [];
    return [{ line, text: `${words.join(" ")}: ${why}` }];
  });
}

/** Whether words belong to something else: `a.setTimeout`, `{ any: 1 }`. */
function isNameOfMember(tokens: readonly Token[], index: number, count: number): boolean {
  const end = index + count;
  if (tokens[index - 1]?.text === ".") return tokens[index - 2]?.text !== "globalThis";
  return tokens[end]?.text === ":" && ["{", ","].includes(tokens[end - 2]?.text ?? "");
}

function linesWith({ lines }: SourceFile, pattern: RegExp, why: string): Fault[] {
  return lines.flatMap((line, index) => {
    const match = pattern.exec(line);
    return match === null ? [] : [{ line: index + 1, text: `${match[0]}: ${why}` }];
  });
}
