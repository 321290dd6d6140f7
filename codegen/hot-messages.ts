import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { refuse } from "./refusal.ts";
import { type FrameRuleOption, reachableMessages } from "./rules.ts";

/** A message that straight-line code can encode and decode. */
export interface HotMessage {
  readonly name: string;
  /** In the order of their numbers, in which encoders write them. */
  readonly fields: readonly HotField[];
}

export interface HotField {
  /** The member's name in TypeScript, the same as in protobuf-es. */
  readonly member: string;
  /** Field number and wire type in one byte. */
  readonly tag: number;
  readonly shape: HotShape;
  /** The name of the contained message; empty for other shapes. */
  readonly item: string;
}

export type HotShape = "uint32" | "uint64" | "enum" | "fixed32" | "bytes" | "messages";

/**
 * The messages of hot frames and those in them, each once.
 *
 * Refuses what straight-line code would not get right: fields whose absence means something (and
 * with them closed enums, which the compiler has nowhere else), oneofs, groups, tags of two bytes,
 * types it has no code for, messages that contain themselves, two messages of one name.
 */
export function hotMessages(rules: readonly FrameRuleOption[]): HotMessage[] {
  const hot = rules.filter((rule) => rule.hot).map((rule) => rule.message);
  const messages = reachableMessages(hot);
  const names = new Set<string>();
  for (const message of messages) {
    if (names.has(message.name)) refuse(message, "is hot and has the name of another hot message");
    names.add(message.name);
    if (contains(message, message)) refuse(message, "is hot and contains itself");
  }
  return messages.map((message) => ({
    name: message.name,
    fields: message.fields.map(hotField).sort((a, b) => a.tag - b.tag),
  }));
}

function contains(outer: DescMessage, inner: DescMessage): boolean {
  const members = outer.fields.flatMap((field) => field.message ?? []);
  return reachableMessages(members).includes(inner);
}

const WIRE_TYPES: Readonly<Record<HotShape, number>> = {
  uint32: 0,
  uint64: 0,
  enum: 0,
  fixed32: 5,
  bytes: 2,
  messages: 2,
};

function hotField(field: DescField): HotField {
  const shape = shapeOf(field);
  if (field.number > 15) refuse(field, "is hot and needs a number up to 15");
  return {
    member: field.localName,
    tag: (field.number << 3) | WIRE_TYPES[shape],
    shape,
    item: field.message?.name ?? "",
  };
}

function shapeOf(field: DescField): HotShape {
  if (field.fieldKind === "list" && field.listKind === "message" && !field.delimitedEncoding) {
    return "messages";
  }
  if (field.presence !== FeatureSet_FieldPresence.IMPLICIT) {
    return refuse(field, "is hot and needs implicit presence, outside a oneof");
  }
  if (field.fieldKind === "enum") return "enum";
  if (field.fieldKind === "scalar") {
    switch (field.scalar) {
      case ScalarType.UINT32:
        return "uint32";
      case ScalarType.UINT64:
        return "uint64";
      case ScalarType.FIXED32:
        return "fixed32";
      case ScalarType.BYTES:
        return "bytes";
    }
  }
  return refuse(
    field,
    "is hot and must be uint32, uint64, fixed32, bytes, an enum or a repeated message",
  );
}
