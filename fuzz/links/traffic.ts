import { create, toBinary } from "@bufbuild/protobuf";
import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { CursorStart } from "../../gen/posthorn/v1/session_pb.ts";
import { encodeFrame, type FrameContents } from "../../protocol/frames.ts";

/** What a device, honest or not, sends next. Offsets are from what an honest one would say. */
export type Piece =
  | { readonly kind: "hello"; readonly part: Partial<HelloPart> }
  | { readonly kind: "ready" }
  | {
      readonly kind: "submit";
      readonly offset: number;
      readonly bytes: number;
      readonly isOther: boolean;
    }
  | { readonly kind: "ack"; readonly deliveries: number; readonly results: number }
  | { readonly kind: "ping" | "pong"; readonly offset: number }
  | { readonly kind: "credit"; readonly count: number }
  | { readonly kind: "close"; readonly code: number }
  /** A frame of whatever bytes. */
  | { readonly kind: "frame"; readonly body: Uint8Array }
  /** A frame of one field of whatever number, type and content. */
  | {
      readonly kind: "field";
      readonly number: number;
      readonly type: number;
      readonly body: Uint8Array;
    }
  /** A length, in a form that may be longer than it need be. */
  | { readonly kind: "length"; readonly length: number; readonly padding: number }
  /** A frame of one number, of up to 64 bits. [FRM-5] */
  | {
      readonly kind: "counter";
      readonly number: number;
      readonly field: number;
      readonly value: bigint;
    }
  /** A Ping with a field of the future. [FRM-9] */
  | { readonly kind: "padded"; readonly padding: number }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array };

interface HelloPart {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly userId: string;
  readonly deviceId: string;
  readonly agentBytes: number;
  readonly tokenBytes: number;
  readonly outbox: NonNullable<FrameContents["hello"]["outbox"]>;
  readonly cursor: NonNullable<FrameContents["hello"]["cursor"]>;
  readonly timers: NonNullable<FrameContents["hello"]["timers"]>;
}

/** What becomes of bytes on their way. Positions are taken modulo the length. */
export type Mutation =
  | { readonly kind: "flip"; readonly at: number; readonly bit: number }
  | { readonly kind: "insert"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "drop" | "repeat"; readonly at: number; readonly count: number }
  | { readonly kind: "cut"; readonly at: number };

/** Who sends. */
export interface Sender {
  readonly userId: string;
  readonly deviceId: string;
}

/** How far a sender is: the number of its next submit. */
export interface Standing {
  next: number;
}

/** The bytes of pieces that follow each other, each numbered as what came before it wants it. */
export function bytesOf(
  pieces: readonly Piece[],
  sender: Sender,
  standing: Standing = { next: 1 },
): Buffer {
  return Buffer.concat(pieces.map((piece) => pieceBytes(piece, sender, standing)));
}

export function mutated(bytes: Buffer, mutations: readonly Mutation[]): Buffer {
  return mutations.reduce<Buffer>(mutatedOnce, bytes);
}

function mutatedOnce(bytes: Buffer, mutation: Mutation): Buffer {
  const at = mutation.at % (bytes.length + 1);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (mutation.kind) {
    case "flip": {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at] = (flipped[at] as number) ^ (1 << mutation.bit);
      return flipped;
    }
    case "insert":
      return Buffer.concat([before, mutation.bytes, after]);
    case "drop":
      return Buffer.concat([before, after.subarray(mutation.count)]);
    case "repeat":
      return Buffer.concat([before, after.subarray(0, mutation.count), after]);
    case "cut":
      return before;
  }
}

function pieceBytes(piece: Piece, sender: Sender, standing: Standing): Uint8Array {
  const { next } = standing;
  switch (piece.kind) {
    case "hello":
      return helloBytes(sender, piece.part);
    case "ready":
      return encodeFrame({ kind: "ready", value: {} });
    case "submit": {
      const seq = within(next + piece.offset);
      if (seq === next) standing.next += 1;
      const operation = operationOf(sender, `${seq}${piece.isOther ? "!" : ""}`, piece.bytes);
      return encodeFrame({ kind: "submit", value: { seq, operation } });
    }
    case "ack": {
      const { deliveries, results } = piece;
      const value = { deliveredThrough: within(deliveries), resultsThrough: within(results) };
      return encodeFrame({ kind: "ack", value });
    }
    case "ping":
    case "pong":
      return encodeFrame({
        kind: piece.kind,
        value: { id: 7, sentThrough: within(next - 1 + piece.offset) },
      });
    case "credit":
      return encodeFrame({
        kind: "credit",
        value: { window: { count: piece.count, bytes: 10_000 } },
      });
    case "close": {
      const value = { code: piece.code as ErrorCode, detail: "", requirement: "" };
      return encodeFrame({ kind: "close", value });
    }
    case "frame":
      return framed(piece.body);
    case "field":
      return framed(fieldBytes(piece.number, piece.type, piece.body));
    case "length":
      return varint(piece.length, piece.padding);
    case "counter": {
      const { number, field, value } = piece;
      const counter = Buffer.concat([varint(field * 8, 0), varint64(value)]);
      return framed(fieldBytes(number, 2, counter));
    }
    case "padded": {
      const field = fieldBytes(UNKNOWN_FIELD, 2, new Uint8Array(piece.padding));
      return framed(fieldBytes(PING_FIELD, 2, field));
    }
    case "bytes":
      return piece.bytes;
  }
}

/** A Hello that is right but for a part of it. */
export function helloBytes(sender: Sender, part: Partial<HelloPart> = {}): Uint8Array {
  const { agentBytes = 4, tokenBytes = 0, ...rest } = part;
  const value = {
    versionMin: 1,
    versionMax: 1,
    ...sender,
    outbox: { epoch: 0, resultsThrough: 0, next: 1 },
    cursor: { epoch: 0, seq: 0, start: CursorStart.EARLIEST },
    deliveryWindow: { count: 64, bytes: 65_536 },
    ...rest,
    agent: "a".repeat(agentBytes),
    token: "t".repeat(tokenBytes),
  };
  return encodeFrame({ kind: "hello", value });
}

function operationOf({ userId }: Sender, name: string, bytes: number): Uint8Array {
  const text = `${name} `.padEnd(bytes, "x");
  const content = { kind: { case: "text" as const, value: text } };
  const kind = { case: "sendDirect" as const, value: { toUserId: userId, content } };
  return toBinary(OperationSchema, create(OperationSchema, { kind }));
}

const PING_FIELD = 8;
const UNKNOWN_FIELD = 15;

function fieldBytes(number: number, type: number, body: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + type, 0), varint(body.length, 0), body]);
}

function framed(body: Uint8Array): Buffer {
  return Buffer.concat([varint(body.length, 0), body]);
}

/** In its shortest form, or in one that many bytes longer. */
function varint(value: number, padding: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  for (let added = 0; added < padding; added += 1) {
    bytes.push((bytes.pop() as number) | 0x80, 0);
  }
  return Buffer.from(bytes);
}

function varint64(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

function within(number: number): number {
  return Math.max(0, Math.min(number, Number.MAX_SAFE_INTEGER));
}
