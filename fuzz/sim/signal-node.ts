import { CursorStart } from "../../gen/posthorn/v1/session_pb.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { encodeFrame, type Frame, type FrameContents } from "../../protocol/frames.ts";
import type { Attachment, Durable } from "../../protocol/session/facts.ts";
import type { Hint } from "../../protocol/session/hint-queue.ts";
import type { SignalPlain } from "../../protocol/session/received-signals.ts";
import { ServerSession } from "../../protocol/session/server.ts";
import { assert } from "../../protocol/violation.ts";
import type { Sender } from "../../server/operations/plan.ts";
import { type Alarm, Alarms, TICK_MS } from "../../server/sessions/alarms.ts";
import type { SignalMember } from "../../server/signals/attendance.ts";
import { SignalBoard, type SignalRules } from "../../server/signals/board.ts";
import {
  type DocumentRef,
  type LogRef,
  type PlanningState,
  type Store,
  type StoredDocument,
  userRefOf,
} from "../../server/store/store.ts";
import { frameIn } from "./frame-reader.ts";
import { NODE_LIMITS } from "./node.ts";

export const START_MS = 1_800_000_000_000;
/** Nobody is silent for so long that the session ends. */
const LIMITS = {
  ...NODE_LIMITS,
  timers: {
    keepalive: { defaultMs: 100_000_000, minMs: 0, maxMs: 2 ** 31 - 1 },
    idle: { defaultMs: 1_000_000_000, minMs: 0, maxMs: 2 ** 31 - 1 },
    age: { defaultMs: 0, minMs: 0, maxMs: 0 },
  },
};

/** The signals of a node over a clock and documents by hand, and sessions that are open. */
export class SignalNode {
  readonly board: SignalBoard;
  readonly alarms: Alarms;
  readonly documents = new Map<DocumentRef, StoredDocument>();
  nowMs = START_MS;
  #ring: (() => void) | undefined;
  /** A turn's, be it what a device was told in it. */
  #failure: unknown;
  #grown: (log: LogRef, head: number) => void = () => {};

  constructor(rules: SignalRules) {
    this.alarms = new Alarms({
      nowMs: () => this.nowMs,
      timer: (_, ring) => {
        this.#ring = ring;
        return () => {
          this.#ring = undefined;
        };
      },
    });
    this.board = new SignalBoard({
      store: this.#store(),
      deadlines: this.alarms,
      rules,
      failed: (_, error) => {
        this.#failure ??= error;
      },
    });
  }

  put(ref: DocumentRef, bytes: Uint8Array): void {
    const revision = (this.documents.get(ref)?.revision ?? 0) + 1;
    this.documents.set(ref, { revision, bytes });
  }

  grown(log: LogRef, head: number): void {
    this.#grown(log, head);
  }

  /**
   * Lets time pass a tick at a time.
   *
   * @param rung called after each, before the next
   * @throws what failed in a turn
   */
  async pass(ms: number, rung: () => void = () => {}): Promise<void> {
    const endMs = this.nowMs + ms;
    await settled();
    while (this.nowMs < endMs) {
      const ring = this.#ring;
      this.nowMs = ring === undefined ? endMs : Math.min(endMs, this.nowMs + TICK_MS);
      this.#ring = undefined;
      ring?.();
      await settled();
      rung();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #store(): Pick<Store, "loadForPlanning" | "watchLogs"> {
    return {
      loadForPlanning: async ({ documents = [] }): Promise<PlanningState> => {
        const held = documents.flatMap((ref) => {
          const document = this.documents.get(ref);
          return document === undefined ? [] : [[ref, document] as const];
        });
        const nothing = { knownUsers: new Set<never>(), entries: new Map(), heads: new Map() };
        return { ...nothing, documents: new Map(held), nowMs: this.nowMs };
      },
      watchLogs: (grown) => {
        this.#grown = grown;
        return () => {};
      },
    };
  }
}

/** Promises that are resolved already are heard of; nothing here waits for more. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 6; turn += 1) await undefined;
}

/** What a session is told by, and what it says. */
export interface SessionEar {
  heard(signal: SignalPlain): void;
  told(hints: FrameContents["hints"], bytes: number): void;
}

/** One session of the node, open from the beginning, with its device at the other end. */
export class SignalSession implements SignalMember {
  readonly sender: Sender;
  isPaused = false;
  readonly #node: SignalNode;
  readonly #ear: SessionEar;
  readonly #session: ServerSession;
  readonly #alarm: Alarm;
  readonly #cut = new Delimiter(1 << 20);
  readonly #leave: () => void;

  constructor(node: SignalNode, sender: Sender, ear: SessionEar) {
    this.#node = node;
    this.sender = sender;
    this.#ear = ear;
    this.#session = new ServerSession(LIMITS, node.nowMs);
    this.#alarm = node.alarms.alarm((nowMs) => {
      this.#session.elapsed(nowMs);
      this.#obey();
    });
    this.#open();
    this.#leave = node.board.join(this);
  }

  hinted(hints: readonly Hint[]): void {
    this.#session.hinted(hints, this.#node.nowMs);
    this.#obey();
  }

  say(kind: SignalPlain): void {
    this.#receive({ kind: "signal", value: { kind } });
    this.#obey();
  }

  pause(isPaused: boolean): void {
    this.isPaused = isPaused;
    this.#session.paused(isPaused);
    this.#obey();
  }

  leave(): void {
    this.#leave();
    this.#alarm.cancel();
    this.#session.unlinked();
  }

  #open(): void {
    const { userId, deviceId } = this.sender;
    this.#receive(helloOf(userId, deviceId));
    this.#session.effects();
    const attachment = ATTACHMENT as Durable<Attachment>;
    this.#session.prepared({ attachment, userId }, this.#node.nowMs);
    this.#receive({ kind: "ready", value: {} });
    this.#session.attached();
    const bounds = ATTACHMENT.timeline;
    for (const effect of this.#session.effects()) {
      if (effect.kind !== "load") continue;
      this.#session.loaded({ bounds, entries: [] }, this.#node.nowMs);
    }
    assert(this.#session.effects().length === 0, "an honest device is let in");
  }

  #receive(frame: Frame): void {
    this.#session.received(encodeFrame(frame), this.#node.nowMs);
  }

  #obey(): void {
    for (const effect of this.#session.effects()) {
      if (effect.kind === "signal") {
        this.#ear.heard(effect.signal);
        this.#node.board.signalled(this, effect.signal);
      } else if (effect.kind === "write") {
        this.#written(effect.bytes);
      } else assert(false, `${effect.kind} of a session that only signals`);
    }
    this.#alarm.set(this.#session.deadlineMs());
  }

  #written(bytes: Uint8Array): void {
    assert(!this.isPaused, "nothing for a link that takes no more [SIG-5]");
    this.#cut.push(bytes, (from, at, end) => {
      const frame = frameIn(from, { at, end }, "server");
      assert(frame.kind === "hints", `${frame.kind} of a session that only signals`);
      this.#ear.told(frame.value, end - at);
      return true;
    });
  }
}

const ATTACHMENT: Attachment = {
  sessionId: new Uint8Array(16),
  generation: 1,
  outbox: { epoch: 1, through: 0, resultsThrough: 0, results: [] },
  timeline: { epoch: 1, head: 0, floor: 1 },
};

function helloOf(userId: string, deviceId: string): Frame {
  return {
    kind: "hello",
    value: {
      versionMin: 1,
      versionMax: 1,
      token: "",
      userId,
      deviceId,
      outbox: { epoch: 0, resultsThrough: 0, next: 1 },
      cursor: { epoch: 0, seq: 0, start: CursorStart.EARLIEST },
      timers: undefined,
      deliveryWindow: { count: 4, bytes: 10_000 },
      agent: "",
    },
  };
}

export const senderOf = (userId: string, deviceId = "d"): Sender => ({
  tenant: "",
  userId,
  deviceId,
});
export const refOf = (userId: string) => userRefOf("", userId);
