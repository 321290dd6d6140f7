import { posix } from "node:path";
import type { Rule } from "./rule.ts";
import type { SourceFile } from "./source-file.ts";

const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;
const LINE_LENGTH_MAX = 100;
const PARAMETERS_MAX = 4;

/** Rules about sizes and names. */
export const FORM_RULES: Readonly<Record<string, Rule>> = {
  "file-size": (file) => {
    const lineCount = file.lines.length - 1;
    if (!isOfProduct(file) || lineCount <= FILE_LINES_MAX) return [];
    return [{ line: lineCount, text: `more than ${FILE_LINES_MAX} lines; split by noun` }];
  },

  "function-size": (file) =>
    file.functions
      .filter(({ lineCount }) => isOfProduct(file) && lineCount > FUNCTION_LINES_MAX)
      .map(({ name, line, lineCount }) => ({
        line,
        text: `${name} has ${lineCount} lines, more than ${FUNCTION_LINES_MAX}`,
      })),

  parameters: (file) =>
    file.functions
      .filter(({ parameterCount }) => !file.isGenerated && parameterCount > PARAMETERS_MAX)
      .map(({ name, line, parameterCount }) => ({
        line,
        text: `${name} has ${parameterCount} parameters, more than ${PARAMETERS_MAX}`,
      })),

  "line-length": ({ path, lines, isGenerated }) =>
    path.endsWith(".ts") && !isGenerated
      ? lines.flatMap((line, index) =>
          line.length > LINE_LENGTH_MAX && !UNBREAKABLE.test(line)
            ? [{ line: index + 1, text: `${line.length} characters, more than ${LINE_LENGTH_MAX}` }]
            : [],
        )
      : [],

  "file-name": ({ path, isGenerated }) => {
    if (isGenerated) return [];
    const file = posix.basename(path);
    const faults: string[] = [];
    if (file.endsWith(".ts") && !KEBAB_CASE.test(file)) faults.push(`${file} is not kebab-case`);
    if (file.endsWith(".proto") && !SNAKE_CASE.test(file)) faults.push(`${file} is not snake_case`);
    const empty = EMPTY_NAME.exec(path)?.[1];
    if (empty !== undefined) faults.push(`"${empty}" says nothing; name the noun`);
    return faults.map((text) => ({ line: 1, text }));
  },

  "empty-word": ({ tokens, isGenerated }) =>
    isGenerated
      ? []
      : tokens
          .filter(({ kind, text }) => kind === "word" && EMPTY_WORD.test(text))
          .map(({ line, text }) => ({ line, text: `${text} says nothing; name what it does` })),
};

// A URL, and the title of a test, which names all requirements it checks.
const UNBREAKABLE = /:\/\/|^\s*(?:await )?(?:t\.)?(?:test|describe|it)\(/;
const KEBAB_CASE = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.property)?(?:\.test)?\.ts$/;
const SNAKE_CASE = /^[a-z0-9]+(?:_[a-z0-9]+)*\.proto$/;
// A file may be named core after the benchmark of that name; a folder of that name holds everything
// and nothing.
const EMPTY_NAME =
  /(?:^|\/)((?:util|helper)s?|common|misc|types|core(?=\/))(?:\.test)?(?:\.\w+|\/)/;
const EMPTY_WORD = /(?:Manager|Util|Helper|Impl)s?$|^(?:manager|util|helper|impl)s?$/;

function isOfProduct({ path, isTest, isGenerated }: SourceFile): boolean {
  return path.endsWith(".ts") && !isTest && !isGenerated;
}
