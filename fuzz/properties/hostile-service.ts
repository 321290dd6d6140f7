import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameContents,
  isViolation,
} from "../../protocol/frames.ts";
import { ClientSession } from "../../protocol/session/client.ts";
import type { ClientEffect } from "../../protocol/session/client-effects.ts";
import { assert } from "../../protocol/violation.ts";
import { property, type Seen } from "../property.ts";
import { NO_STATE } from "../sim/device.ts";
import { codeText } from "../sim/frame-text.ts";

const NOW_MS = 1_800_000_000_000;
const DELIVERY_WINDOW = { count: 4, bytes: 10_000 };
const SUBMIT_WINDOW = { count: 4, bytes: 10_000 };
const KINDS = [
  "submitAck",
  "deliver",
  "ping",
  "pong",
  "welcome",
  "hello",
  "app submits",
  "app handles",
] as const;

interface Step {
  readonly kind: (typeof KINDS)[number];
  /** How far its number is from the next honest one. */
  readonly offset: number;
  /** How many results a SubmitAck holds more than it needs; may be less. */
  readonly extra: number;
}

/** The rules of chapter 5 for one open session, as the device must keep them. */
class Rules {
  submitted = 0;
  resultsThrough = 0;
  deliveredThrough = 0;
  /** What the service was told that came. */
  ackedThrough = 0;

  /** What a device with this window has sent once everything it may send is sent. */
  get sentThrough(): number {
    return Math.min(this.submitted, this.resultsThrough + SUBMIT_WINDOW.count);
  }

  /** How the device must close; undefined: it must not. */
  verdict(step: Step, number: number, resultCount: number): ErrorCode | undefined {
    switch (step.kind) {
      case "submitAck":
        if (number > this.sentThrough) return ErrorCode.ACK_BEYOND_SENT;
        if (number <= this.resultsThrough) return undefined;
        if (number - resultCount > this.resultsThrough) return ErrorCode.SEQUENCE_GAP;
        this.resultsThrough = number;
        return undefined;
      case "deliver":
        if (number === 0) return ErrorCode.COUNTER_OUT_OF_RANGE;
        if (number > this.deliveredThrough + 1) return ErrorCode.SEQUENCE_GAP;
        if (number <= this.deliveredThrough) return undefined;
        if (number - this.ackedThrough > DELIVERY_WINDOW.count) return ErrorCode.CREDIT_EXCEEDED;
        this.deliveredThrough = number;
        return undefined;
      case "ping":
      case "pong":
        return number > this.deliveredThrough ? ErrorCode.SEQUENCE_GAP : undefined;
      case "welcome":
        return ErrorCode.FRAME_WRONG_PHASE;
      case "hello":
        return ErrorCode.FRAME_WRONG_SENDER;
      case "app submits":
        this.submitted += 1;
        return undefined;
      case "app handles":
        return undefined;
    }
  }

  /** The number that an honest service would send next. */
  next(kind: Step["kind"]): number {
    if (kind === "submitAck") return Math.min(this.resultsThrough + 1, this.sentThrough);
    return kind === "deliver" ? this.deliveredThrough + 1 : this.deliveredThrough;
  }
}

/** A real device session with a journal that is always done, opposite a service of one's own. */
class Bench {
  readonly rules = new Rules();
  readonly handed: number[] = [];
  readonly settled: number[] = [];
  closedWith: ErrorCode | undefined;
  readonly #delimiter = new Delimiter(1 << 20);
  readonly #session = new ClientSession(
    {
      deviceId: "d",
      userId: "u",
      agent: "",
      start: "earliest",
      deliveryWindow: DELIVERY_WINDOW,
      timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
      handshakeMs: 2_000,
    },
    NO_STATE,
  );

  constructor() {
    this.#session.linked({ token: "" }, NOW_MS);
    this.#obey();
    this.send({ kind: "welcome", value: WELCOME });
    assert(this.#session.open, "an honest Welcome opens");
  }

  send(frame: Frame): void {
    this.#session.received(encodeFrame(frame), NOW_MS);
    this.#obey();
  }

  submit(): void {
    this.#session.submit(Uint8Array.of(this.rules.submitted));
    this.#obey();
  }

  handle(): void {
    this.#session.applied({ epoch: 1, seq: this.rules.deliveredThrough }, NOW_MS);
    this.#obey();
  }

  #obey(): void {
    for (let turn = 0; turn < 4; turn += 1) {
      for (const effect of this.#session.effects(NOW_MS)) this.#do(effect);
    }
  }

  #heard(bytes: Uint8Array): void {
    this.#delimiter.push(bytes, (from, at, end) => {
      const frame = decodeFrame(from, { at, end }, { sender: "client", phase: "open" });
      if (isViolation(frame) || frame.kind !== "ack") return true;
      this.rules.ackedThrough = frame.value.deliveredThrough;
      return true;
    });
  }

  #do(effect: ClientEffect): void {
    switch (effect.kind) {
      case "append":
        return this.#session.appended();
      case "install":
        return this.#session.installed(NOW_MS);
      case "deliver":
        this.handed.push(...effect.deliveries.map(({ seq }) => seq));
        return;
      case "settle":
        this.settled.push(...effect.settlements.map(({ entry }) => entry.seq));
        return this.#session.settled(effect.resultsThrough, NOW_MS);
      case "close":
        this.closedWith = effect.because.code;
        return;
      case "write":
        return this.#heard(effect.bytes);
      case "opened":
      case "drain":
        return;
    }
  }
}

const WELCOME: FrameContents["welcome"] = {
  version: 1,
  sessionId: new Uint8Array(16),
  generation: 1,
  outbox: { epoch: 1, through: 0, resultsThrough: 0, results: [] },
  timeline: { epoch: 1, head: 0, floor: 1 },
  resume: { cursor: 0, outcome: { case: "resumed", value: {} } },
  timers: { keepaliveMs: 1_000, idleMs: 3_000, ageMs: 0 },
  submitWindow: SUBMIT_WINDOW,
  limits: { frameBytes: 4096, contentBytes: 1024, calls: 16 },
  userId: "u",
  nowMs: NOW_MS,
  loginAccount: "",
};
const RESULT = { code: 0, conversationSeq: 1, committedMs: NOW_MS, digest: 0, retryAfterMs: 0 };

function frameOf({ kind }: Step, number: number, resultCount: number): Frame | undefined {
  switch (kind) {
    case "submitAck": {
      const results = Array.from({ length: resultCount }, () => RESULT);
      return { kind, value: { through: number, results } };
    }
    case "deliver": {
      const event = Uint8Array.of(1);
      return { kind, value: { seq: number, conversationSeq: 1, committedMs: NOW_MS, event } };
    }
    case "ping":
    case "pong":
      return { kind, value: { id: 1, sentThrough: number } };
    case "welcome":
      return { kind, value: WELCOME };
    case "hello":
      return { kind: "ready", value: {} };
    case "app submits":
    case "app handles":
      return undefined;
  }
}

function play(steps: readonly Step[], seen: Seen): void {
  const bench = new Bench();
  const { rules } = bench;
  for (const step of steps) {
    const number = Math.max(0, rules.next(step.kind) + step.offset);
    const needed = number - rules.resultsThrough;
    const resultCount = Math.min(Math.max(0, needed + step.extra), number, 16);
    const frame = frameOf(step, number, resultCount);
    const expected = rules.verdict(step, number, resultCount);
    if (step.kind === "app submits") bench.submit();
    if (step.kind === "app handles") bench.handle();
    if (frame !== undefined) bench.send(frame);
    const [is, must] = [bench.closedWith, expected].map((code) => codeText(code ?? 0));
    seen(`${step.kind}: ${must}`);
    assert(is === must, `${step.kind} ${number}: closed with ${is}, must be ${must}`);
    if (expected !== undefined) break;
  }
  const isOnce = (numbers: readonly number[], through: number) =>
    numbers.length === through && numbers.every((seq, index) => seq === index + 1);
  assert(isOnce(bench.handed, rules.deliveredThrough), "each delivery once, in order [SEQ-10]");
  assert(isOnce(bench.settled, rules.resultsThrough), "each submit has one result [SEQ-4]");
}

const step = fc.record<Step>({
  kind: fc.constantFrom(...KINDS),
  offset: fc.integer({ min: -2, max: 2 }),
  extra: fc.integer({ min: -1, max: 1 }),
});
const honest = fc.constantFrom<Step>(
  { kind: "app submits", offset: 0, extra: 0 },
  { kind: "submitAck", offset: 0, extra: 0 },
  { kind: "deliver", offset: 0, extra: 0 },
  { kind: "app handles", offset: 0, extra: 0 },
);

export const hostileService = property<Step[]>({
  name: "hostile-service",
  title:
    "[SEQ-2] [SEQ-4] [SEQ-9] [SEQ-10] [SEQ-13] [SES-15] [FRM-5] [FRM-7] [FRM-8] whatever numbers " +
    "a service makes up, the device keeps its rules (P8, P16, P31)",
  smokeRuns: 500,
  kinds: [
    "submitAck: ok",
    "submitAck: ACK_BEYOND_SENT",
    "submitAck: SEQUENCE_GAP",
    "deliver: ok",
    "deliver: COUNTER_OUT_OF_RANGE",
    "deliver: SEQUENCE_GAP",
    "deliver: CREDIT_EXCEEDED",
    "ping: SEQUENCE_GAP",
    "pong: SEQUENCE_GAP",
    "welcome: FRAME_WRONG_PHASE",
    "hello: FRAME_WRONG_SENDER",
  ],
  arbitrary: fc.array(fc.oneof({ weight: 4, arbitrary: honest }, { weight: 1, arbitrary: step }), {
    minLength: 1,
    maxLength: 40,
  }),
  start: (seen) => ({ check: (steps) => play(steps, seen) }),
});
