import { posix } from "node:path";
import { type FunctionFact, functionsOf } from "./functions.ts";
import { type Token, tokensOf } from "./tokens.ts";

/**
 * What the rules know of one file. The facts about code are empty for a file that is not
 * TypeScript.
 */
export interface SourceFile {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly lines: readonly string[];
  readonly isTest: boolean;
  /** Printed by the generator: checked for what it says, not for its form. */
  readonly isGenerated: boolean;
  /** The code: all tokens but comments. */
  readonly tokens: readonly Token[];
  readonly imports: readonly ImportFact[];
  readonly functions: readonly FunctionFact[];
}

export interface ImportFact {
  /** As written. */
  readonly specifier: string;
  /** What a relative import means, relative to the root; undefined for packages. */
  readonly target: string | undefined;
  readonly line: number;
  /** `export … from`, but for `export type`, of which nothing is left at run time. */
  readonly isReExport: boolean;
}

export function parseSource(path: string, text: string): SourceFile {
  const isCode = path.endsWith(".ts");
  const tokens = isCode ? tokensOf(text).filter((token) => token.kind !== "comment") : [];
  return {
    path,
    lines: text.split("\n"),
    isTest: isTestPath(path),
    isGenerated: /^gen\/|^spec\/generated\//.test(path),
    tokens,
    imports: importsOf(path, tokens),
    functions: functionsOf(tokens),
  };
}

/** Tests, contracts that tests call, and what stands in a folder of test data. */
export function isTestPath(path: string): boolean {
  return /\.test\.ts$|(?:^|[/-])contract\.ts$|(?:^|\/)testdata\//.test(path);
}

function importsOf(path: string, tokens: readonly Token[]): ImportFact[] {
  return tokens.flatMap(({ kind, text, line }, index) => {
    if (kind !== "string" || !isSpecifier(tokens, index)) return [];
    const specifier = text.slice(1, -1);
    const isRelative = specifier.startsWith(".");
    const target = isRelative ? posix.join(posix.dirname(path), specifier) : undefined;
    return [{ specifier, target, line, isReExport: isReExported(tokens, index) }];
  });
}

/** Whether a string says where an import comes from: `… from "x"`, `import "x"`, `import("x")`. */
function isSpecifier(tokens: readonly Token[], index: number): boolean {
  const before = tokens[index - 1]?.text;
  if (before === "(") return tokens[index - 2]?.text === "import";
  return before === "import" || before === "from";
}

function isReExported(tokens: readonly Token[], index: number): boolean {
  if (tokens[index - 1]?.text !== "from") return false;
  const head = tokens
    .slice(0, index)
    .findLastIndex(({ kind, text }) => kind === "word" && ["import", "export"].includes(text));
  return tokens[head]?.text === "export" && tokens[head + 1]?.text !== "type";
}
