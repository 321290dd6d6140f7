import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { crc32 } from "../protocol/crc32.ts";
import { Delimiter } from "../protocol/delimit.ts";
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameContents,
  isViolation,
} from "../protocol/frames.ts";
import type { DialledLink, LinkHandler } from "../protocol/link.ts";
import { type Client, connect } from "./client.ts";
import type { Dialer } from "./dialer.ts";
import { EMPTY_JOURNAL, type Journal, JournalError } from "./journal.ts";
import { type MemoryJournal, memoryJournal } from "./memory-journal.ts";
import { endDevice } from "./operations.ts";

const WELCOME: FrameContents["welcome"] = {
  version: 1,
  sessionId: new Uint8Array(16),
  generation: 1,
  outbox: { epoch: 1, through: 0, resultsThrough: 0, results: [] },
  timeline: { epoch: 1, head: 0, floor: 1 },
  resume: { cursor: 0, outcome: { case: "resumed", value: {} } },
  timers: { keepaliveMs: 10_000, idleMs: 30_000, ageMs: 0 },
  submitWindow: { count: 8, bytes: 1_000_000 },
  limits: { frameBytes: 262_144, contentBytes: 1024, calls: 16 },
  userId: "u",
  nowMs: 1,
  loginAccount: "",
};

/** A service of one link, which is the dialler's own. */
class Service implements Dialer, DialledLink {
  readonly kind = "tcp";
  readonly address = "here";
  readonly peer = "here";
  /** Every frame that came up. */
  readonly frames: Frame[] = [];
  readonly #welcome: FrameContents["welcome"];
  readonly #delimiter = new Delimiter(1 << 24);
  #handler: LinkHandler | undefined;

  /** Said right behind each SubmitAck. */
  lastWords: ErrorCode | undefined;

  constructor(welcome: Partial<FrameContents["welcome"]> = {}) {
    this.#welcome = { ...WELCOME, ...welcome };
  }

  async dial(): Promise<DialledLink> {
    return this;
  }

  start(handler: LinkHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array): boolean {
    this.#delimiter.push(bytes, (from, at, end) => {
      const phases = ["opening", "joining", "open"] as const;
      const read = phases.map((phase) =>
        decodeFrame(from, { at, end }, { sender: "client", phase }),
      );
      const frame = read.find((one) => !isViolation(one));
      if (frame !== undefined) this.#received(frame as Frame, end - at);
      return true;
    });
    return true;
  }

  close(): void {}

  /** In one piece. */
  send(...frames: readonly Frame[]): void {
    setImmediate(() => this.#handler?.received(Buffer.concat(frames.map(encodeFrame))));
  }

  #received(frame: Frame, bytes: number): void {
    this.frames.push(frame);
    if (bytes > (this.#welcome.limits?.frameBytes ?? 0)) {
      const code = ErrorCode.FRAME_TOO_LARGE;
      this.send({ kind: "close", value: { code, detail: "", requirement: "FRM-3" } });
    }
    if (frame.kind === "hello") this.send({ kind: "welcome", value: this.#welcome });
    if (frame.kind === "submit") this.#submitted(frame.value);
    if (frame.kind !== "ready") return;
    const events = Array.from({ length: this.#welcome.timeline?.head ?? 0 }, (_, index) => {
      const value = { conversationSeq: 1, committedMs: 1, event: Uint8Array.of(1) };
      return { kind: "deliver", value: { ...value, seq: index + 1 } } as const;
    });
    this.send(...events);
  }

  /** Commits at once; refuses what is no operation. */
  #submitted({ seq, operation }: FrameContents["submit"]): void {
    const code = operation.length === 0 ? ErrorCode.OPERATION_MALFORMED : ErrorCode.UNSPECIFIED;
    const digest = crc32(operation);
    const result = { code, conversationSeq: seq, committedMs: 1, digest, retryAfterMs: 0 };
    const ack = { kind: "submitAck", value: { through: seq, results: [result] } } as const;
    const close = { code: this.lastWords ?? code, detail: "", requirement: "" };
    if (this.lastWords === undefined) this.send(ack);
    else this.send(ack, { kind: "close", value: close });
  }
}

/** A service whose timeline holds events 1 to `head`, all of which come at once. */
function serviceWith(head: number): Service {
  const resume = { cursor: 0, outcome: { case: "replaying", value: { count: head } } } as const;
  return new Service({ timeline: { epoch: 1, head, floor: 1 }, resume });
}

function client(service: Service, journal: Journal): Promise<Client> {
  return connect({ dialers: [service], deviceId: "d", userId: "u", journal, upgradeMs: 0 });
}

/** A journal whose cursors wait to be let through. */
function slowJournal(journal: MemoryJournal) {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const slow: Journal = {
    ...journal,
    advance: async (cursor) => {
      await opened;
      await journal.advance(cursor);
    },
  };
  return { slow, open };
}

test("[SEQ-11] what the application has handled is durable when close resolves", async () => {
  const journal = memoryJournal();
  const { slow, open } = slowJournal(journal);
  const device = await client(serviceWith(8), slow);
  let seen = 0;
  for await (const event of device.events()) {
    assert.equal(event.kind === "unknown" && event.seq, seen + 1);
    seen += 1;
    if (seen === 6) break;
  }
  const closed = device.close();
  setImmediate(open);
  await closed;
  // The sixth was in hand, and no other was asked for.
  assert.deepEqual(journal.state.cursor, { epoch: 1, seq: 5 });
});

test("[SEQ-11] nothing comes after close, and the event in hand may still be handled", async () => {
  const journal = memoryJournal();
  const device = await client(serviceWith(8), journal);
  let seen = 0;
  let closed: Promise<void> | undefined;
  for await (const _ of device.events()) {
    seen += 1;
    if (seen === 3) closed = device.close();
  }
  await closed;
  assert.equal(seen, 3);
  assert.deepEqual(journal.state.cursor, { epoch: 1, seq: 3 });
  for await (const event of device.events()) assert.fail(`${event.kind} after close`);
});

test("[SEQ-11] close says so when it could not be made durable what was handled", async () => {
  const full = new JournalError(ErrorCode.DATA_FULL, "no room");
  const journal = { ...memoryJournal(), advance: () => Promise.reject(full) };
  const device = await client(serviceWith(8), journal);
  const read = async () => {
    for await (const _ of device.events());
  };
  await assert.rejects(read(), full);
  await assert.rejects(device.close(), full);
});

const TOO_LARGE = { name: "RefusedError", code: ErrorCode.MESSAGE_TOO_LARGE };

test("[SEQ-17] what no service takes is refused at once, and in the way of nothing", async () => {
  const service = new Service();
  const journal = memoryJournal();
  const device = await client(service, journal);
  await assert.rejects(device.send("ann", "x".repeat(262_144)), TOO_LARGE);
  assert.equal(journal.state.next, 1, "it was not journalled");
  assert.equal((await device.send("ann", "hello")).conversationSeq, 1);
  await device.close();
});

test("[SEQ-18] a limit that was lowered is in the way of no other message", async () => {
  const limits = { frameBytes: 16_384, contentBytes: 1024, calls: 16 };
  const journal = memoryJournal();
  const device = await client(new Service({ limits }), journal);
  // Before Welcome: nothing is known of the limit.
  const large = device.send("ann", "x".repeat(20_000));
  const small = device.send("ann", "hello");
  await assert.rejects(large, TOO_LARGE);
  assert.equal((await small).conversationSeq, 2);
  await assert.rejects(device.send("ann", "x".repeat(20_000)), TOO_LARGE);
  await device.close();
});

test("[SEQ-18] a journal that holds what no service takes is none the worse for it", async () => {
  const operation = new Uint8Array(300_000);
  const pending = [{ seq: 1, operation }];
  const journal = memoryJournal({ ...EMPTY_JOURNAL, outboxEpoch: 1, next: 2, pending });
  const device = await client(new Service(), journal);
  assert.equal((await device.send("ann", "hello")).conversationSeq, 2);
  await device.close();
  assert.deepEqual(journal.state.pending, []);
});

test("[DEV-3] what was acknowledged right before the end of a device is told as done", async () => {
  const journal = memoryJournal();
  let settled = false;
  const slow: Journal = {
    ...journal,
    settle: async (through) => {
      await new Promise((resolve) => setImmediate(resolve));
      await journal.settle(through);
      settled = true;
    },
  };
  const service = new Service();
  service.lastWords = ErrorCode.DEVICE_ENDED;
  const device = await client(service, slow);
  await device.submit(endDevice("d"));
  assert.ok(settled);
  const ended = { name: "SessionError", code: ErrorCode.DEVICE_ENDED };
  await assert.rejects(device.send("ann", "more"), ended);
  await device.close();
});
