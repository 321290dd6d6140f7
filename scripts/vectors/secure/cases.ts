import type { ErrorCode } from "../../../gen/posthorn/v1/error_pb.ts";
import { named } from "../builder.ts";
import { spelled } from "../envelope/cases.ts";
import type { About } from "../envelope/lies.ts";

/**
 * The code of a refusal; or what has none: `MISTAKE` is a value that an implementation gets which
 * does it another way, `REPORT` a report that proves nothing.
 */
export type SecureFailure = keyof typeof ErrorCode | "MISTAKE" | "REPORT";

/** A vector of secure chat: `kind` says what the members mean. */
export interface SecureCase {
  readonly name: string;
  readonly description: string;
  readonly requirements: readonly string[];
  readonly kind: string;
  readonly expect: "valid" | { readonly fails: SecureFailure };
}

/** Bytes of any members become hexadecimal, under the same name with _hex. */
export function secureCase(
  [ids, name, description]: About,
  kind: string,
  members: Readonly<Record<string, unknown>>,
  failure?: SecureFailure,
): SecureCase {
  const expect = failure === undefined ? "valid" : { fails: failure };
  return { ...named(ids, name, description), kind, ...(spelled(members) as object), expect };
}
