import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { Delimiter } from "../delimit.ts";
import { decodeFrame, encodeFrame, type Frame, isViolation } from "../frames.ts";
import { CALLS_MAX } from "../limits.ts";
import { type AskedCall, AskedCalls, type CallPlain, ReceivedCalls } from "./calls.ts";
import { ClientSession } from "./client.ts";
import type { ClientEffect } from "./client-effects.ts";

const NONE = new Uint8Array(0);
const NOTHING = { response: NONE, retryAfterMs: 0 };
const OK = ErrorCode.UNSPECIFIED;
const NOW_MS = 1;
const callOf = (id: number): CallPlain => ({ id, method: "s/M", request: Uint8Array.of(id) });
const askedOf = (request: number): AskedCall => ({
  method: "s/M",
  request: Uint8Array.of(request),
});

describe("the service's half of calls", () => {
  test("[RPC-1] ids are 1, 2, 3 on each link", () => {
    for (const ids of [[0], [2], [1, 1], [1, 3], [1, 2, 1]]) {
      const calls = new ReceivedCalls();
      const faults = ids.map((id) => calls.received(callOf(id)));
      assert.equal(faults.at(-1)?.code, ErrorCode.SEQUENCE_GAP, ids.join());
      assert.deepEqual(faults.slice(0, -1).filter(Boolean), []);
    }
  });

  test("[RPC-2] [RPC-5] only so many wait for a reply, and each gets one", () => {
    const calls = new ReceivedCalls();
    const ids = Array.from({ length: CALLS_MAX }, (_, index) => index + 1);
    for (const id of ids) assert.equal(calls.received(callOf(id)), undefined);
    const next = CALLS_MAX + 1;
    assert.equal(calls.received(callOf(next))?.code, ErrorCode.CREDIT_EXCEEDED);
    assert.deepEqual(calls.take(), ids.map(callOf));
    assert.deepEqual(calls.take(), []);
    const reply = { id: 7, code: OK, response: Uint8Array.of(1), retryAfterMs: 0 };
    assert.equal(calls.answered(reply, 100), reply);
    assert.equal(calls.answered(reply, 100), undefined, "once");
    assert.equal(calls.received(callOf(next)), undefined, "an answer makes room");
  });

  test("[RPC-6] a reply that is too large for the link is CALL_FAILED", () => {
    const response = new Uint8Array(90);
    const reply = { id: 1, code: OK, response, retryAfterMs: 0 };
    const bytes = encodeFrame({ kind: "reply", value: reply }).length - 1;
    const answerWithin = (frameBytesMax: number) => {
      const calls = new ReceivedCalls();
      calls.received(callOf(1));
      return calls.answered(reply, frameBytesMax);
    };
    assert.equal(answerWithin(bytes), reply);
    const failed = { id: 1, code: ErrorCode.CALL_FAILED, response: NONE, retryAfterMs: 0 };
    assert.deepEqual(answerWithin(bytes - 1), failed);
  });
});

describe("the device's half of calls", () => {
  test("[RPC-2] no more go up than the service lets", () => {
    const calls = new AskedCalls();
    for (const request of [1, 2, 3]) calls.ask(askedOf(request));
    assert.equal(calls.next(2)?.id, 1);
    assert.equal(calls.next(2)?.id, 2);
    assert.equal(calls.next(2), undefined);
    calls.replied({ id: 1, code: OK, response: NONE, retryAfterMs: 0 });
    assert.deepEqual(calls.next(2), { ...callOf(3) });
  });

  test("[RPC-3] what has no reply is asked again on the next link, in order, first", () => {
    const calls = new AskedCalls();
    const asked = [1, 2, 3, 4].map(askedOf);
    for (const one of asked) calls.ask(one);
    for (let sent = 0; sent < 3; sent += 1) calls.next(16);
    calls.replied({ id: 2, code: OK, response: NONE, retryAfterMs: 0 });
    calls.relinked();
    const again = [calls.next(16), calls.next(16), calls.next(16), calls.next(16)];
    assert.deepEqual(
      again.map((call) => call && [call.id, call.request[0]]),
      [[1, 1], [2, 3], [3, 4], undefined],
    );
  });

  test("[RPC-7] a reply to nothing is a violation; to what was given up, it is dropped", () => {
    const calls = new AskedCalls();
    const asked = askedOf(1);
    calls.ask(asked);
    const reply = { id: 1, code: OK, response: Uint8Array.of(9), retryAfterMs: 1_500 };
    const wrong = { code: ErrorCode.ACK_BEYOND_SENT, requirement: "RPC-7" };
    const judged = (answer: ReturnType<AskedCalls["replied"]>) => {
      assert.ok(answer !== undefined && "requirement" in answer);
      assert.deepEqual({ code: answer.code, requirement: answer.requirement }, wrong);
    };
    judged(calls.replied(reply));
    calls.next(16);
    assert.deepEqual(calls.replied(reply), {
      asked,
      code: OK,
      response: Uint8Array.of(9),
      retryAfterMs: 1_500,
    });
    judged(calls.replied(reply));
    const other = askedOf(2);
    calls.ask(other);
    calls.next(1);
    calls.forget(other);
    assert.equal(calls.count, 1, "it counts on");
    assert.equal(calls.replied({ ...reply, id: 2 }), undefined);
    assert.equal(calls.count, 0);
    calls.ask(other);
    calls.forget(other);
    assert.equal(calls.next(16), undefined, "what was not sent never is");
  });

  test("[RPC-2] [RPC-6] what no link of this service takes is told at once", () => {
    const calls = new AskedCalls();
    const small = askedOf(1);
    const large = { method: "s/M", request: new Uint8Array(200) };
    for (const one of [small, large]) calls.ask(one);
    const tooLarge = { asked: large, code: ErrorCode.MESSAGE_TOO_LARGE, ...NOTHING };
    assert.deepEqual(calls.unservable({ calls: 16, frameBytes: 100 }), [tooLarge]);
    const unknown = { asked: small, code: ErrorCode.METHOD_UNKNOWN, ...NOTHING };
    assert.deepEqual(calls.unservable({ calls: 0, frameBytes: 100 }), [unknown]);
    assert.equal(calls.next(16), undefined);
  });
});

const WINDOW = { count: 8, bytes: 1000 };

/** A device's session, attached over links that a test makes and breaks. */
class Device {
  readonly session = new ClientSession(
    {
      deviceId: "d",
      userId: "ann",
      agent: "",
      start: "earliest",
      deliveryWindow: WINDOW,
      timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
      handshakeMs: 1_000,
    },
    { outboxEpoch: 0, resultsThrough: 0, next: 1, pending: [], cursor: { epoch: 0, seq: 0 } },
  );
  attach(): void {
    this.session.linked({ token: "" }, NOW_MS);
    this.hears({
      kind: "welcome",
      value: {
        version: 1,
        sessionId: new Uint8Array(16),
        generation: 1,
        outbox: { epoch: 1, through: 0, resultsThrough: 0, results: [] },
        timeline: { epoch: 1, head: 0, floor: 1 },
        resume: { cursor: 0, outcome: { case: "resumed", value: {} } },
        timers: { keepaliveMs: 1_000, idleMs: 3_000, ageMs: 0 },
        submitWindow: WINDOW,
        limits: { frameBytes: 4096, contentBytes: 1024, calls: 16 },
        userId: "ann",
        nowMs: NOW_MS,
        loginAccount: "",
      },
    });
    this.session.installed(NOW_MS);
  }

  hears(frame: Frame): readonly ClientEffect[] {
    this.session.received(encodeFrame(frame), NOW_MS);
    return this.session.effects(NOW_MS);
  }

  /** The calls that it sends now. */
  calls(): readonly CallPlain[] {
    const frames: Frame[] = [];
    const delimiter = new Delimiter(1 << 20);
    for (const effect of this.session.effects(NOW_MS)) {
      if (effect.kind !== "write") continue;
      delimiter.push(effect.bytes, (from, at, end) => {
        const phases = ["opening", "joining", "open"] as const;
        const read = phases.map((phase) =>
          decodeFrame(from, { at, end }, { sender: "client", phase }),
        );
        frames.push(read.find((one) => !isViolation(one)) as Frame);
        return true;
      });
    }
    return frames.flatMap((frame) => (frame.kind === "call" ? [frame.value] : []));
  }
}

describe("calls of a session", () => {
  test("[RPC-1] [RPC-3] a call waits for a link, goes up again on the next, is answered once", () => {
    const device = new Device();
    const asked = askedOf(5);
    device.session.calls.ask(asked);
    device.attach();
    assert.deepEqual(device.calls(), [{ ...asked, id: 1 }]);
    assert.deepEqual(device.calls(), []);
    device.session.unlinked();
    device.attach();
    assert.deepEqual(device.calls(), [{ ...asked, id: 1 }]);
    const reply = { id: 1, code: OK, response: Uint8Array.of(3), retryAfterMs: 0 };
    const answer = { asked, code: OK, response: Uint8Array.of(3), retryAfterMs: 0 };
    assert.deepEqual(device.hears({ kind: "reply", value: reply }), [{ kind: "answer", answer }]);
    const effects = device.hears({ kind: "reply", value: reply });
    const close = effects.find(({ kind }) => kind === "close");
    assert.ok(close?.kind === "close");
    assert.equal(close.because.requirement, "RPC-7");
  });
});
