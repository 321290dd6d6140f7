export type TokenKind = "word" | "number" | "string" | "template" | "regex" | "comment" | "mark";

export interface Token {
  readonly kind: TokenKind;
  /** As written, quotes and comment marks included. */
  readonly text: string;
  /** Where it begins, from 1. */
  readonly line: number;
}

/**
 * Cuts TypeScript into tokens. The compiler has no JavaScript interface that could do it
 * (TypeScript 7.0), and rules over plain text would trip over strings and comments.
 *
 * A template is cut into its texts, with the tokens of its expressions between them. Marks are
 * single characters but for `=>`. Never throws: what does not close ends with the text.
 */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  /** Braces open at the moment; true where the closing one continues a template. */
  const braces: boolean[] = [];
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const continuesTemplate = text[at] === "}" && braces.at(-1) === true;
    const kind = continuesTemplate ? "template" : kindAt(text, at, tokens);
    const end = kind === undefined ? at + 1 : endOf(kind, text, at);
    const part = text.slice(at, end);
    if (part === "{") braces.push(false);
    if (part === "}" || continuesTemplate) braces.pop();
    if (kind === "template" && part.endsWith("${")) braces.push(true);
    if (kind !== undefined) tokens.push({ kind, text: part, line });
    line += part.split("\n").length - 1;
    at = end;
  }
  return tokens;
}

const WORD = /[\p{ID_Start}$_#][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\d[\w.]*/y;
const STRING = /"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?/sy;
const TEMPLATE = /[`}](?:\\.|\$(?!\{)|[^`\\$])*(?:`|\$\{)?/sy;
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const COMMENT = /\/\/[^\n]*|\/\*.*?(?:\*\/|$)|#![^\n]*/sy;
const MARK = /=>|./sy;
const PATTERNS: Readonly<Record<TokenKind, RegExp>> = {
  word: WORD,
  number: NUMBER,
  string: STRING,
  template: TEMPLATE,
  regex: REGEX,
  comment: COMMENT,
  mark: MARK,
};

/** What begins here; undefined for white space. */
function kindAt(text: string, at: number, before: readonly Token[]): TokenKind | undefined {
  const character = text[at] as string;
  if (/\s/.test(character)) return undefined;
  if (character === '"' || character === "'") return "string";
  if (character === "`") return "template";
  if (/\d/.test(character)) return "number";
  if (matches(COMMENT, text, at)) return "comment";
  if (matches(WORD, text, at)) return "word";
  if (character !== "/") return "mark";
  return valueMayBegin(before) && matches(REGEX, text, at) ? "regex" : "mark";
}

const WORDS_BEFORE_VALUES = new Set(
  "return typeof case in of delete void throw new else do await yield instanceof".split(" "),
);

/**
 * Whether a slash is the beginning of a regular expression: not after a value, where it divides.
 */
function valueMayBegin(before: readonly Token[]): boolean {
  const last = before.findLast((token) => token.kind !== "comment");
  if (last === undefined) return true;
  if (last.kind === "mark") return ![")", "]", "}"].includes(last.text);
  return last.kind === "word" && WORDS_BEFORE_VALUES.has(last.text);
}

function matches(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at;
  return pattern.test(text);
}

function endOf(kind: TokenKind, text: string, at: number): number {
  return matches(PATTERNS[kind], text, at) ? PATTERNS[kind].lastIndex : at + 1;
}
