import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageShape,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { COUNTER_MAX } from "./limits.ts";

/**
 * A Protobuf message as plain readonly data: 64-bit numbers are numbers (never above 2^53-1) and
 * the library's own members are gone. This is where `bigint` ends. [FRM-5]
 */
export type Plain<T> = T extends bigint
  ? number
  : T extends number | Uint8Array
    ? T
    : T extends readonly (infer Item)[]
      ? readonly Plain<Item>[]
      : T extends object
        ? { readonly [Key in keyof T as Key extends keyof Message ? never : Key]: Plain<T[Key]> }
        : T;

export type PlainFault = "malformed" | "out-of-range";

/** Decodes bytes; never throws. "out-of-range": valid Protobuf with a number above 2^53-1. */
export function decodePlain<Desc extends DescMessage>(
  desc: Desc,
  bytes: Uint8Array,
): Plain<MessageShape<Desc>> | PlainFault {
  let message: MessageShape<Desc>;
  try {
    message = fromBinary(desc, bytes, { readUnknownFields: false });
  } catch {
    return "malformed";
  }
  const plain = plainMessage(desc, message);
  return plain === undefined ? "out-of-range" : (plain as Plain<MessageShape<Desc>>);
}

/**
 * Encodes plain data. Throws RangeError for a number that is not an integer of 0 to 2^53-1: a
 * defect of ours.
 */
export function encodePlain<Desc extends DescMessage>(
  desc: Desc,
  plain: Plain<MessageShape<Desc>>,
): Uint8Array {
  return toBinary(desc, wideMessage(desc, plain as Bag) as MessageShape<Desc>);
}

type Bag = Record<string, unknown>;

function plainMessage(desc: DescMessage, message: object): Bag | undefined {
  const from = message as Bag;
  const into: Bag = {};
  for (const member of desc.members) {
    if (member.kind === "oneof") {
      const chosen = from[member.localName] as { case?: string; value?: unknown };
      const field = member.fields.find((candidate) => candidate.localName === chosen.case);
      if (field === undefined) {
        into[member.localName] = { case: undefined };
        continue;
      }
      const value = plainValue(field, chosen.value);
      if (value === undefined) return undefined;
      into[member.localName] = { case: field.localName, value };
      continue;
    }
    const raw = from[member.localName];
    if (raw === undefined) continue;
    const value = plainValue(member, raw);
    if (value === undefined) return undefined;
    into[member.localName] = value;
  }
  return into;
}

function plainValue(field: DescField, raw: unknown): unknown {
  if (field.fieldKind === "list") {
    const items: unknown[] = [];
    for (const item of raw as unknown[]) {
      const value = plainItem(field.message, item);
      if (value === undefined) return undefined;
      items.push(value);
    }
    return items;
  }
  return plainItem(field.message, raw);
}

function plainItem(desc: DescMessage | undefined, raw: unknown): unknown {
  if (desc !== undefined) return plainMessage(desc, raw as object);
  if (typeof raw !== "bigint") return raw;
  return raw > BigInt(COUNTER_MAX) || raw < 0n ? undefined : Number(raw);
}

function wideMessage(desc: DescMessage, plain: Bag): Message {
  const init: Bag = {};
  for (const member of desc.members) {
    const raw = plain[member.localName];
    if (raw === undefined) continue;
    if (member.kind === "oneof") {
      const chosen = raw as { case?: string; value?: unknown };
      const field = member.fields.find((candidate) => candidate.localName === chosen.case);
      if (field === undefined) continue;
      init[member.localName] = { case: chosen.case, value: wideValue(field, chosen.value) };
    } else {
      init[member.localName] = wideValue(member, raw);
    }
  }
  return create(desc, init as never);
}

function wideValue(field: DescField, raw: unknown): unknown {
  if (field.fieldKind === "list") {
    return (raw as unknown[]).map((item) => wideItem(field, item));
  }
  return wideItem(field, raw);
}

function wideItem(field: DescField, raw: unknown): unknown {
  if (field.message !== undefined) return wideMessage(field.message, raw as Bag);
  if (field.scalar === ScalarType.UINT64 || field.scalar === ScalarType.FIXED64) {
    return BigInt(raw as number);
  }
  return raw;
}
