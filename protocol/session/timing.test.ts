import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { Delimiter } from "../delimit.ts";
import { decodeFrame, encodeFrame, type Frame, isViolation } from "../frames.ts";
import { ClientSession } from "./client.ts";
import type { Attachment, Durable } from "./facts.ts";
import { ServerSession } from "./server.ts";

const RANGE = (defaultMs: number, maxMs: number) => ({ defaultMs, minMs: 0, maxMs });
const WINDOW = { count: 8, bytes: 1000 };
const KEEPALIVE_MS = 1_000;
const IDLE_MS = 3_000;
const AGE_MS = 10_000;
const GRACE_MS = 500;
const ATTACHMENT = {
  sessionId: new Uint8Array(16),
  generation: 1,
  outbox: { epoch: 1, through: 0, resultsThrough: 0, results: [] },
  timeline: { epoch: 1, head: 0, floor: 1 },
} satisfies Attachment;

/** Both machines, with nothing between them but the bytes. */
class Pair {
  nowMs = 0;
  readonly up: Frame[] = [];
  readonly down: Frame[] = [];
  readonly device: ClientSession;
  readonly service: ServerSession;
  #head = 0;
  #handles = true;

  constructor(ageMs = 0) {
    this.device = new ClientSession(
      {
        deviceId: "d",
        userId: "u",
        agent: "",
        start: "earliest",
        deliveryWindow: WINDOW,
        timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
        handshakeMs: 1_000,
      },
      { outboxEpoch: 0, resultsThrough: 0, next: 1, pending: [], cursor: { epoch: 0, seq: 0 } },
    );
    this.service = new ServerSession(
      {
        frameBytes: 4096,
        contentBytes: 1024,
        submitWindow: WINDOW,
        deliveryWindowMax: WINDOW,
        timers: {
          keepalive: RANGE(KEEPALIVE_MS, 10_000),
          idle: RANGE(IDLE_MS, 60_000),
          age: RANGE(ageMs, 60_000),
        },
        handshakeMs: 1_000,
        frameMs: 1_000,
        drainGraceMs: GRACE_MS,
      },
      0,
    );
    this.device.linked({ token: "" }, 0);
    this.run();
    this.up.length = 0;
    this.down.length = 0;
  }

  elapse(ms: number): void {
    this.nowMs += ms;
    this.device.elapsed(this.nowMs);
    this.service.elapsed(this.nowMs);
    this.run();
  }

  /** One event comes down, and the application handles it or does not. */
  deliver(handles: boolean): void {
    this.#head += 1;
    this.#handles = handles;
    this.service.woken(this.#head);
    this.run();
  }

  kinds(frames: readonly Frame[]): string[] {
    return frames.map(({ kind }) => kind);
  }

  #load(after: number): void {
    const entries = Array.from({ length: this.#head - after }, (_, index) => {
      const seq = after + 1 + index;
      return { seq, conversationSeq: seq, committedMs: 1, event: Uint8Array.of(1) };
    });
    const bounds = { epoch: 1, head: this.#head, floor: 1 };
    this.service.loaded({ bounds, entries }, this.nowMs);
  }

  run(): void {
    for (let turn = 0; turn < 10; turn += 1) {
      for (const effect of this.device.effects(this.nowMs)) {
        if (effect.kind === "install") this.device.installed(this.nowMs);
        if (effect.kind === "deliver" && this.#handles) {
          this.device.applied({ epoch: 1, seq: this.#head }, this.nowMs);
        }
        if (effect.kind === "drain") this.device.close(ErrorCode.GOODBYE);
        if (effect.kind !== "write") continue;
        this.up.push(...framesIn(effect.bytes, "client"));
        this.service.received(effect.bytes, this.nowMs);
      }
      for (const effect of this.service.effects()) {
        const attachment = ATTACHMENT as Attachment as Durable<Attachment>;
        if (effect.kind === "prepare") {
          this.service.prepared({ attachment, userId: "u" }, this.nowMs);
        }
        if (effect.kind === "attach") this.service.attached();
        if (effect.kind === "load") this.#load(effect.after);
        if (effect.kind !== "write") continue;
        this.down.push(...framesIn(effect.bytes, "server"));
        this.device.received(effect.bytes, this.nowMs);
      }
    }
  }
}

function framesIn(bytes: Uint8Array, sender: "client" | "server"): Frame[] {
  const frames: Frame[] = [];
  new Delimiter(1 << 20).push(bytes, (from, at, end) => {
    for (const phase of ["opening", "joining", "open"] as const) {
      const frame = decodeFrame(from, { at, end }, { sender, phase });
      if (isViolation(frame)) continue;
      frames.push(frame);
      break;
    }
    return true;
  });
  return frames;
}

test("[SES-9] a quiet device pings within keepalive, and each Ping has a Pong of its id", () => {
  const pair = new Pair();
  for (let round = 0; round < 5; round += 1) {
    pair.elapse(KEEPALIVE_MS - 1);
    assert.deepEqual(pair.kinds(pair.up), []);
    pair.elapse(1);
    assert.deepEqual(pair.kinds(pair.up), ["ping"]);
    const [ping, pong] = [pair.up.splice(0)[0], pair.down.splice(0)[0]];
    assert.ok(ping?.kind === "ping" && pong?.kind === "pong");
    assert.equal(pong.value.id, ping.value.id);
  }
});

test("[SEQ-12] acknowledges after 200 ms, after half a window, or with a frame that goes up", () => {
  const pair = new Pair();
  pair.deliver(true);
  assert.deepEqual(pair.kinds(pair.up), [], "not for one event at once");
  pair.elapse(199);
  assert.deepEqual(pair.kinds(pair.up), []);
  pair.elapse(1);
  assert.deepEqual(pair.kinds(pair.up.splice(0)), ["ack"], "after 200 ms");
  for (let count = 0; count < 3; count += 1) pair.deliver(true);
  assert.deepEqual(pair.kinds(pair.up), []);
  pair.deliver(true);
  assert.deepEqual(pair.kinds(pair.up.splice(0)), ["ack"], "half of the window of 8");
  pair.deliver(true);
  pair.device.probe(pair.nowMs);
  pair.run();
  assert.deepEqual(pair.kinds(pair.up).sort(), ["ack", "ping"], "with a frame that goes up");
  pair.up.length = 0;
  pair.deliver(false);
  pair.elapse(300);
  assert.deepEqual(pair.kinds(pair.up), [], "nothing was handled");
});

test("[SES-13] a link that is old is drained, and closed with AGED after the grace", () => {
  const pair = new Pair(AGE_MS);
  while (pair.nowMs < AGE_MS - KEEPALIVE_MS) pair.elapse(KEEPALIVE_MS);
  assert.ok(!pair.kinds(pair.down).includes("drain"));
  // A device that does not listen: only the service's clock goes on.
  const service = pair.service;
  service.received(encodeFrame({ kind: "ping", value: { id: 9, sentThrough: 0 } }), AGE_MS - 1);
  service.effects();
  service.elapsed(AGE_MS);
  const written = (frames: ReturnType<typeof service.effects>) =>
    frames.flatMap((effect) => (effect.kind === "write" ? framesIn(effect.bytes, "server") : []));
  const [drain] = written(service.effects());
  assert.equal(drain?.kind, "drain");
  service.elapsed(AGE_MS + GRACE_MS - 1);
  assert.deepEqual(written(service.effects()), []);
  service.elapsed(AGE_MS + GRACE_MS);
  const [close] = written(service.effects());
  assert.equal(close?.kind === "close" && close.value.code, ErrorCode.AGED);
});

test("[SES-14] a draining device acknowledges what it holds before it closes", () => {
  const pair = new Pair();
  pair.deliver(true);
  assert.deepEqual(pair.kinds(pair.up), []);
  const code = ErrorCode.DRAINED;
  pair.device.received(
    encodeFrame({ kind: "drain", value: { slotMs: 20, graceMs: GRACE_MS, alternatives: [] } }),
    pair.nowMs,
  );
  pair.run();
  assert.deepEqual(pair.kinds(pair.up), ["ack", "close"]);
  const [ack] = pair.up;
  assert.ok(ack?.kind === "ack");
  assert.equal(ack.value.deliveredThrough, 1);
  pair.service.drain({ slotMs: 0, graceMs: 0, alternatives: [], code }, pair.nowMs);
  assert.deepEqual(
    pair.service.effects().filter(({ kind }) => kind === "write"),
    [],
  );
});
