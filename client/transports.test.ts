import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { Delimiter } from "../protocol/delimit.ts";
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameContents,
  isViolation,
} from "../protocol/frames.ts";
import type { DialledLink, LinkHandler, LinkKind } from "../protocol/link.ts";
import { type Client, connect } from "./client.ts";
import { type Dialer, LinkError } from "./dialer.ts";
import { tcp } from "./links/tcp.ts";
import { memoryJournal } from "./memory-journal.ts";
import type { ClientOptions } from "./options.ts";
import { SessionError } from "./results.ts";

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

/** One way to a service: it opens links, which may then be silent, or be cut. */
class Way implements Dialer {
  readonly kind: LinkKind;
  readonly address: string;
  /** Links open and nothing comes back on them. */
  silent = false;
  /** Links are cut so long after Ready. */
  cutAfterMs = Number.POSITIVE_INFINITY;
  /** Rejects when a link cannot be opened. */
  opens: (signal: AbortSignal) => Promise<void> = async () => {};
  /** All links that were opened. */
  readonly links: WayLink[] = [];
  /** When they were. */
  readonly atMs: number[] = [];

  constructor(kind: LinkKind) {
    this.kind = kind;
    this.address = kind;
  }

  get openLinks(): WayLink[] {
    return this.links.filter(({ isClosed }) => !isClosed);
  }

  async dial(signal: AbortSignal): Promise<DialledLink> {
    await this.opens(signal);
    const link = new WayLink(this);
    this.links.push(link);
    this.atMs.push(Date.now());
    return link;
  }
}

class WayLink implements DialledLink {
  readonly kind: LinkKind;
  readonly peer = "here";
  /** What came up. */
  readonly frames: Frame[] = [];
  isClosed = false;
  readonly #way: Way;
  readonly #delimiter = new Delimiter(1 << 24);
  #handler: LinkHandler | undefined;

  constructor(way: Way) {
    this.kind = way.kind;
    this.#way = way;
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
      if (frame !== undefined) this.#received(frame as Frame);
      return true;
    });
    return true;
  }

  close(code: ErrorCode): void {
    if (this.isClosed) return;
    this.isClosed = true;
    setImmediate(() => this.#handler?.closed(code, ""));
  }

  #received(frame: Frame): void {
    this.frames.push(frame);
    if (this.#way.silent) return;
    if (frame.kind === "hello") this.#send({ kind: "welcome", value: WELCOME });
    if (frame.kind === "ping") {
      this.#send({ kind: "pong", value: { id: frame.value.id, sentThrough: 0 } });
    }
    if (frame.kind === "ready" && this.#way.cutAfterMs < Number.POSITIVE_INFINITY) {
      setTimeout(() => this.close(ErrorCode.LINK_LOST), this.#way.cutAfterMs);
    }
  }

  #send(frame: Frame): void {
    setImmediate(() => !this.isClosed && this.#handler?.received(encodeFrame(frame)));
  }
}

/** A client at a clock that the test turns, and back-offs that are always the longest. */
async function clientOf(
  t: TestContext,
  dialers: readonly Dialer[],
  options: Partial<ClientOptions> = {},
): Promise<Client> {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  t.mock.method(Math, "random", () => 0.999);
  const given = { dialers, deviceId: "d", userId: "u", journal: memoryJournal(), upgradeMs: 0 };
  const device = await connect({ ...given, ...options });
  t.after(() => device.close());
  return device;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Time passes, in small steps. */
async function pass(t: TestContext, ms: number, stepMs = 100): Promise<void> {
  await settle();
  for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
    t.mock.timers.tick(stepMs);
    await settle();
  }
}

test("[SES-16] links that are cut soon after they opened let the back-off grow (P15)", async (t) => {
  const way = new Way("tcp");
  way.cutAfterMs = 1_500;
  const device = await clientOf(t, [way]);
  await pass(t, 40_000);
  const gapsMs = way.atMs.slice(1).map((atMs, index) => atMs - (way.atMs[index] as number));
  assert.deepEqual(
    gapsMs.map((ms) => Math.round((ms - 1_500) / 100)),
    [2, 4, 8, 16, 32, 64, 128],
  );
  // A session that lasts ends the back-off.
  way.cutAfterMs = 5_500;
  await pass(t, 32_000);
  const lasted = way.atMs.length;
  await pass(t, 5_500 + 1_000);
  assert.equal(way.atMs.length, lasted + 1);
  await device.close();
});

/** Nothing can be opened here. */
const refuses = () => Promise.reject(new LinkError(ErrorCode.LINK_LOST, "refused"));
/** Nothing answers here, for as long as one waits. */
const hangs = (signal: AbortSignal) =>
  new Promise<void>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

for (const [where, opens] of [
  ["waiting", refuses],
  ["connecting", hangs],
] as const) {
  test(`[LNK-15] move while ${where}: the client goes there now, and leaves no link open`, async (t) => {
    const [old, way] = [new Way("tcp"), new Way("tcp")];
    old.opens = opens;
    const device = await clientOf(t, [old], { backoff: { baseMs: 30_000, capMs: 60_000 } });
    await settle();
    assert.equal(device.status.state, where);
    await device.move([way]);
    await settle();
    assert.equal(device.status.state, "open");
    for (let move = 0; move < 4; move += 1) await device.move([way]);
    await settle();
    assert.equal(device.status.state, "open");
    assert.equal(way.openLinks.length, 1);
    await device.close();
    await settle();
    assert.equal(way.openLinks.length, 0);
  });
}

test("[LNK-15] a link that was dialled for a move is closed when the client ends, or has no token", async (t) => {
  const [old, way] = [new Way("tcp"), new Way("tcp")];
  let hasToken = true;
  const token = async () => {
    if (!hasToken) throw new Error("no token now");
    return "";
  };
  const device = await clientOf(t, [old], { token });
  await settle();
  assert.equal(device.status.state, "open");
  hasToken = false;
  await device.move([way]);
  await settle();
  assert.equal(device.status.state, "waiting");
  assert.deepEqual([way.links.length, way.openLinks.length], [1, 0]);
  hasToken = true;
  const moved = device.move([way]);
  await device.close();
  await assert.rejects(moved, SessionError);
  await settle();
  assert.deepEqual([...old.openLinks, ...way.openLinks], []);
});

test("[LNK-15] no socket is left open by moves while waiting", async (t) => {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.resume();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  const dead = new Way("tcp");
  dead.opens = refuses;
  const device = await connect({
    dialers: [dead],
    deviceId: "d",
    userId: "u",
    journal: memoryJournal(),
    backoff: { baseMs: 3_600_000, capMs: 3_600_000 },
  });
  t.after(() => device.close());
  await until(() => device.status.state === "waiting");
  for (let move = 0; move < 5; move += 1) {
    await device.move([tcp({ host: "127.0.0.1", port })]);
  }
  await until(() => accepted === 5 && sockets.size === 1);
  assert.equal(device.status.link, "tcp");
  await device.close();
  await until(() => sockets.size === 0);
});

test("[LNK-15] [SES-18] a link that works is kept until the service has answered on a better one", async (t) => {
  const [silent, working] = [new Way("tcp"), new Way("websocket")];
  silent.silent = true;
  const device = await clientOf(t, [silent, working], { upgradeMs: 60_000 });
  await pass(t, 20_000);
  assert.equal(device.status.link, "websocket");
  const states: string[] = [];
  device.onStatus(({ state }) => states.push(state));
  await pass(t, 40 * 60_000, 1_000);
  assert.deepEqual(states, []);
  assert.equal(working.links.length, 1);
  const minutes = silent.atMs.map((atMs) => Math.round((atMs - 1_000_000) / 60_000));
  assert.deepEqual(minutes, [0, 1, 3, 8, 16, 32]);
  assert.deepEqual(silent.openLinks, []);

  silent.silent = false;
  await pass(t, 32 * 60_000, 1_000);
  assert.equal(device.status.state, "open");
  assert.equal(device.status.link, "tcp");
  assert.equal(silent.openLinks.length, 1);
  assert.deepEqual(working.openLinks, []);
  const [trial, used] = silent.links.slice(-2).map(({ frames }) => frames);
  assert.deepEqual(
    trial?.map(({ kind }) => kind),
    ["hello", "close"],
  );
  assert.deepEqual(
    used?.slice(0, 2).map(({ kind }) => kind),
    ["hello", "ready"],
  );
  const hello = trial?.[0];
  assert.ok(hello?.kind === "hello");
  assert.deepEqual(hello.value.outbox, { epoch: 1, resultsThrough: 0, next: 1 });
});

test("[LNK-15] a trial ends with the client, and with the link that it was to replace", async (t) => {
  const [silent, working] = [new Way("tcp"), new Way("websocket")];
  silent.silent = true;
  const device = await clientOf(t, [silent, working], { upgradeMs: 60_000 });
  await pass(t, 20_000);
  const trials = silent.links.length;
  for (let steps = 0; silent.links.length === trials && steps < 300; steps += 1) {
    await pass(t, 1_000, 1_000);
  }
  assert.equal(silent.openLinks.length, 1);
  working.openLinks[0]?.close(ErrorCode.LINK_LOST);
  await settle();
  assert.equal(silent.links[trials]?.isClosed, true);
  await device.close();
  await settle();
  assert.deepEqual([...silent.openLinks, ...working.openLinks], []);
});

/** Looks until it is so, for ten seconds at most. */
async function until(isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!isSo()) {
    assert.ok(performance.now() < endMs, `not so after ten seconds: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
