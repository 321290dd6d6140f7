import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { crc32 } from "../../protocol/crc32.ts";
import {
  type ClientEffect,
  ClientSession,
  type DeviceState,
  type Settlement,
} from "../../protocol/session/client.ts";
import type { Durable, TimelineEntry } from "../../protocol/session/facts.ts";
import {
  type ServerEffect,
  ServerSession,
  type ServerSessionLimits,
} from "../../protocol/session/server.ts";
import { violation } from "../../protocol/violation.ts";
import { CommitGroup } from "../../server/store/group.ts";
import { MemoryDisk } from "../../server/store/memory.ts";
import { logRefOf, type Plan, type UserRef, userRefOf } from "../../server/store/store.ts";

// The real machines of both sides over a wire that loses, a journal and a store that crash, and a
// clock that is turned by hand. One device; everything it does is replayed from a list of numbers.

const RANGE = (defaultMs: number, minMs: number, maxMs: number) => ({ defaultMs, minMs, maxMs });
const SUBMIT_WINDOW = { count: 8, bytes: 400 };
const LIMITS: ServerSessionLimits = {
  frameBytes: 4096,
  contentBytes: 1024,
  submitWindow: SUBMIT_WINDOW,
  deliveryWindowMax: { count: 6, bytes: 400 },
  timers: {
    keepalive: RANGE(1_000, 100, 10_000),
    idle: RANGE(3_000, 300, 60_000),
    age: RANGE(0, 0, 0),
  },
  handshakeMs: 2_000,
  frameMs: 2_000,
  drainGraceMs: 500,
};
const EMPTY: DeviceState = {
  outboxEpoch: 0,
  resultsThrough: 0,
  next: 1,
  pending: [],
  cursor: { epoch: 0, seq: 0 },
};
const USER = userRefOf("", "u");
const DEVICE = { user: USER, deviceId: "d" };

/** What a clock turned by hand may bring about; any other close is a fault of ours. */
const TIMED_OUT: ReadonlySet<number> = new Set([ErrorCode.TOO_SLOW, ErrorCode.IDLE]);

/** Both halves of a living link: bytes on their way, and the service's session at its end. */
interface Wire {
  up: Uint8Array[];
  down: Uint8Array[];
  readonly session: ServerSession;
  generation: number;
  outboxEpoch: number;
  /** Store work that the session waits for, in order. */
  store: (() => void)[];
  closedByServer: boolean;
}

export class World {
  nowMs = 1_000_000;
  readonly disk = new MemoryDisk();
  /** What the device's application was told, over all its lives. */
  readonly handled: number[] = [];
  readonly accepted: number[] = [];
  readonly submitted: number[] = [];
  attachCount = 0;
  #ids = 0;
  #nextMessage = 1;
  #client: ClientSession;
  #journal: DeviceState = EMPTY;
  #journalWork: (() => void)[] = [];
  #queue: { readonly seq: number; readonly message: number }[] = [];
  #wire: Wire | undefined;
  #epoch = 0;
  #stale: Wire[] = [];

  constructor() {
    this.#client = this.#newClient();
  }

  /** Commands by number; the argument says how much. */
  step(command: number, amount: number): void {
    switch (command) {
      case 0:
        return this.submit(1 + (amount % 4));
      case 1:
        return this.carry("up", amount);
      case 2:
        return this.carry("down", amount);
      case 3:
        return this.journal(1 + (amount % 3));
      case 4:
        return this.store(1 + (amount % 3));
      case 5:
        return this.apply(1 + (amount % 3));
      case 6:
        return this.cut();
      case 7:
        return this.attach();
      case 8:
        return this.crashDevice();
      case 9:
        return this.crashNode();
      case 10:
        return this.elapse(amount * 7);
      case 11:
        return this.otherDevice(1 + (amount % 3));
      case 12:
        return this.attachBesides();
      default:
        return this.flow(1 + (amount % 6));
    }
  }

  /** Everything moves a little, as it does most of the time; the application lags behind. */
  flow(rounds: number): void {
    for (let round = 0; round < rounds; round += 1) {
      this.carry("up", 199);
      this.store(2);
      this.carry("down", 199);
      this.journal(2);
    }
  }

  submit(count: number): void {
    for (let index = 0; index < count; index += 1) {
      const message = this.#nextMessage;
      this.#nextMessage += 1;
      this.submitted.push(message);
      this.#client.submit(Uint8Array.of(message >>> 8, message & 0xff, ...new Array(message % 50)));
    }
    this.#pumpClient();
  }

  /** Moves some bytes, cut anywhere. */
  carry(direction: "up" | "down", amount: number): void {
    const wire = this.#wire;
    if (wire === undefined) return;
    const chunk = wire[direction].shift();
    if (chunk === undefined) return;
    const cut = Math.min(chunk.length, 1 + (amount % 200));
    if (cut < chunk.length) wire[direction].unshift(chunk.subarray(cut));
    const part = chunk.slice(0, cut);
    if (direction === "up") {
      wire.session.received(part, this.nowMs);
      this.#pumpServer(wire);
    } else {
      this.#client.received(part, this.nowMs);
      this.#pumpClient();
    }
  }

  journal(count: number): void {
    for (const work of this.#journalWork.splice(0, count)) work();
    this.#pumpClient();
  }

  store(count: number): void {
    for (const wire of [...this.#stale, ...(this.#wire ? [this.#wire] : [])]) {
      for (const work of wire.store.splice(0, count)) work();
      this.#pumpServer(wire);
    }
  }

  /** The application handles what it was handed, in order, and the journal keeps the cursor. */
  apply(count: number): void {
    const handled = this.#queue.splice(0, count);
    const last = handled.at(-1);
    if (last === undefined) return;
    for (const { message } of handled) this.handled.push(message);
    const cursor = { epoch: this.#epoch, seq: last.seq };
    // What was shown and the cursor are one write here, as an application's own transaction would
    // be.
    this.#journal = { ...this.#journal, cursor };
    this.#client.applied(cursor, this.nowMs);
    this.#pumpClient();
  }

  cut(): void {
    this.#wire?.session.unlinked();
    if (this.#wire !== undefined) this.#stale.push(this.#wire);
    this.#wire = undefined;
    this.#client.unlinked();
    this.#pumpClient();
  }

  attach(): void {
    if (this.#wire !== undefined) return;
    this.attachCount += 1;
    this.#wire = {
      up: [],
      down: [],
      session: new ServerSession(LIMITS, this.nowMs),
      generation: 0,
      outboxEpoch: 0,
      store: [],
      closedByServer: false,
    };
    this.#client.linked("", this.nowMs);
    this.#pumpClient();
  }

  /** The link goes half-open: the service has not noticed while the device comes back. */
  attachBesides(): void {
    if (this.#wire === undefined) return;
    this.#stale.push(this.#wire);
    this.#wire = undefined;
    this.#client.unlinked();
    this.attach();
  }

  crashDevice(): void {
    this.cut();
    this.#journalWork = [];
    this.#queue = [];
    this.#client = this.#newClient();
  }

  /** Everything in memory at the service is gone; the disk stays. */
  crashNode(): void {
    this.#stale = [];
    this.cut();
    this.#stale = [];
  }

  elapse(ms: number): void {
    this.nowMs += ms;
    this.#client.elapsed(this.nowMs);
    this.#pumpClient();
    if (this.#wire === undefined) return;
    this.#wire.session.elapsed(this.nowMs);
    this.#pumpServer(this.#wire);
  }

  /** Another sender grows the timeline. */
  otherDevice(count: number): void {
    if (this.disk.bounds(USER) === undefined) return;
    const group = this.#group();
    const device = { user: userRefOf("", "other"), deviceId: "x" };
    const epoch = this.disk.device(device)?.outboxEpoch ?? 0;
    const through = this.disk.device(device)?.through ?? 0;
    const outbox = { epoch, resultsThrough: through, next: through + 1 };
    const cursor = { epoch: 0, seq: 0, start: "earliest" } as const;
    const decision = group.attach({ device, outbox, cursor });
    if (decision.kind !== "attached") throw new Error("the other device is refused");
    const { generation, outbox: granted } = decision.attachment;
    const submits = Array.from({ length: count }, (_, index) => {
      const message = -(this.#nextMessage + index);
      const plan = planOf(Uint8Array.of(0xff, -message >>> 8, -message & 0xff));
      return { seq: granted.through + 1 + index, digest: 1, plan };
    });
    this.#nextMessage += count;
    group.commit({ device, generation, outboxEpoch: granted.epoch, submits });
    this.#write(group);
  }

  /**
   * After faults stop: everything drains within a bounded number of steps. Returns whether it did.
   */
  settleDown(): boolean {
    for (let step = 0; step < 3_000; step += 1) {
      if (this.#wire === undefined || this.#wire.closedByServer) {
        this.cut();
        this.attach();
      }
      for (let round = 0; round < 4; round += 1) {
        this.carry("up", 199);
        this.carry("down", 199);
        this.journal(9);
        this.store(9);
        this.apply(9);
      }
      if (step % 10 === 9) this.elapse(150);
      if (this.#quiet()) return true;
    }
    return false;
  }

  #quiet(): boolean {
    const head = this.disk.bounds(USER)?.head ?? 0;
    const done = this.#client.open && this.#client.unsettled.length === 0;
    return done && this.#journal.cursor.seq === head && this.#journalWork.length === 0;
  }

  /** The whole timeline, as the disk has it. */
  get timeline(): number[] {
    const head = this.disk.bounds(USER)?.head ?? 0;
    return Array.from({ length: head }, (_, index) =>
      messageOf(this.disk.entry(USER, index + 1).event),
    );
  }

  #newClient(): ClientSession {
    const options = {
      deviceId: "d",
      userId: "u",
      agent: "",
      start: "earliest",
      deliveryWindow: { count: 5, bytes: 300 },
      timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
      handshakeMs: 2_000,
    } as const;
    return new ClientSession(options, this.#journal);
  }

  #pumpClient(): void {
    for (const effect of this.#client.effects(this.nowMs)) this.#obeyClient(effect);
  }

  #obeyClient(effect: ClientEffect): void {
    switch (effect.kind) {
      case "append": {
        const { seq, operation } = effect.entry;
        this.#journalWork.push(() => {
          const pending = [...this.#journal.pending, { seq, operation }];
          this.#journal = { ...this.#journal, next: seq + 1, pending };
          this.#client.appended();
        });
        return;
      }
      case "install": {
        if (effect.cursorMoved) this.#queue = [];
        const cursor = newer(this.#journal.cursor, effect.state.cursor);
        this.#epoch = effect.state.cursor.epoch;
        this.#journalWork.push(() => {
          this.#journal = { ...effect.state, cursor: newer(this.#journal.cursor, cursor) };
          this.#settled(effect.settlements);
          this.#client.installed(this.nowMs);
        });
        return;
      }
      case "deliver":
        for (const { seq, event } of effect.deliveries) {
          this.#queue.push({ seq, message: messageOf(event) });
        }
        return;
      case "settle":
        this.#journalWork.push(() => {
          const pending = this.#journal.pending.filter(({ seq }) => seq > effect.resultsThrough);
          this.#journal = { ...this.#journal, resultsThrough: effect.resultsThrough, pending };
          this.#settled(effect.settlements);
          this.#client.settled(effect.resultsThrough, this.nowMs);
        });
        return;
      case "write":
        this.#wire?.up.push(effect.bytes);
        return;
      case "close":
        if (effect.by === "us" && !TIMED_OUT.has(effect.because.code)) {
          throw new Error(`the device closed: ${JSON.stringify(effect)}`);
        }
        this.cut();
        return;
    }
  }

  #settled(settlements: readonly Settlement[]): void {
    for (const { entry, outcome } of settlements) {
      if (outcome === "rolled-back") throw new Error("nothing was rolled back");
      this.accepted.push(((entry.operation[0] as number) << 8) | (entry.operation[1] as number));
    }
  }

  #pumpServer(wire: Wire): void {
    for (const effect of wire.session.effects()) this.#obeyServer(wire, effect);
  }

  #obeyServer(wire: Wire, effect: ServerEffect): void {
    switch (effect.kind) {
      case "attach":
        wire.store.push(() => this.#attach(wire, effect));
        return;
      case "commit":
        wire.store.push(() => this.#commit(wire, effect));
        return;
      case "load":
        wire.store.push(() => wire.session.loaded(this.#page(effect), this.nowMs));
        return;
      case "advance": {
        const { generation, outboxEpoch } = wire;
        const group = this.#group();
        const { deliveredThrough, resultsThrough } = effect;
        const position = { device: DEVICE, generation, outboxEpoch };
        group.advance({ ...position, deliveredThrough, resultsThrough });
        this.#write(group);
        return;
      }
      case "write":
        if (wire === this.#wire) wire.down.push(effect.bytes);
        return;
      case "close":
        wire.closedByServer = true;
        if (wire !== this.#wire) return;
        if (effect.because.code !== ErrorCode.SUPERSEDED && !TIMED_OUT.has(effect.because.code)) {
          throw new Error(`the service closed: ${JSON.stringify(effect.because)}`);
        }
    }
  }

  #attach(wire: Wire, { claim }: ServerEffect & { kind: "attach" }): void {
    const group = this.#group();
    const decision = group.attach({ device: DEVICE, outbox: claim.outbox, cursor: claim.cursor });
    if (decision.kind === "refused") throw new Error(`refused: ${decision.requirement}`);
    this.#write(group);
    const attachment = decision.attachment as Durable<typeof decision.attachment>;
    wire.generation = attachment.generation;
    wire.outboxEpoch = attachment.outbox.epoch;
    wire.session.attached({ attachment, userId: "u" }, this.nowMs);
  }

  #commit(wire: Wire, { submits }: ServerEffect & { kind: "commit" }): void {
    const group = this.#group();
    const { generation, outboxEpoch } = wire;
    const planned = submits.map(({ seq, operation }) => ({
      seq,
      digest: crc32(operation),
      plan: planOf(operation),
    }));
    const decision = group.commit({ device: DEVICE, generation, outboxEpoch, submits: planned });
    if (decision.kind === "committed") {
      this.#write(group);
      const receipt = decision.receipt as Durable<typeof decision.receipt>;
      if (receipt.results.length > SUBMIT_WINDOW.count) throw new Error("more results than window");
      wire.session.committed(receipt, this.nowMs);
    } else if (decision.kind === "fenced") {
      wire.session.refused(violation(ErrorCode.SUPERSEDED, "SES-6", ""));
    } else throw new Error(`commit: ${decision.kind}`);
  }

  #page({ after, limit }: ServerEffect & { kind: "load" }) {
    const bounds = this.disk.bounds(USER) ?? { epoch: 1, head: 0, floor: 1 };
    const entries: TimelineEntry[] = [];
    let bytes = 0;
    for (let seq = after + 1; seq <= bounds.head && entries.length < limit.count; seq += 1) {
      const entry = this.disk.entry(USER, seq);
      bytes += entry.event.length;
      if (entries.length > 0 && bytes > limit.bytes) break;
      entries.push({ seq, ...entry });
    }
    return { bounds, entries };
  }

  #group(): CommitGroup {
    const newId = () => {
      this.#ids += 1;
      return this.#ids;
    };
    return new CommitGroup(this.disk, {
      nowMs: () => this.nowMs,
      newSessionId: () => new Uint8Array(16).fill(newId()),
      newTimelineEpoch: newId,
    });
  }

  #write(group: CommitGroup): void {
    if (!group.empty) this.disk.write(group, Number.MAX_SAFE_INTEGER);
    const head = this.disk.bounds(USER)?.head ?? 0;
    this.#wire?.session.woken(head);
  }
}

function planOf(event: Uint8Array): Plan {
  const timelines: UserRef[] = [USER];
  return { kind: "append", log: logRefOf("", "c"), event, timelines };
}

function messageOf(event: Uint8Array): number {
  const [first = 0, second = 0, third = 0] = event;
  return first === 0xff ? -((second << 8) | third) : (first << 8) | second;
}

function newer(a: DeviceState["cursor"], b: DeviceState["cursor"]): DeviceState["cursor"] {
  return a.epoch === b.epoch && a.seq > b.seq ? a : b;
}
