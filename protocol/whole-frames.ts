import { Delimiter } from "./delimit.ts";

/** Of ClientHello, the first record of a sealed link. [ENV-3] */
const RECORD_CLIENT_HELLO = 1;
const RECORD_HEADER_BYTES = 16;
const RECORD_LENGTH_AT = 12;

/**
 * What stands for a message that can hold neither: a record's header of version 0, which is a frame
 * of one byte as well. A new one each time. [ENV-3] [FRM-6]
 */
export function noMessage(): Uint8Array {
  return Uint8Array.of(RECORD_CLIENT_HELLO, ...new Array<number>(RECORD_HEADER_BYTES - 1).fill(0));
}

/** What a link carries: frames in the clear, or sealed records. [ENV-11] */
export type MessageContent = "frames" | "records";

/**
 * What a link carries, by its first bytes: a record's type stands where a frame's length would, and
 * no frame is one byte long. [FRM-6] [ENV-48]
 */
export function contentOf(first: Uint8Array): MessageContent {
  return first[0] === RECORD_CLIENT_HELLO ? "records" : "frames";
}

/**
 * Whether a message of a message transport holds whole frames or records only; what they are is
 * somebody else's to judge. [LNK-5] [ENV-11]
 *
 * Faults of a length prefix are left to the session, which names them precisely.
 */
export function isWholeMessage(message: Uint8Array, content: MessageContent): boolean {
  if (content === "records") return recordEnds(message).at(-1) === message.length;
  const delimiter = new Delimiter(Number.MAX_SAFE_INTEGER);
  const fault = delimiter.push(message, () => true);
  return fault !== undefined || !delimiter.unfinished;
}

/**
 * The most that one message of a message transport holds, unless a single frame is larger. [LNK-5]
 */
export const MESSAGE_BYTES_MAX: number = 256 * 1024;

/**
 * Joins buffers of whole frames or records into as few messages as their bound allows, cut between
 * them.
 *
 * @param buffers whole frames, or whole records, each, in order
 */
export function messagesOf(
  buffers: readonly Uint8Array[],
  content: MessageContent = "frames",
): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const end = () => {
    if (parts.length > 0) messages.push(join(parts, bytes));
    parts = [];
    bytes = 0;
  };
  for (const part of buffers.flatMap((buffer) => pieces(buffer, content))) {
    if (bytes + part.length > MESSAGE_BYTES_MAX) end();
    parts.push(part);
    bytes += part.length;
  }
  end();
  return messages;
}

/** A buffer as it is, or what it holds one by one when it is too large for a message. */
function pieces(buffer: Uint8Array, content: MessageContent): Uint8Array[] {
  if (buffer.length <= MESSAGE_BYTES_MAX) return [buffer];
  if (content === "records") {
    const ends = recordEnds(buffer);
    return ends.map((end, index) => buffer.subarray(ends[index - 1] ?? 0, end));
  }
  const frames: Uint8Array[] = [];
  let start = 0;
  new Delimiter(Number.MAX_SAFE_INTEGER).push(buffer, (_from, _at, end) => {
    frames.push(buffer.subarray(start, end));
    start = end;
    return true;
  });
  return frames;
}

/** Where the records of a buffer end; the last one may end beyond it. */
function recordEnds(buffer: Uint8Array): number[] {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  const ends: number[] = [];
  let at = 0;
  while (at < buffer.length) {
    const isHeader = at + RECORD_HEADER_BYTES <= buffer.length;
    const length = isHeader ? view.getUint32(at + RECORD_LENGTH_AT) : 0;
    at += RECORD_HEADER_BYTES + length;
    ends.push(at);
  }
  return ends;
}

function join(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const first = parts[0] as Uint8Array;
  if (parts.length === 1) return first;
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
