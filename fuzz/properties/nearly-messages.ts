import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { Reading } from "../coverage/reading.ts";

/** Messages whose numbers are near the borders of their encodings. */
export function messageOf(schema: DescMessage): fc.Arbitrary<Reading> {
  const members = schema.fields.map((field) => [field.localName, memberOf(field)] as const);
  return fc.record(Object.fromEntries(members), { noNullPrototype: true });
}

function memberOf(field: DescField): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return fc.array(messageOf(field.message), { maxLength: 4 });
  if (field.enum !== undefined) return fc.oneof(fc.constant(0), fc.nat(200), fc.integer());
  switch (field.scalar) {
    case ScalarType.UINT64:
      return counters();
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 0xffff_ffff }));
    default:
      return fc.oneof(
        fc.uint8Array({ maxLength: 5 }),
        fc.integer({ min: 126, max: 300 }).map((length) => new Uint8Array(length).fill(7)),
      );
  }
}

function counters(): fc.Arbitrary<number> {
  const nearPower = fc
    .tuple(fc.nat(52), fc.integer({ min: -1, max: 1 }))
    .map(([power, step]) => 2 ** power + step);
  return fc.oneof(nearPower, fc.maxSafeNat());
}

/** Encoded messages, sequences of well-formed and odd records, noise; each possibly damaged. */
export function wireOf(schema: DescMessage): fc.Arbitrary<Uint8Array> {
  const message = messageOf(schema).map((plain) => [...encoded(schema, plain)]);
  const records = fc.array(recordOf(schema, 2), { maxLength: 5 }).map((parts) => parts.flat());
  const noise = fc.array(fc.nat(255), { maxLength: 12 });
  const damages = fc.array(damage(), { maxLength: 2 });
  return fc
    .tuple(
      fc.oneof({ weight: 3, arbitrary: message }, { weight: 5, arbitrary: records }, noise),
      fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, damages),
    )
    .map(([bytes, steps]) => Uint8Array.from(steps.reduce((whole, step) => step(whole), bytes)));
}

function recordOf(schema: DescMessage, depth: number): fc.Arbitrary<number[]> {
  const known = schema.fields.map((field) => contentOf(field, depth).chain(tagged(field.number)));
  const number = fc.oneof(fc.nat(6), fc.constantFrom(15, 16, 2047, 2 ** 29 - 1));
  const content = fc.oneof(
    contentOf(undefined, depth),
    fc.tuple(fc.nat(7), fc.array(fc.nat(255), { maxLength: 9 })),
  );
  const unknown = fc.tuple(number, content).chain(([n, c]) => tagged(n)(c));
  return fc.oneof({ weight: 4, arbitrary: fc.oneof(...known) }, unknown, group(schema, depth));
}

/** A wire type and what follows the tag: what the field expects, or for none anything valid. */
function contentOf(field: DescField | undefined, depth: number): fc.Arbitrary<[number, number[]]> {
  const inner =
    field?.message !== undefined && depth > 0
      ? fc.array(recordOf(field.message, depth - 1), { maxLength: 4 }).map((all) => all.flat())
      : fc.array(fc.nat(255), { maxLength: 6 });
  if (field?.message !== undefined || field?.scalar === ScalarType.BYTES) return delimited(inner);
  if (field?.scalar === ScalarType.FIXED32) return fixed(5, 4);
  if (field !== undefined) return varint();
  return fc.oneof(varint(), fixed(1, 8), delimited(inner), fixed(5, 4));
}

function varint(): fc.Arbitrary<[number, number[]]> {
  const edges = [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53];
  const value = fc.oneof(
    counters().map(BigInt),
    fc.constantFrom(...edges).map(BigInt),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  );
  return fc.tuple(value, padding()).map(([n, pad]) => [0, varintOf(n, pad)]);
}

/** Mostly of the right length, else cut: in a message, what follows then looks like its rest. */
function fixed(wireType: number, length: number): fc.Arbitrary<[number, number[]]> {
  const minLength = fc.oneof({ weight: 4, arbitrary: fc.constant(length) }, fc.nat(length));
  return minLength
    .chain((least) => fc.array(fc.nat(255), { minLength: least, maxLength: length }))
    .map((bytes) => [wireType, bytes]);
}

/** Mostly of the stated length. */
function delimited(inner: fc.Arbitrary<number[]>): fc.Arbitrary<[number, number[]]> {
  const lie = fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.integer({ min: -2, max: 2 }));
  return fc.tuple(inner, padding(), lie).map(([bytes, pad, off]) => {
    const stated = Math.max(0, bytes.length + off);
    return [2, [...varintOf(BigInt(stated), pad), ...bytes]];
  });
}

function tagged(number: number): (content: [number, number[]]) => fc.Arbitrary<number[]> {
  return ([wireType, bytes]) =>
    padding().map((pad) => [...varintOf(BigInt(number * 8 + wireType), pad), ...bytes]);
}

function group(schema: DescMessage, depth: number): fc.Arbitrary<number[]> {
  if (depth === 0) return fc.constant([]);
  const inner = fc.array(recordOf(schema, depth - 1), { maxLength: 2 });
  const ends = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.oneof(fc.constant(0), fc.nat(1)));
  return fc
    .tuple(ends, inner)
    .map(([[number, off], records]) => [
      ...varintOf(BigInt(number * 8 + 3), 0),
      ...records.flat(),
      ...varintOf(BigInt((number + off) * 8 + 4), 0),
    ]);
}

/** How many bytes more than the shortest form; mostly none. */
function padding(): fc.Arbitrary<number> {
  return fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(9));
}

function varintOf(value: bigint, pad: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; bytes.length === 0 || rest > 0n; rest >>= 7n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
  for (let index = 0; index < pad; index += 1) bytes.push(0x80);
  bytes.push((bytes.pop() as number) & 0x7f);
  return bytes;
}

type Damage = (bytes: number[]) => number[];

function damage(): fc.Arbitrary<Damage> {
  const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
  const at = (bytes: number[], where: number) => Math.floor(where * bytes.length);
  return fc.oneof(
    fc.tuple(place, fc.nat(7)).map(
      ([where, bit]): Damage =>
        (bytes) => {
          return bytes.map((byte, index) =>
            index === at(bytes, where) ? byte ^ (1 << bit) : byte,
          );
        },
    ),
    place.map(
      (where): Damage =>
        (bytes) =>
          bytes.slice(0, at(bytes, where)),
    ),
    fc.tuple(place, fc.nat(255)).map(
      ([where, byte]): Damage =>
        (bytes) => {
          return bytes.toSpliced(at(bytes, where), 0, byte);
        },
    ),
    fc.tuple(place, place).map(
      ([from, to]): Damage =>
        (bytes) => {
          return [...bytes, ...bytes.slice(at(bytes, from), at(bytes, to))];
        },
    ),
  );
}

/** What protobuf-es writes. */
export function encoded(schema: DescMessage, plain: Reading): Uint8Array {
  return toBinary(schema, create(schema, widened(schema, plain) as never));
}

function widened(schema: DescMessage, plain: Reading): object {
  const wide = schema.fields.map((field) => {
    const value = plain[field.localName];
    if (field.scalar === ScalarType.UINT64) return [field.localName, BigInt(value as number)];
    if (field.message === undefined) return [field.localName, value];
    const items = (value as Reading[]).map((item) => widened(field.message as DescMessage, item));
    return [field.localName, items];
  });
  return Object.fromEntries(wide);
}
