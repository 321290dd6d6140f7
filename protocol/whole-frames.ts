import { Delimiter } from "./delimit.ts";

/**
 * Whether a message of a message transport holds whole frames only; what they are is the session's
 * to judge. [LNK-5]
 *
 * Faults of a length prefix are left to the session, which names them precisely.
 */
export function holdsWholeFrames(message: Uint8Array): boolean {
  const delimiter = new Delimiter(Number.MAX_SAFE_INTEGER);
  const fault = delimiter.push(message, () => true);
  return fault !== undefined || !delimiter.unfinished;
}

/**
 * The most that one message of a message transport holds, unless a single frame is larger. [LNK-5]
 */
const MESSAGE_BYTES_MAX = 256 * 1024;

/**
 * Joins buffers of whole frames into as few messages as their bound allows, cut between frames.
 *
 * @param buffers whole frames each, in order
 */
export function messagesOf(buffers: readonly Uint8Array[]): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const end = () => {
    if (parts.length > 0) messages.push(join(parts, bytes));
    parts = [];
    bytes = 0;
  };
  for (const part of buffers.flatMap(pieces)) {
    if (bytes + part.length > MESSAGE_BYTES_MAX) end();
    parts.push(part);
    bytes += part.length;
  }
  end();
  return messages;
}

/** A buffer as it is, or its frames one by one when it is too large for a message. */
function pieces(buffer: Uint8Array): Uint8Array[] {
  if (buffer.length <= MESSAGE_BYTES_MAX) return [buffer];
  const frames: Uint8Array[] = [];
  let start = 0;
  new Delimiter(Number.MAX_SAFE_INTEGER).push(buffer, (_from, _at, end) => {
    frames.push(buffer.subarray(start, end));
    start = end;
    return true;
  });
  return frames;
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
