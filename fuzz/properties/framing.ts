import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { FRAME_RULES, type FrameKind } from "../../gen/posthorn/v1/frame_rules.ts";
import { Delimiter, lengthPrefixBytes, writeLengthPrefix } from "../../protocol/delimit.ts";
import { decodeFrame, type FrameContext, isViolation } from "../../protocol/frames.ts";
import { property } from "../property.ts";

const BYTES_MAX = 300;

/** Lengths of one and of two bytes are equally often told. */
const message = fc
  .tuple(fc.oneof(fc.nat(4), fc.integer({ min: 120, max: BYTES_MAX })), fc.nat(255))
  .map(([length, filling]) => Uint8Array.from({ length }, (_, index) => index ^ filling));

interface Cut {
  readonly messages: readonly Uint8Array[];
  /** Where the stream is cut, modulo its length. */
  readonly places: readonly number[];
}

export const delimiting = property<Cut>({
  name: "delimiting",
  title: "[FRM-1] [LNK-1] messages come out of any cut of their bytes as they went in",
  smokeRuns: 300,
  kinds: ["cut between messages", "cut in a length", "cut in a message"],
  arbitrary: fc.record({
    messages: fc.array(message, { maxLength: 12 }),
    places: fc.array(fc.nat(4000), { maxLength: 30 }),
  }),
  start: (seen) => ({
    check: ({ messages, places }) => {
      const delimiter = new Delimiter(BYTES_MAX);
      const out: Uint8Array[] = [];
      const stream = delimited(messages);
      let at = 0;
      for (const chunk of chunks(stream, places)) {
        const fault = delimiter.push(chunk, (from, at, end) => out.push(from.slice(at, end)) > 0);
        equal(fault, undefined);
        at += chunk.length;
        seen(`cut ${placeOf(at, messages)}`);
      }
      deepEqual(out, messages);
      equal(delimiter.unfinished, false);
    },
  }),
});

interface Said {
  readonly kind: FrameKind;
  readonly context: FrameContext;
}

/** Empty contents, so that nothing but the rule of the kind can refuse them. */
export const frameRules = property<Said>({
  name: "frame-rules",
  title: "[FRM-7] [FRM-8] a kind is taken from its sender in its phases, and from nobody else",
  smokeRuns: 200,
  kinds: ["taken", "FRM-5", "FRM-7", "FRM-8"],
  arbitrary: fc.record({
    kind: fc.constantFrom(...(Object.keys(FRAME_RULES) as FrameKind[])),
    context: fc.record({
      sender: fc.constantFrom("client" as const, "server" as const),
      phase: fc.constantFrom("opening" as const, "joining" as const, "open" as const),
    }),
  }),
  start: (seen) => ({
    check: ({ kind, context }) => {
      const { number, sender, phases, counter } = FRAME_RULES[kind];
      const tag = (number << 3) | 2;
      const bytes = new Uint8Array(lengthPrefixBytes(tag) + 1);
      writeLengthPrefix(tag, bytes, 0);
      const decoded = decodeFrame(bytes, { at: 0, end: bytes.length }, context);
      const verdict = isViolation(decoded) ? decoded.requirement : "taken";
      seen(verdict);
      const isSender = sender === "both" || sender === context.sender;
      const isPhase = phases.includes(context.phase);
      // No content means the number 0, which no counter has.
      const content = counter === "none" ? "taken" : "FRM-5";
      equal(verdict, isSender ? (isPhase ? content : "FRM-8") : "FRM-7");
    },
  }),
});

function delimited(messages: readonly Uint8Array[]): Uint8Array {
  const parts = messages.map((message) => {
    const start = lengthPrefixBytes(message.length);
    const bytes = new Uint8Array(start + message.length);
    writeLengthPrefix(message.length, bytes, 0);
    bytes.set(message, start);
    return bytes;
  });
  return new Uint8Array(Buffer.concat(parts));
}

function placeOf(place: number, messages: readonly Uint8Array[]): string {
  let start = 0;
  for (const { length } of messages) {
    if (place === start) break;
    const content = start + lengthPrefixBytes(length);
    if (place < content) return "in a length";
    start = content + length;
    if (place < start) return "in a message";
  }
  return "between messages";
}

function chunks(stream: Uint8Array, places: readonly number[]): Uint8Array[] {
  const inOrder = places.map((place) => place % (stream.length + 1)).sort((a, b) => a - b);
  const at = [0, ...inOrder, stream.length];
  return at.slice(1).map((end, index) => stream.slice(at[index], end));
}
