import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type DescMessage, fromBinary, ScalarType, toBinary } from "@bufbuild/protobuf";
import { FrameSchema } from "../gen/posthorn/v1/frame_pb.ts";
import { FRAME_RULES } from "../gen/posthorn/v1/frame_rules.ts";
import { HOT_CODECS } from "../gen/posthorn/v1/hot_codecs.ts";
import { AckSchema } from "../gen/posthorn/v1/session_pb.ts";
import { decodePlain } from "../protocol/plain.ts";

// Corners, one by one; what lies between them is for the properties hot-codecs-write and
// hot-codecs-read.

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
