import { deepEqual, equal, ok } from "node:assert/strict";
import { isWholeMessage, messagesOf } from "../../protocol/whole-frames.ts";
import { Choices } from "../coverage/choices.ts";

/** What a message of a message transport holds at most, unless a single frame is larger. */
const MESSAGE_BYTES_MAX = 256 * 1024;
const FRAMES_MAX = 10;
const SIZES = [0, 1, 127, 128, 5_000, 60_000, 200_000, 262_140, 262_141, 262_142, 300_000] as const;

/** Messages are cut between frames, and one that is not is found out. [LNK-5] */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  if (choices.byte() % 2 === 0) judge(choices.rest());
  else join(choices);
}

function judge(message: Uint8Array): void {
  equal(isWholeMessage(message, "frames"), isWhole(Buffer.from(message)));
}

/** Ends where a frame ends; lengths that are no lengths are not looked behind. */
function isWhole(message: Buffer): boolean {
  let at = 0;
  while (at < message.length) {
    const digits = message.subarray(at, at + 5).findIndex((byte) => byte < 0x80);
    if (digits < 0) return message.length - at >= 5;
    if (digits > 0 && message[at + digits] === 0) return true;
    let length = 0;
    for (let index = digits; index >= 0; index -= 1) {
      length = length * 128 + ((message[at + index] as number) & 0x7f);
    }
    at += digits + 1 + length;
  }
  return at === message.length;
}

function join(choices: Choices): void {
  const buffers: Buffer[] = [];
  let largest = 0;
  for (let count = 0; count < FRAMES_MAX && !choices.isEmpty; count += 1) {
    const size = choices.pick(SIZES);
    const filled = frame(size, choices.byte());
    largest = Math.max(largest, filled.length);
    const before = choices.byte() % 3 === 0 ? buffers.pop() : undefined;
    buffers.push(before === undefined ? filled : Buffer.concat([before, filled]));
  }
  const messages = messagesOf(buffers);
  ok(Buffer.concat(messages).equals(Buffer.concat(buffers)), "the bytes stay the same");
  for (const message of messages) {
    ok(message.length > 0 && isWhole(Buffer.from(message)), "a message holds whole frames");
    ok(message.length <= Math.max(MESSAGE_BYTES_MAX, largest), "a message has its bound");
  }
  const pairs = messages.slice(1).map((message, index) => {
    return message.length + (messages[index] as Uint8Array).length;
  });
  const isTight = buffers.every(({ length }) => length <= MESSAGE_BYTES_MAX / 2);
  if (isTight)
    deepEqual(
      pairs.filter((bytes) => bytes <= MESSAGE_BYTES_MAX / 2),
      [],
    );
}

function frame(size: number, filling: number): Buffer {
  const prefix: number[] = [];
  let rest = size;
  for (; rest > 0x7f; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...prefix, rest]), Buffer.alloc(size, filling)]);
}
