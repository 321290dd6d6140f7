import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { SubmitAckPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import type { TypingHint } from "../../gen/posthorn/v1/signal_pb.ts";
import { Delimiter } from "../delimit.ts";
import { decodeFrame, type Frame, FrameWriter, isViolation, submitFrameBytes } from "../frames.ts";
import { CLOSE_DETAIL_BYTES_MAX, FRAME_BYTES_MAX } from "../limits.ts";
import type { Plain } from "../plain.ts";
import { assert, unreachable, type Violation, violation } from "../violation.ts";
import { AskedCalls, type ReplyPlain } from "./calls.ts";
import type { ClientEffect, DeviceState, WelcomePlain } from "./client-effects.ts";
import { DeliveryInbox } from "./delivery-inbox.ts";
import { DeviceSignals } from "./device-signals.ts";
import type { SubmitOutcome } from "./facts.ts";
import type { FlowWindow } from "./flow.ts";
import { type Hint, hintsIn } from "./hint-queue.ts";
import { Outbox, type OutboxEntry } from "./outbox.ts";
import {
  after,
  CLIENT_FRAME_PHASES,
  CLIENT_TRANSITIONS,
  type ClientFact,
  type ClientPhase,
} from "./phases.ts";
import { Pinger } from "./pinger.ts";
import type { TimelineCursor } from "./resume.ts";
import { type Settlement, settlementOf } from "./settlement.ts";
import { LinkClock, type LinkTimers } from "./timers.ts";
import {
  type Credential,
  type DeviceClaim,
  helloOf,
  type Installed,
  loginFault,
  readWelcome,
} from "./welcome.ts";

/** What a device asks for at each attach. */
export interface ClientSessionOptions {
  readonly deviceId: string;
  /** The user, where the service runs without authentication; otherwise empty. */
  readonly userId: string;
  readonly agent: string;
  /** Where to begin when the journal holds no cursor. [RES-8] */
  readonly start: "earliest" | "latest";
  /**
   * How many deliveries may be outstanding: the bound of what the application has not handled.
   * [SEQ-13]
   */
  readonly deliveryWindow: FlowWindow;
  /** Take an index while more events are missing than this. Absent: never. [CAT-1] */
  readonly indexAbove?: number | undefined;
  /** Zeros leave the choice to the service. */
  readonly timers: LinkTimers;
  /** From the link's opening to Welcome. */
  readonly handshakeMs: number;
}

/**
 * The device's half of a session; outlives its links. Sans-I/O: give it facts, obey its effects.
 * [SES] [SEQ] [RES]
 */
export class ClientSession {
  readonly #options: ClientSessionOptions;
  readonly #writer = new FrameWriter();
  readonly #outbox: Outbox;
  readonly #inbox: DeliveryInbox;
  readonly #calls = new AskedCalls();
  readonly #signals = new DeviceSignals();
  readonly #pinger = new Pinger();
  #delimiter = new Delimiter(FRAME_BYTES_MAX);
  #phase: ClientPhase = "detached";
  #clock = new LinkClock(0);
  #timers: LinkTimers | undefined;
  /** The positions that this link's Hello stated; both may have moved on when Welcome comes. */
  #claimed: DeviceClaim;
  /** Until Welcome: a login that is not answered has nothing more said on this link. [ENV-36] */
  #credential: Credential = { token: "" };
  #window: FlowWindow = { count: 0, bytes: 0 };
  /** What the last Welcome said that is accepted. [SEQ-17] */
  #frameBytesMax = FRAME_BYTES_MAX;
  #callsMax = 0;
  /** Results received, results durable here, results acknowledged on this link. */
  #resultsReceived: number;
  #resultsThrough: number;
  #resultsAcked = 0;
  #installsUnderWay = 0;
  #pending: ClientEffect[] = [];

  constructor(options: ClientSessionOptions, state: DeviceState) {
    this.#options = options;
    this.#outbox = new Outbox({
      epoch: state.outboxEpoch,
      next: state.next,
      pending: state.pending,
    });
    this.#inbox = new DeliveryInbox(state.cursor, options);
    this.#resultsReceived = state.resultsThrough;
    this.#resultsThrough = state.resultsThrough;
    this.#claimed = this.#claim();
  }

  /** Whether the session is open: Ready is sent on a living link. */
  get open(): boolean {
    return this.#phase === "open";
  }

  /** The last measured round trip in milliseconds; undefined before the first. */
  get roundTripMs(): number | undefined {
    return this.#pinger.roundTripMs;
  }

  /** Submits without a result, in order. */
  get unsettled(): readonly OutboxEntry[] {
    return this.#outbox.entries;
  }

  /** The whole state, as the journal holds it once all effects so far are durable. */
  get state(): DeviceState {
    return {
      outboxEpoch: this.#outbox.epoch,
      resultsThrough: this.#resultsReceived,
      next: this.#outbox.next,
      pending: this.#outbox.submits,
      cursor: this.#inbox.cursor,
    };
  }

  /**
   * Another session that states this one's positions, to see whether the service welcomes the
   * device on another link. It is not to become open: this one goes on meanwhile. [SES-18]
   */
  forTrial(): ClientSession {
    const { outbox, cursor } = this.#claim();
    const { epoch: outboxEpoch, resultsThrough, next } = outbox;
    const state = { outboxEpoch, resultsThrough, next, pending: [], cursor };
    return new ClientSession(this.#options, state);
  }

  /** A fresh link is usable: asks to attach, with the credential of this attach. */
  linked(credential: Credential, nowMs: number): void {
    this.unlinked();
    this.#clock = new LinkClock(nowMs);
    this.#delimiter = new Delimiter(FRAME_BYTES_MAX);
    this.#timers = undefined;
    this.#to("linked");
    this.#claimed = this.#claim();
    this.#credential = credential;
    this.#writer.push("hello", helloOf(this.#options, this.#claimed, credential));
  }

  /** Bytes from the link, cut anywhere. Never throws, whatever they are. */
  received(bytes: Uint8Array, nowMs: number): void {
    if (this.#phase === "detached") return;
    this.#clock.heardMs = nowMs;
    const fault = this.#delimiter.push(bytes, (from, at, end) => {
      this.#frame(from, { at, end }, nowMs);
      return this.#phase !== "detached";
    });
    if (fault !== undefined) this.#close(fault);
  }

  /** The journal holds what effect `install` carried: the service may deliver. [SES-7] */
  installed(nowMs: number): void {
    this.#installsUnderWay -= 1;
    // An earlier link's Welcome became durable while a later one's is still under way.
    if (this.#phase !== "installing" || this.#installsUnderWay > 0) return;
    this.#to("installed");
    this.#resultsThrough = this.#resultsReceived;
    const unacked = this.#resultsThrough - this.#resultsAcked;
    if (unacked > 0) this.#inbox.acks.add(unacked, 0, nowMs);
    this.#writer.push("ready", {});
    this.#signals.opened();
    // The first ping measures the round trip and audits both positions at once.
    this.#ping(nowMs);
    this.#pending.push({ kind: "opened" });
  }

  /** Whether an operation is small enough to be submitted, for all that is known. [SEQ-17] */
  admits(operation: Uint8Array): boolean {
    return submitFrameBytes({ seq: this.#outbox.next, operation }) <= this.#frameBytesMax;
  }

  /**
   * Numbers an operation that is admitted and keeps it until its result is durable here. [SEQ-1]
   * [SEQ-7]
   */
  submit(operation: Uint8Array): OutboxEntry {
    assert(this.admits(operation), "no service takes an operation that is not admitted [SEQ-17]");
    const entry = this.#outbox.push(operation);
    this.#pending.push({ kind: "append", entry });
    return entry;
  }

  /** Calls of the application, which go on over links until each is answered. [RPC-3] */
  get calls(): Pick<AskedCalls, "ask" | "forget" | "count"> {
    return this.#calls;
  }

  /** What the application says in passing; where the session is not open, typing is not said. */
  get signals(): Pick<DeviceSignals, "setPresence" | "watch" | "typing"> {
    return this.#signals;
  }

  /** The journal holds the submit of the oldest unconfirmed effect `append`. */
  appended(): void {
    this.#outbox.appended();
  }

  /** The application has handled deliveries up to a cursor, and `applied` is to follow. [RES-15] */
  handled(cursor: TimelineCursor): void {
    this.#inbox.handled(cursor);
  }

  /** The application has durably handled deliveries up to a cursor. [SEQ-11] */
  applied(cursor: TimelineCursor, nowMs: number): void {
    this.#inbox.applied(cursor, nowMs);
  }

  /** The journal holds the results of an effect `settle`. */
  settled(resultsThrough: number, nowMs: number): void {
    if (resultsThrough <= this.#resultsThrough || resultsThrough > this.#resultsReceived) return;
    this.#inbox.acks.add(resultsThrough - this.#resultsThrough, 0, nowMs);
    this.#resultsThrough = resultsThrough;
  }

  /** The time of {@link deadlineMs} has come, or any other time. */
  elapsed(nowMs: number): void {
    if (this.#phase === "detached") return;
    this.#tellTyping(this.#signals.expired(nowMs));
    const { heardMs, openedMs, saidMs } = this.#clock;
    const timers = this.#timers;
    if (timers === undefined) {
      if (nowMs < openedMs + this.#options.handshakeMs) return;
      this.#close(violation(ErrorCode.TOO_SLOW, "SES-1", "no Welcome in time"));
    } else if (nowMs >= heardMs + timers.idleMs) {
      this.#close(violation(ErrorCode.IDLE, "SES-10", `nothing heard for ${timers.idleMs} ms`));
    } else if (this.#phase === "open" && nowMs >= saidMs + timers.keepaliveMs) {
      this.#ping(nowMs);
    }
  }

  /** The link died. */
  unlinked(): void {
    if (this.#phase !== "detached") this.#to("ended");
    this.#credential = { token: "" };
    this.#writer.take();
    this.#outbox.relinked();
    this.#inbox.relinked();
    this.#calls.relinked();
    this.#tellTyping(this.#signals.expired(Number.POSITIVE_INFINITY));
    this.#pinger.relinked();
  }

  /** Says good-bye: the last acknowledgement, then Close. [SES-14] [LNK-14] */
  close(code: ErrorCode): void {
    if (this.#phase === "open") this.#pushAck();
    this.#close(violation(code, "", "closed by the device"));
  }

  /** Asks the service now whether it is there: after sleep, or when the network changed. */
  probe(nowMs: number): void {
    if (this.#phase === "open") this.#ping(nowMs);
  }

  /** What to do now, in order; empties the list. */
  effects(nowMs: number): ClientEffect[] {
    if (this.#phase === "open") this.#flush(nowMs);
    const effects = this.#pending;
    this.#pending = [];
    effects.push(...this.#inbox.take());
    if (!this.#writer.empty) {
      const closing = effects.findIndex((effect) => effect.kind === "close");
      const write: ClientEffect = { kind: "write", bytes: this.#writer.take() };
      effects.splice(closing < 0 ? effects.length : closing, 0, write);
      if (this.#phase !== "detached") this.#clock.saidMs = nowMs;
    }
    return effects;
  }

  /**
   * When to call {@link elapsed} and {@link effects}; Infinity when never. May move later without
   * notice.
   */
  deadlineMs(): number {
    if (this.#phase === "detached") return Number.POSITIVE_INFINITY;
    const { heardMs, openedMs, saidMs } = this.#clock;
    const timers = this.#timers;
    if (timers === undefined) return openedMs + this.#options.handshakeMs;
    const idle = heardMs + timers.idleMs;
    if (this.#phase !== "open") return idle;
    const { acks } = this.#inbox;
    const talk = Math.min(saidMs + timers.keepaliveMs, acks.deadlineMs, this.#signals.deadlineMs);
    return Math.min(idle, talk);
  }

  #frame(from: Uint8Array, range: { at: number; end: number }, nowMs: number): void {
    const phase = CLIENT_FRAME_PHASES[this.#phase];
    const frame = decodeFrame(from, range, { sender: "server", phase });
    if (isViolation(frame)) this.#close(frame);
    else this.#obey(frame, nowMs);
  }

  #obey(frame: Frame, nowMs: number): void {
    switch (frame.kind) {
      case "welcome":
        return this.#welcomed(frame.value);
      case "submitAck":
        return this.#acked(frame.value);
      case "deliver":
        return this.#refuse(this.#inbox.received(frame.value, nowMs));
      case "index":
        return this.#refuse(this.#inbox.indexed(frame.value, nowMs));
      case "ping":
        this.#writer.push("pong", { id: frame.value.id, sentThrough: this.#outbox.sentThrough });
        return this.#audited(frame.value.sentThrough);
      case "pong":
        this.#pinger.ponged(frame.value.id, nowMs);
        return this.#audited(frame.value.sentThrough);
      case "reply":
        return this.#replied(frame.value);
      case "hints":
        this.#signals.received(frame.value, nowMs);
        return this.#tell(hintsIn(frame.value));
      case "credit":
        this.#window = frame.value.window ?? { count: 0, bytes: 0 };
        return;
      case "drain":
        this.#pending.push({ kind: "drain", notice: frame.value });
        return;
      case "close": {
        const { code, detail, requirement } = frame.value;
        this.unlinked();
        const because = { code, detail, requirement };
        this.#pending.push({ kind: "close", because, by: "peer" });
        return;
      }
      case "hello":
      case "ready":
      case "submit":
      case "ack":
      case "call":
      case "signal":
        assert(false, "the frame rules let no service send this [FRM-7]");
        return;
      default:
        unreachable(frame);
    }
  }

  #welcomed(welcome: WelcomePlain): void {
    const fault = loginFault(this.#credential, welcome);
    if (fault !== undefined) return this.#close(fault);
    this.#credential = { token: "" };
    const read = readWelcome(welcome, this.#claimed, this.#options.start);
    if ("code" in read) return this.#close(read);
    const settlements = this.#installOutbox(read);
    this.#outbox.withhold(read.frameBytes);
    this.#frameBytesMax = read.frameBytes;
    this.#callsMax = read.calls;
    const cursorMoved = this.#inbox.install(read.cursor);
    this.#timers = read.timers;
    this.#window = read.submitWindow;
    this.#delimiter.bytesMax = read.frameBytes;
    this.#to("welcomed");
    this.#installsUnderWay += 1;
    const state = this.state;
    this.#pending.push({ kind: "install", state, welcome, settlements, cursorMoved });
  }

  #installOutbox(read: Installed): Settlement[] {
    const { outbox } = read;
    const { settled, rolledBack } = this.#outbox.install(outbox);
    this.#resultsReceived = outbox.through;
    this.#resultsAcked = outbox.resultsThrough;
    // The results that Welcome brought count as held only once the journal has them: a Hello that
    // claimed them before would let the service forget what a crash could still lose. [SEQ-8]
    if (outbox.epoch !== this.#claimed.outbox.epoch) this.#resultsThrough = 0;
    const settlements: Settlement[] = settled.map(({ entry, resultIndex }) =>
      settlementOf(entry, outbox.results[resultIndex] as SubmitOutcome),
    );
    for (const entry of rolledBack) settlements.push({ entry, outcome: "rolled-back" });
    return settlements;
  }

  #acked(ack: SubmitAckPlain): void {
    const { through, results } = ack;
    if (through > this.#outbox.sentThrough) {
      const detail = `submits through ${through} of ${this.#outbox.sentThrough} sent`;
      return this.#close(violation(ErrorCode.ACK_BEYOND_SENT, "SEQ-9", detail));
    }
    if (through <= this.#resultsReceived) return;
    const first = through - results.length + 1;
    if (first > this.#resultsReceived + 1) {
      const detail = `results from ${first} after ${this.#resultsReceived}`;
      return this.#close(violation(ErrorCode.SEQUENCE_GAP, "SEQ-4", detail));
    }
    this.#resultsReceived = through;
    const settlements = this.#outbox
      .settle(through)
      .map((entry) => settlementOf(entry, results[entry.seq - first] as SubmitOutcome));
    this.#pending.push({ kind: "settle", resultsThrough: through, settlements });
  }

  #replied(reply: ReplyPlain): void {
    const answer = this.#calls.replied(reply);
    if (answer === undefined) return;
    if ("requirement" in answer) this.#close(answer);
    else this.#pending.push({ kind: "answer", answer });
  }

  #tellTyping(typing: readonly Plain<TypingHint>[]): void {
    this.#tell(typing.map((value) => ({ kind: "typing", value })));
  }

  #tell(hints: readonly Hint[]): void {
    if (hints.length > 0) this.#pending.push({ kind: "hints", hints });
  }

  #audited(sentThrough: number): void {
    if (sentThrough <= this.#inbox.linkThrough) return;
    const detail = `deliveries through ${sentThrough} sent, ${this.#inbox.linkThrough} here`;
    this.#close(violation(ErrorCode.SEQUENCE_GAP, "SES-15", detail));
  }

  /**
   * Writes what may be written: an acknowledgement when due or when something goes up anyway, then
   * submits.
   */
  #flush(nowMs: number): void {
    this.#ask();
    for (const kind of this.#signals.take()) this.#writer.push("signal", { kind });
    const sending = this.#outbox.canSend(this.#window, this.#resultsThrough);
    const { acks } = this.#inbox;
    const riding = acks.waiting && (sending || !this.#writer.empty);
    if (riding || acks.due(this.#options.deliveryWindow, nowMs)) this.#pushAck();
    if (!sending) return;
    for (;;) {
      const submit = this.#outbox.take(this.#window, this.#resultsAcked);
      if (submit === undefined) return;
      this.#writer.push("submit", submit);
    }
  }

  #ask(): void {
    if (this.#calls.count === 0) return;
    const link = { calls: this.#callsMax, frameBytes: this.#frameBytesMax };
    for (const answer of this.#calls.unservable(link)) {
      this.#pending.push({ kind: "answer", answer });
    }
    for (;;) {
      const call = this.#calls.next(this.#callsMax);
      if (call === undefined) return;
      this.#writer.push("call", call);
    }
  }

  #pushAck(): void {
    this.#resultsAcked = this.#resultsThrough;
    const deliveredThrough = this.#inbox.acknowledge();
    this.#writer.push("ack", { deliveredThrough, resultsThrough: this.#resultsThrough });
  }

  #ping(nowMs: number): void {
    const id = this.#pinger.ping(nowMs);
    this.#writer.push("ping", { id, sentThrough: this.#outbox.sentThrough });
  }

  #claim(): DeviceClaim {
    const epoch = this.#outbox.epoch;
    const fresh = epoch === 0;
    const outbox = {
      epoch,
      resultsThrough: this.#resultsThrough,
      next: fresh ? 1 : this.#outbox.next,
    };
    return { outbox, cursor: this.#inbox.cursor };
  }

  #to(fact: ClientFact): void {
    this.#phase = after(CLIENT_TRANSITIONS, this.#phase, fact);
  }

  #refuse(fault: Violation | undefined): void {
    if (fault !== undefined) this.#close(fault);
  }

  #close(because: Violation): void {
    if (this.#phase === "detached") return;
    const detail = because.detail.slice(0, CLOSE_DETAIL_BYTES_MAX);
    const { code, requirement } = because;
    // Whoever has not answered a login is told nothing, not even good-bye. [ENV-36]
    const isUnanswered = this.#credential.login !== undefined;
    if (!isUnanswered) this.#writer.push("close", { code, detail, requirement });
    const bytes = this.#writer.take();
    this.unlinked();
    if (bytes.length > 0) this.#pending.push({ kind: "write", bytes });
    this.#pending.push({ kind: "close", because, by: "us" });
  }
}
