import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { WebSocket } from "ws";
import type { Dialer } from "../../client/dialer.ts";
import { longPoll } from "../../client/links/longpoll.ts";
import { tcp } from "../../client/links/tcp.ts";
import { type WebSocketConstructor, webSocket } from "../../client/links/websocket.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OpenRequestSchema } from "../../gen/posthorn/v1/longpoll_pb.ts";
import { lengthPrefixBytes, writeLengthPrefix } from "../../protocol/delimit.ts";
import { encodeHeader } from "../../protocol/envelope/records.ts";
import type { DialledLink, Link, LinkAcceptor } from "../../protocol/link.ts";
import { PREFACE } from "../../protocol/sniff.ts";
import { Alarms } from "../sessions/alarms.ts";
import { Listener } from "./listener.ts";
import { LongPollLinks } from "./longpoll.ts";
import { longPollHttp } from "./longpoll-http.ts";
import { anyOrigin } from "./origin.ts";

const TESTDATA = join(import.meta.dirname, "..", "testdata");
const cert = readFileSync(join(TESTDATA, "localhost-cert.pem"), "utf8");
const key = readFileSync(join(TESTDATA, "localhost-key.pem"), "utf8");

const LIMITS = {
  holdMs: 2_000,
  coalesceMs: 0,
  idleMs: 5_000,
  sendBytesMax: 65_536,
  pollBytesMax: 65_536,
  bufferBytesMax: 262_144,
  linksMax: 100,
  linksPerPeerMax: 100,
};

/** A node's listener with all links and nothing above them. */
class Doors {
  accept: LinkAcceptor = () => ({ received: () => {}, drained: () => {}, closed: () => {} });
  readonly alarms = new Alarms({ nowMs: () => Date.now() });
  nowMs: () => number = () => Date.now();
  readonly #longPolls: LongPollLinks;
  readonly #listener: Listener;
  port = 0;

  constructor(http = true, frameBytesMax = 262_144) {
    const accept: LinkAcceptor = (link) => this.accept(link);
    this.#longPolls = new LongPollLinks(LIMITS, this.alarms, accept);
    const options = { bodyMs: 400, corsOrigin: "*", originRule: anyOrigin };
    this.#listener = new Listener({
      host: "127.0.0.1",
      port: 0,
      transports: { tcp: true, websocket: http, http },
      tls: { cert, key },
      accept,
      http: longPollHttp(this.#longPolls, options, (_request, response) => response.end()),
      frameBytesMax,
      originRule: anyOrigin,
      socketsMax: 1_000,
      openingMs: 1_000,
      quietMs: 10_000,
      nowMs: () => this.nowMs(),
    });
  }

  get longPollCount(): number {
    return this.#longPolls.count;
  }

  async open(): Promise<void> {
    this.port = (await this.#listener.listen()).port;
  }

  async close(): Promise<void> {
    this.#longPolls.closeAll();
    await this.#listener.close();
    this.alarms.close();
  }
}

/** One end of a link, remembering what it was told. */
class End {
  link: Link | undefined;
  readonly chunks: Uint8Array[] = [];
  closes: ErrorCode[] = [];
  drains = 0;
  #changed: () => void = () => {};

  readonly handler = {
    received: (bytes: Uint8Array) => {
      assert.equal(this.closes.length, 0, "nothing after closed");
      this.chunks.push(bytes.slice());
      this.#changed();
    },
    drained: () => {
      this.drains += 1;
      this.#changed();
    },
    closed: (code: ErrorCode) => {
      this.closes.push(code);
      this.#changed();
    },
  };

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

/** Whole frames of random content, of many sizes. */
function randomFrames(bytes: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let left = bytes; left > 0; ) {
    const length = Math.min(left, 2 + ((frames.length * 7919) % 20_000));
    const prefix = lengthPrefixBytes(length);
    const frame = new Uint8Array(prefix + length);
    writeLengthPrefix(length, frame, 0);
    frame.set(randomBytes(length), prefix);
    frames.push(frame);
    left -= length;
  }
  return frames;
}

const doors = new Doors();
before(() => doors.open());
after(() => doors.close());

class TrustingWebSocket extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols, { ca: cert });
  }
}
const implementation = TrustingWebSocket as unknown as WebSocketConstructor;
const KINDS: Readonly<Record<string, () => Dialer>> = {
  tcp: () => tcp({ host: "127.0.0.1", port: doors.port }),
  tls: () =>
    tcp({ host: "127.0.0.1", port: doors.port, tls: { ca: cert, serverName: "localhost" } }),
  ws: () => webSocket(`ws://127.0.0.1:${doors.port}`, { implementation }),
  wss: () => webSocket(`wss://localhost:${doors.port}`, { implementation }),
  longpoll: () => longPoll(`http://127.0.0.1:${doors.port}`),
};

async function pair(dialer: Dialer): Promise<{ near: End; far: End; dialled: DialledLink }> {
  const [near, far] = [new End(), new End()];
  doors.accept = (link) => {
    far.link = link;
    return far.handler;
  };
  const dialled = await dialer.dial(new AbortController().signal);
  near.link = dialled;
  dialled.start(near.handler);
  // The service knows of a raw link when its first bytes have come.
  while (far.link === undefined) await new Promise((resolve) => setImmediate(resolve));
  return { near, far, dialled };
}

for (const [name, dialerOf] of Object.entries(KINDS)) {
  describe(`link contract: ${name}`, () => {
    test("[LNK-1] bytes arrive in order and unchanged, in both directions at once", async () => {
      const { near, far } = await pair(dialerOf());
      const [up, down] = [randomFrames(1_500_000), randomFrames(1_500_000)];
      const [upBytes, downBytes] = [Buffer.concat(up), Buffer.concat(down)];
      const send = async (end: End, frames: readonly Uint8Array[]) => {
        for (const frame of frames) {
          if (end.link?.write(frame) === false) await new Promise((r) => setTimeout(r, 1));
        }
      };
      await Promise.all([send(near, up), send(far, down)]);
      await far.until(() => far.bytes.length >= upBytes.length);
      await near.until(() => near.bytes.length >= downBytes.length);
      assert.ok(far.bytes.equals(upBytes));
      assert.ok(near.bytes.equals(downBytes));
      near.link?.close(ErrorCode.GOODBYE);
      await Promise.all([
        near.until(() => near.closes.length > 0),
        far.until(() => far.closes.length > 0),
      ]);
      assert.deepEqual(near.closes, [ErrorCode.GOODBYE]);
      assert.equal(far.closes.length, 1, "closed is told once");
    });

    test("[LNK-14] a close by the service brings what was written before it", async () => {
      const { near, far } = await pair(dialerOf());
      const frames = randomFrames(100_000);
      for (const frame of frames) far.link?.write(frame);
      far.link?.close(ErrorCode.DRAINED);
      far.link?.write(Uint8Array.of(1, 1));
      await near.until(() => near.closes.length > 0);
      assert.ok(near.bytes.equals(Buffer.concat(frames)), "all of it, and nothing after");
      await far.until(() => far.closes.length > 0);
      assert.deepEqual(far.closes, [ErrorCode.DRAINED]);
    });

    test("[SEQ-16] a peer that does not read is noticed by write", async () => {
      const { near, far, dialled } = await pair(dialerOf());
      let taken = 0;
      const frame = new Uint8Array(65_538);
      writeLengthPrefix(65_535, frame, 0);
      // Nothing is awaited in between: the peer cannot take any of it.
      while (taken < 100 && far.link?.write(frame.slice()) !== false) taken += 1;
      assert.ok(taken < 50, "write said stop");
      dialled.close(ErrorCode.GOODBYE);
      await near.until(() => near.closes.length > 0);
      await far.until(() => far.closes.length > 0);
    });

    test("[SEQ-16] a link that took all is told so, whatever small frames go on", async () => {
      const { near, far } = await pair(dialerOf());
      const frame = new Uint8Array(65_538);
      writeLengthPrefix(65_535, frame, 0);
      while (far.link?.write(frame.slice()) !== false);
      const small = setInterval(() => far.link?.write(Uint8Array.of(1, 0)), 2);
      await Promise.race([
        far.until(() => far.drains > 0),
        new Promise((r) => setTimeout(r, 3_000)),
      ]);
      clearInterval(small);
      assert.ok(far.drains > 0, "drained");
      near.link?.close(ErrorCode.GOODBYE);
      await far.until(() => far.closes.length > 0);
    });

    test("dialling can be aborted, and a port where nobody listens is LINK_LOST", async () => {
      const abort = new AbortController();
      abort.abort(new Error("no more"));
      await assert.rejects(dialerOf().dial(abort.signal), /no more/);
    });
  });
}

/** Everything a socket is answered until it ends. */
function answerTo(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
    socket.write(text);
  });
}

const POST = "POST /posthorn.v1.LongPollService/Send HTTP/1.1\r\nHost: x\r\n";

test("[LNK-6] [LNK-11] a long-poll body that never ends is TOO_SLOW, one that is too large refused", async () => {
  const head = `${POST}Content-Type: application/proto\r\nConnection: close\r\n`;
  const slow = await answerTo(doors.port, `${head}Content-Length: 100\r\n\r\nabc`);
  assert.match(slow, /^HTTP\/1\.1 504 [\s\S]*deadline_exceeded/);
  const large = `${head}Content-Length: 70000\r\n\r\n${"x".repeat(70_000)}`;
  assert.match(await answerTo(doors.port, large), /^HTTP\/1\.1 400 /);
});

test("[LNK-3] HTTP and WebSocket where they are not served are TRANSPORT_NOT_SERVED", async () => {
  const closed = new Doors(false);
  await closed.open();
  try {
    const answer = await answerTo(closed.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert.match(answer, /^HTTP\/1\.1 421 [\s\S]*TRANSPORT_NOT_SERVED/);
  } finally {
    await closed.close();
  }
});

test("[LNK-6] a TLS handshake that is never finished is cut", async () => {
  const answer = await answerTo(doors.port, "\x16\x03\x01\x02\x00");
  assert.equal(answer.includes("HTTP"), false);
});

/** A socket to the doors, once they have accepted it at a time. */
async function acceptedAt(acceptedMs: number): Promise<Socket> {
  const accepted = new Promise<void>((resolve) => {
    doors.nowMs = () => {
      resolve();
      return acceptedMs;
    };
  });
  const socket = connect({ port: doors.port, host: "127.0.0.1" });
  await accepted;
  return socket;
}

/** When the next link says that it was opened. */
function nextOpening(): Promise<number | undefined> {
  return new Promise((resolve) => {
    doors.accept = (link) => {
      resolve(link.openedMs);
      return { received: () => {}, drained: () => {}, closed: () => {} };
    };
  });
}

describe("[LNK-6] [ENV-61] the time of a link counts from its connection's acceptance", () => {
  after(() => {
    doors.nowMs = () => Date.now();
  });

  test("though its preface comes later", async () => {
    const socket = await acceptedAt(5);
    doors.nowMs = () => 700;
    const opened = nextOpening();
    socket.write(PREFACE);
    assert.equal(await opened, 5);
    socket.destroy();
  });

  for (const atMs of [700, 1_100]) {
    test(`though TLS comes first: at ${atMs} ms of 1,000`, async () => {
      const socket = await acceptedAt(5);
      doors.nowMs = () => atMs;
      const opened = nextOpening();
      const secured = connectTls({ socket, ca: cert, servername: "localhost" });
      secured.on("error", () => {});
      secured.on("secureConnect", () => {
        if (atMs < 1_000) secured.write(PREFACE);
      });
      const ended = new Promise((resolve) => secured.on("close", resolve));
      secured.resume();
      if (atMs < 1_000) assert.equal(await opened, 5);
      else await ended;
      secured.destroy();
    });
  }
});

/** Whole records, the first one a ClientHello, in one message of a size. */
function recordsOf(messageBytes: number): Buffer {
  const RECORD_BYTES_MAX = 16 + 16_656;
  const parts: Uint8Array[] = [
    encodeHeader({ type: "clientHello", epoch: 0, seq: 0, bodyBytes: 0 }),
  ];
  for (let left = messageBytes - 16; left > 0; left -= RECORD_BYTES_MAX) {
    const bodyBytes = Math.min(left, RECORD_BYTES_MAX) - 16;
    parts.push(encodeHeader({ type: "sealed", epoch: 1, seq: 0, bodyBytes }));
    parts.push(new Uint8Array(bodyBytes));
  }
  return Buffer.concat(parts);
}

test("[LNK-5] [ENV-4] a message of 262,144 bytes is taken, whatever the frame limit", async () => {
  const narrow = new Doors(true, 16_384);
  await narrow.open();
  try {
    const url = `ws://127.0.0.1:${narrow.port}/posthorn.v1`;
    for (const [bytes, status] of [
      [16 + 16 + 16_656, undefined],
      [262_144, undefined],
      [262_145, 1009],
    ] as const) {
      const taken = new Promise<number>((resolve) => {
        narrow.accept = (link) => ({
          received: ({ length }) => {
            resolve(length);
            link.close(ErrorCode.GOODBYE);
          },
          drained: () => {},
          closed: () => {},
        });
      });
      const socket = new WebSocket(url, ["posthorn.v1"]);
      socket.on("error", () => {});
      const ended = new Promise<number>((resolve) => socket.on("close", resolve));
      await new Promise((resolve) => socket.on("open", resolve));
      socket.send(recordsOf(bytes));
      assert.equal(await ended, status ?? 1000);
      if (status === undefined) assert.equal(await taken, bytes);
    }
  } finally {
    await narrow.close();
  }
});

test("[LNK-11] an address at its limit of long polls opens no more, though they have ended", () => {
  const opened = () => ({ received: () => {}, drained: () => {}, closed: () => {} });
  const limits = { ...LIMITS, linksPerPeerMax: 2 };
  const links = new LongPollLinks(limits, doors.alarms, (link) => {
    link.write(Uint8Array.of(1, 0));
    link.close(ErrorCode.TOO_MANY_LINKS);
    return opened();
  });
  const request = create(OpenRequestSchema);
  const [first] = [
    links.open(request, { peer: "a", isTls: false }),
    links.open(request, { peer: "a", isTls: false }),
  ];
  assert.throws(
    () => links.open(request, { peer: "a", isTls: false }),
    /the address is at its limit/,
  );
  links.open(request, { peer: "b", isTls: false });
  links.close(first.linkId);
  links.open(request, { peer: "a", isTls: false });
  links.closeAll();
});

test("[LNK-9] [LNK-10] [LNK-11] forged ids, impossible offsets and rival polls are typed", async () => {
  const call = async (method: string, body: object) => {
    const url = `http://127.0.0.1:${doors.port}/posthorn.v1.LongPollService/${method}`;
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = (await response.json()) as { linkId?: string; code?: string };
    return { status: response.status, ...answer };
  };
  assert.equal((await call("Poll", { linkId: "AAAAAAAAAAAAAAAAAAAAAA==" })).status, 404);
  const { linkId } = await call("Open", {});
  assert.equal((await call("Poll", { linkId, receivedOffset: "7" })).code, "invalid_argument");
  const far = "9007199254740992";
  assert.equal(
    (await call("Send", { linkId, offset: far, data: "AA==" })).code,
    "invalid_argument",
  );
  const older = call("Poll", { linkId });
  while (doors.longPollCount === 0) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const newer = call("Poll", { linkId });
  assert.equal((await older).code, "aborted");
  await call("Close", { linkId });
  assert.equal((await newer).status, 200);
});
