import type { DescMessage } from "@bufbuild/protobuf";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import {
  FRAME_RULES,
  FRAME_RULES_BY_NUMBER,
  type FrameKind,
  type FramePhase,
  type FrameRule,
  type HotFrameKind,
} from "../gen/posthorn/v1/frame_rules.ts";
import {
  type AckPlain,
  type DeliverPlain,
  HOT_CODECS,
  type SubmitAckPlain,
  type SubmitPlain,
  sizeSubmit,
} from "../gen/posthorn/v1/hot_codecs.ts";
import {
  AckSchema,
  type Call,
  CallSchema,
  type Close,
  CloseSchema,
  type Credit,
  CreditSchema,
  DeliverSchema,
  type Drain,
  DrainSchema,
  type Hello,
  HelloSchema,
  type Index,
  IndexSchema,
  type Ping,
  PingSchema,
  type Pong,
  PongSchema,
  type Ready,
  ReadySchema,
  type Reply,
  ReplySchema,
  SubmitAckSchema,
  SubmitSchema,
  type Welcome,
  WelcomeSchema,
} from "../gen/posthorn/v1/session_pb.ts";
import {
  type Hints,
  HintsSchema,
  type Signal,
  SignalSchema,
} from "../gen/posthorn/v1/signal_pb.ts";
import { lengthPrefixBytes, writeLengthPrefix } from "./delimit.ts";
import { decodePlain, encodePlain, type Plain } from "./plain.ts";
import { type Violation, violation } from "./violation.ts";

/** The content of each kind of frame, as plain data. */
export interface FrameContents {
  readonly hello: Plain<Hello>;
  readonly welcome: Plain<Welcome>;
  readonly ready: Plain<Ready>;
  readonly submit: SubmitPlain;
  readonly submitAck: SubmitAckPlain;
  readonly deliver: DeliverPlain;
  readonly ack: AckPlain;
  readonly ping: Plain<Ping>;
  readonly pong: Plain<Pong>;
  readonly credit: Plain<Credit>;
  readonly drain: Plain<Drain>;
  readonly close: Plain<Close>;
  readonly call: Plain<Call>;
  readonly reply: Plain<Reply>;
  readonly signal: Plain<Signal>;
  readonly hints: Plain<Hints>;
  readonly index: Plain<Index>;
}

/** One decoded frame. */
export type Frame = { [Kind in FrameKind]: FrameOf<Kind> }[FrameKind];
export interface FrameOf<Kind extends FrameKind> {
  readonly kind: Kind;
  readonly value: FrameContents[Kind];
}

/** Who sent the bytes and where the receiver stands: what the frame rules are asked with. */
export interface FrameContext {
  readonly sender: "client" | "server";
  readonly phase: FramePhase;
}

const SCHEMAS: { readonly [Kind in FrameKind]: DescMessage } = {
  hello: HelloSchema,
  welcome: WelcomeSchema,
  ready: ReadySchema,
  submit: SubmitSchema,
  submitAck: SubmitAckSchema,
  deliver: DeliverSchema,
  ack: AckSchema,
  ping: PingSchema,
  pong: PongSchema,
  credit: CreditSchema,
  drain: DrainSchema,
  close: CloseSchema,
  call: CallSchema,
  reply: ReplySchema,
  signal: SignalSchema,
  hints: HintsSchema,
  index: IndexSchema,
};

const WIRE_TYPE_BYTES = 2;

/**
 * Decodes one frame and judges it by the rule of its kind before its content is looked at. [FRM-6]
 * [FRM-7] [FRM-8]
 *
 * Never throws, whatever the bytes. Byte fields of the result are views of `from`.
 */
export function decodeFrame(
  from: Uint8Array,
  range: { readonly at: number; readonly end: number },
  context: FrameContext,
): Frame | Violation {
  const head = readHead(from, range.at, range.end);
  if (head === undefined) {
    return violation(ErrorCode.FRAME_MALFORMED, "FRM-6", "not exactly one known kind");
  }
  const { rule, start } = head;
  const illegal = judge(rule, context);
  if (illegal !== undefined) return illegal;
  const value = readContent(rule.kind, from, start, range.end);
  if (value === "malformed") {
    return violation(ErrorCode.FRAME_MALFORMED, "FRM-6", `${rule.kind} cannot be decoded`);
  }
  const counted = rule.counter !== "none";
  if (value === "out-of-range" || (counted && (value as { seq: number }).seq === 0)) {
    const detail = `${rule.kind} holds a counter out of range`;
    return violation(ErrorCode.COUNTER_OUT_OF_RANGE, "FRM-5", detail);
  }
  return { kind: rule.kind, value } as Frame;
}

/**
 * Straight-line code for what encoders make of hot frames, the full decoder for everything else.
 * [FRM-9]
 */
function readContent(kind: FrameKind, from: Uint8Array, start: number, end: number) {
  const hot = isHot(kind) ? HOT_CODECS[kind].read(from, start, end) : undefined;
  return hot ?? decodePlain(SCHEMAS[kind], from.subarray(start, end));
}

/** True for the violation half of {@link decodeFrame}'s result. */
export function isViolation(result: Frame | Violation): result is Violation {
  return "code" in result;
}

function judge(rule: FrameRule, context: FrameContext): Violation | undefined {
  if (rule.sender !== "both" && rule.sender !== context.sender) {
    const detail = `${rule.kind} from the ${context.sender}`;
    return violation(ErrorCode.FRAME_WRONG_SENDER, "FRM-7", detail);
  }
  if (!rule.phases.includes(context.phase)) {
    const detail = `${rule.kind} in phase ${context.phase}`;
    return violation(ErrorCode.FRAME_WRONG_PHASE, "FRM-8", detail);
  }
  return undefined;
}

/**
 * The single field that a frame is, if its length spans the frame exactly. Shortest forms only.
 * [FRM-6]
 */
function readHead(
  from: Uint8Array,
  at: number,
  end: number,
): { readonly rule: FrameRule; readonly start: number } | undefined {
  const tag = readShortVarint(from, at, end);
  if (tag === undefined || (tag.value & 7) !== WIRE_TYPE_BYTES) return undefined;
  const rule = FRAME_RULES_BY_NUMBER[tag.value >>> 3];
  if (rule === undefined) return undefined;
  const length = readShortVarint(from, tag.end, end);
  if (length === undefined || length.end + length.value !== end) return undefined;
  return { rule, start: length.end };
}

function readShortVarint(
  from: Uint8Array,
  at: number,
  end: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let index = 0; index < 4 && at + index < end; index += 1) {
    const byte = from[at + index] as number;
    value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) {
      return byte === 0 && index > 0 ? undefined : { value, end: at + index + 1 };
    }
  }
  return undefined;
}

function isHot(kind: FrameKind): kind is HotFrameKind {
  return FRAME_RULES[kind].hot;
}

const INITIAL_BYTES = 256;

/**
 * Gathers frames into one buffer, each with its length prefix, so that a tick's frames leave in one
 * write. Holds no buffer between takes.
 */
export class FrameWriter {
  #buffer: Uint8Array | undefined;
  #length = 0;

  get empty(): boolean {
    return this.#length === 0;
  }

  /** Appends one frame. */
  push<Kind extends FrameKind>(kind: Kind, value: FrameContents[Kind]): void {
    const tag = (FRAME_RULES[kind].number << 3) | WIRE_TYPE_BYTES;
    if (isHot(kind)) {
      const codec = HOT_CODECS[kind] as HotCodec;
      const size = codec.size(value);
      const at = this.#begin(tag, size);
      codec.write(value, this.#buffer as Uint8Array, at);
      this.#length = at + size;
      return;
    }
    const bytes = encodePlain(SCHEMAS[kind], value as never);
    const at = this.#begin(tag, bytes.length);
    (this.#buffer as Uint8Array).set(bytes, at);
    this.#length = at + bytes.length;
  }

  /** The gathered bytes, whole frames; the buffer is the caller's. */
  take(): Uint8Array {
    const bytes = this.#buffer?.subarray(0, this.#length) ?? new Uint8Array(0);
    this.#buffer = undefined;
    this.#length = 0;
    return bytes;
  }

  /** Writes the prefix and the kind's tag and length; returns where the content goes. */
  #begin(tag: number, contentBytes: number): number {
    const frameBytes = lengthPrefixBytes(tag) + lengthPrefixBytes(contentBytes) + contentBytes;
    const total = this.#length + lengthPrefixBytes(frameBytes) + frameBytes;
    let buffer = this.#buffer;
    if (buffer === undefined || buffer.length < total) {
      const grown = new Uint8Array(Math.max(total, (buffer?.length ?? INITIAL_BYTES / 2) * 2));
      if (buffer !== undefined) grown.set(buffer.subarray(0, this.#length));
      buffer = grown;
      this.#buffer = grown;
    }
    const afterPrefix = writeLengthPrefix(frameBytes, buffer, this.#length);
    const afterTag = writeLengthPrefix(tag, buffer, afterPrefix);
    return writeLengthPrefix(contentBytes, buffer, afterTag);
  }
}

interface HotCodec {
  size(value: unknown): number;
  write(value: unknown, into: Uint8Array, at: number): number;
}

/** How long the frame of a submit is, without its length prefix. [FRM-3] */
export function submitFrameBytes(submit: SubmitPlain): number {
  return framedBytes(sizeSubmit(submit));
}

/** With the tag and the length of a frame's one field. */
function framedBytes(contentBytes: number): number {
  return 1 + lengthPrefixBytes(contentBytes) + contentBytes;
}

/** How long the frame of an index is, without its length prefix. [FRM-3] */
export function indexFrameBytes(index: Plain<Index>): number {
  return framedBytes(encodePlain(SCHEMAS.index, index).length);
}

/** How long the frame of a call or a reply is, without its length prefix. [FRM-3] */
export function callFrameBytes(call: Plain<Call> | Plain<Reply>): number {
  const kind = "method" in call ? "call" : "reply";
  return framedBytes(encodePlain(SCHEMAS[kind], call).length);
}

/** One frame with its length prefix. */
export function encodeFrame<Kind extends FrameKind>(frame: FrameOf<Kind>): Uint8Array {
  const writer = new FrameWriter();
  writer.push(frame.kind, frame.value);
  return writer.take();
}
