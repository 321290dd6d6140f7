import { deepEqual, equal, ok } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { Choices } from "../coverage/choices.ts";

const LIMITS = [0, 40, 300, 1 << 20] as const;
/** What the receiver's own objects cost at most, besides what arrived. */
const OVERHEAD_BYTES = 64 * 1024;

/**
 * Any bytes in any cut give the messages and the verdict that their lengths say, and keep no more
 * memory than arrived. [FRM-1] [FRM-2] [FRM-3] [SEQ-16]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const bytesMax = choices.pick(LIMITS);
  const stopAfter = choices.byte() % 8 || Number.POSITIVE_INFINITY;
  const cuts = choices.take(choices.byte() % 16);
  const stream = choices.rest();
  const limits = { bytesMax, stopAfter };
  const expected = read(stream, limits);
  deepEqual(cut([stream], limits), expected, "in one piece");
  const single = Array.from(stream, (byte) => Uint8Array.of(byte));
  deepEqual(cut(single, limits), expected, "byte by byte");
  const before = process.memoryUsage().arrayBuffers;
  deepEqual(cut(pieces(stream, cuts), limits), expected, "in pieces");
  const grown = process.memoryUsage().arrayBuffers - before;
  ok(grown <= OVERHEAD_BYTES + 4 * stream.length, "a length that is announced costs its sender");
}

interface Reading {
  readonly messages: readonly string[];
  readonly code: ErrorCode | undefined;
  readonly unfinished: boolean;
}

interface Limits {
  readonly bytesMax: number;
  /** How many messages the receiver takes. */
  readonly stopAfter: number;
}

function cut(chunks: readonly Uint8Array[], { bytesMax, stopAfter }: Limits): Reading {
  const delimiter = new Delimiter(bytesMax);
  const messages: string[] = [];
  let code: ErrorCode | undefined;
  for (const chunk of chunks) {
    const fault = delimiter.push(chunk, (from, at, end) => {
      ok(code === undefined && messages.length < stopAfter, "nothing comes after the end");
      const arrived = Math.max(chunk.length, end - at);
      ok(from.length <= 2 * arrived + 5, "a buffer holds what has arrived");
      messages.push(Buffer.from(from.subarray(at, end)).toString("hex"));
      return messages.length < stopAfter;
    });
    code ??= fault?.code;
  }
  return { messages, code, unfinished: delimiter.unfinished };
}

/** The rules of chapter 2 a second time, over the whole stream. */
function read(stream: Uint8Array, { bytesMax, stopAfter }: Limits): Reading {
  const messages: string[] = [];
  const ended = (code?: ErrorCode) => ({ messages, code, unfinished: false });
  let rest = Buffer.from(stream);
  while (rest.length > 0 && messages.length < stopAfter) {
    const prefix = rest.subarray(0, 5);
    const last = prefix.findIndex((byte) => byte < 0x80);
    if (last < 0 && prefix.length === 5) return ended(ErrorCode.LENGTH_INVALID);
    if (last < 0) return { messages, code: undefined, unfinished: true };
    if (last > 0 && prefix[last] === 0) return ended(ErrorCode.LENGTH_INVALID);
    const groups = [...prefix.subarray(0, last + 1)].map((byte) => BigInt(byte & 0x7f));
    const length = groups.reduceRight((high, low) => high * 128n + low, 0n);
    if (length > BigInt(bytesMax)) return ended(ErrorCode.FRAME_TOO_LARGE);
    const end = last + 1 + Number(length);
    if (rest.length < end) return { messages, code: undefined, unfinished: true };
    messages.push(rest.subarray(last + 1, end).toString("hex"));
    rest = rest.subarray(end);
  }
  return ended();
}

/** The stream in pieces, each as long as a byte says. */
function pieces(stream: Uint8Array, cuts: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const length of cuts) {
    parts.push(stream.slice(at, at + length));
    at += length;
  }
  parts.push(stream.slice(at));
  equal(Buffer.concat(parts).length, stream.length);
  return parts;
}
