import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../gen/posthorn/v1/error_rules.ts";

/** One command of the program. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole help text, with examples. */
  readonly help: () => string;
  /** Goes on when nobody reads any more what it prints. */
  readonly outlivesReader?: boolean;
  /**
   * @param args what follows the command's name
   * @returns the exit status, one of {@link EXIT}
   * @throws UsageError, or any error with an {@link ErrorCode}: both are printed in one line
   */
  run(args: readonly string[], io: CommandIo): Promise<number>;
}

/** What a command may touch of its surroundings. */
export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** 0: done. 1: failed. 2: called or configured wrongly, so that trying again cannot help. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = ErrorCode.CONFIG_INVALID;
}

/** One line for people: the code and what happened. A stack only for a defect of ours. */
export function errorLine(error: unknown): string {
  if (!(error instanceof Error)) return `INTERNAL: ${String(error)}`;
  const { code, syscall } = error as { readonly code?: unknown; readonly syscall?: unknown };
  if (typeof code === "number") {
    const { name } = errorRule(code);
    return error.message.startsWith(`${name}:`) ? error.message : `${name}: ${error.message}`;
  }
  // The system's own errors begin with their code and say which file or address it was.
  return syscall === undefined ? `INTERNAL: ${error.stack}` : error.message;
}

/** The exit status that an error ends the program with. */
export function exitOf(error: unknown): number {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return code === ErrorCode.CONFIG_INVALID ? EXIT.usage : EXIT.failed;
}
