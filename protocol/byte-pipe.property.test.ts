import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fuzzParameters } from "../fuzz/parameters.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { PipeReceiver, PipeSender } from "./byte-pipe.ts";

/** One step of a network of requests: what is sent, and what becomes of it and of its answer. */
const step = fc.record({
  write: fc.uint8Array({ maxLength: 40 }),
  bytesMax: fc.integer({ min: 1, max: 50 }),
  fate: fc.constantFrom("arrives", "is lost", "arrives, its answer is lost", "is repeated later"),
});

test("[LNK-7] [LNK-8] [LNK-12] lost, repeated and reordered requests lose and double nothing (P1, P2, P3, P34)", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const sender = new PipeSender();
      const receiver = new PipeReceiver();
      const written: number[] = [];
      const received: number[] = [];
      const late: { readonly offset: number; readonly data: Uint8Array }[] = [];
      const arrive = (offset: number, data: Uint8Array): number => {
        const fresh = receiver.take(offset, data);
        assert.ok(!("code" in fresh));
        received.push(...fresh);
        return receiver.received;
      };
      for (const { write, bytesMax, fate } of steps) {
        sender.write(write);
        written.push(...write);
        const request = { offset: sender.base, data: sender.peek(bytesMax).slice() };
        if (fate === "is lost") continue;
        const answer = arrive(request.offset, request.data);
        if (fate === "arrives") assert.equal(sender.acknowledged(answer), undefined);
        if (fate === "is repeated later") late.push(request);
        // An old request comes again at any time, and changes nothing.
        const old = late[steps.length % Math.max(1, late.length)];
        if (old !== undefined) arrive(old.offset, old.data);
        assert.ok(sender.waitingBytes <= written.length);
      }
      while (sender.waitingBytes > 0) {
        const answer = arrive(sender.base, sender.peek(30).slice());
        assert.equal(sender.acknowledged(answer), undefined);
      }
      assert.deepEqual(received, written);
      assert.equal(sender.end, written.length);
    }),
    fuzzParameters(400),
  );
});

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
