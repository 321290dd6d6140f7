import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { crc32 } from "../crc32.ts";
import { Delimiter } from "../delimit.ts";
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameContents,
  isViolation,
} from "../frames.ts";
import { FRAME_BYTES_MAX } from "../limits.ts";
import { Defect } from "../violation.ts";
import { ClientSession } from "./client.ts";
import type { ClientEffect, DeviceState } from "./client-effects.ts";
import type { Settlement } from "./settlement.ts";

const EMPTY: DeviceState = {
  outboxEpoch: 0,
  resultsThrough: 0,
  next: 1,
  pending: [],
  cursor: { epoch: 0, seq: 0 },
};
const LARGE = new Uint8Array(5_000).fill(7);
const SMALL = Uint8Array.of(1);
/** Two submits that have no result yet, the first one larger than a frame of 4096 bytes. */
const WAITING: DeviceState = {
  ...EMPTY,
  outboxEpoch: 1,
  next: 3,
  pending: [
    { seq: 1, operation: LARGE },
    { seq: 2, operation: SMALL },
  ],
};
const RESULT = {
  code: ErrorCode.UNSPECIFIED,
  conversationSeq: 1,
  committedMs: 1,
  retryAfterMs: 0,
};
const REFUSED = { ...RESULT, code: ErrorCode.OPERATION_MALFORMED, digest: 0 };
const settlement = ({ entry, outcome }: Settlement) => [
  entry.operation.length,
  outcome === "rolled-back" ? outcome : outcome.code,
];

/** A device with a journal that is always done. */
class Device {
  readonly session: ClientSession;
  /** What the journal holds. */
  state: DeviceState;
  settled: Settlement[] = [];
  #sent: { readonly frame: Frame; readonly bytes: number }[] = [];

  constructor(state: DeviceState) {
    this.state = state;
    this.session = new ClientSession(
      {
        deviceId: "d",
        userId: "u",
        agent: "",
        start: "earliest",
        deliveryWindow: { count: 4, bytes: 10_000 },
        timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
        handshakeMs: 1_000,
      },
      state,
    );
  }

  attach(frameBytes: number, outbox: Partial<FrameContents["welcome"]["outbox"]> = {}): void {
    this.session.linked({ token: "" }, 0);
    this.receive({
      kind: "welcome",
      value: {
        version: 1,
        sessionId: new Uint8Array(16),
        generation: 1,
        outbox: { epoch: 1, through: 0, resultsThrough: 0, results: [], ...outbox },
        timeline: { epoch: 1, head: 0, floor: 1 },
        resume: { cursor: 0, outcome: { case: "resumed", value: {} } },
        timers: { keepaliveMs: 1_000, idleMs: 3_000, ageMs: 0 },
        submitWindow: { count: 8, bytes: 1_000_000 },
        limits: { frameBytes, contentBytes: 1024, calls: 16 },
        userId: "u",
        nowMs: 1,
        loginAccount: "",
      },
    });
  }

  receive(frame: Frame): void {
    this.session.received(encodeFrame(frame), 0);
    for (let turn = 0; turn < 4; turn += 1) {
      for (const effect of this.session.effects(0)) this.#obey(effect);
    }
  }

  submit(operation: Uint8Array): void {
    this.session.submit(operation);
    this.receive({ kind: "credit", value: { window: { count: 8, bytes: 1_000_000 } } });
  }

  /** Since the last call: number, bytes of the operation, bytes of the frame. */
  submits(): (readonly [seq: number, operationBytes: number, frameBytes: number])[] {
    return this.#sent.splice(0).flatMap(({ frame, bytes }) => {
      if (frame.kind !== "submit") return [];
      return [[frame.value.seq, frame.value.operation.length, bytes] as const];
    });
  }

  #obey(effect: ClientEffect): void {
    if (effect.kind === "append") this.session.appended();
    if (effect.kind === "install") {
      this.state = effect.state;
      this.settled.push(...effect.settlements);
      this.session.installed(0);
    }
    if (effect.kind === "settle") {
      this.settled.push(...effect.settlements);
      this.session.settled(effect.resultsThrough, 0);
    }
    if (effect.kind !== "write") return;
    new Delimiter(1 << 20).push(effect.bytes, (from, at, end) => {
      const frame = decodeFrame(from, { at, end }, { sender: "client", phase: "open" });
      if (!isViolation(frame)) this.#sent.push({ frame, bytes: end - at });
      return true;
    });
  }
}

test("[SEQ-17] [FRM-3] what is admitted is what fits the limit in force, to the byte", () => {
  const device = new Device(EMPTY);
  const overhead = 10;
  const fits = new Uint8Array(FRAME_BYTES_MAX - overhead);
  const exceeds = new Uint8Array(FRAME_BYTES_MAX - overhead + 1);
  assert.ok(device.session.admits(fits));
  assert.ok(!device.session.admits(exceeds), "262,144 bytes before Welcome");
  assert.throws(() => device.session.submit(exceeds), Defect);
  device.submit(fits);
  device.attach(2 * FRAME_BYTES_MAX);
  assert.ok(device.session.admits(exceeds), "what Welcome says from then on");
  assert.deepEqual(device.submits(), [[1, fits.length, FRAME_BYTES_MAX]]);
  device.session.unlinked();
  assert.ok(device.session.admits(exceeds), "also without a link");
  assert.equal(device.session.unsettled.length, 1);
});

test("[SEQ-18] [SEQ-6] where a limit was lowered no bytes consume the number", () => {
  const device = new Device(WAITING);
  device.attach(4096);
  const [first, second] = device.state.pending;
  assert.deepEqual([first?.operation.length, second?.operation], [0, SMALL], "durably");
  assert.deepEqual(device.settled, [], "an older link may have it committed yet");
  assert.deepEqual(
    device.submits().map(([seq, bytes]) => [seq, bytes]),
    [
      [1, 0],
      [2, SMALL.length],
    ],
  );
  const results = [REFUSED, { ...RESULT, digest: crc32(SMALL) }];
  device.receive({ kind: "submitAck", value: { through: 2, results } });
  const told = [
    [LARGE.length, ErrorCode.MESSAGE_TOO_LARGE],
    [SMALL.length, ErrorCode.UNSPECIFIED],
  ];
  assert.deepEqual(device.settled.map(settlement), told);
  assert.equal(device.session.state.next, 3, "and no number is given out again");
});

test("[SEQ-18] [SEQ-4] the result of what stood in may come with Welcome", () => {
  const device = new Device(WAITING);
  device.attach(4096);
  device.attach(FRAME_BYTES_MAX, { through: 1, results: [REFUSED] });
  assert.deepEqual(device.settled.map(settlement), [[LARGE.length, ErrorCode.MESSAGE_TOO_LARGE]]);
});

test("[SEQ-18] [RES-12] what an older attachment had committed has its own result", () => {
  const outbox = { through: 1, results: [{ ...RESULT, digest: crc32(LARGE) }] };
  const device = new Device(WAITING);
  device.attach(4096);
  device.attach(4096, outbox);
  assert.deepEqual(device.settled.map(settlement), [[LARGE.length, ErrorCode.UNSPECIFIED]]);
  const before = new Device(WAITING);
  before.attach(4096);
  const nextLife = new Device(before.state);
  nextLife.attach(4096, outbox);
  assert.deepEqual(nextLife.settled.map(settlement), [[0, "rolled-back"]]);
});

test("[SEQ-18] [RES-11] under a new outbox epoch likewise", () => {
  const device = new Device(WAITING);
  device.attach(4096, { epoch: 5 });
  assert.deepEqual(
    device.state.pending.map(({ seq, operation }) => [seq, operation.length]),
    [
      [1, 0],
      [2, SMALL.length],
    ],
  );
});
