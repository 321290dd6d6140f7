import { type DescMessage, fromBinary } from "@bufbuild/protobuf";

/** A message as plain data, with numbers for 64-bit fields. */
export interface Reading {
  readonly [member: string]: unknown;
}

const COUNTER_MAX = 2n ** 53n - 1n;

/** What protobuf-es makes of bytes: the oracle of everything here that reads messages. [FRM-5] */
export function readMessage(
  schema: DescMessage,
  bytes: Uint8Array,
): Reading | "malformed" | "out-of-range" {
  let message: object;
  try {
    message = fromBinary(schema, bytes, { readUnknownFields: false });
  } catch {
    return "malformed";
  }
  return isInRange(message) ? (plain(message) as Reading) : "out-of-range";
}

function isInRange(value: unknown): boolean {
  if (typeof value === "bigint") return value >= 0n && value <= COUNTER_MAX;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return true;
  return Object.values(value).every(isInRange);
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plain);
  const members = Object.entries(value).filter(([name, member]) => {
    return !name.startsWith("$") && (member !== undefined || name === "case");
  });
  // A oneof that is not set has no value at all.
  return Object.fromEntries(members.map(([name, member]) => [name, plain(member)]));
}
