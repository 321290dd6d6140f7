import assert from "node:assert/strict";
import { fromBinary, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { FrameSchema } from "../../gen/posthorn/v1/frame_pb.ts";
import { Delimiter } from "../../protocol/delimit.ts";

export const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The frames of a stream as Protobuf's JSON, by Protobuf's own decoder. */
export function framesIn(bytes: Uint8Array): JsonObject[] {
  const frames: JsonObject[] = [];
  new Delimiter(1 << 24).push(bytes, (from, at, end) => {
    frames.push(toJson(FrameSchema, fromBinary(FrameSchema, from.subarray(at, end))) as JsonObject);
    return true;
  });
  return frames;
}

export function kindOf(frame: JsonValue): string {
  return Object.keys(frame as JsonObject)[0] ?? "";
}

export interface ExpectedFrames {
  readonly frames: readonly JsonValue[];
  /** Kinds that may come or not. */
  readonly mayCome: readonly string[];
}

/**
 * What a session sent is what a vector lists: deliveries in order, all else in order, Close last,
 * each frame with at least the members listed. SubmitAcks are compared as one.
 */
export function assertFrames(sent: readonly JsonObject[], expected: ExpectedFrames): void {
  const closeAt = sent.findIndex((frame) => kindOf(frame) === "close");
  assert.ok(closeAt < 0 || closeAt === sent.length - 1, "Close is the last frame [LNK-14]");
  const counted = sent.filter((frame) => !expected.mayCome.includes(kindOf(frame)));
  const isDelivery = (frame: JsonValue) => kindOf(frame) === "deliver";
  const others = (frame: JsonValue) => !isDelivery(frame);
  assertInOrder(counted.filter(isDelivery), expected.frames.filter(isDelivery));
  assertInOrder(joinAcks(counted.filter(others)), expected.frames.filter(others));
}

function assertInOrder(sent: readonly JsonValue[], expected: readonly JsonValue[]): void {
  assert.deepEqual(sent.map(kindOf), expected.map(kindOf), JSON.stringify(sent));
  expected.forEach((frame, index) => {
    assertHolds(sent[index], frame, kindOf(frame));
  });
}

/** When a service acknowledges is its choice: how far all say in the end, each number's result. */
function joinAcks(frames: readonly JsonObject[]): JsonObject[] {
  const acks = frames.flatMap(({ submitAck }) => (submitAck ? [submitAck as JsonObject] : []));
  const byNumber = new Map<number, JsonValue>();
  for (const { through, results = [] } of acks) {
    const list = results as JsonValue[];
    list.forEach((result, index) => {
      byNumber.set(Number(through) - list.length + 1 + index, result);
    });
  }
  const numbers = [...byNumber.keys()].sort((one, other) => one - other);
  const results = numbers.map((number) => byNumber.get(number) as JsonValue);
  const through = String(Math.max(...acks.map((ack) => Number(ack.through))));
  const joined = { submitAck: { through, results } };
  const first = frames.findIndex(({ submitAck }) => submitAck);
  return frames.flatMap((frame, index) => {
    if (!frame.submitAck) return [frame];
    return index === first ? [joined] : [];
  });
}

/** A value has at least the members of another. Protobuf's JSON leaves out what is empty. */
function assertHolds(value: JsonValue | undefined, part: JsonValue, at: string): void {
  if (Array.isArray(part)) {
    const items = value ?? [];
    assert.ok(Array.isArray(items), `${at} is a list`);
    assert.equal(items.length, part.length, `${at}: as many`);
    part.forEach((item, index) => {
      assertHolds(items[index], item, `${at}[${index}]`);
    });
  } else if (typeof part === "object" && part !== null) {
    assert.ok(typeof value === "object" && value !== null, `${at} is there`);
    for (const [key, member] of Object.entries(part)) {
      assertHolds((value as JsonObject)[key], member as JsonValue, `${at}.${key}`);
    }
  } else {
    assert.equal(value, part, at);
  }
}
