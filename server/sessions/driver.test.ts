import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { CursorStart } from "../../gen/posthorn/v1/session_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { decodeFrame, encodeFrame, type Frame, isViolation } from "../../protocol/frames.ts";
import type { AcceptedLink } from "../../protocol/link.ts";
import { openAuthenticator } from "../auth/open.ts";
import { CONVERSATION_RULES } from "../operations/conversations.ts";
import { PublishBudget } from "../operations/publish-budget.ts";
import { Services } from "../services/service.ts";
import { MemoryStore } from "../store/memory.ts";
import { Alarms } from "./alarms.ts";
import { type DriverContext, SessionDriver } from "./driver.ts";
import { Hub } from "./hub.ts";

const WINDOW = { count: 8, bytes: 10_000 };
const RANGE = { defaultMs: 1_000, minMs: 100, maxMs: 60_000 };
const LIMITS = {
  frameBytes: 4096,
  contentBytes: 1024,
  submitWindow: WINDOW,
  deliveryWindowMax: WINDOW,
  timers: { keepalive: RANGE, idle: { ...RANGE, defaultMs: 3_000 }, age: { ...RANGE, minMs: 0 } },
  handshakeMs: 1_000,
  frameMs: 1_000,
  drainGraceMs: 100,
};

/** A store whose writes wait until they are let through. */
function heldStore() {
  const waiting: (() => void)[] = [];
  let isHeld = false;
  const store = new MemoryStore({
    nowMs: () => 1,
    newSessionId: () => new Uint8Array(16),
    newTimelineEpoch: () => 1,
    flush: async (write) => {
      if (isHeld) await new Promise<void>((resolve) => waiting.push(resolve));
      write();
    },
  });
  const hold = (held: boolean) => {
    isHeld = held;
    for (const go of waiting.splice(0)) go();
  };
  return { store, hold };
}

function nodeOf(store: MemoryStore): DriverContext {
  return {
    store,
    authenticator: openAuthenticator(),
    services: new Services({ roleIn: async () => undefined }),
    crypto: NATIVE_CRYPTO,
    publishing: new PublishBudget(),
    conversations: CONVERSATION_RULES,
    hub: new Hub(store),
    alarms: new Alarms({ nowMs: () => 1, timer: () => () => {} }),
    limits: LIMITS,
    observer: {
      attached: () => {},
      closed: () => {},
      committed: () => {},
      delivered: () => {},
      failed: (where, error) => assert.fail(`${where}: ${error}`),
    },
  };
}

/** A device's end of one link to a node, driven frame by frame. */
class Peer {
  readonly heard: Frame[] = [];
  readonly #driver: SessionDriver;
  readonly #frames = new Delimiter(1 << 20);

  constructor(node: DriverContext, part: Partial<AcceptedLink> = {}) {
    const link: AcceptedLink = {
      kind: "tcp",
      peer: "",
      isTls: false,
      write: (bytes) => {
        this.#frames.push(bytes, (from, at, end) => {
          for (const phase of ["opening", "open"] as const) {
            const frame = decodeFrame(from, { at, end }, { sender: "server", phase });
            if (isViolation(frame)) continue;
            this.heard.push(frame);
            break;
          }
          return true;
        });
        return true;
      },
      close: (code) => void setImmediate(() => this.#driver.closed(code, "")),
      ...part,
    };
    this.#driver = new SessionDriver(link, node, () => {});
  }

  say(...frames: readonly Frame[]): Promise<void> {
    for (const frame of frames) this.#driver.received(encodeFrame(frame));
    return rest();
  }

  hello(epoch: number): Promise<void> {
    return this.say({
      kind: "hello",
      value: {
        versionMin: 1,
        versionMax: 1,
        token: "",
        userId: "alice",
        deviceId: "phone",
        outbox: { epoch, resultsThrough: 0, next: 1 },
        cursor: { epoch: 0, seq: 0, start: CursorStart.EARLIEST },
        deliveryWindow: WINDOW,
        agent: "",
      },
    });
  }

  cut(): void {
    this.#driver.closed(ErrorCode.LINK_LOST, "");
  }

  get closedWith(): ErrorCode | undefined {
    const last = this.heard.at(-1);
    return last?.kind === "close" ? last.value.code : undefined;
  }
}

const READY: Frame = { kind: "ready", value: {} };
const ACK: Frame = { kind: "ack", value: { deliveredThrough: 0, resultsThrough: 0 } };
const rest = () => new Promise<void>((resolve) => setImmediate(resolve));

test("[SES-1] [ENV-61] a handshake's time counts from its link's opening", () => {
  let nowMs = 10_000;
  let ring: (() => void) | undefined;
  const timer = (_: number, callback: () => void) => {
    ring = callback;
    return () => {};
  };
  const node = { ...nodeOf(heldStore().store), alarms: new Alarms({ nowMs: () => nowMs, timer }) };
  const peers = [new Peer(node, { openedMs: 9_100 }), new Peer(node)];
  nowMs += 200;
  ring?.();
  const closes = peers.map(({ closedWith }) => closedWith);
  assert.deepEqual(closes, [ErrorCode.TOO_SLOW, undefined]);
});

test("[SES-6] a link that dies before its attach is durable fences the older one all the same", async () => {
  const { store, hold } = heldStore();
  const node = nodeOf(store);
  const [older, newer] = [new Peer(node), new Peer(node)];
  await older.hello(0);
  await older.say(READY);
  await newer.hello(1);
  hold(true);
  await newer.say(READY);
  newer.cut();
  assert.equal(older.closedWith, undefined, "not in force yet");
  hold(false);
  await rest();
  assert.equal(older.closedWith, ErrorCode.SUPERSEDED);
});

test("[SES-6] [SES-18] an attach that is overtaken tells the one that it fenced off", async () => {
  const { store } = heldStore();
  const node = nodeOf(store);
  const [older, newer] = [new Peer(node), new Peer(node)];
  await older.hello(0);
  await older.say(READY);
  await newer.hello(1);
  await older.say({ kind: "submit", value: { seq: 1, operation: Uint8Array.of(0xff) } });
  await newer.say(READY);
  assert.equal(newer.closedWith, ErrorCode.ATTACH_OVERTAKEN);
  assert.equal(older.closedWith, ErrorCode.SUPERSEDED);
});

test("[SES-6] a session that another node fenced off learns it with its next Ack", async () => {
  const { store } = heldStore();
  const [older, newer] = [new Peer(nodeOf(store)), new Peer(nodeOf(store))];
  await older.hello(0);
  await older.say(READY, ACK);
  assert.equal(older.closedWith, undefined);
  await newer.hello(1);
  await newer.say(READY);
  assert.equal(older.closedWith, undefined, "nobody told it");
  await older.say(ACK);
  assert.equal(older.closedWith, ErrorCode.SUPERSEDED);
  assert.equal(newer.closedWith, undefined);
});
