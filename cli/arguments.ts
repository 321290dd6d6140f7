import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { nearest } from "../server/nearest.ts";
import { UsageError } from "./command.ts";

/**
 * Reads the arguments of a command. Like `parseArgs`, with errors that help: an unknown flag says
 * which one was meant, a flag without its value and one given twice say so.
 *
 * @throws UsageError for the first argument that is wrong
 */
export function readArguments<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
): ReturnType<typeof parseArgs<{ args: string[]; options: Options; allowPositionals: true }>> {
  const given = { args: [...args], options, allowPositionals: true } as const;
  const seen = new Set<string>();
  for (const token of parseArgs({ ...given, strict: false, tokens: true }).tokens) {
    if (token.kind !== "option") continue;
    const problem = problemOf(token, options) ?? (seen.has(token.name) ? "given twice" : undefined);
    if (problem !== undefined) throw new UsageError(`${token.rawName}: ${problem}`);
    if (options[token.name]?.multiple !== true) seen.add(token.name);
  }
  return parseArgs(given);
}

/** @throws UsageError when there are other than `names.length` positional arguments */
export function readPositionals(
  { positionals }: { readonly positionals: readonly string[] },
  names: readonly string[],
): readonly string[] {
  const missing = names[positionals.length];
  if (missing !== undefined) throw new UsageError(`${missing} is missing`);
  const extra = positionals[names.length];
  if (extra !== undefined)
    throw new UsageError(`${JSON.stringify(extra)} is one argument too many`);
  return positionals;
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function problemOf(token: OptionToken, options: ParseArgsOptionsConfig): string | undefined {
  const { name, rawName, value, inlineValue } = token;
  if (!Object.hasOwn(options, name)) {
    const meant = nearest(name, Object.keys(options));
    return `unknown${meant === undefined ? "" : `; did you mean --${meant}?`}`;
  }
  if (options[name]?.type === "boolean") return value === undefined ? undefined : "takes no value";
  if (value === undefined) return "needs a value";
  const dashed = inlineValue !== true && value.length > 1 && value.startsWith("-");
  return dashed ? `needs a value; one that begins with a dash goes ${rawName}=${value}` : undefined;
}
