import { deepEqual, equal, ok } from "node:assert/strict";
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FrameSchema } from "../../gen/posthorn/v1/frame_pb.ts";
import { HOT_CODECS } from "../../gen/posthorn/v1/hot_codecs.ts";
import { decodePlain } from "../../protocol/plain.ts";
import { Choices } from "../coverage/choices.ts";
import { type Reading, readMessage } from "../coverage/reading.ts";

const CODECS = Object.entries(HOT_CODECS).map(([kind, codec]) => {
  const schema = FrameSchema.fields.find(({ localName }) => localName === kind)?.message;
  ok(schema !== undefined, `${kind} is a frame`);
  return { schema, codec: codec as unknown as Codec };
});

interface Codec {
  size(message: Reading): number;
  write(message: Reading, into: Uint8Array, at: number): number;
  read(from: Uint8Array, at: number, end: number): Reading | undefined;
}

/**
 * The straight-line codecs read no bytes otherwise than protobuf-es, and write its bytes. [FRM-5]
 * [FRM-9]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const { schema, codec } = choices.pick(CODECS);
  const margin = choices.byte() % 4;
  const bytes = choices.rest();
  const expected = readMessage(schema, bytes);
  const within = new Uint8Array(margin + bytes.length + margin).fill(0x08);
  within.set(bytes, margin);
  const read = codec.read(within, margin, margin + bytes.length);
  deepEqual(read ?? decodePlain(schema, bytes), expected);
  if (typeof expected !== "string") writes(codec, expected, canonical(schema, bytes), margin);
}

function canonical(schema: DescMessage, bytes: Uint8Array): Uint8Array {
  const parsed = fromBinary(schema, bytes, { readUnknownFields: false });
  return toBinary(schema, create(schema, parsed));
}

/** As many bytes as it says, the oracle's, and none beside them. */
function writes(codec: Codec, message: Reading, expected: Uint8Array, margin: number): void {
  const size = codec.size(message);
  equal(size, expected.length);
  const into = new Uint8Array(margin + size + 9).fill(0xaa);
  equal(codec.write(message, into, margin), margin + size);
  deepEqual(into.slice(margin, margin + size), expected);
  into.fill(0xaa, margin, margin + size);
  ok(into.every((byte) => byte === 0xaa));
}
