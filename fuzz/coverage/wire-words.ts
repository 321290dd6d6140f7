import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import { ERROR_RULES } from "../../gen/posthorn/v1/error_rules.ts";
import { FrameSchema } from "../../gen/posthorn/v1/frame_pb.ts";
import { PREFACE } from "../../protocol/sniff.ts";
import { varint } from "./mutate.ts";

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;
const BORDER_BITS = [0, 1, 7, 8, 14, 21, 28, 31, 32, 35, 53, 63, 64];

/** What frames are made of, from the schema: whole frames, contents, tags, numbers and codes. */
export function frameWords(): Uint8Array[] {
  const kinds = FrameSchema.fields.flatMap((field) => {
    const message = field.message as DescMessage;
    return [empty(message), filled(message)].flatMap((content) => {
      const frame = join(tagOf(field), varint(BigInt(content.length)), content);
      return [join(varint(BigInt(frame.length)), frame), frame, content];
    });
  });
  const tags = fieldsWithin(FrameSchema).map(tagOf);
  return distinct([...kinds, ...tags, ...numberWords(), ...codeWords()]);
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
function filled(schema: DescMessage): Uint8Array {
  return toBinary(schema, create(schema, filling(schema) as never));
}

function filling(schema: DescMessage): object {
  const members = schema.members.map((member) => {
    if (member.kind !== "oneof") return [member.localName, fillingOf(member)];
    const field = member.fields[0] as DescField;
    return [member.localName, { case: field.localName, value: fillingOf(field) }];
  });
  return Object.fromEntries(members);
}

function fillingOf(field: DescField): unknown {
  const value = oneOf(field);
  return field.fieldKind === "list" ? [value] : value;
}

function oneOf({ message, scalar }: DescField): unknown {
  if (message !== undefined) return filling(message);
  switch (scalar) {
    case ScalarType.STRING:
      return "a";
    case ScalarType.BYTES:
      return Uint8Array.of(1);
    case ScalarType.UINT64:
      return 1n;
    case ScalarType.BOOL:
      return true;
    default:
      return 1;
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function distinct(words: readonly Uint8Array[]): Uint8Array[] {
  const byText = new Map(words.map((word) => [Buffer.from(word).toString("hex"), word]));
  return [...byText.values()].filter((word) => word.length > 0);
}
