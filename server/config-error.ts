import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";

/** A key is unknown, or a value is illegal, insecure or contradicts another. [OPS-1] */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = ErrorCode.CONFIG_INVALID;
  /** The key as it was written: a path of the file, a variable, or a flag with its dashes. */
  readonly key: string;

  /** @param problem a sentence about the key, which it begins with; never a secret */
  constructor(fault: { readonly key: string; readonly problem: string; readonly cause?: unknown }) {
    super(`${fault.key}: ${fault.problem}`, "cause" in fault ? { cause: fault.cause } : {});
    this.key = fault.key;
  }
}
