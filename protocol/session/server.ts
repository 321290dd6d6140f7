import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { FramePhase } from "../../gen/posthorn/v1/frame_rules.ts";
import type { SubmitPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import { Delimiter } from "../delimit.ts";
import { decodeFrame, type Frame, FrameWriter, isViolation } from "../frames.ts";
import { CALLS_MAX, CLOSE_DETAIL_BYTES_MAX, FRAME_BYTES_MAX_OPENING } from "../limits.ts";
import { assert, unreachable, type Violation, violation } from "../violation.ts";
import { type CallPlain, ReceivedCalls, type ReplyPlain } from "./calls.ts";
import type { Attachment, Durable, Receipt, TimelinePage } from "./facts.ts";
import type { FlowWindow } from "./flow.ts";
import { type AttachClaim, readHello } from "./hello.ts";
import { type Hint, HintQueue } from "./hint-queue.ts";
import { PassingTally } from "./passing-tally.ts";
import { after, SERVER_TRANSITIONS, type ServerFact, type ServerPhase } from "./phases.ts";
import { receiptParts } from "./receipt-parts.ts";
import { ReceivedSignals, type SignalPlain } from "./received-signals.ts";
import { resumeResult } from "./resume.ts";
import { SubmitQueue } from "./submit-queue.ts";
import { TimelineFeed, type TimelineRequest } from "./timeline-feed.ts";
import { grantTimers, LinkClock, type LinkTimers, type TimerLimits } from "./timers.ts";

/**
 * What a service grants and bounds; the same for all its sessions. Sizes in bytes, times in
 * milliseconds.
 */
export interface ServerSessionLimits {
  readonly frameBytes: number;
  readonly contentBytes: number;
  readonly submitWindow: FlowWindow;
  /** The most that a device's delivery window counts for. */
  readonly deliveryWindowMax: FlowWindow;
  readonly timers: TimerLimits;
  /** From the link's opening to Ready. [SES-1] */
  readonly handshakeMs: number;
  /** From a frame's first byte to its last. [LNK-6] */
  readonly frameMs: number;
  /** From Drain to Close when the link has aged. [SES-13] */
  readonly drainGraceMs: number;
}

export interface DrainNotice {
  readonly slotMs: number;
  readonly graceMs: number;
  readonly alternatives: readonly string[];
  /** Why the link closes after the grace. */
  readonly code: ErrorCode;
}

/** What Welcome is to say. */
export interface AttachGrant {
  readonly attachment: Durable<Attachment>;
  readonly userId: string;
  /** Where the device's registration is kept, durably; empty: nowhere. [ENV-56] */
  readonly loginAccount?: string;
  /** To the device's login proof. [ENV-36] */
  readonly loginAnswer?: Uint8Array | undefined;
}

/** What the driver has to do, in order. */
export type ServerEffect =
  /** Find out what Welcome is to say. */
  | { readonly kind: "prepare"; readonly claim: AttachClaim }
  /** The device is there and holds what Welcome said: put its attachment into force. */
  | { readonly kind: "attach" }
  | { readonly kind: "commit"; readonly submits: readonly SubmitPlain[] }
  /** Part of the timeline. */
  | ({ readonly kind: "load" } & TimelineRequest)
  | {
      readonly kind: "advance";
      readonly deliveredThrough: number;
      readonly resultsThrough: number;
    }
  /** Answer it once with `replied`. */
  | { readonly kind: "call"; readonly call: CallPlain }
  /** Tell those whom it concerns. [SIG-1] */
  | { readonly kind: "signal"; readonly signal: SignalPlain }
  | { readonly kind: "write"; readonly bytes: Uint8Array }
  | { readonly kind: "close"; readonly because: Violation };

/**
 * The service's half of a session on one link. Sans-I/O: give it facts, obey its effects. What
 * outlives the link is in the store and nowhere here. [SES] [SEQ] [RES]
 */
export class ServerSession {
  /** What became of signals and hints. */
  readonly passing = new PassingTally();
  readonly #limits: ServerSessionLimits;
  readonly #clock: LinkClock;
  readonly #delimiter = new Delimiter(FRAME_BYTES_MAX_OPENING);
  readonly #writer = new FrameWriter();
  readonly #submits: SubmitQueue;
  readonly #calls = new ReceivedCalls();
  readonly #signals: ReceivedSignals;
  readonly #hints: HintQueue;
  readonly #timeline = new TimelineFeed();
  #phase: ServerPhase = "opening";
  #timers: LinkTimers | undefined;
  #frameSinceMs = Number.POSITIVE_INFINITY;
  #closing: { readonly atMs: number; readonly code: ErrorCode } | undefined;
  #draining = false;
  #claim: AttachClaim | undefined;
  #attachWanted = false;
  #inForce = false;
  #hello: AttachClaim | undefined;
  #advanced = false;
  #paused = false;
  #end: Violation | undefined;

  constructor(limits: ServerSessionLimits, nowMs: number) {
    this.#limits = limits;
    this.#clock = new LinkClock(nowMs);
    this.#submits = new SubmitQueue(limits.submitWindow);
    this.#signals = new ReceivedSignals(nowMs, this.passing);
    this.#hints = new HintQueue(nowMs, this.passing);
  }

  /** Bytes from the link, cut anywhere. Never throws, whatever they are. */
  received(bytes: Uint8Array, nowMs: number): void {
    if (this.#phase === "closed") return;
    this.#clock.heardMs = nowMs;
    let ended = false;
    const fault = this.#delimiter.push(bytes, (from, at, end) => {
      ended = true;
      this.#frame(from, at, end, nowMs);
      return this.#phase !== "closed";
    });
    if (fault !== undefined) this.#close(this.#sizeFault(fault));
    const began = ended || this.#frameSinceMs === Number.POSITIVE_INFINITY;
    if (!this.#delimiter.unfinished) this.#frameSinceMs = Number.POSITIVE_INFINITY;
    else if (began) this.#frameSinceMs = nowMs;
  }

  /** The store knows where the device stands: what it would be attached as. */
  prepared(grant: AttachGrant, nowMs: number): void {
    if (this.#phase !== "preparing") return;
    const claim = this.#hello as AttachClaim;
    const { attachment, userId, loginAccount = "", loginAnswer } = grant;
    const { outbox, timeline } = attachment;
    const timers = grantTimers(claim.timers, this.#limits.timers);
    assert(timers !== "impossible", "timers were checked with Hello");
    const resume = resumeResult(claim.cursor, timeline);
    this.#timers = timers;
    this.#submits.attached({ through: outbox.through, resultsThrough: outbox.resultsThrough });
    this.#timeline.begin({
      head: timeline.head,
      cursor: resume.cursor,
      window: this.#bounded(claim.deliveryWindow),
      indexAbove: claim.indexAbove,
    });
    this.#to("prepared");
    this.#writer.push("welcome", {
      version: claim.version,
      sessionId: attachment.sessionId,
      generation: attachment.generation,
      outbox: { ...outbox },
      timeline,
      resume,
      timers,
      submitWindow: this.#limits.submitWindow,
      limits: welcomeLimits(this.#limits),
      userId,
      nowMs,
      loginAccount,
      ...(loginAnswer === undefined ? {} : { loginAnswer: { mac: loginAnswer } }),
    });
    this.#clock.saidMs = nowMs;
  }

  /** The attachment is in force, durably. [SES-6] */
  attached(): void {
    if (this.#phase !== "attaching") return;
    this.#to("attached");
    this.#inForce = true;
    // The timeline may have grown since Welcome, and nobody was woken for it.
    this.#timeline.look();
  }

  /** Authentication or the store refused to attach, or refused service later. */
  refused(because: Violation): void {
    this.#close(because);
  }

  /** Submits are durable: the only way to a SubmitAck. [SEQ-3] */
  committed(receipt: Durable<Receipt>, nowMs: number): void {
    this.#submits.committed(receipt.through);
    if (this.#phase !== "open") return;
    for (const part of receiptParts(receipt, this.#limits.frameBytes)) {
      this.#writer.push("submitAck", part);
    }
    this.#clock.saidMs = nowMs;
  }

  /** A page of the timeline; the answer to effect `load`. */
  loaded(page: TimelinePage, nowMs: number): void {
    this.#timeline.answered();
    if (this.#phase === "closed") return;
    const fault = this.#timeline.loaded(page, this.#writer);
    if (fault !== undefined) return this.#close(fault);
    this.#clock.saidMs = nowMs;
  }

  /** What a call came to; the answer to effect `call`. [RPC-5] */
  replied(reply: ReplyPlain, nowMs: number): void {
    if (this.#phase !== "open") return;
    const answer = this.#calls.answered(reply, this.#limits.frameBytes);
    if (answer === undefined) return;
    this.#writer.push("reply", answer);
    this.#clock.saidMs = nowMs;
  }

  /** What the device may want to know. Dropped while there is no room for it. [SIG-5] */
  hinted(hints: readonly Hint[], nowMs: number): void {
    if (this.#phase === "open") this.#hints.add(hints, nowMs);
  }

  /** The timeline may have grown. A hint: a lost one is made good by the next ping. */
  woken(head: number): void {
    this.#timeline.woken(head);
  }

  /** The link takes no more for now, or takes again. */
  paused(paused: boolean): void {
    this.#paused = paused;
    this.#hints.paused(paused);
  }

  /** The time of {@link deadlineMs} has come, or any other time. */
  elapsed(nowMs: number): void {
    if (this.#phase === "closed" || nowMs < this.deadlineMs()) return;
    this.#signals.elapsed(nowMs);
    this.#hints.elapsed(nowMs);
    const { heardMs, openedMs } = this.#clock;
    const timers = this.#timers;
    if (this.#closing !== undefined && nowMs >= this.#closing.atMs) {
      this.#close(violation(this.#closing.code, "", "drained"));
    } else if (nowMs >= this.#frameSinceMs + this.#limits.frameMs) {
      this.#close(violation(ErrorCode.TOO_SLOW, "LNK-6", "a frame was not finished in time"));
    } else if (this.#phase !== "open") {
      this.#close(violation(ErrorCode.TOO_SLOW, "SES-1", "the handshake was not finished in time"));
    } else if (timers !== undefined && nowMs >= heardMs + timers.idleMs) {
      this.#close(violation(ErrorCode.IDLE, "", `nothing heard for ${timers.idleMs} ms`));
    } else if (timers !== undefined && timers.ageMs > 0 && nowMs >= openedMs + timers.ageMs) {
      const graceMs = this.#limits.drainGraceMs;
      this.drain({ slotMs: 0, graceMs, alternatives: [], code: ErrorCode.AGED }, nowMs);
    }
  }

  /** The link died. The session did not: it goes on from the store. */
  unlinked(): void {
    if (this.#phase !== "closed") this.#to("ended");
    this.#writer.take();
  }

  /** Asks the device to move, and closes after the grace. [SES-13] */
  drain(notice: DrainNotice, nowMs: number): void {
    if (this.#phase === "closed" || this.#draining) return;
    const { slotMs, graceMs, alternatives, code } = notice;
    if (this.#phase !== "open") {
      this.#close(violation(code, "SES-13", "draining"));
      return;
    }
    this.#draining = true;
    this.#closing = { atMs: nowMs + graceMs, code };
    this.#writer.push("drain", { slotMs, graceMs, alternatives });
  }

  /** What to do now, in order; empties the list. */
  effects(): ServerEffect[] {
    const effects: ServerEffect[] = [];
    if (this.#phase === "preparing" && this.#claim !== undefined) {
      effects.push({ kind: "prepare", claim: this.#claim });
      this.#claim = undefined;
    }
    if (this.#attachWanted) {
      this.#attachWanted = false;
      effects.push({ kind: "attach" });
    }
    // What came behind Ready waits: before the attachment is in force it may have no effect. What
    // came before a Close has its effect all the same.
    const submits = this.#inForce ? this.#submits.take() : undefined;
    if (submits !== undefined) effects.push({ kind: "commit", submits });
    if (this.#advanced && this.#inForce) {
      this.#advanced = false;
      const { deliveredThrough } = this.#timeline;
      const resultsThrough = this.#submits.resultsThrough;
      effects.push({ kind: "advance", deliveredThrough, resultsThrough });
    }
    // Replies are larger than calls: a device that does not read is not answered. [RPC-2]
    if (this.#inForce && this.#phase === "open" && !this.#paused) {
      for (const call of this.#calls.take()) effects.push({ kind: "call", call });
    }
    if (this.#phase === "open") this.#flushSignals(effects);
    const load = this.#phase === "open" && !this.#paused ? this.#timeline.next() : undefined;
    if (load !== undefined) effects.push({ kind: "load", ...load });
    if (!this.#writer.empty) effects.push({ kind: "write", bytes: this.#writer.take() });
    if (this.#end !== undefined) {
      effects.push({ kind: "close", because: this.#end });
      this.#end = undefined;
    }
    return effects;
  }

  /**
   * When to call {@link elapsed}; Infinity when never. Moves later without notice: an early call is
   * harmless.
   */
  deadlineMs(): number {
    if (this.#phase === "closed") return Number.POSITIVE_INFINITY;
    const { heardMs, openedMs } = this.#clock;
    let deadline = this.#frameSinceMs + this.#limits.frameMs;
    if (this.#closing !== undefined) deadline = Math.min(deadline, this.#closing.atMs);
    const timers = this.#timers;
    if (this.#phase !== "open" || timers === undefined) {
      return Math.min(deadline, openedMs + this.#limits.handshakeMs);
    }
    deadline = Math.min(deadline, heardMs + timers.idleMs);
    deadline = Math.min(deadline, this.#signals.deadlineMs, this.#hints.deadlineMs);
    if (timers.ageMs === 0 || this.#draining) return deadline;
    return Math.min(deadline, openedMs + timers.ageMs);
  }

  #frame(from: Uint8Array, at: number, end: number, nowMs: number): void {
    const phase = framePhaseOf(this.#phase);
    const frame = decodeFrame(from, { at, end }, { sender: "client", phase });
    if (isViolation(frame)) {
      this.#close(frame);
    } else if (this.#phase === "preparing" && frame.kind !== "close") {
      const detail = `${frame.kind} before Welcome`;
      this.#close(violation(ErrorCode.FRAME_WRONG_PHASE, "SES-2", detail));
    } else {
      this.#obey(frame, nowMs);
    }
  }

  #obey(frame: Frame, nowMs: number): void {
    switch (frame.kind) {
      case "hello":
        return this.#helloed(readHello(frame.value));
      case "ready":
        this.#to("readied");
        this.#attachWanted = true;
        this.#delimiter.bytesMax = this.#limits.frameBytes;
        return;
      case "submit": {
        const fault = this.#submits.received(frame.value);
        return fault && this.#close(fault);
      }
      case "ack":
        return this.#acked(frame.value.deliveredThrough, frame.value.resultsThrough);
      case "ping":
        this.#writer.push("pong", { id: frame.value.id, sentThrough: this.#timeline.sentThrough });
        this.#clock.saidMs = nowMs;
        // A lost wake-up costs latency, never a message: each ping looks at the store. [SES-15]
        this.#timeline.look();
        return this.#audited(frame.value.sentThrough);
      case "pong":
        return this.#audited(frame.value.sentThrough);
      case "call": {
        const fault = this.#calls.received(frame.value);
        return fault && this.#close(fault);
      }
      case "signal":
        return this.#signals.received(frame.value, nowMs);
      case "credit":
        this.#timeline.window = this.#bounded(frame.value.window ?? { count: 0, bytes: 0 });
        return;
      case "close":
        // The other side's last frame: nothing is answered. [LNK-14]
        this.#to("ended");
        this.#end = violation(frame.value.code, "", "closed by the device");
        return;
      case "welcome":
      case "submitAck":
      case "deliver":
      case "drain":
      case "reply":
      case "hints":
      case "index":
        assert(false, "the frame rules let no device send this [FRM-7]");
        return;
      default:
        unreachable(frame);
    }
  }

  /** Hints leave behind everything else that there is to write, or not at all. [SIG-5] */
  #flushSignals(effects: ServerEffect[]): void {
    for (const signal of this.#signals.take()) effects.push({ kind: "signal", signal });
    const hints = this.#hints.take();
    if (hints !== undefined) this.#writer.push("hints", hints);
  }

  #helloed(claim: AttachClaim | Violation): void {
    if ("code" in claim) return this.#close(claim);
    if (grantTimers(claim.timers, this.#limits.timers) === "impossible") {
      const detail = "the asked-for timers cannot work together";
      return this.#close(violation(ErrorCode.TIMERS_IMPOSSIBLE, "SES-11", detail));
    }
    this.#to("helloed");
    this.#claim = claim;
    this.#hello = claim;
  }

  #acked(deliveredThrough: number, resultsThrough: number): void {
    const { sentThrough } = this.#timeline;
    if (deliveredThrough > sentThrough) {
      const detail = `deliveries through ${deliveredThrough} of ${sentThrough} sent`;
      return this.#close(violation(ErrorCode.ACK_BEYOND_SENT, "SEQ-9", detail));
    }
    const fault = this.#submits.acknowledged(resultsThrough);
    if (fault !== undefined) return this.#close(fault);
    this.#timeline.acknowledged(deliveredThrough);
    this.#advanced = true;
  }

  #audited(sentThrough: number): void {
    if (sentThrough <= this.#submits.receivedThrough) return;
    const detail = `submits through ${sentThrough} sent, ${this.#submits.receivedThrough} here`;
    this.#close(violation(ErrorCode.SEQUENCE_GAP, "SES-15", detail));
  }

  #bounded(window: FlowWindow): FlowWindow {
    const max = this.#limits.deliveryWindowMax;
    return {
      count: Math.min(window.count, max.count),
      bytes: Math.min(window.bytes, max.bytes),
    };
  }

  /** Before Ready the limit is another requirement's. [FRM-4] */
  #sizeFault(fault: Violation): Violation {
    const ready = this.#phase === "attaching" || this.#phase === "open";
    if (fault.code !== ErrorCode.FRAME_TOO_LARGE || ready) return fault;
    return { ...fault, requirement: "FRM-4" };
  }

  #to(fact: ServerFact): void {
    this.#phase = after(SERVER_TRANSITIONS, this.#phase, fact);
  }

  /** Says why and ends: Close is the last frame. [LNK-14] */
  #close(because: Violation): void {
    if (this.#phase === "closed") return;
    this.#to("ended");
    const { code, requirement } = because;
    const detail = because.detail.slice(0, CLOSE_DETAIL_BYTES_MAX);
    this.#writer.push("close", { code, detail, requirement });
    this.#end = because;
  }
}

function welcomeLimits({ frameBytes, contentBytes }: ServerSessionLimits) {
  return { frameBytes, contentBytes, calls: CALLS_MAX };
}

function framePhaseOf(phase: ServerPhase): FramePhase {
  if (phase === "preparing" || phase === "closed") return "opening";
  return phase === "attaching" ? "open" : phase;
}
