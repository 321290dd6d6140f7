import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Event, EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { DeliverPlain, SubmitResultPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { crc32 } from "../../protocol/crc32.ts";
import { encodeFrame, type Frame, type FrameContents } from "../../protocol/frames.ts";
import type { LinkKind } from "../../protocol/link.ts";
import { assert } from "../../protocol/violation.ts";
import { codeText } from "../sim/frame-text.ts";
import type { Doors } from "./doors.ts";
import {
  type Correspondents,
  Expected,
  type ExpectedDevice,
  type ExpectedEvent,
  textOf,
  type Wish,
} from "./expected.ts";
import { LIMITS } from "./limits.ts";
import { openLink, type RawLink } from "./raw-link.ts";
import type { Leaving } from "./wire.ts";

/** How often an attach may be overtaken by what an older link of the device still commits. */
const ATTACHES_MAX = 10;
const DELIVERY_WINDOW = { count: 8, bytes: 64 * 1024 };

interface Submitted {
  readonly seq: number;
  readonly operation: Uint8Array;
}

/** How far one link is. */
interface Attached {
  readonly link: RawLink;
  isOpen: boolean;
  sentThrough: number;
  resultsAcked: number;
  deliveriesAcked: number;
  pongs: number;
}

/**
 * A device written a second time, as plainly as chapter 5 reads. It believes nothing: each frame is
 * held against what must come of what was submitted.
 */
export class ModelDevice {
  readonly expected: Expected;
  readonly results: SubmitResultPlain[] = [];
  readonly #doors: Doors;
  readonly #who: Correspondents;
  readonly #timeline: readonly (ExpectedEvent | ExpectedDevice)[];
  #epoch = 0;
  #unsettled: Submitted[] = [];
  #submitted: Submitted[] = [];
  #cursor = { epoch: 0, seq: 0 };
  #attached: Attached | undefined;
  #pings = 0;
  /** Whether it acknowledges by itself. */
  #isPrompt = false;

  /** @param timeline what the user's holds, where other devices fill it */
  constructor(
    doors: Doors,
    who: Correspondents,
    timeline?: readonly (ExpectedEvent | ExpectedDevice)[],
  ) {
    this.#doors = doors;
    this.#who = who;
    this.expected = new Expected(who, LIMITS.contentBytes);
    this.#timeline = timeline ?? this.expected.events;
  }

  get isAttached(): boolean {
    return this.#attached !== undefined;
  }

  get link(): RawLink | undefined {
    return this.#attached?.link;
  }

  get cursor(): number {
    return this.#cursor.seq;
  }

  /** Attaches over a new link, and sends again what has no result. An older link is given up. */
  async attach(kind: LinkKind): Promise<void> {
    for (let tried = 0; tried < ATTACHES_MAX; tried += 1) {
      const link = await this.hello(kind);
      const attached = this.#attached as Attached;
      const isSettled = () => link.log.close !== undefined || attached.pongs > 0 || link.isOver;
      await link.changes.until(() => attached.isOpen || isSettled(), "Welcome");
      if (attached.isOpen) this.#ping();
      await link.changes.until(isSettled, "the attach");
      if (attached.pongs > 0) return;
      const code = link.log.close?.code ?? ErrorCode.LINK_LOST;
      assert(code === ErrorCode.ATTACH_OVERTAKEN, `the attach ended with ${codeText(code)}`);
    }
    assert(false, `overtaken ${ATTACHES_MAX} times [SES-18]`);
  }

  /** Opens a link, which is the device's from now on, and sends Hello; Ready follows Welcome. */
  async hello(kind: LinkKind): Promise<RawLink> {
    const link = await openLink(this.#doors, kind);
    const resultsAcked = this.results.length;
    const { seq: deliveriesAcked } = this.#cursor;
    const positions = { sentThrough: resultsAcked, resultsAcked, deliveriesAcked };
    const attached = { link, isOpen: false, pongs: 0, ...positions };
    this.#attached = attached;
    link.log.listener = (frame) => {
      if (this.#attached === attached) this.#took(frame, attached);
    };
    link.send(encodeFrame({ kind: "hello", value: this.#claim() }));
    return link;
  }

  submit(wish: Wish): void {
    const operation = this.#operation(wish);
    this.expected.submitted(wish);
    const submitted = { seq: this.expected.results.length, operation };
    this.#submitted.push(submitted);
    this.#unsettled.push(submitted);
    this.#pump();
  }

  /** Sends one that has no result again, as a device never needs to on one link. [SEQ-4] */
  repeat(which: number): boolean {
    const sent = this.#unsettled.filter(({ seq }) => seq <= (this.#attached?.sentThrough ?? 0));
    const submit = sent[which % Math.max(1, sent.length)];
    // Beyond this the window would count the repeats too.
    const isFew = sent.length * 2 <= LIMITS.submitWindowCount;
    if (submit === undefined || !isFew || !this.#attached?.isOpen) return false;
    this.#attached.link.send(encodeFrame({ kind: "submit", value: submit }));
    return true;
  }

  ack(): boolean {
    const attached = this.#attached;
    if (attached === undefined || !attached.isOpen) return false;
    attached.resultsAcked = this.results.length;
    attached.deliveriesAcked = this.#cursor.seq;
    const value = { deliveredThrough: this.#cursor.seq, resultsThrough: this.results.length };
    attached.link.send(encodeFrame({ kind: "ack", value }));
    this.#pump();
    return true;
  }

  /** Asks whether the service is there, and waits for the answer. */
  async ping(): Promise<boolean> {
    if (this.#attached?.isOpen !== true) return false;
    await this.#goesOn(() => {
      const { pongs } = this.#attached as Attached;
      this.#ping();
      return () => (this.#attached as Attached).pongs > pongs;
    }, "Pong");
    return true;
  }

  /** The link breaks; after some bytes of a repeat of what has no result, where there is one. */
  leave(leaving: Leaving, at?: number): RawLink | undefined {
    const attached = this.#attached;
    if (attached === undefined) return undefined;
    this.#attached = undefined;
    const submit = this.#unsettled[0];
    if (at === undefined || submit === undefined || !attached.isOpen) attached.link.leave(leaving);
    else attached.link.breakOff(encodeFrame({ kind: "submit", value: submit }), at, leaving);
    return attached.link;
  }

  /** Ends the link in words. */
  async goodbye(): Promise<boolean> {
    const attached = this.#attached;
    if (attached === undefined) return false;
    this.#attached = undefined;
    const value = { code: ErrorCode.GOODBYE, detail: "", requirement: "" };
    const { link } = attached;
    link.send(encodeFrame({ kind: "close", value }));
    await link.changes.until(() => link.isOver, "the end of the link after Close");
    // A Pong comes before the attachment is in force: the two may say Close at once. [SES-18]
    const code = link.log.close?.code ?? ErrorCode.ATTACH_OVERTAKEN;
    const isSilent = code === ErrorCode.ATTACH_OVERTAKEN;
    assert(isSilent, `Close is answered with nothing, not with ${codeText(code)} [LNK-14]`);
    return true;
  }

  /** Waits until everything has its result and has been delivered, then acknowledges it. */
  async settle(): Promise<void> {
    this.#isPrompt = true;
    const { length } = this.#timeline;
    await this.#goesOn(() => {
      this.ack();
      return () => this.#unsettled.length === 0 && this.#cursor.seq === length;
    }, "all results and deliveries");
    this.ack();
    this.#isPrompt = false;
    await this.ping();
  }

  /**
   * Waits for something on the device's link, which must not end. It may be overtaken: what comes
   * from a service that has not put the attachment into force yet does not tell. [SES-18]
   */
  async #goesOn(begin: () => () => boolean, what: string): Promise<void> {
    for (;;) {
      const holds = begin();
      const { link } = this.#attached as Attached;
      const isOvertaken = () => link.log.close?.code === ErrorCode.ATTACH_OVERTAKEN;
      const isOver = () => link.log.close !== undefined || link.isOver;
      await link.changes.until(() => holds() || isOver(), what);
      if (holds()) return;
      const why = codeText(link.log.close?.code ?? ErrorCode.LINK_LOST);
      assert(isOvertaken(), `a well-behaved session is ended: ${why}`);
      await this.attach(link.kind);
    }
  }

  #claim(): FrameContents["hello"] {
    const next = this.#epoch === 0 ? 1 : this.#submitted.length + 1;
    return {
      versionMin: 1,
      versionMax: 1,
      token: "",
      userId: this.#who.userId,
      deviceId: this.#who.deviceId,
      outbox: { epoch: this.#epoch, resultsThrough: this.results.length, next },
      cursor: { ...this.#cursor, start: 1 },
      deliveryWindow: DELIVERY_WINDOW,
      agent: "fuzz",
    };
  }

  #operation(wish: Wish): Uint8Array {
    if (wish.to === "nonsense") return wish.bytes;
    const { userId, peerId } = this.#who;
    const toUserId = { self: userId, peer: peerId, nobody: `${userId}-nobody` }[wish.to];
    const content = { kind: { case: "text" as const, value: textOf(wish.said) } };
    const kind = { case: "sendDirect" as const, value: { toUserId, content } };
    return toBinary(OperationSchema, create(OperationSchema, { kind }));
  }

  #ping(): void {
    const { link, sentThrough } = this.#attached as Attached;
    this.#pings += 1;
    link.send(encodeFrame({ kind: "ping", value: { id: this.#pings, sentThrough } }));
  }

  #took(frame: Frame, attached: Attached): void {
    switch (frame.kind) {
      case "welcome":
        return this.#welcomed(frame.value, attached);
      case "submitAck":
        return this.#acked(frame.value, attached);
      case "deliver":
        return this.#delivered(frame.value, attached);
      case "pong":
        assert(frame.value.id === this.#pings, "a Pong of the last Ping [SES-9]");
        assert(frame.value.sentThrough <= this.#cursor.seq, "deliveries come in order [SES-15]");
        attached.pongs += 1;
        return;
      case "close":
        return;
      default:
        assert(false, `${frame.kind} from a service that was not asked to`);
    }
  }

  #welcomed(welcome: FrameContents["welcome"], attached: Attached): void {
    const { outbox, timeline, resume } = welcome;
    assert(outbox !== undefined && timeline !== undefined && resume !== undefined, "all parts");
    const isNew = this.#epoch === 0;
    assert(outbox.epoch > 0 && (isNew || outbox.epoch === this.#epoch), "a granted epoch [RES-9]");
    assert(outbox.resultsThrough === this.results.length, "the service keeps what is not held");
    const count = outbox.through - outbox.resultsThrough;
    assert(count === outbox.results.length, "a result of each [SEQ-4]");
    this.#epoch = outbox.epoch;
    this.#settled(outbox.through, outbox.results);
    const { epoch, seq } = this.#cursor;
    assert(epoch === 0 || epoch === timeline.epoch, "the timeline goes on");
    assert(resume.cursor === seq, "resumed where the device is [RES-3]");
    const left = timeline.head - seq;
    assert(timeline.head <= this.#timeline.length, "nothing that was not sent");
    const { outcome } = resume;
    const isTrue =
      outcome.case === "replaying" ? left > 0 && outcome.value.count === left : left === 0;
    assert(isTrue && outcome.case !== "lost", `the resume result tells the truth [RES-1]`);
    this.#cursor = { epoch: timeline.epoch, seq };
    attached.isOpen = true;
    attached.sentThrough = outbox.through;
    attached.link.send(encodeFrame({ kind: "ready", value: {} }));
    this.#pump();
  }

  #acked({ through, results }: FrameContents["submitAck"], attached: Attached): void {
    assert(through <= attached.sentThrough, "nothing above what was sent [SEQ-9]");
    assert(through - results.length <= this.results.length, "no result is left out [SEQ-4]");
    this.#settled(through, results);
    this.#promptly(attached);
  }

  /** Results of submits up to a number, the last ones; some may have come before. */
  #settled(through: number, results: readonly SubmitResultPlain[]): void {
    results.forEach((result, index) => {
      const seq = through - results.length + 1 + index;
      const submit = this.#submitted[seq - 1];
      const expected = this.expected.results[seq - 1];
      assert(submit !== undefined && expected !== undefined, `result ${seq} of nothing [SEQ-4]`);
      const text = `submit ${seq}: ${codeText(result.code)}, must be ${codeText(expected.code)}`;
      assert(result.code === expected.code, text);
      assert(result.conversationSeq === expected.conversationSeq, `submit ${seq}: its number`);
      assert(result.digest === crc32(submit.operation), `submit ${seq}: its digest [RES-12]`);
      const known = this.results[seq - 1];
      assert(known === undefined || known.committedMs === result.committedMs, "the same [SEQ-4]");
      if (known === undefined) this.results.push(result);
      assert(this.results.length >= seq, "results without a gap [SEQ-4]");
    });
    this.#unsettled = this.#unsettled.filter(({ seq }) => seq > this.results.length);
  }

  #delivered({ seq, conversationSeq, event }: DeliverPlain, attached: Attached): void {
    assert(seq === this.#cursor.seq + 1, `delivery ${seq} after ${this.#cursor.seq} [SEQ-10]`);
    const outstanding = seq - attached.deliveriesAcked;
    assert(outstanding <= DELIVERY_WINDOW.count, "no more than the window [SEQ-13]");
    const { kind } = fromBinary(EventSchema, event);
    const is = delivered(kind, conversationSeq);
    const must = this.#timeline[seq - 1];
    assert(
      must !== undefined && JSON.stringify(is) === JSON.stringify(must),
      `delivery ${seq} is ${JSON.stringify(is)}, must be ${JSON.stringify(must)} [SEQ-14]`,
    );
    this.#cursor = { ...this.#cursor, seq };
    this.#promptly(attached);
  }

  /** Acknowledges at half a window, as a device must. [SEQ-12] */
  #promptly({ deliveriesAcked, resultsAcked }: Attached): void {
    if (!this.#isPrompt) return;
    const deliveries = this.#cursor.seq - deliveriesAcked;
    const results = this.results.length - resultsAcked;
    const isHalf = 2 * deliveries >= DELIVERY_WINDOW.count;
    if (isHalf || 2 * results >= LIMITS.submitWindowCount) this.ack();
  }

  /** Sends what the window allows. [SEQ-8] */
  #pump(): void {
    const attached = this.#attached;
    if (attached === undefined || !attached.isOpen) return;
    const countMax = attached.resultsAcked + LIMITS.submitWindowCount;
    let bytes = 0;
    for (const { seq, operation } of this.#unsettled) {
      bytes += operation.length;
      if (seq > countMax || bytes > LIMITS.submitWindowBytes) return;
      if (seq <= attached.sentThrough) continue;
      attached.link.send(encodeFrame({ kind: "submit", value: { seq, operation } }));
      attached.sentThrough = seq;
    }
  }
}

function delivered(kind: Event["kind"], conversationSeq: number): object {
  if (kind.case === "deviceChanged") return { addedDeviceId: kind.value.deviceId };
  assert(kind.case === "message", "a message");
  const { conversationId, senderUserId, senderDeviceId, content } = kind.value;
  const text = content?.kind.case === "text" ? content.kind.value : undefined;
  return { conversationId, conversationSeq, senderUserId, senderDeviceId, text };
}
