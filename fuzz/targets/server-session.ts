import { deepEqual, equal, ok } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { CursorStart } from "../../gen/posthorn/v1/session_pb.ts";
import { PresenceState } from "../../gen/posthorn/v1/signal_pb.ts";
import { crc32 } from "../../protocol/crc32.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { encodeFrame, type Frame } from "../../protocol/frames.ts";
import type { Attachment } from "../../protocol/session/facts.ts";
import { type ServerEffect, ServerSession } from "../../protocol/session/server.ts";
import { violation } from "../../protocol/violation.ts";
import { logRefOf, userRefOf } from "../../server/store/store.ts";
import { Choices } from "../coverage/choices.ts";
import { frameIn } from "../sim/frame-reader.ts";
import { NODE_LIMITS, SUBMIT_WINDOW } from "../sim/node.ts";
import { Service } from "../sim/service.ts";

const OPENED_MS = 1_800_000_000_000;
const DEVICE = { user: userRefOf("", "u"), deviceId: "d" };
const OTHER = { user: DEVICE.user, deviceId: "other" };
const WINDOW = { count: 4, bytes: 300 };
const PHASES = ["opening", "preparing", "joining", "attaching", "open", "busy"] as const;
type Phase = (typeof PHASES)[number];
/** The shortest frame that is answered has three bytes, and no answer to one has more. */
const ANSWER_BYTES_MAX = 100;
const ENDLESS = 64;

/**
 * Whatever bytes a device sends in any phase, its session does not throw: it goes on within its
 * windows or ends with one typed Close, and no deadline comes for ever. [FRM-6]
 * [LNK-6] [LNK-14] [SEQ-8] [SEQ-13] [SEQ-16]
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
  return session.effects().map((effect) => JSON.stringify(effect));
}

/** A session over a real commit group, whose every effect is judged before it is obeyed. */
class Bench {
  readonly session = new ServerSession(NODE_LIMITS, OPENED_MS);
  readonly #service = new Service(() => OPENED_MS);
  readonly #cut = new Delimiter(1 << 20);
  #nowMs = OPENED_MS;
  #attachment: Attachment | undefined;
  #isAttached = false;
  #isClosed = false;
  #isCloseSent = false;
  #sentThrough = 0;
  #writtenBytes = 0;
  #loadedBytes = 0;
  #hintedBytes = 0;
  /** Cuts what is received a second time, only to know since when a frame is unfinished. */
  readonly #frames = new Delimiter(Number.MAX_SAFE_INTEGER);
  #unfinishedMs = Number.POSITIVE_INFINITY;

  constructor(phase: Phase) {
    if (phase === "opening") return;
    this.received(encodeFrame(HELLO));
    if (phase === "preparing") return;
    this.obey();
    if (phase === "joining") return;
    this.received(encodeFrame({ kind: "ready", value: {} }));
    if (phase === "attaching") return;
    this.obey();
    if (phase === "busy") this.#becomeBusy();
    ok(!this.#isClosed, "an honest device is let in");
  }

  received(bytes: Uint8Array): void {
    this.session.received(bytes, this.#nowMs);
    let isBegun = !this.#frames.unfinished || this.#unfinishedMs === Number.POSITIVE_INFINITY;
    this.#frames.push(bytes, () => {
      isBegun = true;
      return true;
    });
    if (!this.#frames.unfinished) this.#unfinishedMs = Number.POSITIVE_INFINITY;
    else if (isBegun) this.#unfinishedMs = this.#nowMs;
  }

  /** What else happens between two pieces of the bytes. */
  live(habits: number): void {
    if ((habits & 1) !== 0) this.obey();
    if ((habits & 2) !== 0) this.#grow();
    if ((habits & 4) !== 0) this.session.paused((habits & 8) !== 0);
    if ((habits & 16) !== 0) this.#pass(700);
    if ((habits & 64) !== 0) this.#hint();
    if ((habits & 32) !== 0) {
      const notice = { slotMs: 5, graceMs: 500, alternatives: [], code: ErrorCode.DRAINED };
      this.session.drain(notice, this.#nowMs);
    }
  }

  /** Obeys until there is nothing to do, then lets time pass until the session ends. */
  end(receivedBytes: number): void {
    this.session.paused(false);
    this.obey();
    const allowed =
      receivedBytes * ANSWER_BYTES_MAX + this.#loadedBytes + 1_000 + this.#hintedBytes;
    ok(this.#writtenBytes <= allowed, "an answer is bounded by what it answers [SEQ-16]");
    let turns = 0;
    for (; !this.#isClosed && turns < ENDLESS; turns += 1) {
      const deadlineMs = this.session.deadlineMs();
      this.#pass(deadlineMs - this.#nowMs);
      const isLater = this.session.deadlineMs() > deadlineMs;
      this.obey();
      ok(this.#isClosed || isLater, "a deadline that came does not come again");
    }
    ok(this.#isClosed, "a silent device does not stay for ever");
    this.session.received(encodeFrame(HELLO), this.#nowMs);
    deepEqual(this.session.effects(), [], "nothing comes after the end");
    equal(this.session.deadlineMs(), Number.POSITIVE_INFINITY);
  }

  obey(): void {
    for (let turn = 0; ; turn += 1) {
      const effects = this.session.effects();
      if (effects.length === 0) break;
      ok(turn < ENDLESS + this.#sentThrough, "there is an end to what a session wants");
      for (const effect of effects) this.#do(effect);
    }
    this.#checkDeadline();
  }

  #pass(ms: number): void {
    this.#nowMs += ms;
    this.session.elapsed(this.#nowMs);
    const isOver = this.session.deadlineMs() === Number.POSITIVE_INFINITY;
    const isLate = this.#nowMs >= this.#unfinishedMs + NODE_LIMITS.frameMs;
    ok(isOver || !isLate, "a frame has its time, however it trickles in [LNK-6]");
    this.#checkDeadline();
  }

  /** A number that a timer can be set to. [SES-12] */
  #checkDeadline(): void {
    const inMs = this.session.deadlineMs() - this.#nowMs;
    if (this.#isClosed) return;
    ok(inMs === Number.POSITIVE_INFINITY || (inMs <= 2 ** 31 && inMs > -(2 ** 31)), `${inMs} ms`);
  }

  #do(effect: ServerEffect): void {
    // What came before the end has its effect, be it in a second batch. Nobody hears of it.
    const isQuiet = effect.kind === "commit" || effect.kind === "advance";
    ok(!this.#isClosed || isQuiet, `${effect.kind} after close`);
    switch (effect.kind) {
      case "prepare":
        return this.#prepare(effect.claim);
      case "attach":
        return this.#attach();
      case "commit":
        return this.#commit(effect.submits);
      case "load":
        return this.#load(effect);
      case "advance":
        return this.#advance(effect);
      case "signal":
        return ok(this.#isAttached, "nothing is heard before the attachment is in force [SES-6]");
      case "write":
        this.#writtenBytes += effect.bytes.length;
        this.#cut.push(effect.bytes, (from, at, end) => {
          this.#wrote(frameIn(from, { at, end }, "server"));
          return true;
        });
        return equal(this.#cut.unfinished, false, "whole frames are written [LNK-5]");
      case "close":
        ok(effect.because.code !== undefined, "an end has its code [ERR-1]");
        this.#isClosed = true;
        return;
    }
  }

  #prepare({ outbox, cursor }: (ServerEffect & { readonly kind: "prepare" })["claim"]): void {
    ok(this.#attachment === undefined, "prepared once");
    const prepared = this.#service.prepare({ device: DEVICE, outbox, cursor });
    if (prepared.kind !== "prepared") {
      return this.session.refused(violation(ErrorCode.CURSOR_AHEAD, "RES-7", prepared.kind));
    }
    const { attachment } = prepared;
    this.#attachment = attachment;
    this.session.prepared({ attachment, userId: "u" }, this.#nowMs);
  }

  #attach(): void {
    const attachment = this.#attachment;
    ok(attachment !== undefined && !this.#isAttached, "attached once, after Welcome [SES-7]");
    this.#service.write((group) => group.attach({ device: DEVICE, attachment }));
    this.#isAttached = true;
    this.session.attached();
  }

  #commit(submits: (ServerEffect & { readonly kind: "commit" })["submits"]): void {
    ok(this.#isAttached, "nothing takes effect before the attachment does [SES-6]");
    ok(
      submits.length > 0 && submits.length <= SUBMIT_WINDOW.count,
      "a batch has its bound [SEQ-8]",
    );
    const planned = submits.map(({ seq, operation }) => plannedOf(seq, operation));
    const seqs = submits.map(({ seq }) => seq);
    ok(
      seqs.every((seq, index) => seq === (seqs[0] as number) + index && seq > 0),
      "contiguous",
    );
    const bytes = submits.reduce((sum, { operation }) => sum + operation.length, 0);
    ok(submits.length === 1 || bytes <= SUBMIT_WINDOW.bytes, "its bytes too [SEQ-8]");
    const outcome = this.#service.commit({ ...this.#position(), submits: planned });
    if (outcome.kind === "committed") return this.session.committed(outcome.receipt, this.#nowMs);
    equal(outcome.kind, "conflict");
    this.session.refused(violation(ErrorCode.SUBMIT_CONFLICT, "SEQ-5", ""));
  }

  #load({ after, limit }: ServerEffect & { readonly kind: "load" }): void {
    ok(this.#isAttached && after === this.#sentThrough, "loads what comes next [SEQ-10]");
    ok(limit.count >= 1 && limit.count <= NODE_LIMITS.deliveryWindowMax.count, "within the window");
    ok(limit.bytes >= 1 && limit.bytes <= NODE_LIMITS.deliveryWindowMax.bytes);
    const page = this.#service.disk.page({
      user: DEVICE.user,
      asked: after,
      limit,
      nowMs: this.#nowMs,
    });
    this.#loadedBytes += page.entries.reduce((sum, { event }) => sum + event.length + 40, 0);
    this.session.loaded(page, this.#nowMs);
  }

  #advance(position: { readonly deliveredThrough: number; readonly resultsThrough: number }): void {
    ok(position.deliveredThrough <= this.#sentThrough, "never above what was sent [SEQ-9]");
    const { deliveredThrough, resultsThrough } = position;
    this.#service.write((group) =>
      group.advance({ ...this.#position(), deliveredThrough, resultsThrough }),
    );
  }

  #wrote(frame: Frame): void {
    ok(!this.#isCloseSent, `${frame.kind} after Close [LNK-14]`);
    if (frame.kind === "close") this.#isCloseSent = true;
    if (frame.kind === "welcome") this.#sentThrough = frame.value.resume?.cursor as number;
    if (frame.kind !== "deliver") return;
    equal(frame.value.seq, this.#sentThrough + 1, "deliveries are contiguous [SEQ-10]");
    this.#sentThrough = frame.value.seq;
  }

  #position() {
    const { generation, outbox } = this.#attachment as Attachment;
    return { device: DEVICE, generation, outboxEpoch: outbox.epoch };
  }

  /** Submits, results and deliveries, so that the bytes meet a session with a history. */
  #becomeBusy(): void {
    this.#grow();
    this.#grow();
    this.received(encodeFrame({ kind: "submit", value: { seq: 1, operation: Uint8Array.of(1) } }));
    this.received(encodeFrame({ kind: "submit", value: { seq: 2, operation: Uint8Array.of(2) } }));
    this.obey();
    this.received(encodeFrame({ kind: "ack", value: { deliveredThrough: 1, resultsThrough: 1 } }));
    this.obey();
  }

  #hint(): void {
    const typing = { conversationId: "c", userId: "v", active: true };
    const presence = { userId: "v", state: PresenceState.AWAY, lastSeenMs: 0 };
    this.session.hinted([{ kind: "typing", value: typing }], this.#nowMs);
    this.session.hinted([{ kind: "presence", value: presence }], this.#nowMs);
    this.#hintedBytes += 100;
  }

  /** Another device's message. */
  #grow(): void {
    const head = this.#service.disk.bounds(DEVICE.user)?.head ?? 0;
    const outbox = { epoch: 0, resultsThrough: 0, next: 1 };
    const cursor = { epoch: 0, seq: 0, start: "latest" as const };
    this.#service.write((group) => {
      const prepared = group.prepare({ device: OTHER, outbox, cursor });
      ok(prepared.kind === "prepared");
      const { attachment } = prepared;
      group.attach({ device: OTHER, attachment });
      const { generation } = attachment;
      const submits = [plannedOf(1, Uint8Array.of(9, head))];
      const outboxEpoch = attachment.outbox.epoch;
      group.commit({ device: OTHER, generation, outboxEpoch, submits });
    });
    this.session.woken(this.#service.disk.bounds(DEVICE.user)?.head ?? 0);
  }
}

function plannedOf(seq: number, event: Uint8Array) {
  const log = logRefOf("", "c");
  const plan = { kind: "append", log, event, timelines: [DEVICE.user] } as const;
  return { seq, digest: crc32(event), plan };
}

const HELLO: Frame = {
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

/** What an honest device begins with. */
export const HONEST: readonly Frame[] = [HELLO];
