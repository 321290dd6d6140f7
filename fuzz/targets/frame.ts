import { deepEqual, equal, ok } from "node:assert/strict";
import {
  type DescField,
  type DescMessage,
  fromBinary,
  getOption,
  toBinary,
} from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { FrameSchema } from "../../gen/posthorn/v1/frame_pb.ts";
import {
  FrameCounter,
  FramePhase,
  FrameSender,
  frame_rule,
} from "../../gen/posthorn/v1/options_pb.ts";
import { decodeFrame, encodeFrame, type FrameContext, isViolation } from "../../protocol/frames.ts";
import { Choices } from "../coverage/choices.ts";
import { type Reading, readMessage } from "../coverage/reading.ts";

const SENDERS = { client: FrameSender.CLIENT, server: FrameSender.SERVER };
const PHASES = { opening: FramePhase.OPENING, joining: FramePhase.JOINING, open: FramePhase.OPEN };
const SENDER_NAMES = ["client", "server"] as const;
const PHASE_NAMES = ["opening", "joining", "open"] as const;
/** So long that no length before a range can be mistaken for one in it. */
const MARGIN = 3;

/**
 * A frame is taken exactly when the schema's rules and protobuf-es both take it, as the same
 * content, and is refused for the first rule that it breaks. [FRM-5] to [FRM-9]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const context = { sender: choices.pick(SENDER_NAMES), phase: choices.pick(PHASE_NAMES) };
  const bytes = choices.rest();
  const decoded = decoding(bytes, context);
  deepEqual(decoded, judged(bytes, context));
  if ("content" in decoded) encodesAgain(bytes, context);
}

type Verdict =
  | { readonly kind: string; readonly content: Reading }
  | { readonly code: ErrorCode; readonly requirement: string };

function decoding(bytes: Uint8Array, context: FrameContext): Verdict {
  // In the midst of other bytes: a range is read, and nothing beside it.
  const within = new Uint8Array(bytes.length + 2 * MARGIN).fill(0x08);
  within.set(bytes, MARGIN);
  const range = { at: MARGIN, end: MARGIN + bytes.length };
  const decoded = decodeFrame(within, range, context);
  if (isViolation(decoded)) return { code: decoded.code, requirement: decoded.requirement };
  return { kind: decoded.kind, content: decoded.value as unknown as Reading };
}

/** The rules from the options of the schema, the content from protobuf-es. */
function judged(bytes: Uint8Array, { sender, phase }: FrameContext): Verdict {
  const found = fieldOf(bytes);
  if (found === undefined) return { code: ErrorCode.FRAME_MALFORMED, requirement: "FRM-6" };
  const { field, content } = found;
  const rule = getOption(field, frame_rule);
  if (rule.sender !== FrameSender.BOTH && rule.sender !== SENDERS[sender]) {
    return { code: ErrorCode.FRAME_WRONG_SENDER, requirement: "FRM-7" };
  }
  if (!rule.phases.includes(PHASES[phase])) {
    return { code: ErrorCode.FRAME_WRONG_PHASE, requirement: "FRM-8" };
  }
  const reading = readMessage(field.message, content);
  if (reading === "malformed") return { code: ErrorCode.FRAME_MALFORMED, requirement: "FRM-6" };
  const isNumbered = rule.counter !== FrameCounter.UNSPECIFIED;
  if (reading === "out-of-range" || (isNumbered && reading.seq === 0)) {
    return { code: ErrorCode.COUNTER_OUT_OF_RANGE, requirement: "FRM-5" };
  }
  return { kind: field.localName, content: reading };
}

/** The field whose tag and length, as an encoder writes them, the bytes begin with. */
function fieldOf(
  bytes: Uint8Array,
):
  | { readonly field: DescField & { readonly message: DescMessage }; readonly content: Uint8Array }
  | undefined {
  for (const field of FrameSchema.fields) {
    for (let lengthBytes = 1; lengthBytes <= 4; lengthBytes += 1) {
      const tag = new BinaryWriter().tag(field.number, 2).finish();
      const length = bytes.length - tag.length - lengthBytes;
      if (length < 0) continue;
      const head = new BinaryWriter().raw(tag).uint32(length).finish();
      const isHead = head.length === tag.length + lengthBytes;
      if (!isHead || Buffer.compare(head, bytes.subarray(0, head.length)) !== 0) continue;
      ok(field.message !== undefined);
      return { field: field as never, content: bytes.subarray(head.length) };
    }
  }
  return undefined;
}

/** What is accepted is encoded to what protobuf-es encodes, and read as the same. */
function encodesAgain(bytes: Uint8Array, context: FrameContext): void {
  const frame = decodeFrame(bytes, { at: 0, end: bytes.length }, context);
  ok(!isViolation(frame));
  const encoded = encodeFrame(frame);
  const parsed = fromBinary(FrameSchema, bytes, { readUnknownFields: false });
  const written = toBinary(FrameSchema, parsed);
  deepEqual(encoded, new BinaryWriter().bytes(written).finish());
  const at = encoded.length - written.length;
  const again = decodeFrame(encoded, { at, end: encoded.length }, context);
  equal(isViolation(again), false);
  deepEqual(again, frame);
}
