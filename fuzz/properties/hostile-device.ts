import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { CursorStart } from "../../gen/posthorn/v1/session_pb.ts";
import { crc32 } from "../../protocol/crc32.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { encodeFrame, type Frame } from "../../protocol/frames.ts";
import { type ServerEffect, ServerSession } from "../../protocol/session/server.ts";
import { assert, violation } from "../../protocol/violation.ts";
import { logRefOf, userRefOf } from "../../server/store/store.ts";
import { property, type Seen } from "../property.ts";
import { frameIn } from "../sim/frame-reader.ts";
import { codeText } from "../sim/frame-text.ts";
import { NODE_LIMITS, SUBMIT_WINDOW } from "../sim/node.ts";
import { Service } from "../sim/service.ts";

const NOW_MS = 1_800_000_000_000;
const USER = userRefOf("", "u");
const DEVICE = { user: USER, deviceId: "d" };
const WINDOW = { count: 4, bytes: 10_000 };
/** What a number is chosen near to, and by how much it misses. */
const BASES = ["zero", "through", "results", "sent", "window", "max"] as const;
const KINDS = [
  "submit",
  "ack",
  "ack results",
  "ping",
  "grow",
  "hello",
  "ready",
  "welcome",
] as const;

interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly base: (typeof BASES)[number];
  readonly offset: number;
  /** One of two contents under any number. */
  readonly content: number;
}

/** The rules of chapters 4 and 5 for one open attachment, written down a second time. */
class Rules {
  /** First content of each submit that took effect, by number from 1. */
  readonly committed: number[] = [];
  resultsThrough = 0;
  sentThrough = 0;
  deliveredThrough = 0;

  /** How the service must close; undefined: it must not. */
  verdict(step: Step, number: number): ErrorCode | undefined {
    switch (step.kind) {
      case "submit":
        return this.#submit(number, step.content);
      case "ack": {
        if (number > this.sentThrough) return ErrorCode.ACK_BEYOND_SENT;
        this.deliveredThrough = Math.max(this.deliveredThrough, number);
        return undefined;
      }
      case "ack results": {
        if (number > this.committed.length) return ErrorCode.ACK_BEYOND_SENT;
        this.resultsThrough = Math.max(this.resultsThrough, number);
        return undefined;
      }
      case "ping":
        return number > this.committed.length ? ErrorCode.SEQUENCE_GAP : undefined;
      case "grow":
        return undefined;
      case "hello":
      case "ready":
        return ErrorCode.FRAME_WRONG_PHASE;
      case "welcome":
        return ErrorCode.FRAME_WRONG_SENDER;
    }
  }

  delivered(seq: number): void {
    assert(seq === this.sentThrough + 1, "deliveries are contiguous [SEQ-10]");
    this.sentThrough = seq;
    const outstanding = seq - this.deliveredThrough;
    assert(outstanding <= WINDOW.count, "no more deliveries than the window [SEQ-13]");
  }

  numberNear(base: Step["base"]): number {
    switch (base) {
      case "zero":
        return 0;
      case "through":
        return this.committed.length;
      case "results":
        return this.resultsThrough;
      case "sent":
        return this.sentThrough;
      case "window":
        return this.resultsThrough + SUBMIT_WINDOW.count;
      case "max":
        return Number.MAX_SAFE_INTEGER;
    }
  }

  #submit(seq: number, content: number): ErrorCode | undefined {
    if (seq === 0) return ErrorCode.COUNTER_OUT_OF_RANGE;
    if (seq > this.committed.length + 1) return ErrorCode.SEQUENCE_GAP;
    if (seq <= this.resultsThrough) return undefined;
    if (seq > this.resultsThrough + SUBMIT_WINDOW.count) return ErrorCode.CREDIT_EXCEEDED;
    if (seq === this.committed.length + 1) this.committed.push(content);
    return this.committed[seq - 1] === content ? undefined : ErrorCode.SUBMIT_CONFLICT;
  }
}

/** A device of one's own that sends what it likes to a real session over a real commit group. */
class Bench {
  readonly rules = new Rules();
  readonly #service = new Service(() => NOW_MS);
  readonly #session = new ServerSession(NODE_LIMITS, NOW_MS);
  readonly #results = new Map<number, string>();
  readonly #cut = new Delimiter(1 << 20);
  #generation = 0;
  closedWith: ErrorCode | undefined;

  constructor() {
    this.send(helloFrame());
    this.send({ kind: "ready", value: {} });
    assert(this.closedWith === undefined, "an honest handshake is accepted");
  }

  get events(): number[] {
    const head = this.#service.disk.bounds(USER)?.head ?? 0;
    return Array.from(
      { length: head },
      (_, index) => this.#service.disk.timelineEntry(USER, index + 1, NOW_MS).event[0] as number,
    );
  }

  send(frame: Frame): void {
    this.#session.received(encodeFrame(frame), NOW_MS);
    this.#obey();
  }

  /** Another device's message. */
  grow(): void {
    this.#service.write((group) => {
      const head = this.#service.disk.bounds(USER)?.head ?? 0;
      const other = { user: USER, deviceId: "other" };
      const outbox = { epoch: 0, resultsThrough: 0, next: 1 };
      const cursor = { epoch: 0, seq: 0, start: "latest" as const };
      const prepared = group.prepare({ device: other, outbox, cursor });
      assert(prepared.kind === "prepared", "the other device attaches");
      const { attachment } = prepared;
      group.attach({ device: other, attachment });
      const position = { generation: attachment.generation, outboxEpoch: attachment.outbox.epoch };
      group.commit({
        device: other,
        ...position,
        submits: [planned(1, 9, Uint8Array.of(9, head))],
      });
    });
    this.#session.woken(this.#service.disk.bounds(USER)?.head ?? 0);
    this.#obey();
  }

  #obey(): void {
    for (let turn = 0; turn < 8; turn += 1) {
      for (const effect of this.#session.effects()) this.#do(effect);
    }
  }

  #do(effect: ServerEffect): void {
    const session = this.#session;
    switch (effect.kind) {
      case "prepare": {
        const { outbox, cursor } = effect.claim;
        const request = { device: DEVICE, outbox, cursor };
        const prepared = this.#service.prepare(request);
        assert(prepared.kind === "prepared", "a fresh device is not refused");
        this.#generation = prepared.attachment.generation;
        const { attachment } = prepared;
        this.#service.write((group) => group.attach({ device: DEVICE, attachment }));
        return session.prepared({ attachment, userId: "u" }, NOW_MS);
      }
      case "attach":
        return session.attached();
      case "commit": {
        const submits = effect.submits.map(({ seq, operation }) =>
          planned(seq, crc32(operation), operation),
        );
        const batch = { device: DEVICE, generation: this.#generation, outboxEpoch: 1, submits };
        const outcome = this.#service.commit(batch);
        if (outcome.kind === "committed") {
          return session.committed(outcome.receipt, NOW_MS);
        }
        assert(outcome.kind === "conflict", `commit: ${outcome.kind}`);
        return session.refused(violation(ErrorCode.SUBMIT_CONFLICT, "SEQ-5", ""));
      }
      case "load": {
        const { after, limit } = effect;
        return session.loaded(
          this.#service.disk.page({ user: USER, asked: after, limit, nowMs: NOW_MS }),
          NOW_MS,
        );
      }
      case "advance": {
        const { deliveredThrough, resultsThrough } = effect;
        const position = { device: DEVICE, generation: this.#generation, outboxEpoch: 1 };
        this.#service.write((group) =>
          group.advance({ ...position, deliveredThrough, resultsThrough }),
        );
        return;
      }
      case "write":
        this.#read(effect.bytes);
        return;
      case "close":
        this.closedWith = effect.because.code;
    }
  }

  #read(bytes: Uint8Array): void {
    this.#cut.push(bytes, (from, at, end) => {
      this.#heard(frameIn(from, { at, end }, "server"));
      return true;
    });
  }

  #heard(frame: Frame): void {
    if (frame.kind === "deliver") this.rules.delivered(frame.value.seq);
    if (frame.kind !== "submitAck") return;
    const { through, results } = frame.value;
    assert(through === this.rules.committed.length, "acknowledges what is committed [SEQ-3]");
    results.forEach((result, index) => {
      const seq = through - results.length + 1 + index;
      const text = JSON.stringify(result);
      const known = this.#results.get(seq);
      assert(known === undefined || known === text, "a repeat has the first result [SEQ-4]");
      this.#results.set(seq, text);
    });
  }
}

function planned(seq: number, digest: number, event: Uint8Array) {
  const log = logRefOf("", "c");
  return { seq, digest, plan: { kind: "append", log, event, timelines: [USER] } } as const;
}

function helloFrame(): Frame {
  return {
    kind: "hello",
    value: {
      versionMin: 1,
      versionMax: 1,
      token: "",
      userId: "u",
      deviceId: "d",
      outbox: { epoch: 0, resultsThrough: 0, next: 1 },
      cursor: { epoch: 0, seq: 0, start: CursorStart.EARLIEST },
      timers: undefined,
      deliveryWindow: WINDOW,
      agent: "",
    },
  };
}

function frameOf(step: Step, number: number): Frame | undefined {
  switch (step.kind) {
    case "submit":
      return { kind: "submit", value: { seq: number, operation: Uint8Array.of(step.content) } };
    case "ack":
      return { kind: "ack", value: { deliveredThrough: number, resultsThrough: 0 } };
    case "ack results":
      return { kind: "ack", value: { deliveredThrough: 0, resultsThrough: number } };
    case "ping":
      return { kind: "ping", value: { id: 1, sentThrough: number } };
    case "grow":
      return undefined;
    case "hello":
      return helloFrame();
    case "ready":
      return { kind: "ready", value: {} };
    case "welcome":
      return { kind: "drain", value: { slotMs: 0, graceMs: 0, alternatives: [] } };
  }
}

function play(steps: readonly Step[], seen: Seen): void {
  const bench = new Bench();
  const { rules } = bench;
  for (const step of steps) {
    const number = Math.min(
      Math.max(0, rules.numberNear(step.base) + step.offset),
      Number.MAX_SAFE_INTEGER,
    );
    const frame = frameOf(step, number);
    const expected = rules.verdict(step, number);
    if (frame === undefined) bench.grow();
    else bench.send(frame);
    const [is, must] = [bench.closedWith, expected].map((code) => codeText(code ?? 0));
    seen(`${step.kind}: ${must}`);
    assert(is === must, `${step.kind} ${number}: closed with ${is}, must be ${must}`);
    if (expected !== undefined) break;
  }
  const own = bench.events.filter((content) => content !== 9);
  const isSame = own.join() === rules.committed.join();
  assert(isSame, `each number has one effect, in order [SEQ-4]: ${own} of ${rules.committed}`);
}

const step = fc.record<Step>({
  kind: fc.constantFrom(...KINDS),
  base: fc.constantFrom(...BASES),
  offset: fc.integer({ min: -1, max: 2 }),
  content: fc.nat(1),
});
/** What an honest device does, so that the other steps meet a session with a history. */
const honest = fc.constantFrom<Step>(
  { kind: "submit", base: "through", offset: 1, content: 0 },
  { kind: "submit", base: "through", offset: 0, content: 0 },
  { kind: "ack", base: "sent", offset: 0, content: 0 },
  { kind: "ack results", base: "through", offset: 0, content: 0 },
  { kind: "grow", base: "zero", offset: 0, content: 0 },
);

export const hostileDevice = property<Step[]>({
  name: "hostile-device",
  title:
    "[SEQ-2] [SEQ-4] [SEQ-5] [SEQ-8] [SEQ-9] [SES-15] [FRM-5] [FRM-7] [FRM-8] whatever numbers a " +
    "device makes up, the service keeps its rules (P7, P8, P19, P20, P31)",
  smokeRuns: 500,
  kinds: [
    "submit: ok",
    "submit: COUNTER_OUT_OF_RANGE",
    "submit: SEQUENCE_GAP",
    "submit: CREDIT_EXCEEDED",
    "submit: SUBMIT_CONFLICT",
    "ack: ok",
    "ack: ACK_BEYOND_SENT",
    "ack results: ok",
    "ack results: ACK_BEYOND_SENT",
    "ping: SEQUENCE_GAP",
    "hello: FRAME_WRONG_PHASE",
    "welcome: FRAME_WRONG_SENDER",
  ],
  arbitrary: fc.array(fc.oneof({ weight: 4, arbitrary: honest }, { weight: 1, arbitrary: step }), {
    minLength: 1,
    maxLength: 40,
  }),
  start: (seen) => ({ check: (steps) => play(steps, seen) }),
});
