import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { PipeReceiver, PipeSender } from "./byte-pipe.ts";

test("[LNK-7] bytes beyond a gap are not taken", () => {
  const receiver = new PipeReceiver();
  assert.deepEqual(receiver.take(1, Uint8Array.of(1)), new Uint8Array(0));
  assert.equal(receiver.received, 0);
});

test("[LNK-9] impossible offsets are typed and change nothing (P8, P31)", () => {
  const sender = new PipeSender();
  sender.write(new Uint8Array(10));
  assert.equal(sender.acknowledged(4), undefined);
  const cases: readonly (readonly [number, ErrorCode])[] = [
    [3, ErrorCode.OFFSET_INVALID],
    [11, ErrorCode.OFFSET_INVALID],
    [2 ** 31, ErrorCode.OFFSET_INVALID],
    [2 ** 32, ErrorCode.OFFSET_INVALID],
    [2 ** 53 - 1, ErrorCode.OFFSET_INVALID],
    [2 ** 53, ErrorCode.COUNTER_OUT_OF_RANGE],
    [-1, ErrorCode.COUNTER_OUT_OF_RANGE],
    [Number.NaN, ErrorCode.COUNTER_OUT_OF_RANGE],
  ];
  for (const [offset, code] of cases) {
    assert.equal(sender.acknowledged(offset)?.code, code, String(offset));
    assert.equal(sender.base, 4);
    assert.equal(sender.waitingBytes, 6);
  }
  const taken = new PipeReceiver().take(2 ** 53 - 1, Uint8Array.of(1));
  assert.equal("code" in taken && taken.code, ErrorCode.COUNTER_OUT_OF_RANGE);
});
