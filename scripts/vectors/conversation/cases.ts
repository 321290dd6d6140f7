import type { ErrorCode } from "../../../gen/posthorn/v1/error_pb.ts";
import { type Named, named, varint } from "../builder.ts";
import { spelled } from "../envelope/cases.ts";
import type { About } from "../envelope/lies.ts";

/** The code of a refusal; or `MISTAKE`: a value that an implementation gets which does it wrong. */
export type ConversationFailure = keyof typeof ErrorCode | "MISTAKE";

/** A vector of conversations: `kind` says what the members mean. */
export interface ConversationCase extends Named {
  readonly kind: string;
  readonly expect: "valid" | { readonly fails: ConversationFailure };
}

/** Bytes of any members become hexadecimal, under the same name with _hex. */
export function conversationCase(
  [ids, name, description]: About,
  kind: string,
  members: Readonly<Record<string, unknown>>,
  failure?: ConversationFailure,
): ConversationCase {
  const expect = failure === undefined ? "valid" : { fails: failure };
  return { ...named(ids, name, description), kind, ...(spelled(members) as object), expect };
}

export type Range = readonly [from: number, through: number];

/** An encoded number set; its ranges may be any, in any order. */
export function setOf(...ranges: readonly Range[]): Uint8Array {
  let next = 1n;
  const bytes = ranges.flatMap(([from, through]) => {
    const gap = BigInt(from) - next;
    next = BigInt(through) + 1n;
    return [...varint(gap), ...varint(BigInt(through) - BigInt(from))];
  });
  return Uint8Array.from(bytes);
}

/** Every other number from one on, as ranges. */
export function everyOther(from: number, count: number): readonly Range[] {
  return Array.from({ length: count }, (_, at) => [from + 2 * at, from + 2 * at] as const);
}

/** Hexadecimal, with spaces where they help to read it. */
export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

/** The bytes of a set, written by hand; the builder has to come to them too. */
export function byHand(text: string, ranges: readonly Range[]): Uint8Array {
  const bytes = hex(text);
  if (!Buffer.from(bytes).equals(setOf(...ranges))) throw new TypeError(`${ranges}: ${text}`);
  return bytes;
}
