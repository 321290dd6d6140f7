import type { Token } from "./tokens.ts";

export interface FunctionFact {
  /** What it is called; "=>" for an arrow. */
  readonly name: string;
  readonly line: number;
  /** From the line of its parameters to the line of its last token, both counted. */
  readonly lineCount: number;
  readonly parameterCount: number;
}

/**
 * Finds every function, method, accessor, constructor and arrow that has a body, by its
 * parentheses: they are those of a function when a body, or `=>`, follows them, perhaps after a
 * return type.
 */
export function functionsOf(tokens: readonly Token[]): FunctionFact[] {
  const mates = matesOf(tokens);
  const functions: FunctionFact[] = [];
  const returnTypes: { readonly begin: number; readonly end: number }[] = [];
  tokens.forEach((token, open) => {
    const close = mates.get(open);
    if (token.text !== "(" || close === undefined) return;
    // A return type may be a function's type, which has no body of its own.
    if (returnTypes.some(({ begin, end }) => begin < open && open < end)) return;
    const body = bodyAfter(tokens, mates, open);
    const end = body === undefined ? undefined : endOfBody(tokens, mates, body);
    if (body === undefined || end === undefined) return;
    functions.push({
      name: nameBefore(tokens, open),
      line: token.line,
      lineCount: (tokens[end] as Token).line - token.line + 1,
      parameterCount: parameterCount(tokens.slice(open + 1, close)),
    });
    if (body > close + 1) returnTypes.push({ begin: close, end: body });
  });
  return functions;
}

type Mates = ReadonlyMap<number, number>;

const CLOSING: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** For the index of each opening bracket, or template, the index of the one that closes it. */
function matesOf(tokens: readonly Token[]): Mates {
  const mates = new Map<number, number>();
  const open: number[] = [];
  tokens.forEach(({ kind, text }, index) => {
    const isTemplate = kind === "template";
    if (kind !== "mark" && !isTemplate) return;
    if (isTemplate ? /^`.*\$\{$/s.test(text) : text in CLOSING) open.push(index);
    if (isTemplate ? /^\}.*`$/s.test(text) : isClosing(text)) mates.set(open.pop() ?? -1, index);
  });
  return mates;
}

const WORDS_OF_STATEMENTS = new Set("if for while switch catch with await".split(" "));

/**
 * The index of the brace or arrow after parameters that begin here; undefined when they are no
 * parameters.
 */
function bodyAfter(tokens: readonly Token[], mates: Mates, open: number): number | undefined {
  const before = tokens[open - 1];
  if (before?.kind === "word" && WORDS_OF_STATEMENTS.has(before.text)) return undefined;
  const close = mates.get(open) as number;
  const hasType = tokens[close + 1]?.text === ":";
  const body = hasType ? endOfType(tokens, mates, close + 2) : close + 1;
  if (body === undefined) return undefined;
  return ["=>", "{"].includes(tokens[body]?.text ?? "") ? body : undefined;
}

const WORDS_INSIDE_TYPES = new Set(
  "keyof readonly is extends typeof infer asserts unique new".split(" "),
);
const MARKS_AFTER_TYPES = new Set([";", ",", "=", ")", "]", "}"]);

/**
 * The index of the first token after a return type: a body's brace or an arrow; undefined when this
 * is no such type.
 */
function endOfType(tokens: readonly Token[], mates: Mates, begin: number): number | undefined {
  let angles = 0;
  let isWhole = false;
  for (let at = begin; at < tokens.length; at += 1) {
    const { kind, text } = tokens[at] as Token;
    if (isWhole && angles === 0 && (text === "{" || text === "=>")) return at;
    if (kind === "mark" && MARKS_AFTER_TYPES.has(text) && angles === 0) return undefined;
    if (kind === "mark" && text === "<") angles += 1;
    if (kind === "mark" && text === ">") angles -= 1;
    isWhole = kind === "mark" ? text === ">" : !WORDS_INSIDE_TYPES.has(text);
    const mate = mates.get(at);
    if (mate === undefined) continue;
    at = mate;
    // A type of function goes on after its parameters.
    isWhole = tokens[at + 1]?.text !== "=>" || text !== "(";
  }
  return undefined;
}

const MARKS_AFTER_VALUES = new Set([";", ",", ")", "]", "}"]);

/**
 * The index of the last token of a body: the brace that closes it, or the end of an arrow's
 * expression.
 */
function endOfBody(tokens: readonly Token[], mates: Mates, body: number): number | undefined {
  if (tokens[body]?.text === "{") return mates.get(body);
  const begin = body + 1;
  if (tokens[begin]?.text === "{") return mates.get(begin);
  let at = begin;
  while (at < tokens.length) {
    const { kind, text } = tokens[at] as Token;
    if (MARKS_AFTER_VALUES.has(text) && kind === "mark") break;
    if (kind === "template" && text.startsWith("}")) break;
    at = (mates.get(at) ?? at) + 1;
  }
  return at > begin ? at - 1 : undefined;
}

const WORDS_BEFORE_ARROWS = new Set("async return case default of in yield".split(" "));

function nameBefore(tokens: readonly Token[], open: number): string {
  let at = open - 1;
  // Type parameters stand between a name and its parentheses.
  if (tokens[at]?.text === ">") {
    for (let angles = 0; at >= 0; at -= 1) {
      if (tokens[at]?.text === ">") angles += 1;
      if (tokens[at]?.text === "<") angles -= 1;
      if (angles === 0) break;
    }
    at -= 1;
  }
  const name = tokens[at];
  return name?.kind === "word" && !WORDS_BEFORE_ARROWS.has(name.text) ? name.text : "=>";
}

/** Counts what stands between commas, but for `this`, which is a type and no parameter. */
function parameterCount(tokens: readonly Token[]): number {
  let depth = 0;
  let count = 0;
  let isFresh = true;
  for (const { kind, text } of tokens) {
    const isMark = kind === "mark";
    if (isMark && depth === 0 && text === ",") {
      isFresh = true;
      continue;
    }
    if (isFresh && text !== "this") count += 1;
    isFresh = false;
    if ((isMark && (text in CLOSING || text === "<")) || text.endsWith("${")) depth += 1;
    if ((isMark && (isClosing(text) || text === ">")) || text.startsWith("}")) depth -= 1;
  }
  return count;
}

function isClosing(text: string): boolean {
  return Object.values(CLOSING).includes(text);
}
