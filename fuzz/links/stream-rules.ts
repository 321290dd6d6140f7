import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  type Ack,
  AckSchema,
  type Call,
  CallSchema,
  CloseSchema,
  CreditSchema,
  type Hello,
  HelloSchema,
  type Ping,
  PingSchema,
  PongSchema,
  ReadySchema,
  type Submit,
  SubmitSchema,
} from "../../gen/posthorn/v1/session_pb.ts";
import { SignalSchema } from "../../gen/posthorn/v1/signal_pb.ts";
import { helloFault } from "./hello-rules.ts";
import { LIMITS } from "./limits.ts";

const COUNTER_MAX = 2n ** 53n - 1n;
const LENGTH_BYTES_MAX = 5;
const CALLS_MAX = 16n;

/** "joining": Welcome has come. "helloed": Hello is out, and nobody knows whether Welcome is. */
type Phase = "opening" | "helloed" | "joining" | "open" | "over";

/** What a device may send: field number, content, phases of its receiver. [FRM-7] [FRM-8] */
const UP: ReadonlyMap<number, readonly [DescMessage, ...Phase[]]> = new Map([
  [1, [HelloSchema, "opening"]],
  [3, [ReadySchema, "joining", "helloed"]],
  [4, [SubmitSchema, "open"]],
  [7, [AckSchema, "open"]],
  [8, [PingSchema, "open"]],
  [9, [PongSchema, "open"]],
  [10, [CreditSchema, "open"]],
  [12, [CloseSchema, "opening", "helloed", "joining", "open"]],
  [13, [CallSchema, "open"]],
  [15, [SignalSchema, "open"]],
]);
/** What only a service may. */
const DOWN: ReadonlySet<number> = new Set([2, 5, 6, 11, 14, 16]);

/** How a link may end: with a code, by its device's own Close, or not at all. */
export type Ending = ErrorCode | "goodbye" | "open";

/**
 * Chapters 2, 4 and 5 for what one link carries up, written a second time: how it must end. Where
 * the moment decides at which the store answers, several endings are right.
 */
export class StreamRules {
  /** Bytes of a frame that has begun. */
  #rest: Buffer = Buffer.alloc(0);
  #phase: Phase;
  #ended: Ending | undefined;
  /** What may end it, depending on the store. */
  readonly #may = new Set<Ending>();
  /** What the store will end it with, unless something is quicker. */
  readonly #will = new Set<Ending>();
  /** The first content of each submit, by its number. */
  readonly #submits = new Map<bigint, Buffer>();
  #resultsThrough = 0n;
  #submitCount = 0;
  #submitBytes = 0;
  #calls = 0n;

  /** @param phase of a device that never submitted and whose user's timeline is empty */
  constructor(phase: "opening" | "joining") {
    this.#phase = phase;
  }

  get endings(): ReadonlySet<Ending> {
    if (this.#ended === "goodbye") return new Set([...this.#may, ...this.#will, "goodbye"]);
    if (this.#ended !== undefined) return new Set([...this.#may, ...this.#will, this.#ended]);
    return new Set(this.#will.size > 0 ? [...this.#may, ...this.#will] : [...this.#may, "open"]);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** A frame has begun and not ended. */
  get isUnfinished(): boolean {
    return this.#ended === undefined && this.#rest.length > 0;
  }

  /** Submits of this stream that were in order. */
  get receivedThrough(): bigint {
    return BigInt(this.#submits.size);
  }

  take(bytes: Uint8Array): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#ended === undefined) {
      const length = lengthAt(this.#rest);
      if (length === undefined) return;
      if (length === "invalid") return this.#end(ErrorCode.LENGTH_INVALID);
      if (length.value > LIMITS.openingFrameBytes) {
        // What Welcome said holds from Ready on. [FRM-4]
        if (this.#phase !== "open" || length.value > LIMITS.frameBytes) {
          return this.#end(ErrorCode.FRAME_TOO_LARGE);
        }
      }
      const end = length.bytes + length.value;
      if (this.#rest.length < end) return;
      const frame = this.#rest.subarray(length.bytes, end);
      this.#rest = this.#rest.subarray(end);
      this.#frame(frame);
    }
  }

  /** Ends it from outside of its frames: a text message, or one that ends inside a frame. */
  broken(): void {
    if (this.#ended === undefined) this.#end(ErrorCode.FRAME_MALFORMED);
  }

  /** A frame that has begun does not end in time. [LNK-6] */
  late(): void {
    if (this.isUnfinished) this.#end(ErrorCode.TOO_SLOW);
  }

  #end(ending: Ending): void {
    this.#ended = ending;
    this.#phase = "over";
  }

  #frame(frame: Buffer): void {
    const field = onlyField(frame);
    if (field === undefined) return this.#end(ErrorCode.FRAME_MALFORMED);
    if (DOWN.has(field.number)) return this.#end(ErrorCode.FRAME_WRONG_SENDER);
    const rule = UP.get(field.number);
    if (rule === undefined) return this.#end(ErrorCode.FRAME_MALFORMED);
    const [schema, ...phases] = rule;
    const message = messageOf(schema, field.content);
    const isFault = typeof message === "number";
    if (this.#phase === "helloed") {
      // Legal once Welcome is out, and a second Hello is a Hello as long as it is not.
      if (schema === ReadySchema) this.#may.add(ErrorCode.FRAME_WRONG_PHASE);
      if (schema === HelloSchema && isFault) this.#may.add(message);
    }
    if (!phases.includes(this.#phase)) return this.#end(ErrorCode.FRAME_WRONG_PHASE);
    if (isFault) return this.#end(message);
    this.#obey(schema, message);
  }

  #obey(schema: DescMessage, message: Message): void {
    switch (schema) {
      case HelloSchema:
        return this.#hello(message as Hello);
      case ReadySchema:
        this.#phase = "open";
        return;
      case SubmitSchema:
        return this.#submit(message as Submit);
      case AckSchema:
        return this.#ack(message as Ack);
      case PingSchema:
      case PongSchema:
        // It tells of submits that are not here. [SES-15]
        if ((message as Ping).sentThrough > this.receivedThrough) {
          this.#end(ErrorCode.SEQUENCE_GAP);
        }
        return;
      case CallSchema:
        return this.#call(message as Call);
      case CloseSchema:
        return this.#end("goodbye");
    }
  }

  #hello(hello: Hello): void {
    const { now, later, perhaps } = helloFault(hello);
    if (now !== undefined) return this.#end(now);
    if (later !== undefined) this.#will.add(later);
    for (const code of perhaps) this.#may.add(code);
    this.#phase = "helloed";
  }

  #submit({ seq, operation }: Submit): void {
    const content = Buffer.from(operation);
    if (seq > this.receivedThrough + 1n) return this.#end(ErrorCode.SEQUENCE_GAP);
    if (seq <= this.#resultsThrough) return;
    if (seq > this.#resultsThrough + BigInt(LIMITS.submitWindowCount)) {
      return this.#end(ErrorCode.CREDIT_EXCEEDED);
    }
    this.#submitCount += 1;
    this.#submitBytes += content.length;
    const isMuch =
      this.#submitCount > LIMITS.submitWindowCount || this.#submitBytes > LIMITS.submitWindowBytes;
    // How much waits depends on how much was committed meanwhile. [SEQ-8]
    if (isMuch) this.#may.add(ErrorCode.CREDIT_EXCEEDED);
    const known = this.#submits.get(seq);
    if (known === undefined) this.#submits.set(seq, content);
    else if (!known.equals(content)) this.#will.add(ErrorCode.SUBMIT_CONFLICT);
  }

  #call({ id }: Call): void {
    if (id !== this.#calls + 1n) return this.#end(ErrorCode.SEQUENCE_GAP);
    this.#calls = id;
    // How many have no reply depends on how quick the service was. [RPC-2]
    if (id > CALLS_MAX) this.#may.add(ErrorCode.CREDIT_EXCEEDED);
  }

  #ack({ deliveredThrough, resultsThrough }: Ack): void {
    // Every submit may be delivered to its own device, and be committed by now.
    const sentMax = this.receivedThrough;
    if (deliveredThrough > sentMax || resultsThrough > sentMax) {
      return this.#end(ErrorCode.ACK_BEYOND_SENT);
    }
    if (deliveredThrough > 0n || resultsThrough > this.#resultsThrough) {
      this.#may.add(ErrorCode.ACK_BEYOND_SENT);
    }
    if (resultsThrough > this.#resultsThrough) this.#resultsThrough = resultsThrough;
  }
}

/** A length in shortest form, of at most five bytes. [FRM-2] */
export function lengthAt(
  bytes: Buffer,
): { readonly value: number; readonly bytes: number } | "invalid" | undefined {
  const first = bytes.findIndex((byte) => byte < 0x80);
  const isWhole = first >= 0 && first < LENGTH_BYTES_MAX;
  if (!isWhole) return bytes.length >= LENGTH_BYTES_MAX ? "invalid" : undefined;
  if (first > 0 && bytes[first] === 0) return "invalid";
  const digits = [...bytes.subarray(0, first + 1)].reverse();
  const value = digits.reduce((sum, digit) => sum * 128 + (digit & 0x7f), 0);
  return { value, bytes: first + 1 };
}

/** The one length-delimited field that a frame must be, tag and length in shortest form. [FRM-6] */
function onlyField(
  frame: Buffer,
): { readonly number: number; readonly content: Buffer } | undefined {
  const tag = lengthAt(frame);
  if (tag === undefined || tag === "invalid" || tag.value % 8 !== 2) return undefined;
  const length = lengthAt(frame.subarray(tag.bytes));
  if (length === undefined || length === "invalid") return undefined;
  const start = tag.bytes + length.bytes;
  if (start + length.value !== frame.length) return undefined;
  return { number: Math.floor(tag.value / 8), content: frame.subarray(start) };
}

/** A frame's content, or what is wrong with it. [FRM-5] [FRM-6] */
function messageOf(schema: DescMessage, content: Buffer): Message | ErrorCode {
  let message: Message;
  try {
    message = fromBinary(schema, content);
  } catch {
    return ErrorCode.FRAME_MALFORMED;
  }
  const isZero = schema === SubmitSchema && (message as Submit).seq === 0n;
  return isZero || !countersHold(message) ? ErrorCode.COUNTER_OUT_OF_RANGE : message;
}

/** Every counter, wherever it stands, is at most 2^53-1. [FRM-5] */
function countersHold(message: object): boolean {
  return Object.values(message).every((value) => {
    if (typeof value === "bigint") return value <= COUNTER_MAX;
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return true;
    return countersHold(value);
  });
}
