import assert from "node:assert/strict";
import { test } from "node:test";
import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { FrameSchema } from "../gen/posthorn/v1/frame_pb.ts";
import { FRAME_RULES } from "../gen/posthorn/v1/frame_rules.ts";
import { HOT_CODECS } from "../gen/posthorn/v1/hot_codecs.ts";
import { AckSchema } from "../gen/posthorn/v1/session_pb.ts";
import { decodePlain } from "../protocol/plain.ts";

// protobuf-es is the oracle: the straight-line codecs must write its bytes and must never read
// anything as something else than it does. The campaign is as long as HOT_CODEC_RUNS says.

const RUNS = Number(process.env.HOT_CODEC_RUNS ?? 3000);

type Plain = Readonly<Record<string, unknown>>;
type Verdict = Plain | "malformed" | "out-of-range";
interface Codec {
  size(message: Plain): number;
  write(message: Plain, into: Uint8Array, at: number): number;
  read(from: Uint8Array, at: number, end: number): Plain | undefined;
}
interface Hot {
  readonly kind: string;
  readonly schema: DescMessage;
  readonly codec: Codec;
}

const HOT: readonly Hot[] = Object.entries(HOT_CODECS).map(([kind, codec]) => {
  const schema = FrameSchema.fields.find((field) => field.localName === kind)?.message;
  if (schema === undefined) throw new Error(`${kind} is no frame`);
  return { kind, schema, codec: codec as unknown as Codec };
});

test("every hot kind has a codec and no other", () => {
  const hot = Object.values(FRAME_RULES).filter((rule) => rule.hot);
  assert.deepEqual(
    HOT.map(({ kind }) => kind),
    hot.map(({ kind }) => kind),
  );
  assert.notEqual(HOT.length, 0);
});

for (const { kind, schema, codec } of HOT) {
  test(`[FRM-5] ${kind}: writes what protobuf-es writes, in its place, and reads it back`, () => {
    const property = fc.property(plainOf(schema), fc.nat(9), (plain, margin) => {
      const expected = encoded(schema, plain);
      const size = codec.size(plain);
      const into = new Uint8Array(margin + size + 9).fill(0xaa);
      assert.equal(codec.write(plain, into, margin), margin + size);
      const written = into.slice(margin, margin + size);
      assert.deepEqual(written, expected);
      into.fill(0xaa, margin, margin + size);
      assert.deepEqual(into, new Uint8Array(into.length).fill(0xaa));
      if (!hasNegative(plain)) assert.deepEqual(codec.read(expected, 0, size), plain);
    });
    fc.assert(property, { numRuns: RUNS, seed: 1 });
  });

  test(`[FRM-5] [FRM-9] ${kind}: reads no bytes otherwise than protobuf-es`, () => {
    const verdicts = { taken: 0, left: 0, "out-of-range": 0, malformed: 0 };
    const property = fc.property(wireOf(schema), fc.nat(3), (bytes, margin) => {
      const expected = decoded(schema, bytes);
      const buffer = new Uint8Array(margin + bytes.length + margin).fill(0x08);
      buffer.set(bytes, margin);
      const read = codec.read(buffer, margin, margin + bytes.length);
      assert.deepEqual(read ?? decodePlain(schema, bytes), expected);
      if (read !== undefined) verdicts.taken += 1;
      else if (typeof expected === "string") verdicts[expected] += 1;
      else verdicts.left += 1;
    });
    fc.assert(property, { numRuns: RUNS, seed: 2 });
    for (const [verdict, count] of Object.entries(verdicts)) {
      assert(count > RUNS / 100, `only ${count} of ${RUNS} inputs were ${verdict}`);
    }
  });

  for (const field of schema.fields.filter(({ scalar }) => scalar === ScalarType.UINT64)) {
    test(`[FRM-5] ${kind}.${field.name}: counters end at 2^53-1 (P31)`, () => {
      const bytesOf = (value: bigint) =>
        toBinary(schema, create(schema, { [field.localName]: value } as never));
      for (const power of [7, 14, 21, 28, 31, 32, 35, 42, 49, 53]) {
        for (const value of [2 ** power - 1, power === 53 ? 2 ** 52 : 2 ** power]) {
          const bytes = bytesOf(BigInt(value));
          const read = codec.read(bytes, 0, bytes.length) as Plain;
          assert.equal(read[field.localName], value);
          const into = new Uint8Array(bytes.length);
          assert.equal(codec.write(read, into, 0), bytes.length);
          assert.deepEqual(into, bytes);
        }
      }
      for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 56n - 1n, 2n ** 63n, 2n ** 64n - 1n]) {
        const bytes = bytesOf(value);
        assert.equal(codec.read(bytes, 0, bytes.length), undefined);
        assert.equal(decodePlain(schema, bytes), "out-of-range");
      }
    });
  }
}

const ACK_CORNERS: readonly [string, string, Verdict][] = [
  ["nothing", "", ack(0, 0)],
  ["fields in reverse", "10 02 08 01", ack(1, 2)],
  ["a field twice: the last one counts", "08 01 08 07", ack(7, 0)],
  ["a number in too many bytes", "08 81 80 80 00", ack(1, 0)],
  ["a number in ten bytes", "08 81 80 80 80 80 80 80 80 80 00", ack(1, 0)],
  ["a number in eleven bytes", "08 81 80 80 80 80 80 80 80 80 80 00", "malformed"],
  ["a number that is cut", "08 81", "malformed"],
  ["a number that is missing", "10", "malformed"],
  ["a tag in two bytes", "88 00 05", ack(5, 0)],
  ["a tag in six bytes", "88 80 80 80 80 00 05", "malformed"],
  ["a tag above 32 bits", "88 80 80 80 10 05", "malformed"],
  ["field number 0", "00 01", "malformed"],
  ["wire type 6", "1e 01", "malformed"],
  ["an unknown number", "18 96 01 08 01", ack(1, 0)],
  ["unknown bytes", "1a 02 08 09 08 01", ack(1, 0)],
  ["unknown bytes that are cut", "1a 02 08", "malformed"],
  ["unknown bytes longer than 32 bits", "1a ff ff ff ff 0f 08", "malformed"],
  ["an unknown fixed32", "1d 08 08 08 08 08 01", ack(1, 0)],
  ["an unknown fixed64", "19 08 08 08 08 08 08 08 08 08 01", ack(1, 0)],
  ["an unknown group", "1b 08 09 1c 08 01", ack(1, 0)],
  ["a group in a group", "1b 23 24 1c 08 01", ack(1, 0)],
  ["a group that ends as another", "1b 24", "malformed"],
  ["a group that does not end", "1b 08 09", "malformed"],
  ["the end of no group", "1c", "malformed"],
  ["2^53", "08 80 80 80 80 80 80 80 10", "out-of-range"],
  ["2^53, then a fault", "08 80 80 80 80 80 80 80 10 00", "malformed"],
  ["2^53, then less", "08 80 80 80 80 80 80 80 10 08 03", ack(3, 0)],
];

for (const [what, hex, expected] of ACK_CORNERS) {
  test(`[FRM-5] [FRM-9] ack: ${what}`, () => {
    const bytes = Uint8Array.from(hex.split(" ").filter(Boolean), (byte) => Number(`0x${byte}`));
    const schema = AckSchema;
    const read = HOT_CODECS.ack.read(bytes, 0, bytes.length);
    assert.deepEqual(decoded(schema, bytes), expected);
    assert.deepEqual(read ?? decodePlain(schema, bytes), expected);
  });
}

test("byte fields are views of what was read", () => {
  const written = new Uint8Array(64);
  const operation = Uint8Array.of(1, 2, 3);
  const end = HOT_CODECS.submit.write({ seq: 300, operation }, written, 5);
  const read = HOT_CODECS.submit.read(written, 5, end);
  assert.equal(read?.operation.buffer, written.buffer);
  assert.deepEqual(read?.operation, operation);
});

function ack(deliveredThrough: number, resultsThrough: number): Plain {
  return { deliveredThrough, resultsThrough };
}

// The oracle.

function encoded(schema: DescMessage, plain: Plain): Uint8Array {
  return toBinary(schema, create(schema, widened(schema, plain) as never));
}

function widened(schema: DescMessage, plain: Plain): object {
  const wide = schema.fields.map((field) => {
    const value = plain[field.localName];
    if (field.scalar === ScalarType.UINT64) return [field.localName, BigInt(value as number)];
    if (field.message === undefined) return [field.localName, value];
    const items = (value as Plain[]).map((item) => widened(field.message as DescMessage, item));
    return [field.localName, items];
  });
  return Object.fromEntries(wide);
}

function decoded(schema: DescMessage, bytes: Uint8Array): Verdict {
  let message: object;
  try {
    message = fromBinary(schema, bytes);
  } catch {
    return "malformed";
  }
  return narrowed(schema, message) ?? "out-of-range";
}

function narrowed(schema: DescMessage, message: object): Plain | undefined {
  const plain: Record<string, unknown> = {};
  for (const { localName, message: item } of schema.fields) {
    const value = (message as Plain)[localName];
    if (typeof value === "bigint") {
      if (value > 2n ** 53n - 1n) return undefined;
      plain[localName] = Number(value);
    } else if (item !== undefined) {
      const items = (value as object[]).map((one) => narrowed(item, one));
      if (items.includes(undefined)) return undefined;
      plain[localName] = items;
    } else {
      plain[localName] = value;
    }
  }
  return plain;
}

/** Negative numbers of enums are written as encoders do, and left to the full decoder to read. */
function hasNegative(plain: Plain): boolean {
  return Object.values(plain).some((value) => {
    if (Array.isArray(value)) return value.some(hasNegative);
    return typeof value === "number" && value < 0;
  });
}

// Messages, and bytes that are nearly messages.

function plainOf(schema: DescMessage): fc.Arbitrary<Plain> {
  const members = schema.fields.map((field) => [field.localName, memberOf(field)] as const);
  return fc.record(Object.fromEntries(members), { noNullPrototype: true });
}

function memberOf(field: DescField): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return fc.array(plainOf(field.message), { maxLength: 4 });
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
function wireOf(schema: DescMessage): fc.Arbitrary<Uint8Array> {
  const message = plainOf(schema).map((plain) => [...encoded(schema, plain)]);
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
