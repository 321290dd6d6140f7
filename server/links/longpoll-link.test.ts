import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Deadlines, LongPollLink, type PollAnswer } from "./longpoll-link.ts";

const LIMITS = {
  holdMs: 2_000,
  coalesceMs: 100,
  idleMs: 5_000,
  sendBytesMax: 64,
  pollBytesMax: 64,
  bufferBytesMax: 100,
  linksMax: 1,
  linksPerPeerMax: 1,
};
/** Nothing is ever due: what is answered is answered for another reason. */
const NEVER: Deadlines = { nowMs: () => 0, schedule: () => () => {} };
const ASKED = { peer: "", holdMs: 0, coalesceMs: 100, pollBytesMax: 0 };

/** A link whose poll has something to bring and waits a little for more. */
function coalescing(bytes: number) {
  const answers: PollAnswer[] = [];
  const link = new LongPollLink(ASKED, LIMITS, NEVER, () => {});
  link.start({ received: () => {}, drained: () => {}, closed: () => {} });
  link.polled(0, (outcome) => {
    assert.ok(!("code" in outcome));
    answers.push(outcome);
  });
  link.write(new Uint8Array(bytes));
  assert.deepEqual(answers, []);
  return { link, answers };
}

test("[LNK-8] a poll that waits for more is answered when the device closes the link", () => {
  for (const bytes of [1, 65]) {
    const { link, answers } = coalescing(bytes);
    link.ended(ErrorCode.GOODBYE);
    const data = new Uint8Array(Math.min(bytes, 64));
    assert.deepEqual(answers, [{ offset: 0, data, ended: bytes <= 64 }]);
  }
});

test("[LNK-8] [LNK-11] a poll that waits for more is answered when the link overflows", () => {
  const { link, answers } = coalescing(1);
  assert.equal(link.write(new Uint8Array(400)), false);
  assert.equal(answers.length, 1);
});

test("[LNK-8] a poll that waits for more is answered when the service closes the link", () => {
  const { link, answers } = coalescing(10);
  link.close(ErrorCode.DRAINED);
  assert.deepEqual(answers, [{ offset: 0, data: new Uint8Array(10), ended: true }]);
});
