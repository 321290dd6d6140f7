import { deepEqual, equal } from "node:assert/strict";
import type { DescMessage } from "@bufbuild/protobuf";
import fc from "fast-check";
import { FrameSchema } from "../../gen/posthorn/v1/frame_pb.ts";
import { HOT_CODECS } from "../../gen/posthorn/v1/hot_codecs.ts";
import { decodePlain } from "../../protocol/plain.ts";
import { assert } from "../../protocol/violation.ts";
import { type Reading, readMessage } from "../coverage/reading.ts";
import { property } from "../property.ts";
import { encoded, messageOf, wireOf } from "./nearly-messages.ts";

// protobuf-es is the oracle: the straight-line codecs must write its bytes and must never read
// anything as something else than it does.

interface Codec {
  size(message: Reading): number;
  write(message: Reading, into: Uint8Array, at: number): number;
  read(from: Uint8Array, at: number, end: number): Reading | undefined;
}

interface Hot {
  readonly schema: DescMessage;
  readonly codec: Codec;
}

type Kind = keyof typeof HOT_CODECS;

const KINDS = Object.keys(HOT_CODECS) as Kind[];

interface Written {
  readonly kind: Kind;
  readonly message: Reading;
  /** Other bytes before the message. */
  readonly margin: number;
}

export const hotCodecsWrite = property<Written>({
  name: "hot-codecs-write",
  title: "[FRM-5] hot frames are written as protobuf-es writes them, in their place, and read back",
  smokeRuns: 3_000,
  kinds: KINDS,
  arbitrary: ofKind((schema) => ({ message: messageOf(schema), margin: fc.nat(9) })),
  start: (seen) => ({
    check: ({ kind, message, margin }) => {
      seen(kind);
      const { schema, codec } = hot(kind);
      const expected = encoded(schema, message);
      const size = codec.size(message);
      const into = new Uint8Array(margin + size + 9).fill(0xaa);
      equal(codec.write(message, into, margin), margin + size);
      deepEqual(into.slice(margin, margin + size), expected);
      into.fill(0xaa, margin, margin + size);
      deepEqual(into, new Uint8Array(into.length).fill(0xaa));
      if (!hasNegative(message)) deepEqual(codec.read(expected, 0, size), message);
    },
  }),
});

interface Read {
  readonly kind: Kind;
  readonly bytes: Uint8Array;
  readonly margin: number;
}

const VERDICTS = ["taken", "left", "out-of-range", "malformed"];

export const hotCodecsRead = property<Read>({
  name: "hot-codecs-read",
  title:
    "[FRM-5] [FRM-9] no bytes of hot frames are read otherwise than protobuf-es reads them (P31)",
  smokeRuns: 6_000,
  kinds: KINDS.flatMap((kind) => VERDICTS.map((verdict) => `${kind}: ${verdict}`)),
  arbitrary: ofKind((schema) => ({ bytes: wireOf(schema), margin: fc.nat(3) })),
  start: (seen) => ({
    check: ({ kind, bytes, margin }) => {
      const { schema, codec } = hot(kind);
      const expected = readMessage(schema, bytes);
      const within = new Uint8Array(margin + bytes.length + margin).fill(0x08);
      within.set(bytes, margin);
      const read = codec.read(within, margin, margin + bytes.length);
      deepEqual(read ?? decodePlain(schema, bytes), expected);
      const left = typeof expected === "string" ? expected : "left";
      seen(`${kind}: ${read === undefined ? left : "taken"}`);
    },
  }),
});

function ofKind<Rest extends object>(
  rest: (schema: DescMessage) => { readonly [Name in keyof Rest]: fc.Arbitrary<Rest[Name]> },
): fc.Arbitrary<{ kind: Kind } & Rest> {
  const each = KINDS.map((kind) => {
    const record = { kind: fc.constant(kind), ...rest(hot(kind).schema) };
    return fc.record(record) as fc.Arbitrary<{ kind: Kind } & Rest>;
  });
  return fc.oneof(...each);
}

function hot(kind: Kind): Hot {
  const schema = FrameSchema.fields.find(({ localName }) => localName === kind)?.message;
  assert(schema !== undefined, `${kind} is a frame`);
  return { schema, codec: HOT_CODECS[kind] as unknown as Codec };
}

/** Negative numbers of enums are written as encoders do, and left to the full decoder to read. */
function hasNegative(message: Reading): boolean {
  return Object.values(message).some((value) => {
    if (Array.isArray(value)) return value.some(hasNegative);
    return typeof value === "number" && value < 0;
  });
}
