import { fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { FrameSchema } from "../../gen/posthorn/v1/frame_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";

// Builds bytes from Protobuf's own codec and by hand: nothing of protocol/ is used, so that a bug
// there cannot become the expectation. What is built by hand may lie.

/** A vector names what it checks; one fault in each invalid one. */
export interface Named {
  readonly name: string;
  readonly description: string;
  readonly requirements: readonly string[];
  readonly pitfalls?: readonly string[];
}

/** Who a case is and what it checks. @param ids requirements and pitfalls, separated by spaces */
export function named(ids: string, name: string, description: string): Named {
  const all = ids.split(" ");
  const pitfalls = all.filter((id) => /^P\d/.test(id));
  const requirements = all.filter((id) => !pitfalls.includes(id));
  return { name, description, requirements, ...(pitfalls.length > 0 ? { pitfalls } : {}) };
}

/** A frame, readable and exact. */
export interface VectorFrame {
  /** Protobuf's JSON of posthorn.v1.Frame; absent where no JSON could say it. */
  readonly json?: JsonValue;
  /** With its length prefix, as it goes over a link. */
  readonly hex: string;
}

/** An honest frame. @param json Protobuf's JSON of its kind */
export function frame(kind: string, json: JsonValue): VectorFrame {
  const message = fromJson(FrameSchema, { [kind]: json });
  return {
    json: toJson(FrameSchema, message) as JsonValue,
    hex: hexOf(delimited(toBinary(FrameSchema, message))),
  };
}

/** The content of an honest frame: what stands behind the kind's tag and length. */
export function contentOf({ hex }: VectorFrame): readonly number[] {
  const skipVarint = (bytes: readonly number[]) =>
    bytes.slice(bytes.findIndex((byte) => byte < 0x80) + 1);
  return skipVarint(skipVarint(skipVarint([...Buffer.from(hex, "hex")])));
}

/** Bytes that are no honest frame, or not a whole one. */
export function raw(bytes: Iterable<number>): VectorFrame {
  return { hex: hexOf(bytes) };
}

export function delimited(bytes: Iterable<number>): number[] {
  const content = [...bytes];
  return [...varint(content.length), ...content];
}

/** A varint in its shortest form; the value may be a bigint of any size. */
export function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

/** A varint field. */
export function field(number: number, value: number | bigint): number[] {
  return [...varint(number * 8), ...varint(value)];
}

/** A length-delimited field. */
export function bytesField(number: number, bytes: readonly number[]): number[] {
  return [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
}

export function hexOf(bytes: Iterable<number>): string {
  return Buffer.from([...bytes]).toString("hex");
}

/** CRC-32 as in ISO 3309 and zip, bit by bit: the digest of SubmitResult. */
export function crc32(bytes: Iterable<number>): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

/** The bytes of an operation that sends a text. */
export function sendText(toUserId: string, text: string): Uint8Array {
  const operation = fromJson(OperationSchema, { sendDirect: { toUserId, content: { text } } });
  return toBinary(OperationSchema, operation);
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
