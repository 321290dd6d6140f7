import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import { ERROR_RULES } from "../../gen/posthorn/v1/error_rules.ts";
import { FrameSchema } from "../../gen/posthorn/v1/frame_pb.ts";
import { encodeFrame, type Frame } from "../../protocol/frames.ts";
import { PREFACE } from "../../protocol/sniff.ts";
import { varint } from "./mutate.ts";

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;
const WHOLE_TIMES = 4;
/** What stands in every field of a message. */
interface Filling {
  readonly number: number;
  readonly counter: bigint;
  /** Which of a oneof's fields is set. */
  readonly choice: number;
}
const FILLINGS: readonly Filling[] = [
  ...[0, 1, 2, 3].map((choice) => ({ number: 1, counter: 1n, choice })),
  { number: 2, counter: 2n, choice: 0 },
  { number: 2 ** 31 - 1, counter: 2n ** 53n - 1n, choice: 0 },
];
const BORDER_BITS = [0, 1, 7, 8, 14, 21, 28, 31, 32, 35, 53, 63, 64];

/**
 * What frames are made of, from the schema: whole frames, contents, tags, numbers and codes. Whole
 * frames come several times, as they lead furthest.
 */
export function frameWords(): Uint8Array[] {
  const contents = FrameSchema.fields.flatMap((field) => {
    const message = field.message as DescMessage;
    const fillings = FILLINGS.map((filling) => filled(message, filling));
    return distinct([empty(message), ...fillings]).map((content) => ({ field, content }));
  });
  const bare = contents.map(({ field, content }) => {
    return join(tagOf(field), varint(BigInt(content.length)), content);
  });
  const whole = bare.map((frame) => join(varint(BigInt(frame.length)), frame));
  const tags = distinct(fieldsWithin(FrameSchema).map(tagOf));
  const inner = contents.map(({ content }) => content);
  const parts = distinct([...bare, ...inner, ...tags, ...numberWords(), ...codeWords()]);
  return [...Array.from({ length: WHOLE_TIMES }, () => whole).flat(), ...parts];
}

/** Frames of an honest peer, each as often as any other whole frame. */
export function wordsOf(frames: readonly Frame[]): Uint8Array[] {
  const words = frames.map((frame) => encodeFrame(frame));
  return Array.from({ length: WHOLE_TIMES }, () => words).flat();
}

/** Numbers at borders of varints and counters, and one beside each. */
export function numberWords(): Uint8Array[] {
  const borders = BORDER_BITS.flatMap((bits) => [2n ** BigInt(bits) - 1n, 2n ** BigInt(bits)]);
  return distinct(borders.map(varint));
}

/** How connections begin. */
export function openingWords(): Uint8Array[] {
  const texts = ["\x16\x03\x01", "GET /posthorn.v1 HTTP/1.1\r\n\r\n", "POST "];
  return [PREFACE, ...texts.map((text) => Uint8Array.from(Buffer.from(text, "latin1")))];
}

function codeWords(): Uint8Array[] {
  return [...ERROR_RULES.keys()].map((code) => varint(BigInt(code)));
}

/** The fields of a message and of all messages in it. */
function fieldsWithin(schema: DescMessage): DescField[] {
  const fields = new Set<DescField>();
  const gather = (message: DescMessage) => {
    for (const field of message.fields) {
      if (fields.has(field)) continue;
      fields.add(field);
      if (field.message !== undefined) gather(field.message);
    }
  };
  gather(schema);
  return [...fields];
}

function tagOf(field: DescField): Uint8Array {
  return varint(BigInt(field.number * 8 + wireTypeOf(field)));
}

function wireTypeOf({ message, scalar }: DescField): number {
  const isBytes = scalar === ScalarType.BYTES || scalar === ScalarType.STRING;
  if (message !== undefined || isBytes) return WIRE_BYTES;
  return scalar === ScalarType.FIXED32 ? WIRE_FIXED32 : WIRE_VARINT;
}

function empty(schema: DescMessage): Uint8Array {
  return toBinary(schema, create(schema));
}

/** A message with something in every field. */
function filled(schema: DescMessage, filling: Filling): Uint8Array {
  return toBinary(schema, create(schema, membersOf(schema, filling) as never));
}

function membersOf(schema: DescMessage, filling: Filling): object {
  const members = schema.members.map((member) => {
    if (member.kind !== "oneof") return [member.localName, contentOf(member, filling)];
    const field = member.fields[filling.choice % member.fields.length] as DescField;
    return [member.localName, { case: field.localName, value: contentOf(field, filling) }];
  });
  return Object.fromEntries(members);
}

function contentOf(field: DescField, filling: Filling): unknown {
  const item = itemOf(field, filling);
  return field.fieldKind === "list" ? [item] : item;
}

function itemOf({ message, scalar }: DescField, filling: Filling): unknown {
  if (message !== undefined) return membersOf(message, filling);
  switch (scalar) {
    case ScalarType.STRING:
      return "a";
    case ScalarType.BYTES:
      return Uint8Array.of(1);
    case ScalarType.UINT64:
      return filling.counter;
    case ScalarType.BOOL:
      return true;
    default:
      return filling.number;
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function distinct(words: readonly Uint8Array[]): Uint8Array[] {
  const byText = new Map(words.map((word) => [Buffer.from(word).toString("hex"), word]));
  return [...byText.values()].filter((word) => word.length > 0);
}
