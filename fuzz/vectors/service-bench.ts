import type { JsonObject } from "@bufbuild/protobuf";
import { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { AcceptedLink, LinkHandler } from "../../protocol/link.ts";
import type { ServerSessionLimits } from "../../protocol/session/server.ts";
import { openAuthenticator } from "../../server/auth/open.ts";
import { CONVERSATION_RULES } from "../../server/operations/conversations.ts";
import { USER_RULES } from "../../server/operations/own-lists.ts";
import { PublishBudget } from "../../server/operations/publish-budget.ts";
import { keyDirectory } from "../../server/services/key-directory.ts";
import { membershipsIn } from "../../server/services/memberships.ts";
import { Services } from "../../server/services/service.ts";
import { Alarms, TICK_MS } from "../../server/sessions/alarms.ts";
import { type DriverContext, SessionDriver } from "../../server/sessions/driver.ts";
import { Hub } from "../../server/sessions/hub.ts";
import { SignalBoard } from "../../server/signals/board.ts";
import { deviceName } from "../../server/store/group.ts";
import { MemoryDisk, MemoryStore } from "../../server/store/memory.ts";
import { logRefOf, userRefOf } from "../../server/store/store.ts";
import { framesIn } from "./frames.ts";

/** As service.json states them. */
export interface ServiceSetup {
  readonly frame_bytes: number;
  readonly content_bytes: number;
  readonly delivery_window_max: { readonly count: number; readonly bytes: number };
  readonly timers_default: Readonly<Record<"keepalive_ms" | "idle_ms" | "age_ms", number>>;
  readonly timers_max_ms: number;
  readonly handshake_ms: number;
  readonly frame_ms: number;
  readonly drain_grace_ms: number;
}

export interface ServiceState {
  readonly submit_window: { readonly count: number; readonly bytes: number };
  readonly device: null | {
    readonly generation: number;
    readonly outbox_epoch: number;
    readonly through: number;
    readonly results_through: number;
    readonly result_digests: readonly number[];
  };
  readonly timeline: null | {
    readonly epoch: number;
    readonly floor: number;
    readonly head: number;
  };
}

const START_MS = 1_800_000_000_000;
const ALICE = userRefOf("", "alice");
const BOB = userRefOf("", "bob");
const LOG = logRefOf("", "d:alice:bob");

/** The session host of production over a store, a clock and links by hand. */
export class ServiceBench {
  readonly #links = new Map<string, BenchLink>();
  readonly #drivers = new Set<SessionDriver>();
  readonly #alarms: Alarms;
  readonly #context: DriverContext;
  readonly #drainGraceMs: number;
  #nowMs = START_MS;
  #ring: (() => void) | undefined;
  #failure: unknown;

  constructor(setup: ServiceSetup, given: ServiceState) {
    this.#drainGraceMs = setup.drain_grace_ms;
    this.#alarms = new Alarms({
      nowMs: () => this.#nowMs,
      timer: (_, ring) => {
        this.#ring = ring;
        return () => {
          this.#ring = undefined;
        };
      },
    });
    let ids = 0;
    const store = new MemoryStore({
      disk: diskOf(given),
      nowMs: () => this.#nowMs,
      newSessionId: () => new Uint8Array(16).fill(++ids),
      newTimelineEpoch: () => ++ids,
    });
    this.#context = {
      store,
      authenticator: openAuthenticator(),
      services: new Services(membershipsIn(store)).add(
        KeyDirectoryService,
        keyDirectory(store, NATIVE_CRYPTO),
      ),
      crypto: NATIVE_CRYPTO,
      publishing: new PublishBudget(),
      conversations: CONVERSATION_RULES,
      users: USER_RULES,
      hub: new Hub(store),
      signals: new SignalBoard({
        store,
        deadlines: this.#alarms,
        failed: (_, error) => {
          this.#failure ??= error;
        },
      }),
      alarms: this.#alarms,
      limits: limitsOf(setup, given),
      observer: {
        attached: () => {},
        closed: () => {},
        committed: () => {},
        delivered: () => {},
        passed: () => {},
        failed: (_, error) => {
          this.#failure ??= error;
        },
      },
    };
  }

  /** Opens the link where the name is new. */
  link(name: string): LinkHandler {
    const known = this.#links.get(name);
    if (known !== undefined) return known.handler;
    const link = new BenchLink();
    const driver = new SessionDriver(link, this.#context, () => this.#drivers.delete(driver));
    this.#drivers.add(driver);
    link.start(driver);
    this.#links.set(name, link);
    return driver;
  }

  /** What came in `pieces` one right behind the other, before anything is answered. */
  receive(name: string, pieces: readonly Uint8Array[]): void {
    const handler = this.link(name);
    for (const piece of pieces) if (!this.isClosed(name)) handler.received(piece);
  }

  isClosed(name: string): boolean {
    return this.#links.get(name)?.isClosed ?? true;
  }

  cut(name: string): void {
    this.#links.get(name)?.cut();
  }

  stop(): void {
    const notice = { slotMs: 0, graceMs: this.#drainGraceMs, alternatives: [] };
    for (const driver of this.#drivers) driver.drain({ ...notice, code: ErrorCode.DRAINED });
  }

  /** Lets time pass, an alarm's tick at a time while any is set. */
  async passUntil(atMs: number): Promise<void> {
    const endMs = START_MS + atMs;
    while (this.#nowMs < endMs) {
      const ring = this.#ring;
      this.#nowMs = ring === undefined ? endMs : Math.min(endMs, this.#nowMs + TICK_MS);
      this.#ring = undefined;
      ring?.();
      await this.settle();
    }
  }

  /** Until the store has answered and everybody is quiet. @throws a defect of the session */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** What went down each link since the last call. */
  takeSent(): ReadonlyMap<string, JsonObject[]> {
    return new Map([...this.#links].map(([name, link]) => [name, link.take()]));
  }
}

class BenchLink implements AcceptedLink {
  readonly kind = "tcp";
  readonly peer = "bench";
  readonly isTls = false;
  isClosed = false;
  #handler: LinkHandler | undefined;
  #written: Uint8Array[] = [];

  start(handler: LinkHandler): void {
    this.#handler = handler;
  }

  get handler(): LinkHandler {
    return this.#handler as LinkHandler;
  }

  write(bytes: Uint8Array): boolean {
    if (!this.isClosed) this.#written.push(bytes);
    return true;
  }

  close(code: ErrorCode): void {
    if (this.isClosed) return;
    this.isClosed = true;
    setImmediate(() => this.handler.closed(code, ""));
  }

  cut(): void {
    this.close(ErrorCode.LINK_LOST);
  }

  take(): JsonObject[] {
    const frames = framesIn(Buffer.concat(this.#written));
    this.#written = [];
    return frames;
  }
}

function limitsOf(setup: ServiceSetup, given: ServiceState): ServerSessionLimits {
  const { keepalive_ms, idle_ms, age_ms } = setup.timers_default;
  const range = (defaultMs: number) => ({ defaultMs, minMs: 0, maxMs: setup.timers_max_ms });
  return {
    frameBytes: setup.frame_bytes,
    contentBytes: setup.content_bytes,
    submitWindow: given.submit_window,
    deliveryWindowMax: setup.delivery_window_max,
    timers: { keepalive: range(keepalive_ms), idle: range(idle_ms), age: range(age_ms) },
    handshakeMs: setup.handshake_ms,
    frameMs: setup.frame_ms,
    drainGraceMs: setup.drain_grace_ms,
  };
}

function diskOf({ device, timeline }: ServiceState): MemoryDisk {
  const disk = new MemoryDisk();
  disk.users.set(BOB, { epoch: 1, head: 0, floor: 1 });
  if (timeline !== null) {
    disk.users.set(ALICE, timeline);
    const numbers = Array.from({ length: timeline.head }, (_, index) => index + 1);
    const event = new Uint8Array(100);
    disk.logs.set(
      LOG,
      numbers.map(() => ({ committedMs: 1, event })),
    );
    disk.timelines.set(
      ALICE,
      numbers.map((logSeq) => ({ log: LOG, logSeq })),
    );
  }
  if (device !== null) {
    const { generation, outbox_epoch, through, results_through, result_digests } = device;
    disk.records.set(deviceName({ user: ALICE, deviceId: "phone" }), {
      generation,
      sessionId: new Uint8Array(16),
      granted: { from: outbox_epoch, through: outbox_epoch },
      outboxEpoch: outbox_epoch,
      through,
      resultsThrough: results_through,
      results: result_digests.map((digest) => ({
        code: ErrorCode.UNSPECIFIED,
        conversationSeq: 1,
        committedMs: 1,
        digest,
        retryAfterMs: 0,
      })),
      deliveredThrough: 0,
      firstAttachedMs: 0,
      lastAttachedMs: 0,
      isEnded: false,
    });
  }
  return disk;
}
