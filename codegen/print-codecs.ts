import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BANNER } from "./print-rules.ts";
import type { FrameRuleOption } from "./rules.ts";
import { reachableMessages } from "./rules.ts";

/**
 * hot_codecs.ts: straight-line codecs for the frames that are sent once a message.
 *
 * Readers know the encodings that encoders make and give up on anything else (undefined): unknown fields, other wire
 * types, numbers out of range. Their caller then asks the full decoder, so that both always agree.
 */
export function printHotCodecs(rules: readonly FrameRuleOption[]): string {
  const hot = rules.filter((rule) => rule.hot);
  const messages = reachableMessages(hot.map((rule) => rule.message));
  const table = hot.map(({ kind, message: { name } }) => {
    return `  ${kind}: { size: size${name}, write: write${name}, read: read${name} },`;
  });
  return `${BANNER}
${messages.map(printMessage).join("\n")}
export const HOT_CODECS = {
${table.join("\n")}
} as const;
${RUNTIME}`;
}

function printMessage(message: DescMessage): string {
  const { name } = message;
  const fields = message.fields.map((field) => shapeOf(field));
  const members = fields.map(({ member, type }) => `  readonly ${member}: ${type};`);
  const initial = fields.map(({ member, initial, local }) => `  let ${member}: ${local} = ${initial};`);
  return `export interface ${name}Plain {
${members.join("\n")}
}

export function size${name}(m: ${name}Plain): number {
  let size = 0;
${fields.map((field) => field.size).join("\n")}
  return size;
}

/** Writes at a position with room for size${name} bytes; returns the position after. */
export function write${name}(m: ${name}Plain, into: Uint8Array, at: number): number {
  let p = at;
${fields.map((field) => field.write).join("\n")}
  return p;
}

/** Reads a range; undefined when the full decoder has to. Byte fields are views. */
export function read${name}(
  from: Uint8Array,
  at: number,
  end: number,
): ${name}Plain | undefined {
${initial.join("\n")}
  let p = at;
  while (p < end) {
    const tag = from[p++] as number;
    switch (tag) {
${fields.map((field) => field.read).join("\n")}
      default:
        return undefined;
    }
  }
  return { ${fields.map(({ member }) => member).join(", ")} };
}
`;
}

interface FieldShape {
  readonly member: string;
  readonly type: string;
  readonly local: string;
  readonly initial: string;
  readonly size: string;
  readonly write: string;
  readonly read: string;
}

function shapeOf(field: DescField): FieldShape {
  if (field.number > 15) throw new Error(`${field}: hot fields need numbers up to 15`);
  if (field.oneof !== undefined) throw new Error(`${field}: hot messages hold no oneof`);
  if (field.fieldKind === "list" && field.listKind === "message") return messages(field);
  if (field.fieldKind === "enum") return varint(field, 0x7fff_ffff);
  if (field.fieldKind === "scalar") {
    switch (field.scalar) {
      case ScalarType.UINT64:
        return varint(field, Number.MAX_SAFE_INTEGER);
      case ScalarType.UINT32:
        return varint(field, 0xffff_ffff);
      case ScalarType.FIXED32:
        return fixed32(field);
      case ScalarType.BYTES:
        return bytes(field);
    }
  }
  throw new Error(
    `${field}: hot messages hold uint32, uint64, fixed32, bytes, enums and repeated messages only`,
  );
}

function varint(field: DescField, max: number): FieldShape {
  const { member, tag } = naming(field, 0);
  return {
    member,
    type: "number",
    local: "number",
    initial: "0",
    size: `  if (m.${member} !== 0) size += 1 + varintSize(m.${member});`,
    write: `  if (m.${member} !== 0) {
    into[p++] = ${tag};
    p = writeVarint(m.${member}, into, p);
  }`,
    read: `      case ${tag}:
        ${member} = readVarint(from, p, end);
        if (${member} > ${max}) return undefined;
        p = readEnd;
        break;`,
  };
}

function fixed32(field: DescField): FieldShape {
  const { member, tag } = naming(field, 5);
  return {
    member,
    type: "number",
    local: "number",
    initial: "0",
    size: `  if (m.${member} !== 0) size += 5;`,
    write: `  if (m.${member} !== 0) {
    into[p++] = ${tag};
    into[p++] = m.${member} & 0xff;
    into[p++] = (m.${member} >>> 8) & 0xff;
    into[p++] = (m.${member} >>> 16) & 0xff;
    into[p++] = m.${member} >>> 24;
  }`,
    read: `      case ${tag}:
        if (p + 4 > end) return undefined;
        ${member} = readFixed32(from, p);
        p += 4;
        break;`,
  };
}

function bytes(field: DescField): FieldShape {
  const { member, tag } = naming(field, 2);
  return {
    member,
    type: "Uint8Array",
    local: "Uint8Array",
    initial: "EMPTY",
    size: `  if (m.${member}.length !== 0) {
    size += 1 + varintSize(m.${member}.length) + m.${member}.length;
  }`,
    write: `  if (m.${member}.length !== 0) {
    into[p++] = ${tag};
    p = writeVarint(m.${member}.length, into, p);
    into.set(m.${member}, p);
    p += m.${member}.length;
  }`,
    read: `      case ${tag}: {
        const length = readVarint(from, p, end);
        if (readEnd + length > end) return undefined;
        ${member} = from.subarray(readEnd, readEnd + length);
        p = readEnd + length;
        break;
      }`,
  };
}

function messages(field: DescField): FieldShape {
  const { member, tag } = naming(field, 2);
  const item = field.message?.name as string;
  return {
    member,
    type: `readonly ${item}Plain[]`,
    local: `${item}Plain[]`,
    initial: "[]",
    size: `  for (const item of m.${member}) {
    const length = size${item}(item);
    size += 1 + varintSize(length) + length;
  }`,
    write: `  for (const item of m.${member}) {
    into[p++] = ${tag};
    p = writeVarint(size${item}(item), into, p);
    p = write${item}(item, into, p);
  }`,
    read: `      case ${tag}: {
        const length = readVarint(from, p, end);
        if (readEnd + length > end) return undefined;
        p = readEnd + length;
        const item = read${item}(from, readEnd, p);
        if (item === undefined) return undefined;
        ${member}.push(item);
        break;
      }`,
  };
}

function naming(field: DescField, wireType: number): { member: string; tag: number } {
  return { member: field.localName, tag: (field.number << 3) | wireType };
}

const RUNTIME = `
const EMPTY = new Uint8Array(0);

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  let size = 3;
  for (let rest = Math.floor(value / 0x20_0000); rest > 0; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

function writeVarint(value: number, into: Uint8Array, at: number): number {
  let p = at;
  let rest = value;
  while (rest >= 0x1000_0000) {
    into[p++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest > 0x7f) {
    into[p++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[p++] = rest;
  return p;
}

/** Where the last readVarint ended. */
let readEnd = 0;

/** Infinity when it is cut, longer than eight bytes or above 2^53-1: the full decoder then says what it is. */
function readVarint(from: Uint8Array, at: number, end: number): number {
  let p = at;
  let value = 0;
  let scale = 1;
  const last = Math.min(end, at + 8);
  while (p < last) {
    const byte = from[p++] as number;
    if (byte < 0x80) {
      readEnd = p;
      value += byte * scale;
      return value <= Number.MAX_SAFE_INTEGER ? value : Number.POSITIVE_INFINITY;
    }
    value += (byte & 0x7f) * scale;
    scale *= 128;
  }
  return Number.POSITIVE_INFINITY;
}

function readFixed32(from: Uint8Array, at: number): number {
  const low =
    (from[at] as number) | ((from[at + 1] as number) << 8) | ((from[at + 2] as number) << 16);
  return (low | ((from[at + 3] as number) << 24)) >>> 0;
}
`;
