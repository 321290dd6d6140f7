import { deepEqual, equal, ok } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { crc32 } from "../../protocol/crc32.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { encodeFrame, type Frame, type FrameContents } from "../../protocol/frames.ts";
import { TIMER_MS_MAX } from "../../protocol/limits.ts";
import { ClientSession } from "../../protocol/session/client.ts";
import type { ClientEffect, DeviceState } from "../../protocol/session/client-effects.ts";
import type { Settlement } from "../../protocol/session/settlement.ts";
import { Choices } from "../coverage/choices.ts";
import { NO_STATE } from "../sim/device.ts";
import { frameIn } from "../sim/frame-reader.ts";

const OPENED_MS = 1_800_000_000_000;
const DELIVERY_WINDOW = { count: 4, bytes: 300 };
const OPTIONS = {
  deviceId: "d",
  userId: "u",
  agent: "",
  start: "earliest",
  deliveryWindow: DELIVERY_WINDOW,
  timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
  handshakeMs: 2_000,
} as const;
const PHASES = ["opening", "resuming", "installing", "open", "busy"] as const;
type Phase = (typeof PHASES)[number];
/** The shortest frame that is answered has three bytes, and no answer to one has more. */
const ANSWER_BYTES_MAX = 100;
const PINGS_MAX = 16;

/**
 * Whatever bytes a service sends in any phase, the device's session does not throw: every submit is
 * settled once and in order, every delivery handed over once and in order, and it goes on within
 * its windows or ends with one typed Close. [FRM-6] [LNK-14] [SEQ-4] [SEQ-10] [SEQ-13] [SEQ-16]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const phase = choices.pick(PHASES);
  const pieceBytes = choices.byte() || data.length;
  const habits = choices.byte();
  const bytes = choices.rest();
  const bench = new Bench(phase);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    bench.received(bytes.slice(at, at + pieceBytes));
    bench.live(habits);
  }
  bench.end(bytes.length);
  if (pieceBytes >= bytes.length) return;
  deepEqual(effectsOf(phase, bytes, pieceBytes), effectsOf(phase, bytes, bytes.length));
}

/** The same bytes mean the same however they are cut. [LNK-1] */
function effectsOf(phase: Phase, bytes: Uint8Array, pieceBytes: number): string[] {
  const { session } = new Bench(phase);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    session.received(bytes.slice(at, at + pieceBytes), OPENED_MS);
  }
  return session.effects(OPENED_MS).map((effect) => JSON.stringify(effect));
}

/** A session over a journal that is always done, whose every effect is judged. */
class Bench {
  readonly session: ClientSession;
  readonly #cut = new Delimiter(1 << 20);
  #nowMs = OPENED_MS;
  #isClosed = false;
  #isCloseSent = false;
  #isInstalled = false;
  #handed = { epoch: 0, seq: 0 };
  #unhandled: number[] = [];
  #settledThrough = 0;
  #writtenBytes = 0;

  constructor(phase: Phase) {
    const isResuming = phase === "resuming";
    this.session = new ClientSession(OPTIONS, isResuming ? RESUMABLE : NO_STATE);
    if (isResuming) {
      this.#handed = { ...RESUMABLE.cursor };
      this.#settledThrough = RESUMABLE.resultsThrough;
    }
    this.session.linked({ token: "" }, OPENED_MS);
    this.session.submit(Uint8Array.of(1));
    this.session.submit(Uint8Array.of(2));
    this.obey();
    if (phase === "opening" || isResuming) return;
    this.received(encodeFrame({ kind: "welcome", value: WELCOME }));
    if (phase === "installing") return;
    this.obey();
    if (phase === "busy") this.#becomeBusy();
    ok(!this.#isClosed && this.session.open, "an honest service is believed");
  }

  received(bytes: Uint8Array): void {
    this.session.received(bytes, this.#nowMs);
  }

  /** What else happens between two pieces of the bytes. */
  live(habits: number): void {
    if ((habits & 1) !== 0) this.obey();
    if ((habits & 2) !== 0) this.#handle();
    if ((habits & 4) !== 0) this.#submit(Uint8Array.of(3));
    if ((habits & 8) !== 0) this.session.probe(this.#nowMs);
    if ((habits & 16) !== 0) this.#pass(300);
    if ((habits & 32) !== 0 && !this.#isClosed) this.session.close(ErrorCode.GOODBYE);
  }

  /** Obeys until there is nothing to do, then is silent until the session ends. */
  end(receivedBytes: number): void {
    this.obey();
    const allowed = receivedBytes * ANSWER_BYTES_MAX + 2_000;
    ok(this.#writtenBytes <= allowed, "an answer is bounded by what it answers [SEQ-16]");
    for (let turn = 0; !this.#isClosed; turn += 1) {
      const deadlineMs = this.session.deadlineMs();
      // Pings go out, and after some of them the silence was too long. [SES-9] [SES-10]
      this.#pass(deadlineMs - this.#nowMs + (turn < PINGS_MAX ? 0 : TIMER_MS_MAX));
      this.obey();
      const isLater = this.session.deadlineMs() > deadlineMs;
      ok(this.#isClosed || isLater, "a deadline that came does not come again");
      ok(turn < 2 * PINGS_MAX, "a silent service is not waited for for ever");
    }
    this.received(encodeFrame({ kind: "welcome", value: WELCOME }));
    deepEqual(this.session.effects(this.#nowMs), [], "nothing comes after the end");
    equal(this.session.deadlineMs(), Number.POSITIVE_INFINITY);
    this.#linksAgain();
  }

  obey(): void {
    for (;;) {
      const effects = this.session.effects(this.#nowMs);
      if (effects.length === 0) break;
      for (const effect of effects) this.#do(effect);
    }
    this.#checkDeadline();
  }

  #pass(ms: number): void {
    this.#nowMs += ms;
    this.session.elapsed(this.#nowMs);
    this.#checkDeadline();
  }

  #checkDeadline(): void {
    const inMs = this.session.deadlineMs() - this.#nowMs;
    ok(inMs === Number.POSITIVE_INFINITY || (inMs <= 2 ** 31 && inMs > -(2 ** 32)), `${inMs} ms`);
  }

  #do(effect: ClientEffect): void {
    switch (effect.kind) {
      case "append":
        return this.session.appended();
      case "install":
        ok(!this.#isInstalled, "one Welcome on one link");
        this.#isInstalled = true;
        return this.#install(effect);
      case "opened":
        return;
      case "deliver":
        return this.#hand(effect.deliveries.map(({ seq }) => seq));
      case "settle":
        this.#settle(effect.settlements);
        return this.session.settled(effect.resultsThrough, this.#nowMs);
      case "drain":
      case "hints":
        return;
      case "write":
        ok(!this.#isClosed, "nothing is written to a link that is closed");
        this.#writtenBytes += effect.bytes.length;
        this.#cut.push(effect.bytes, (from, at, end) => {
          this.#wrote(frameIn(from, { at, end }, "client"));
          return true;
        });
        return equal(this.#cut.unfinished, false, "whole frames are written [LNK-5]");
      case "close":
        ok(!this.#isClosed && effect.because.code !== undefined, "one end, with its code [ERR-1]");
        this.#isClosed = true;
        return;
    }
  }

  #install({ state, settlements, cursorMoved }: ClientEffect & { readonly kind: "install" }): void {
    ok(state.cursor.epoch > 0 && state.outboxEpoch > 0, "epochs are positive");
    ok(
      state.pending.every(({ seq }) => seq < state.next),
      "what waits is below the next number",
    );
    for (const { outcome } of settlements) {
      ok(outcome === "rolled-back" || outcome.digest !== undefined, "a result, or no way to know");
    }
    this.#settledThrough = state.resultsThrough;
    if (cursorMoved) {
      this.#unhandled = [];
      this.#handed = { ...state.cursor };
    }
    this.session.installed(this.#nowMs);
  }

  /** A Welcome may leave no room for any operation. [SEQ-17] */
  #submit(operation: Uint8Array): void {
    if (this.session.admits(operation)) this.session.submit(operation);
  }

  #hand(seqs: readonly number[]): void {
    for (const seq of seqs) {
      equal(seq, this.#handed.seq + 1, "deliveries are handed over in order, once [SEQ-10]");
      this.#handed = { ...this.#handed, seq };
      this.#unhandled.push(seq);
    }
    ok(this.#unhandled.length <= DELIVERY_WINDOW.count, "no more than the window [SEQ-13]");
  }

  #handle(): void {
    const seq = this.#unhandled.at(-1);
    if (seq === undefined) return;
    this.#unhandled = [];
    this.session.applied({ epoch: this.session.state.cursor.epoch, seq }, this.#nowMs);
  }

  #settle(settlements: readonly Settlement[]): void {
    for (const { entry, outcome } of settlements) {
      ok(entry.seq > this.#settledThrough, "a submit is settled once, in order [SEQ-4]");
      ok(outcome !== undefined && outcome !== "rolled-back", "and with its result");
      this.#settledThrough = entry.seq;
    }
  }

  #wrote(frame: Frame): void {
    ok(!this.#isCloseSent, `${frame.kind} after Close [LNK-14]`);
    if (frame.kind === "close") this.#isCloseSent = true;
    if (frame.kind === "ready") ok(this.#isInstalled, "Ready after the journal [SES-7]");
    if (frame.kind !== "ack") return;
    ok(frame.value.deliveredThrough <= this.#handed.seq, "never ahead of deliveries [SEQ-11]");
  }

  /** What bytes did to one link, the next begins without. [RES-14] */
  #linksAgain(): void {
    this.#isClosed = false;
    this.#isCloseSent = false;
    this.session.linked({ token: "" }, this.#nowMs);
    const before = this.#writtenBytes;
    this.obey();
    ok(this.#writtenBytes > before && !this.#isClosed, "every link begins with Hello [SES-1]");
  }

  #becomeBusy(): void {
    const event = Uint8Array.of(1);
    const rest = { conversationSeq: 1, committedMs: OPENED_MS, event };
    this.received(encodeFrame({ kind: "submitAck", value: { through: 1, results: [RESULT] } }));
    this.received(encodeFrame({ kind: "deliver", value: { seq: 1, ...rest } }));
    this.received(encodeFrame({ kind: "deliver", value: { seq: 2, ...rest } }));
    this.obey();
  }
}

const RESUMABLE: DeviceState = {
  outboxEpoch: 3,
  resultsThrough: 4,
  next: 7,
  pending: [
    { seq: 5, operation: Uint8Array.of(5) },
    { seq: 6, operation: Uint8Array.of(6) },
  ],
  cursor: { epoch: 2, seq: 10 },
};

const WELCOME: FrameContents["welcome"] = {
  version: 1,
  sessionId: new Uint8Array(16),
  generation: 1,
  outbox: { epoch: 1, through: 0, resultsThrough: 0, results: [] },
  timeline: { epoch: 1, head: 0, floor: 1 },
  resume: { cursor: 0, outcome: { case: "resumed", value: {} } },
  timers: { keepaliveMs: 1_000, idleMs: 3_000, ageMs: 0 },
  submitWindow: { count: 4, bytes: 300 },
  limits: { frameBytes: 4096, contentBytes: 1024, calls: 16 },
  userId: "u",
  nowMs: OPENED_MS,
  loginAccount: "",
};
const RESULT = {
  code: ErrorCode.UNSPECIFIED,
  conversationSeq: 1,
  committedMs: OPENED_MS,
  digest: 0,
  retryAfterMs: 0,
};
const WELCOME_BACK: FrameContents["welcome"] = {
  ...WELCOME,
  outbox: {
    epoch: 3,
    through: 6,
    resultsThrough: 4,
    // The first pending submit's own result, and one of a life that the journal forgot. [RES-12]
    results: [{ ...RESULT, digest: crc32(Uint8Array.of(5)) }, RESULT],
  },
  timeline: { epoch: 2, head: 12, floor: 9 },
  resume: { cursor: 10, outcome: { case: "replaying", value: { count: 2 } } },
};

/** What an honest service answers to a new device, and to one that comes back. */
export const HONEST: readonly Frame[] = [
  { kind: "welcome", value: WELCOME },
  { kind: "welcome", value: WELCOME_BACK },
];
