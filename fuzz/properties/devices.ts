import { deepEqual, equal } from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { DeviceChange, EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { MemoryStore } from "../../server/store/memory.ts";
import { userRefOf } from "../../server/store/store.ts";
import { property, type Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";
import { nodeOf, type OperationKind, Peer, READY, rest } from "../store/session-peer.ts";

const USER = userRefOf("", "alice");
const DEVICES_MAX = 2;
const ALL_MAX = 4 * DEVICES_MAX;
const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
const STEPS_MAX = 60;
const PAGE = { count: 1_000, bytes: 1_000_000 };

interface Step {
  readonly kind: "hello" | "ready" | "come" | "say" | "end" | "self" | "name" | "race" | "cut";
  /** Who does it, of those that can; or who comes, of all names. */
  readonly by: number;
  /** To whom: of all names. */
  readonly of: number;
  /** Of two things at once the other one first. */
  readonly isReversed: boolean;
}

/** A device as the model knows it. */
interface Known {
  isEnded: boolean;
  wasAttached: boolean;
  /** Welcomed, and not ready. */
  welcomed: Peer | undefined;
  /** In force. */
  live: Peer | undefined;
}

/** One user's devices at one node, and what chapter 19 says of them, in plain words. */
class Scene {
  readonly #store = new MemoryStore({
    nowMs: () => 1_000,
    newSessionId: () => new Uint8Array(16),
    newTimelineEpoch: () => 1,
    devicesMax: DEVICES_MAX,
  });
  readonly #node = nodeOf(this.#store);
  readonly #devices = new Map<string, Known>();
  readonly #timeline: string[] = [];
  /** Numbers of what each link has submitted. */
  readonly #seqs = new Map<Peer, number>();
  /** What each link is to have been closed with. */
  readonly #closes = new Map<Peer, ErrorCode | undefined>();
  readonly #seen: Seen;

  constructor(seen: Seen) {
    this.#seen = seen;
  }

  async take(step: Step): Promise<void> {
    const of = NAMES[step.of] as string;
    switch (step.kind) {
      case "hello":
        return await this.#hello(of);
      case "ready":
        return await this.#ready(of);
      case "come":
        await this.#hello(of);
        return await this.#ready(of);
      case "cut":
        return await this.#cut(of);
    }
    const living = [...this.#devices].filter(([, { live }]) => live !== undefined);
    const [name, device] = living[step.by % Math.max(1, living.length)] ?? [];
    if (name === undefined || device?.live === undefined) return;
    const { live } = device;
    // Mostly one that is there.
    const other = living[step.of % living.length]?.[0] ?? of;
    switch (step.kind) {
      case "say":
        this.#submit(live, say(`${name} says`));
        this.#timeline.push(`${name} says`);
        break;
      case "name":
        this.#submit(live, { case: "nameDevice", value: { deviceId: of, name: "n" } });
        if (this.#devices.has(of)) this.#timeline.push(`named ${of}`);
        break;
      case "end":
        this.#end(live, step.of < 7 ? other : of);
        break;
      case "self":
        this.#submit(live, say(`${name} goes`));
        this.#timeline.push(`${name} goes`);
        this.#end(live, name);
        this.#submit(live, say(`${name} is gone`));
        this.#seen("ends itself");
        break;
      case "race":
        this.#race(live, other, step.isReversed);
    }
    await this.#settled();
  }

  /** What its links, its user's timeline and its list say is what the model does. */
  async check(): Promise<void> {
    for (const [peer, code] of this.#closes) {
      const name = (one: ErrorCode | undefined) => (one === undefined ? "open" : codeText(one));
      equal(name(peer.closedWith), name(code), "a link [DEV-5] [DEV-6] [DEV-8]");
    }
    if (this.#devices.size === 0) return;
    const { entries } = await this.#store.loadTimeline(USER, 0, PAGE);
    const lines = entries.map(({ event }) => lineOf(event));
    deepEqual(lines, this.#timeline, "nothing of an ended device has any effect [DEV-5] [DEV-7]");
    const listed = await this.#store.loadDevices(USER);
    deepEqual(
      listed.map(({ deviceId, isEnded }) => [deviceId, isEnded]),
      [...this.#devices].map(([id, { isEnded }]) => [id, isEnded]).sort(),
      "a list of devices [DEV-1]",
    );
  }

  async #hello(name: string): Promise<void> {
    const known = this.#devices.get(name);
    const peer = new Peer(this.#node);
    await peer.hello(0, name);
    const refusal = this.#refusalOf(known);
    this.#closes.set(peer, refusal);
    if (refusal !== undefined) return this.#seen(`refused ${codeText(refusal)}`);
    known?.welcomed?.cut();
    if (known?.welcomed !== undefined) this.#closes.delete(known.welcomed);
    const { live, isEnded = false, wasAttached = false } = known ?? {};
    this.#devices.set(name, { isEnded, wasAttached, live, welcomed: peer });
  }

  #refusalOf(known: Known | undefined): ErrorCode | undefined {
    if (known?.isEnded) return ErrorCode.DEVICE_ENDED;
    if (known !== undefined) return undefined;
    const all = [...this.#devices.values()];
    const isFull = all.filter(({ isEnded }) => !isEnded).length >= DEVICES_MAX;
    if (!isFull && all.length >= ALL_MAX) this.#seen("too many were ended");
    return isFull || all.length >= ALL_MAX ? ErrorCode.DEVICES_FULL : undefined;
  }

  async #ready(name: string): Promise<void> {
    const device = this.#devices.get(name);
    const peer = device?.welcomed;
    if (device === undefined || peer === undefined) return;
    device.welcomed = undefined;
    await peer.say(READY);
    if (device.isEnded) {
      this.#closes.set(peer, ErrorCode.DEVICE_ENDED);
      return this.#seen("ended before Ready");
    }
    if (device.live !== undefined) this.#closes.set(device.live, ErrorCode.SUPERSEDED);
    device.live = peer;
    this.#seen("attached");
    const hasOthers = [...this.#devices.values()].some(({ wasAttached }) => wasAttached);
    if (!device.wasAttached && hasOthers) {
      this.#timeline.push(`added ${name}`);
      this.#seen("added");
    }
    device.wasAttached = true;
    await this.#settled();
  }

  async #cut(name: string): Promise<void> {
    const device = this.#devices.get(name);
    if (device?.live === undefined) return;
    device.live.cut();
    this.#closes.delete(device.live);
    device.live = undefined;
    await this.#settled();
  }

  /** One ends another while that one submits. */
  #race(by: Peer, of: string, isReversed: boolean): void {
    const other = this.#devices.get(of)?.live;
    if (other === undefined || other === by) return;
    if (isReversed) {
      this.#submit(other, say(`${of} was first`));
      this.#timeline.push(`${of} was first`);
    }
    this.#end(by, of);
    if (!isReversed) this.#submit(other, say(`${of} was late`));
    this.#seen("under way");
  }

  #end(by: Peer, of: string): void {
    this.#submit(by, { case: "endDevice", value: { deviceId: of } });
    const device = this.#devices.get(of);
    if (device === undefined) return this.#seen("ends none");
    if (device.isEnded) return this.#seen("ends again");
    device.isEnded = true;
    this.#timeline.push(`ended ${of}`);
    if (device.live === undefined) return;
    this.#closes.set(device.live, ErrorCode.DEVICE_ENDED);
    device.live = undefined;
    this.#seen("ends a session");
  }

  #submit(peer: Peer, operation: OperationKind): void {
    const seq = (this.#seqs.get(peer) ?? 0) + 1;
    this.#seqs.set(peer, seq);
    peer.submit(seq, operation);
  }

  async #settled(): Promise<void> {
    await rest();
    await rest();
    // Whoever does not acknowledge is let submit no more.
    for (const { live } of this.#devices.values()) {
      if (live === undefined) continue;
      const resultsThrough = this.#seqs.get(live) ?? 0;
      await live.say({ kind: "ack", value: { deliveredThrough: 0, resultsThrough } });
    }
  }
}

function say(text: string): OperationKind {
  const content = { kind: { case: "text" as const, value: text } };
  return { case: "sendDirect", value: { toUserId: "alice", content } };
}

function lineOf(event: Uint8Array): string {
  const { kind } = fromBinary(EventSchema, event);
  if (kind.case === "message") return String(kind.value.content?.kind.value);
  if (kind.case !== "deviceChanged") return kind.case ?? "nothing";
  const { deviceId, change } = kind.value;
  return `${CHANGES[change]} ${deviceId}`;
}

const CHANGES: Readonly<Record<number, string>> = {
  [DeviceChange.UNSPECIFIED]: "nothing",
  [DeviceChange.NAMED]: "named",
  [DeviceChange.ENDED]: "ended",
  [DeviceChange.ADDED]: "added",
};

const step = fc.record<Step>({
  kind: fc.constantFrom(
    "hello",
    "ready",
    "come",
    "come",
    "come",
    "say",
    "end",
    "end",
    "self",
    "name",
    "race",
    "cut",
  ),
  by: fc.nat(3),
  of: fc.nat(NAMES.length - 1),
  isReversed: fc.boolean(),
});

export const devices = property<Step[]>({
  name: "devices",
  title:
    "[DEV-1] [DEV-2] [DEV-3] [DEV-5] [DEV-6] [DEV-7] [DEV-8] [DEV-13] a new device is told " +
    "once, an ended one stays ended, and nothing that it has under way counts; nobody has more " +
    "than the limit",
  smokeRuns: 40,
  kinds: [
    "attached",
    "added",
    "refused DEVICE_ENDED",
    "refused DEVICES_FULL",
    "too many were ended",
    "ended before Ready",
    "ends a session",
    "ends itself",
    "ends again",
    "ends none",
    "under way",
  ],
  arbitrary: fc.array(step, { minLength: 5, maxLength: STEPS_MAX, size: "max" }),
  start: (seen) => ({
    check: async (steps) => {
      const scene = new Scene(seen);
      for (const one of steps) {
        await scene.take(one);
        await scene.check();
      }
    },
  }),
});
