import { posix } from "node:path";
import { type FunctionFact, functionsOf } from "./functions.ts";
import { type Token, tokensOf } from "./tokens.ts";

/** What the rules know of one file. The facts about code are empty for a file that is not TypeScript. */
export interface SourceFile {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly lines: readonly string[];
  /** Tests, contracts that tests call, and what stands in a folder of test data. */
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
  /** `export … from`. */
  readonly isReExport: boolean;
}

export function parseSource(path: string, text: string): SourceFile {
  const isCode = path.endsWith(".ts");
  const tokens = isCode ? tokensOf(text).filter((token) => token.kind !== "comment") : [];
  return {
    path,
    lines: text.split("\n"),
    isTest: /\.test\.ts$|(^|[/-])contract\.ts$|(^|\/)testdata\//.test(path),
    isGenerated: /^gen\/|^spec\/generated\//.test(path),
    tokens,
    imports: importsOf(path, tokens),
    functions: functionsOf(tokens),
  };
}

function importsOf(path: string, tokens: readonly Token[]): ImportFact[] {
  return tokens.flatMap((token, index) => {
    const head = headOfImport(tokens, index);
    if (token.kind !== "string" || head === undefined) return [];
    const specifier = token.text.slice(1, -1);
    const isRelative = specifier.startsWith(".");
    const target = isRelative ? posix.join(posix.dirname(path), specifier) : undefined;
    return [{ specifier, target, line: token.line, isReExport: head === "export" }];
  });
}

/** The word that makes a string a specifier: `… from "x"`, `import "x"`, `import("x")`. */
function headOfImport(tokens: readonly Token[], index: number): "import" | "export" | undefined {
  const before = tokens[index - 1]?.text;
  if (before === "import") return "import";
  if (before === "(" && tokens[index - 2]?.text === "import") return "import";
  if (before !== "from") return undefined;
  const head = tokens
    .slice(0, index)
    .findLast(({ text, kind }) => kind === "word" && (text === "import" || text === "export"));
  return head?.text === "export" ? "export" : "import";
}
