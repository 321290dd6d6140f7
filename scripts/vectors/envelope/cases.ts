import { hexOf, type Named, named } from "../builder.ts";

/** Where something that is refused goes wrong. */
export type Failure =
  | "parse"
  | "policy"
  | "signature"
  | "kem"
  | "confirm"
  | "aead"
  | "tag"
  | "padding"
  | "order"
  | "replay";

export type Expectation = "valid" | { readonly fails: Failure };

/** A vector of the envelope: `kind` says what the members mean. */
export interface EnvelopeCase extends Named {
  readonly kind: string;
  readonly expect: Expectation;
}

/** Bytes of any members become hexadecimal, under the same name with _hex. */
export function envelopeCase(
  [ids, name, description]: readonly [ids: string, name: string, description: string],
  kind: string,
  members: Readonly<Record<string, unknown>>,
  failure?: Failure,
): EnvelopeCase {
  const expect = failure === undefined ? "valid" : { fails: failure };
  return { ...named(ids, name, description), kind, ...(spelled(members) as object), expect };
}

/** JSON of a value, with bytes spelled out. */
export function spelled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(spelled);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    entries.map(([name, member]) => {
      if (isBytes(member)) return [`${name}_hex`, hexOf(member)];
      const isList = Array.isArray(member) && member.length > 0 && member.every(isBytes);
      return isList ? [`${name}_hex`, member.map(hexOf)] : [name, spelled(member)];
    }),
  );
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}
