import type { FrameKind } from "../../gen/posthorn/v1/frame_rules.ts";
import type {
  AckPlain,
  DeliverPlain,
  SubmitAckPlain,
  SubmitPlain,
  SubmitResultPlain,
} from "../../gen/posthorn/v1/hot_codecs.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import type { Frame, FrameContents } from "../../protocol/frames.ts";
import type { WelcomePlain } from "../../protocol/session/client-effects.ts";
import type { TimelineBounds } from "../../protocol/session/facts.ts";
import type { ServerFact, ServerPhase } from "../../protocol/session/phases.ts";
import { indexBytes, readIndex } from "../../protocol/timeline-index.ts";
import { assert } from "../../protocol/violation.ts";
import type { MemoryDisk } from "../../server/store/memory.ts";
import { type DeviceRef, userRefOf } from "../../server/store/store.ts";
import { DELIVERY_WINDOW, type SimDevice } from "./device.ts";
import { frameIn } from "./frame-reader.ts";
import { SUBMIT_WINDOW } from "./node.ts";
import type { Direction, WireTap } from "./wire.ts";

/** What all links of a run together must not contradict. */
export class Ledger {
  /** The first result that was told of each submit, by device, epoch and number. [SEQ-4] */
  readonly #results = new Map<string, string>();

  result(submit: string, outcome: SubmitResultPlain): void {
    const { code, conversationSeq, committedMs, digest, retryAfterMs } = outcome;
    const text = `${code} ${conversationSeq} ${committedMs} ${digest} ${retryAfterMs}`;
    const known = this.#results.get(submit);
    assert(
      known === undefined || known === text,
      "a result is the same at every retry [SEQ-4] [LIM-3]",
    );
    if (known === undefined) this.#results.set(submit, text);
  }
}

export interface WireClaimsOptions {
  readonly device: SimDevice;
  readonly disk: MemoryDisk;
  readonly ledger: Ledger;
  /** A whole frame was written. */
  readonly wrote: (direction: Direction, frame: Frame) => void;
  /** A whole frame reached the other end. */
  readonly arrived: (direction: Direction, kind: FrameKind) => void;
  readonly moved: (from: ServerPhase, fact: ServerFact) => void;
}

/**
 * Watches one wire and judges each frame at the moment it is written, from outside of both
 * machines: against what is durable at both ends, and against what this wire has carried.
 */
export class WireClaims implements WireTap {
  readonly #options: WireClaimsOptions;
  readonly #ref: DeviceRef;
  readonly #cut = { up: new Delimiter(1 << 20), down: new Delimiter(1 << 20) };
  readonly #way = { up: new OnTheWay(), down: new OnTheWay() };
  #phase: ServerPhase = "opening";
  #hello: FrameContents["hello"] | undefined;
  #epoch = 0;
  #timelineEpoch = 0;
  #submitBytes: { readonly seq: number; readonly bytes: number }[] = [];
  #submittedThrough = 0;
  #ackedThrough = 0;
  #resultsAcked = 0;
  #deliverBytes: { readonly seq: number; readonly bytes: number }[] = [];
  #deliveredThrough = 0;
  #deliveriesAcked = 0;

  constructor(options: WireClaimsOptions) {
    this.#options = options;
    const { userId, name } = options.device;
    this.#ref = { user: userRefOf("", userId), deviceId: name };
  }

  wrote(direction: Direction, bytes: Uint8Array): void {
    const way = this.#way[direction];
    const start = way.written;
    this.#cut[direction].push(bytes, (from, at, end) => {
      const sender = direction === "up" ? "client" : "server";
      const frame = frameIn(from, { at, end }, sender);
      way.push(frame.kind, start + end);
      this.#judge(frame);
      this.#options.wrote(direction, frame);
      return true;
    });
    way.written = start + bytes.length;
  }

  arrived(direction: Direction, byteCount: number): void {
    for (const kind of this.#way[direction].arrived(byteCount)) {
      this.#options.arrived(direction, kind);
      if (direction === "down") continue;
      if (kind === "hello") this.#to("preparing", "helloed");
      if (kind === "ready") this.#to("attaching", "readied");
    }
  }

  /** The store put the attachment into force. */
  attached(): void {
    this.#to("open", "attached");
  }

  /** The link is gone at the node. */
  ended(): void {
    if (this.#phase !== "closed") this.#to("closed", "ended");
  }

  #judge(frame: Frame): void {
    switch (frame.kind) {
      case "hello":
        return this.#stated(frame.value);
      case "welcome":
        return this.#welcome(frame.value);
      case "ready":
        return this.#ready();
      case "submit":
        return this.#submit(frame.value);
      case "submitAck":
        return this.#submitAck(frame.value);
      case "deliver":
        return this.#deliver(frame.value);
      case "index":
        return this.#index(frame.value);
      case "ack":
        return this.#ack(frame.value);
      default:
        return;
    }
  }

  #stated(hello: FrameContents["hello"]): void {
    const { journal } = this.#options.device;
    const { epoch, resultsThrough } = hello.outbox as Required<typeof hello>["outbox"] & object;
    const isHeld = epoch !== journal.outboxEpoch || resultsThrough <= journal.resultsThrough;
    assert(isHeld, "Hello claims only results that are durable at the device [SEQ-8]");
    this.#hello = hello;
  }

  #welcome({ outbox, timeline, resume }: WelcomePlain): void {
    const { disk } = this.#options;
    assert(outbox !== undefined && timeline !== undefined && resume !== undefined, "all parts");
    this.#to("joining", "prepared");
    this.#epoch = outbox.epoch;
    this.#timelineEpoch = timeline.epoch;
    this.#ackedThrough = outbox.through;
    this.#resultsAcked = outbox.resultsThrough;
    this.#deliveredThrough = resume.cursor;
    this.#deliveriesAcked = resume.cursor;
    const isDurable = disk.bounds(this.#ref.user) !== undefined;
    assert(isDurable, "a timeline is durable before Welcome names its epoch [SES-7]");
    const { cursor } = this.#hello as Required<FrameContents["hello"]>;
    assert(isTrue(resume, cursor, timeline), "the resume result tells the truth [RES-1]");
    outbox.results.forEach((result, index) => {
      this.#result(outbox.resultsThrough + 1 + index, result);
    });
  }

  #ready(): void {
    const { outboxEpoch, resultsThrough, cursor } = this.#options.device.journal;
    const isHeld =
      outboxEpoch === this.#epoch &&
      cursor.epoch === this.#timelineEpoch &&
      resultsThrough >= this.#ackedThrough;
    assert(isHeld, "what Welcome said is durable before Ready [SES-7]");
  }

  #submit({ seq, operation }: SubmitPlain): void {
    const { pending } = this.#options.device.journal;
    assert(
      pending.some((kept) => kept.seq === seq),
      "a submit is in the journal before it is sent, and until its result is [SEQ-7]",
    );
    const isNext = this.#submittedThrough === 0 || seq === this.#submittedThrough + 1;
    assert(isNext, "submits go up in order [SEQ-1]");
    const within = seq <= this.#resultsAcked + SUBMIT_WINDOW.count;
    assert(within, "no more submits than the window counts [SEQ-8]");
    this.#submittedThrough = seq;
    this.#submitBytes.push({ seq, bytes: operation.length });
    const outstanding = this.#submitBytes.filter((sent) => sent.seq > this.#ackedThrough);
    this.#submitBytes = outstanding;
    const bytes = outstanding.reduce((sum, sent) => sum + sent.bytes, 0);
    const fits = bytes <= SUBMIT_WINDOW.bytes || outstanding.length === 1;
    assert(fits, "no more bytes of submits than the window [SEQ-8]");
  }

  #submitAck({ through, results }: SubmitAckPlain): void {
    const record = this.#options.disk.device(this.#ref);
    const isSame = record !== undefined && record.outboxEpoch === this.#epoch;
    assert(!isSame || through <= record.through, "only what is durable is acknowledged [SEQ-3]");
    assert(through >= this.#ackedThrough, "acknowledgements never go back [SEQ-9]");
    this.#ackedThrough = through;
    results.forEach((result, index) => {
      this.#result(through - results.length + 1 + index, result);
    });
  }

  #deliver({ seq, event }: DeliverPlain): void {
    this.#sent({ firstSeq: seq, seq, bytes: event.length });
  }

  #index(index: FrameContents["index"]): void {
    const above = this.#hello?.catchUp?.indexAbove;
    assert(above !== undefined, "only who asks is sent an index [CAT-1]");
    const head = this.#options.disk.bounds(this.#ref.user)?.head ?? 0;
    const isSame = this.#options.disk.bounds(this.#ref.user)?.epoch === this.#timelineEpoch;
    assert(!isSame || head - index.firstSeq + 1 > above, "only above what it asks for [CAT-1]");
    assert(!("code" in readIndex(index)), "an index keeps its form [CAT-6]");
    this.#sent({ ...index, bytes: indexBytes(index) });
  }

  #sent({
    firstSeq,
    seq,
    bytes: size,
  }: {
    readonly firstSeq: number;
    readonly seq: number;
    readonly bytes: number;
  }): void {
    assert(firstSeq === this.#deliveredThrough + 1, "deliveries are contiguous [SEQ-10] [CAT-7]");
    const bounds = this.#options.disk.bounds(this.#ref.user);
    const isDurable = bounds?.epoch !== this.#timelineEpoch || seq <= bounds.head;
    assert(isDurable, "only what is durable is delivered [SEQ-3]");
    this.#deliveredThrough = seq;
    this.#deliverBytes = this.#deliverBytes.filter((sent) => sent.seq > this.#deliveriesAcked);
    this.#deliverBytes.push({ seq, bytes: size });
    const { length } = this.#deliverBytes;
    assert(length <= DELIVERY_WINDOW.count, "no more deliveries than the window counts [SEQ-13]");
    const bytes = this.#deliverBytes.reduce((sum, sent) => sum + sent.bytes, 0);
    const fits = bytes <= DELIVERY_WINDOW.bytes || length === 1;
    assert(fits, "no more bytes of deliveries than the window [SEQ-13]");
  }

  #ack({ deliveredThrough, resultsThrough }: AckPlain): void {
    const { journal } = this.#options.device;
    const { epoch, seq } = journal.cursor;
    const isHandled = epoch !== this.#timelineEpoch || deliveredThrough <= seq;
    assert(isHandled, "only what was handled durably is acknowledged [SEQ-11]");
    assert(deliveredThrough <= this.#deliveredThrough, "no delivery above what was sent [SEQ-9]");
    assert(deliveredThrough >= this.#deliveriesAcked, "acknowledgements never go back [SEQ-9]");
    const isHeld = journal.outboxEpoch !== this.#epoch || resultsThrough <= journal.resultsThrough;
    assert(isHeld, "only results that are durable here are acknowledged [SEQ-8]");
    assert(resultsThrough <= this.#ackedThrough, "no result above what was sent [SEQ-9]");
    this.#deliveriesAcked = deliveredThrough;
    this.#resultsAcked = Math.max(this.#resultsAcked, resultsThrough);
  }

  #result(seq: number, outcome: SubmitResultPlain): void {
    const { device, ledger } = this.#options;
    ledger.result(`${device.name} ${this.#epoch} ${seq}`, outcome);
  }

  #to(phase: ServerPhase, fact: ServerFact): void {
    if (this.#phase === "closed") return;
    this.#options.moved(this.#phase, fact);
    this.#phase = phase;
  }
}

/** The resume result that chapter 5.4 asks for, written down a second time. [RES-1] to [RES-8] */
function isTrue(
  resume: Required<WelcomePlain>["resume"],
  cursor: Required<FrameContents["hello"]>["cursor"],
  bounds: TimelineBounds,
): boolean {
  const { epoch, seq } = cursor as { epoch: number; seq: number };
  const { outcome } = resume as { outcome: { case?: string; value?: Record<string, unknown> } };
  const { floor, head } = bounds;
  if (epoch !== 0 && epoch !== bounds.epoch) {
    const isSaid = outcome.case === "epochChanged" && outcome.value?.oldEpoch === epoch;
    return isSaid && resume?.cursor === floor - 1;
  }
  if (epoch !== 0 && seq < floor - 1) {
    const isSaid = outcome.value?.from === seq + 1 && outcome.value.to === floor - 1;
    return outcome.case === "lost" && isSaid && resume?.cursor === floor - 1;
  }
  const from = epoch === 0 ? floor - 1 : seq;
  if (resume?.cursor !== from) return false;
  if (from === head) return outcome.case === "resumed";
  return outcome.case === "replaying" && outcome.value?.count === head - from;
}

/** Frames between their writing and their arrival. */
class OnTheWay {
  written = 0;
  #arrived = 0;
  readonly #frames: { readonly kind: FrameKind; readonly end: number }[] = [];

  push(kind: FrameKind, end: number): void {
    this.#frames.push({ kind, end });
  }

  /** The kinds that have arrived whole with these bytes. */
  arrived(byteCount: number): FrameKind[] {
    this.#arrived += byteCount;
    const kinds: FrameKind[] = [];
    while (this.#frames[0] !== undefined && this.#frames[0].end <= this.#arrived) {
      kinds.push((this.#frames.shift() as { kind: FrameKind }).kind);
    }
    return kinds;
  }
}
