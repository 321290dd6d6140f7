import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { SteadyClock } from "../../client/steady-clock.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { directConversationId } from "../../protocol/conversation-id.ts";
import { ClientSession, type ClientSessionOptions } from "../../protocol/session/client.ts";
import type { ClientEffect, DeviceState } from "../../protocol/session/client-effects.ts";
import { UNHANDLED_WINDOWS } from "../../protocol/session/delivery-inbox.ts";
import type { ClientFact, ClientPhase } from "../../protocol/session/phases.ts";
import type { TimelineCursor } from "../../protocol/session/resume.ts";
import type { Settlement } from "../../protocol/session/settlement.ts";
import type { TimelineIndex } from "../../protocol/timeline-index.ts";
import { assert } from "../../protocol/violation.ts";
import type { Wire } from "./wire.ts";

export const DELIVERY_WINDOW = { count: 5, bytes: 600 };
export const NO_STATE: DeviceState = {
  outboxEpoch: 0,
  resultsThrough: 0,
  next: 1,
  pending: [],
  cursor: { epoch: 0, seq: 0 },
};

/** Content that looks like control data means nothing to anybody (P13). */
const FILLINGS = [
  "x".repeat(120),
  '{"cursor":{"epoch":9,"seq":9007199254740991},"outbox":{"through":99},"kind":"close"}'.repeat(2),
  "\u0002\b\u0001:\u0004\b\u0001\u0010c\u0003R\u0001\u0000\u00ff\u00ff".repeat(8),
];

/** What a message's one result was: its code, 0 for accepted, or that nobody can know. */
export type Told = ErrorCode | "rolled-back";

/** A device's storage as it once was: journal and application together. */
export interface Snapshot {
  readonly journal: DeviceState;
  readonly told: ReadonlyMap<string, Told>;
}

export interface SimIdentity {
  readonly name: string;
  readonly userId: string;
  /** Absent: the device takes no index. */
  readonly indexAbove?: number;
}

export interface DeviceWorld {
  nowMs(): number;
  /** What is told by numbers is handled, before the cursor moves. [CAT-2] */
  indexed(device: SimDevice, index: TimelineIndex): void;
  /** A message of the timeline is handled, before the cursor moves over it. */
  handled(device: SimDevice, entry: { readonly seq: number; readonly text: string }): void;
  /** The session went from one phase to another. */
  moved(from: ClientPhase, fact: ClientFact): void;
  /** The session ended the link, or heard that it is ended. */
  closed(device: SimDevice, end: { readonly code: ErrorCode; readonly by: "us" | "peer" }): void;
  drainAsked(device: SimDevice): void;
}

/** What the application was handed, and where the cursor is when it has handled it. */
interface Handed {
  readonly seq: number;
  readonly what: { readonly event: Uint8Array } | { readonly index: TimelineIndex };
  readonly cursorSeq: number;
  /** Of a frame; the last of its parts stands for it in the window. */
  readonly isLast: boolean;
}

/**
 * One device: the real session machine over a journal that takes its time and an application that
 * lags behind. What the application did and the cursor are one write, as a transaction of its own
 * would make them: in a crash both are there or neither.
 */
export class SimDevice {
  readonly name: string;
  readonly userId: string;
  readonly #indexAbove: number | undefined;
  /** How far this device's wall clock is off. */
  skewMs = 0;
  wire: Wire | undefined;
  journal: DeviceState = NO_STATE;
  /** Up to where the application has handled the timeline, durably or not yet. */
  handledCursor = NO_STATE.cursor;
  told = new Map<string, Told>();
  /** The journal's disk is busy: only a command of its own writes. */
  isJournalStalled = false;
  /** Submitted, and no result told yet. */
  open = new Set<string>();
  /** Storage was once replaced by an older one: some results nobody can know. [RES-12] */
  wasRestored = false;
  readonly #world: DeviceWorld;
  readonly #clock: SteadyClock;
  #session: ClientSession;
  #phase: ClientPhase = "detached";
  #journalWork: (() => void)[] = [];
  #unhandled: Handed[] = [];
  #epoch = 0;
  #count = 0;

  constructor(identity: SimIdentity, world: DeviceWorld) {
    this.name = identity.name;
    this.#indexAbove = identity.indexAbove;
    this.userId = identity.userId;
    this.#world = world;
    this.#clock = new SteadyClock({
      wallMs: () => world.nowMs() + this.skewMs,
      monotonicMs: () => world.nowMs(),
    });
    this.#session = this.#newSession();
  }

  get attached(): boolean {
    return this.#session.open;
  }

  get quiet(): boolean {
    const idle = this.#journalWork.length === 0 && this.#unhandled.length === 0;
    return this.attached && idle && this.#session.unsettled.length === 0;
  }

  get #nowMs(): number {
    return this.#clock.nowMs();
  }

  submit(toUserId: string): void {
    this.#count += 1;
    const filling = FILLINGS[this.#count % FILLINGS.length] as string;
    const text = `${this.name}.${this.#count}.${filling.slice(0, (this.#count * 37) % 120)}`;
    this.open.add(text);
    const content = { kind: { case: "text" as const, value: text } };
    const conversationId = directConversationId(this.userId, toUserId);
    // One in three calls: an index tells those whole. [CAT-4]
    const calls = { conversationId, content, mentions: { userIds: [toUserId, this.userId] } };
    const operation = create(OperationSchema, {
      kind:
        this.#count % 3 === 0 && toUserId !== this.userId
          ? { case: "sendMessage", value: calls }
          : { case: "sendDirect", value: { toUserId, content } },
    });
    this.#session.submit(toBinary(OperationSchema, operation));
    this.pump();
  }

  linked(wire: Wire): void {
    this.wire = wire;
    this.#session.linked({ token: "" }, this.#nowMs);
    this.#to("opening", "linked");
    this.pump();
  }

  received(bytes: Uint8Array): void {
    this.#session.received(bytes, this.#nowMs);
    this.pump();
  }

  /** The link is gone, whoever ended it. */
  unlinked(): void {
    this.wire = undefined;
    this.#session.unlinked();
    if (this.#phase !== "detached") this.#to("detached", "ended");
    this.pump();
  }

  /** The next journal writes become durable, in order. */
  writeJournal(count: number): boolean {
    const work = this.#journalWork.splice(0, count);
    for (const write of work) write();
    this.pump();
    return work.length > 0;
  }

  /** The application handles what it was handed, in order. */
  handle(count: number): boolean {
    const handled = this.#unhandled.splice(0, count);
    const last = handled.at(-1);
    if (last === undefined) return false;
    for (const { seq, what, cursorSeq } of handled) {
      if ("index" in what) this.#world.indexed(this, what.index);
      else this.#world.handled(this, { seq, text: textOf(what.event) });
      assert(
        cursorSeq >= this.handledCursor.seq,
        "what was handled stays handled [CAT-7] [CAT-10]",
      );
      this.handledCursor = { epoch: this.#epoch, seq: cursorSeq };
    }
    const cursor = this.handledCursor;
    this.#session.handled(cursor);
    this.#journalWork.push(() => this.#advance(cursor));
    this.pump();
    return true;
  }

  elapsed(): void {
    this.#session.elapsed(this.#nowMs);
    this.pump();
  }

  /** Pings now, and acknowledges what it holds with it. */
  probe(): void {
    this.#session.probe(this.#nowMs);
    this.pump();
  }

  drain(): void {
    this.#session.close(ErrorCode.GOODBYE);
    this.pump();
  }

  snapshot(): Snapshot {
    return { journal: this.journal, told: new Map(this.told) };
  }

  /** Everything in memory is gone; storage is what it was, or is now or was once. */
  restart(from: Snapshot = { journal: this.journal, told: this.told }): void {
    this.unlinked();
    this.wasRestored ||= from.journal !== this.journal;
    this.journal = from.journal;
    this.told = new Map(from.told);
    this.open = new Set(from.journal.pending.map(({ operation }) => textIn(operation)));
    this.#journalWork = [];
    this.#unhandled = [];
    this.handledCursor = this.journal.cursor;
    this.#session = this.#newSession();
  }

  pump(): void {
    for (const effect of this.#session.effects(this.#nowMs)) this.#obey(effect);
  }

  #newSession(): ClientSession {
    const options: ClientSessionOptions = {
      deviceId: this.name,
      userId: this.userId,
      agent: "",
      start: "earliest",
      deliveryWindow: DELIVERY_WINDOW,
      indexAbove: this.#indexAbove,
      timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
      handshakeMs: 2_000,
    };
    return new ClientSession(options, this.journal);
  }

  #obey(effect: ClientEffect): void {
    switch (effect.kind) {
      case "append": {
        const { seq, operation } = effect.entry;
        this.#journalWork.push(() => this.#append({ seq, operation }));
        return;
      }
      case "install":
        this.#to("installing", "welcomed");
        this.#epoch = effect.state.cursor.epoch;
        if (effect.cursorMoved) this.#forget(effect.state.cursor);
        this.#journalWork.push(() => this.#install(effect));
        return;
      case "opened":
        this.#to("open", "installed");
        return;
      case "deliver":
        return this.#hand(
          effect.deliveries.map(({ seq, event }) => {
            return { seq, what: { event }, cursorSeq: seq, isLast: true };
          }),
        );
      case "index":
        return this.#hand(partsOf(effect.index));
      case "settle":
        this.#journalWork.push(() => {
          const { resultsThrough, settlements } = effect;
          const pending = this.journal.pending.filter(({ seq }) => seq > resultsThrough);
          this.journal = { ...this.journal, resultsThrough, pending };
          this.#settle(settlements);
          this.#session.settled(resultsThrough, this.#nowMs);
        });
        return;
      case "write":
        this.wire?.write(effect.bytes);
        return;
      case "drain":
        this.#world.drainAsked(this);
        return;
      case "close":
        this.#ended(effect);
        return;
    }
  }

  #append({ seq, operation }: { readonly seq: number; readonly operation: Uint8Array }): void {
    const pending = [...this.journal.pending, { seq, operation }];
    this.journal = { ...this.journal, next: seq + 1, pending };
    this.#session.appended();
  }

  #hand(parts: readonly Handed[]): void {
    this.#unhandled.push(...parts);
    const frames = this.#unhandled.filter(({ isLast }) => isLast);
    assert(
      frames.length <= UNHANDLED_WINDOWS * DELIVERY_WINDOW.count,
      "no more is handed over than links together may bring [SEQ-13] [SEQ-16] [CAT-8]",
    );
  }

  /** What was handed over and not handled means nothing any more. */
  #forget(cursor: TimelineCursor): void {
    const { epoch, seq } = this.handledCursor;
    const isForward = cursor.epoch !== epoch || cursor.seq > seq;
    assert(isForward, "what was handled stays handled [RES-15]");
    this.#unhandled = [];
    this.handledCursor = cursor;
  }

  #advance(cursor: TimelineCursor): void {
    this.journal = { ...this.journal, cursor };
    this.#session.applied(cursor, this.#nowMs);
  }

  #install({ state, settlements }: ClientEffect & { readonly kind: "install" }): void {
    const now = this.journal.cursor;
    const ahead = now.epoch === state.cursor.epoch && now.seq > state.cursor.seq;
    this.journal = { ...state, cursor: ahead ? now : state.cursor };
    this.#settle(settlements);
    this.#session.installed(this.#nowMs);
  }

  #settle(settlements: readonly Settlement[]): void {
    for (const { entry, outcome } of settlements) {
      const text = textIn(entry.operation);
      assert(!this.told.has(text), "a submit has one result, told once [SEQ-4]");
      const isKnown = outcome !== "rolled-back" || this.wasRestored;
      assert(isKnown, "only an old copy of a device may not know [RES-12]");
      this.told.set(text, outcome === "rolled-back" ? outcome : outcome.code);
      this.open.delete(text);
    }
  }

  #ended({ because, by }: ClientEffect & { readonly kind: "close" }): void {
    const { wire } = this;
    this.wire = undefined;
    if (this.#phase !== "detached") this.#to("detached", "ended");
    wire?.close();
    this.#world.closed(this, { code: because.code, by });
  }

  #to(phase: ClientPhase, fact: ClientFact): void {
    this.#world.moved(this.#phase, fact);
    this.#phase = phase;
  }
}

/** As an application gets it: first the numbers, then the events, each before the next. [CAT-10] */
function partsOf(index: TimelineIndex): Handed[] {
  const { seq, events } = index;
  const before = (at: number) => (events[at] === undefined ? seq : events[at].seq - 1);
  const told = { seq, what: { index }, cursorSeq: before(0), isLast: events.length === 0 };
  const parts = events.map(({ seq: own, event }, at) => {
    return {
      seq: own,
      what: { event },
      cursorSeq: before(at + 1),
      isLast: at === events.length - 1,
    };
  });
  return [told, ...parts];
}

/** The text of a message's event; and of a new device's: of each of them one, ever. [DEV-13] */
export function textOf(event: Uint8Array): string {
  const { kind } = fromBinary(EventSchema, event);
  if (kind.case === "deviceChanged") return `added-${kind.value.deviceId}.1`;
  const content = kind.case === "message" ? kind.value.content?.kind : undefined;
  assert(content?.case === "text", "an event of this world is a text");
  return content.value;
}

function textIn(operation: Uint8Array): string {
  const { kind } = fromBinary(OperationSchema, operation);
  const isSent = kind.case === "sendDirect" || kind.case === "sendMessage";
  const content = isSent ? kind.value.content?.kind : undefined;
  assert(content?.case === "text", "an operation of this world is a text");
  return content.value;
}
