import { fromBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { AcceptedLink, Link } from "../../protocol/link.ts";
import { has, numbersFrom, without } from "../../protocol/number-set.ts";
import type { TimelineIndex } from "../../protocol/timeline-index.ts";
import { assert } from "../../protocol/violation.ts";
import { StoreError, type UserRef, userRefOf } from "../../server/store/store.ts";
import { type DeviceWorld, NO_STATE, SimDevice, type SimIdentity, textOf } from "./device.ts";
import { codeText, frameText } from "./frame-text.ts";
import { SimNode } from "./node.ts";
import { PollWire } from "./poll-wire.ts";
import { Service } from "./service.ts";
import { type Direction, StreamWire, type Wire } from "./wire.ts";
import { Ledger, WireClaims } from "./wire-claims.ts";

export type WireKind = "stream" | "poll";

/** What a run tells whoever watches it: counts of what was exercised, and lines for a trace. */
export interface Watcher {
  /** Changes what a node writes, frame boundaries kept; as it is when undefined. */
  readonly rewrite?: (bytes: Uint8Array) => Uint8Array;
  /** Resolves when every callback of the event loop that is due has run. */
  rest(): Promise<void>;
  seen(kind: string): void;
  /** Called only while a trace is drawn. */
  readonly line?: (from: string, to: string, what: string) => void;
}

/** How a link or session may end in a world of faults; any other end is a fault of ours. */
const ENDINGS: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.AGED,
  ErrorCode.ATTACH_OVERTAKEN,
  ErrorCode.DRAINED,
  ErrorCode.GOODBYE,
  ErrorCode.IDLE,
  ErrorCode.STORE_UNAVAILABLE,
  ErrorCode.TOO_SLOW,
]);
const NODE_COUNT = 2;
/** The longest chain of promises between a fact and its effect in a node, with some to spare. */
const PROMISES_MAX = 16;
/** Two devices of one user and one of another; all but one take indexes. */
const DEVICES: readonly SimIdentity[] = [
  { name: "a1", userId: "ann" },
  { name: "a2", userId: "ann", indexAbove: 0 },
  { name: "b1", userId: "ben", indexAbove: 2 },
];
const START_MS = 1_800_000_000_000;
/** After faults stop, everything drains within so many rounds, with so few attaches a device. */
const ROUNDS_MAX = 400;
const ATTACHES_MAX = 3;

interface Line {
  readonly wire: Wire;
  readonly device: SimDevice;
  readonly node: number;
  readonly claims: WireClaims;
  readonly stalled: Record<Direction, boolean>;
}

/**
 * Devices, nodes and the store behind them, with everything between them held until it is moved:
 * the production machines, session host and operations on a network, a clock and a disk by hand.
 *
 * Whoever drives it calls the commands below and {@link turn} after each.
 */
export class World implements DeviceWorld {
  readonly devices: readonly SimDevice[];
  readonly service: Service;
  readonly nodes: SimNode[];
  readonly #watcher: Watcher;
  #ledger = new Ledger();
  readonly #attachCounts = new Map<SimDevice, number>();
  readonly #claims = new WeakMap<Link, WireClaims>();
  #nowMs = START_MS;
  #lines: Line[] = [];
  /** Messages that were committed to a store that was lost. */
  readonly #lost = new Set<string>();
  #defect: unknown;

  constructor(watcher: Watcher) {
    this.#watcher = watcher;
    this.service = new Service(() => this.#nowMs);
    this.devices = DEVICES.map((identity) => new SimDevice(identity, this));
    this.nodes = Array.from({ length: NODE_COUNT }, (_, index) => this.#newNode(index));
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** Lets what is under way inside the nodes come to rest. @throws what went wrong there */
  async turn(): Promise<void> {
    for (let tick = 0; tick < PROMISES_MAX; tick += 1) await undefined;
    // Only long polling calls back from the event loop, which costs more than all the rest.
    const restless = this.#lines.flatMap(({ wire }) =>
      wire instanceof PollWire && wire.needsTurn ? [wire] : [],
    );
    if (restless.length > 0) await this.#watcher.rest();
    for (const wire of restless) wire.needsTurn = false;
    if (this.#defect !== undefined) throw this.#defect;
  }

  attach(device: SimDevice, kind: WireKind, node: number): void {
    if (device.wire !== undefined) return;
    this.#attachCounts.set(device, (this.#attachCounts.get(device) ?? 0) + 1);
    device.linked(this.#dial(device, kind, node));
  }

  /** Opens another link first and leaves the old one for it. */
  switch(device: SimDevice, kind: WireKind, node: number): void {
    const old = device.wire;
    const next = this.#dial(device, kind, node);
    if (old !== undefined) {
      device.unlinked();
      old.close();
    }
    device.linked(next);
  }

  /** Moves bytes on all wires of a device, its living one last. */
  carry(device: SimDevice, direction: Direction, amount: number): boolean {
    let moved = false;
    for (const line of [...this.#lines]) {
      if (line.device !== device || line.stalled[direction]) continue;
      moved = line.wire.carry(direction, amount) || moved;
    }
    return moved;
  }

  /** Everything moves a little, as it does most of the time; the applications lag behind. */
  async flow(rounds: number, amount: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      for (const device of this.devices) this.carry(device, "up", amount);
      await this.turn();
      for (const node of this.nodes) node.store.step(3);
      await this.turn();
      for (const device of this.devices) {
        this.carry(device, "down", amount);
        if (!device.isJournalStalled) device.writeJournal(2);
      }
    }
  }

  elapse(ms: number): void {
    this.#nowMs += ms;
    for (const node of this.nodes) node.elapsed();
    for (const device of this.devices) device.elapsed();
  }

  crashNode(index: number): void {
    const node = this.nodes[index] as SimNode;
    if (node.store.executedCount > 0) this.#watcher.seen("crash between commit and reply");
    node.crash();
    this.nodes[index] = this.#newNode(index);
    for (const line of this.#lines.filter((candidate) => candidate.node === index)) {
      line.wire.cut();
      line.claims.ended();
    }
    this.#lines = this.#lines.filter((line) => line.node !== index);
  }

  /** Every wire of a device, dead or alive. */
  wires(device: SimDevice): readonly Wire[] {
    return this.#lines.filter((line) => line.device === device).map(({ wire }) => wire);
  }

  /** The device lost its storage. */
  wipe(device: SimDevice): void {
    device.restart({ journal: NO_STATE, told: device.told });
  }

  /** One direction of a device's link moves nothing, until this is called again. */
  stall(device: SimDevice, direction: Direction): boolean {
    const line = this.#lines.find(({ wire }) => wire === device.wire);
    if (line !== undefined) line.stalled[direction] = !line.stalled[direction];
    return line !== undefined;
  }

  /** A node's process stands still for a while, and its clock goes on. */
  sleep(index: number, ms: number): void {
    const node = this.nodes[index] as SimNode;
    node.skewMs += ms;
    node.elapsed();
  }

  /** A timeline can begin anew only while nobody is attached to it. */
  restartTimeline(user: UserRef): void {
    for (let index = 0; index < NODE_COUNT; index += 1) this.crashNode(index);
    this.service.restart(user);
  }

  /**
   * Faults have stopped: everything drains within a bounded number of rounds and attaches.
   *
   * @throws when it does not [SES-16] (P15)
   */
  async settle(): Promise<void> {
    this.#attachCounts.clear();
    for (const device of this.devices) device.isJournalStalled = false;
    for (const line of this.#lines) Object.assign(line.stalled, { up: false, down: false });
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      for (const [index, device] of this.devices.entries()) {
        if (device.wire === undefined) this.attach(device, "stream", index % NODE_COUNT);
        device.handle(9);
        device.writeJournal(9);
      }
      await this.flow(1, 398);
      if (round % 8 === 7) this.elapse(210);
      if (this.#isQuiet()) return;
    }
    const stuck = this.devices.filter((device) => !this.#isDone(device));
    const names = stuck.map(({ name, attached }) => `${name} ${attached ? "open" : "not open"}`);
    throw new Error(`not drained after ${ROUNDS_MAX} rounds: ${names.join(", ")}`);
  }

  /** What must be true of the whole, once everything has drained. */
  judge(): void {
    for (const device of this.devices) {
      const attaches = this.#attachCounts.get(device) ?? 0;
      assert(attaches <= ATTACHES_MAX, `${device.name} attached ${attaches} times to drain (P15)`);
      assert(device.open.size === 0, `each submit has its result [SEQ-4]: ${[...device.open]}`);
    }
    const committed = this.#committed();
    for (const device of this.devices) {
      for (const [text, told] of device.told) {
        const isThere = committed.has(text);
        const isUnknown = told === "rolled-back" || this.#lost.has(text);
        const isTrue = isUnknown || isThere === (told === ErrorCode.UNSPECIFIED);
        assert(isTrue, `the result of ${text.slice(0, 9)} is true [SEQ-4] [SEQ-6]`);
      }
    }
    for (const userId of new Set(DEVICES.map((device) => device.userId))) {
      this.#judgeOrder(this.#timeline(userRefOf("", userId)));
    }
  }

  /** The whole store is lost, and with it the effect of results that were told, or are about to. */
  loseStore(): void {
    for (const text of this.#committed()) this.#lost.add(text);
    for (let index = 0; index < NODE_COUNT; index += 1) this.crashNode(index);
    this.service.beginAnew();
    this.#ledger = new Ledger();
  }

  handled(device: SimDevice, { seq, text }: { readonly seq: number; readonly text: string }): void {
    const cursor = device.handledCursor;
    assert(seq === cursor.seq + 1, `${seq} is handled after ${cursor.seq} [SEQ-2] [SEQ-10]`);
    const user = userRefOf("", device.userId);
    if (this.service.disk.bounds(user)?.epoch !== cursor.epoch) return;
    const { event } = this.service.disk.timelineEntry(user, seq, this.service.wallMs());
    assert(textOf(event) === text, "what is handled is what was committed there [SEQ-14]");
  }

  /** Each entry up to its end that is not handled is told, in one way, and nothing else is. */
  indexed(device: SimDevice, { firstSeq, seq, conversations, events }: TimelineIndex): void {
    this.#watcher.seen(events.length > 0 ? "index: with events" : "index: without events");
    const cursor = device.handledCursor;
    assert(firstSeq <= cursor.seq + 1 && seq > cursor.seq, "an index is next [CAT-7]");
    const user = userRefOf("", device.userId);
    if (this.service.disk.bounds(user)?.epoch !== cursor.epoch) return;
    const left = new Map(conversations.map((one) => [one.conversationId, one.told]));
    for (let at = firstSeq; at <= seq; at += 1) {
      const { conversationSeq, event } = this.service.disk.timelineEntry(
        user,
        at,
        this.service.wallMs(),
      );
      const { conversationId, isCalling } = messageOf(event) ?? NO_MESSAGE;
      const isToldWhole = events.some((one) => one.seq === at);
      const told = conversations.find((one) => one.conversationId === conversationId)?.told ?? [];
      const isTold = has(told, conversationSeq);
      assert(isToldWhole !== isTold || at <= cursor.seq, `${at} is told once [CAT-2]`);
      assert(!isCalling || !isTold, "what calls is told whole [CAT-4]");
      const one = numbersFrom(conversationSeq, conversationSeq);
      left.set(conversationId, without(left.get(conversationId) ?? [], one));
    }
    assert(
      [...left.values()].every((numbers) => numbers.length === 0),
      "only what it covers [CAT-2]",
    );
  }

  moved(from: string, fact: string): void {
    this.#watcher.seen(`device: ${from} ${fact}`);
  }

  closed(device: SimDevice, { code, by }: { readonly code: ErrorCode; readonly by: string }): void {
    this.#watcher.seen(`closed: ${codeText(code)}`);
    this.#watcher.line?.(device.name, device.name, `link ends: ${codeText(code)} by ${by}`);
    if (code === ErrorCode.OUTBOX_EPOCH_STALE) this.wipe(device);
    else if (code !== ErrorCode.SEQUENCE_GAP)
      assert(ENDINGS.has(code), `closed: ${codeText(code)}`);
  }

  drainAsked(device: SimDevice): void {
    device.drain();
  }

  #newNode(index: number): SimNode {
    return new SimNode(this.service, {
      attached: (link) => this.#claims.get(link)?.attached(),
      // One node refuses now and then, one never: there windows are full.
      tooOften: index === 0 ? undefined : () => this.#watcher.seen("too often"),
      failed: (error) => {
        if (!(error instanceof StoreError)) this.#defect ??= error;
      },
    });
  }

  #dial(device: SimDevice, kind: WireKind, nodeIndex: number): Wire {
    const node = this.nodes[nodeIndex] as SimNode;
    const nodeName = `n${nodeIndex + 1}`;
    const { seen, line } = this.#watcher;
    const claims = new WireClaims({
      device,
      disk: this.service.disk,
      ledger: this.#ledger,
      wrote: (direction, frame) => {
        const [from, to] = direction === "up" ? [device.name, nodeName] : [nodeName, device.name];
        line?.(from, to, frameText(frame));
      },
      arrived: () => {},
      moved: (from, fact) => seen(`node: ${from} ${fact}`),
    });
    const end = {
      received: (bytes: Uint8Array) => {
        if (device.wire === wire) device.received(bytes);
      },
      closed: () => {
        if (device.wire === wire) device.unlinked();
      },
    };
    const accept: SimNode["accept"] = (plain) => {
      const link = rewriting(plain, this.#watcher.rewrite);
      this.#claims.set(link, claims);
      const handler = node.accept(link);
      return {
        received: (bytes) => handler.received(bytes),
        drained: () => handler.drained(),
        closed: (code, detail) => {
          claims.ended();
          this.#lines = this.#lines.filter((candidate) => candidate.wire !== wire);
          handler.closed(code, detail);
        },
      };
    };
    const options = { accept, device: end, tap: claims };
    const wire: Wire =
      kind === "stream"
        ? new StreamWire(options)
        : new PollWire({ ...options, deadlines: node.alarms });
    const stalled = { up: false, down: false };
    this.#lines.push({ wire, device, node: nodeIndex, claims, stalled });
    seen(`link: ${kind}`);
    return wire;
  }

  #isQuiet(): boolean {
    return this.devices.every((device) => this.#isDone(device));
  }

  #isDone(device: SimDevice): boolean {
    const bounds = this.service.disk.bounds(userRefOf("", device.userId));
    const { epoch, seq } = device.journal.cursor;
    return device.quiet && epoch === bounds?.epoch && seq === bounds.head;
  }

  /** Every message that any log holds. @throws when one is there twice [SEQ-4] */
  #committed(): ReadonlySet<string> {
    const texts = new Set<string>();
    for (const entries of this.service.disk.logs.values()) {
      for (const { event } of entries) {
        const text = textOf(event);
        assert(!texts.has(text), `a submit has one effect [SEQ-4]: ${text.slice(0, 9)}`);
        texts.add(text);
      }
    }
    return texts;
  }

  #timeline(user: UserRef): string[] {
    const { disk } = this.service;
    const head = disk.bounds(user)?.head ?? 0;
    return Array.from({ length: head }, (_, index) =>
      textOf(disk.timelineEntry(user, index + 1, this.service.wallMs()).event),
    );
  }

  #judgeOrder(timeline: readonly string[]): void {
    const last = new Map<string, number>();
    for (const text of timeline) {
      const [sender = "", count = ""] = text.split(".");
      const isLater = Number(count) > (last.get(sender) ?? 0);
      assert(isLater, `submits of one device are committed in their order [SEQ-14]: ${sender}`);
      last.set(sender, Number(count));
    }
  }
}

/** That a device is new, say: told whole. */
const NO_MESSAGE = { conversationId: "", isCalling: true };

function messageOf(event: Uint8Array) {
  const { kind } = fromBinary(EventSchema, event);
  if (kind.case !== "message") return undefined;
  const { conversationId, mentions } = kind.value;
  return { conversationId, isCalling: mentions !== undefined };
}

function rewriting(link: AcceptedLink, rewrite: Watcher["rewrite"]): AcceptedLink {
  if (rewrite === undefined) return link;
  const { kind, peer, isTls } = link;
  const write = (bytes: Uint8Array) => link.write(rewrite(bytes));
  return { kind, peer, isTls, write, close: (code) => link.close(code) };
}
