import { unreachable } from "../protocol/violation.ts";
import type { HotField, HotMessage } from "./hot-messages.ts";
import { BANNER } from "./print-rules.ts";
import type { FrameRuleOption } from "./rules.ts";

/** hot_codecs.ts: straight-line codecs for the frames that are sent once a message. */
export function printHotCodecs(
  rules: readonly FrameRuleOption[],
  messages: readonly HotMessage[],
): string {
  const table = rules
    .filter((rule) => rule.hot)
    .map(({ kind, message: { name } }) => {
      return `  ${kind}: { size: size${name}, write: write${name}, read: read${name} },`;
    });
  return `${BANNER}
// Straight-line codecs for the frames that are sent once a message, with the bytes of protobuf-es.
//
// Writers expect integers within the range of their fields, 64-bit ones up to 2^53-1: their caller
// vouches for it. Readers know what encoders make and give up on everything else (undefined):
// unknown fields, other wire types, tags or numbers of unusual form, numbers out of range, bytes
// that are cut. Their caller then asks the full decoder, which alone says what is wrong, if
// anything is. Neither throws, whatever the bytes read.

export const HOT_CODECS = {
${table.join("\n")}
} as const;

${messages.map(printMessage).join("\n")}${RUNTIME}`;
}

function printMessage({ name, fields }: HotMessage): string {
  const members = fields.map((field) => `  readonly ${field.member}: ${typeOf(field)};`);
  const results = fields.map(({ member }) => `    ${member}: $${member},`);
  return `export interface ${name}Plain {
${members.join("\n")}
}

export function size${name}(m: ${name}Plain): number {
  let size = 0;
${fields.map(printSize).join("\n")}
  return size;
}

/** Writes at a position with room for size${name} bytes; returns the position after. */
export function write${name}(m: ${name}Plain, into: Uint8Array, at: number): number {
  let p = at;
${fields.map(printWrite).join("\n")}
  return p;
}

/** Reads a range; undefined when the full decoder has to. Byte fields are views of \`from\`. */
export function read${name}(
  from: Uint8Array,
  at: number,
  end: number,
): ${name}Plain | undefined {
${fields.map(printLocal).join("\n")}
  let p = at;
  while (p < end) {
    switch (from[p++]) {
${fields.map(printRead).join("\n")}
      default:
        return undefined;
    }
  }
  return {
${results.join("\n")}
  };
}
`;
}

function typeOf({ shape, item }: HotField): string {
  switch (shape) {
    case "bytes":
      return "Uint8Array";
    case "messages":
      return `readonly ${item}Plain[]`;
    default:
      return "number";
  }
}

function printSize({ member, shape, item }: HotField): string {
  switch (shape) {
    case "uint32":
    case "uint64":
      return `  if (m.${member} !== 0) size += 1 + varintSize(m.${member});`;
    case "enum":
      return `  if (m.${member} !== 0) size += 1 + int32Size(m.${member});`;
    case "fixed32":
      return `  if (m.${member} !== 0) size += 5;`;
    case "bytes":
      return `  if (m.${member}.length !== 0) {
    size += 1 + varintSize(m.${member}.length) + m.${member}.length;
  }`;
    case "messages":
      return `  for (const item of m.${member}) {
    const length = size${item}(item);
    size += 1 + varintSize(length) + length;
  }`;
    default:
      return unreachable(shape);
  }
}

function printWrite({ member, tag, shape, item }: HotField): string {
  const present = (write: string) => `  if (m.${member} !== 0) {
    into[p++] = ${tag};
    ${write}
  }`;
  switch (shape) {
    case "uint32":
    case "uint64":
      return present(`p = writeVarint(m.${member}, into, p);`);
    case "enum":
      return present(`p = writeInt32(m.${member}, into, p);`);
    case "fixed32":
      return present(`p = writeFixed32(m.${member}, into, p);`);
    case "bytes":
      return `  if (m.${member}.length !== 0) {
    into[p++] = ${tag};
    p = writeVarint(m.${member}.length, into, p);
    into.set(m.${member}, p);
    p += m.${member}.length;
  }`;
    case "messages":
      return `  for (const item of m.${member}) {
    into[p++] = ${tag};
    p = writeVarint(size${item}(item), into, p);
    p = write${item}(item, into, p);
  }`;
    default:
      return unreachable(shape);
  }
}

/** Locals begin with a dollar, as no field does, so that a field may be called `end`. */
function printLocal({ member, shape, item }: HotField): string {
  switch (shape) {
    case "bytes":
      return `  let $${member}: Uint8Array = EMPTY;`;
    case "messages":
      return `  const $${member}: ${item}Plain[] = [];`;
    default:
      return `  let $${member} = 0;`;
  }
}

function printRead({ member, tag, shape, item }: HotField): string {
  const range = `        const length = readVarint(from, p, end);
        p = readEnd + length;
        if (p > end) return undefined;`;
  const varint = (max: string) => `      case ${tag}:
        $${member} = readVarint(from, p, end);
        if ($${member} > ${max}) return undefined;
        p = readEnd;
        break;`;
  switch (shape) {
    case "uint32":
      return varint("0xffff_ffff");
    case "uint64":
      return varint("Number.MAX_SAFE_INTEGER");
    case "enum":
      return varint("0x7fff_ffff");
    case "fixed32":
      return `      case ${tag}:
        if (p + 4 > end) return undefined;
        $${member} = readFixed32(from, p);
        p += 4;
        break;`;
    case "bytes":
      return `      case ${tag}: {
${range}
        $${member} = from.subarray(readEnd, p);
        break;
      }`;
    case "messages":
      return `      case ${tag}: {
${range}
        const item = read${item}(from, readEnd, p);
        if (item === undefined) return undefined;
        $${member}.push(item);
        break;
      }`;
    default:
      return unreachable(shape);
  }
}

const RUNTIME = `
const EMPTY = new Uint8Array(0);

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  if (value < 0x8_0000_0000) return 5;
  if (value < 0x400_0000_0000) return 6;
  return value < 0x2_0000_0000_0000 ? 7 : 8;
}

function writeVarint(value: number, into: Uint8Array, at: number): number {
  let p = at;
  let rest = value;
  if (value >= 0x1000_0000) {
    rest = Math.floor(value / 0x1000_0000);
    const low = value - rest * 0x1000_0000;
    into[p++] = (low & 0x7f) | 0x80;
    into[p++] = ((low >>> 7) & 0x7f) | 0x80;
    into[p++] = ((low >>> 14) & 0x7f) | 0x80;
    into[p++] = (low >>> 21) | 0x80;
  }
  while (rest > 0x7f) {
    into[p++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[p++] = rest;
  return p;
}

/** A negative enum number has the form of a negative 64-bit one: ten bytes. */
function int32Size(value: number): number {
  return value < 0 ? 10 : varintSize(value);
}

function writeInt32(value: number, into: Uint8Array, at: number): number {
  if (value >= 0) return writeVarint(value, into, at);
  let p = at;
  for (let shift = 0; shift < 28; shift += 7) into[p++] = ((value >> shift) & 0x7f) | 0x80;
  into[p++] = ((value >> 28) & 0x7f) | 0x80;
  into.fill(0xff, p, p + 4);
  into[p + 4] = 1;
  return p + 5;
}

function writeFixed32(value: number, into: Uint8Array, at: number): number {
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
  return at + 4;
}

/** Where the last readVarint ended. */
let readEnd = 0;

/**
 * Infinity when it is cut or longer than eight bytes: the full decoder then says what it is.
 * Inexact above 2^53, but never below 2^53 then.
 */
function readVarint(from: Uint8Array, at: number, end: number): number {
  const last = Math.min(end, at + 8);
  let p = at;
  let value = 0;
  let scale = 1;
  while (p < last) {
    const byte = from[p++] as number;
    if (byte < 0x80) {
      readEnd = p;
      return value + byte * scale;
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
