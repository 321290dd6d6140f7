import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { ERROR_RULES } from "../gen/posthorn/v1/error_rules.ts";
import { OperationSchema } from "../gen/posthorn/v1/operation_pb.ts";
import { encodeFrame } from "../protocol/frames.ts";
import { configFrom } from "./config.ts";
import { createLog } from "./observe.ts";
import { createServer, type PosthornServer } from "./server.ts";
import { attachRaw, helloBytes, type RawKind, type RawPeer, rawPeer } from "./testdata/raw-peer.ts";

const KINDS: readonly RawKind[] = ["tcp", "websocket", "longpoll"];
const FLAGS = {
  port: "0",
  "log-level": "silent",
  "limits-handshake-ms": "600ms",
  "limits-frame-ms": "300ms",
  "limits-submit-window-count": "4",
  "limits-content-bytes": "1KiB",
  "timers-idle-min-ms": "300ms",
  "timers-keepalive-min-ms": "50ms",
};

let folder: string;
let server: PosthornServer;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-bad-"));
  const flags = new Map(Object.entries({ ...FLAGS, data: folder }));
  server = await createServer(
    configFrom({ flags }),
    createLog({ level: "silent", format: "json" }),
  );
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function operation(toUserId: string, text: string): Uint8Array {
  const content = { kind: { case: "text" as const, value: text } };
  const kind = { case: "sendDirect" as const, value: { toUserId, content } };
  return toBinary(OperationSchema, create(OperationSchema, { kind }));
}

const submit = (seq: number, bytes: Uint8Array) =>
  encodeFrame({ kind: "submit", value: { seq, operation: bytes } });
const ack = (deliveredThrough: number, resultsThrough: number) =>
  encodeFrame({ kind: "ack", value: { deliveredThrough, resultsThrough } });
const call = (id: number) =>
  encodeFrame({ kind: "call", value: { id, method: "a/B", request: new Uint8Array(0) } });
/** A Submit whose number is any varint. */
const rawSubmit = (...seq: number[]) =>
  Uint8Array.of(seq.length + 3, 0x22, seq.length + 1, 0x08, ...seq);

interface BadInput {
  readonly title: string;
  readonly code: ErrorCode;
  /** Sent after an attach; `opening` sends it as the first bytes instead. */
  readonly bytes: readonly Uint8Array[];
  readonly opening?: boolean;
}

const frame = (...bytes: number[]) => Uint8Array.of(bytes.length, ...bytes);
const hi = operation("mallory", "hi");
const MAX = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];

const CASES: readonly BadInput[] = [
  bad("[FRM-2] an overlong length", ErrorCode.LENGTH_INVALID, Uint8Array.of(0x81, 0x80, 0x00)),
  bad(
    "[FRM-2] a length of six bytes",
    ErrorCode.LENGTH_INVALID,
    Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
  ),
  bad("[FRM-3] an oversized frame", ErrorCode.FRAME_TOO_LARGE, Uint8Array.of(0x81, 0x80, 0x10)),
  bad("[FRM-6] an empty frame", ErrorCode.FRAME_MALFORMED, frame()),
  bad("[FRM-6] garbage", ErrorCode.FRAME_MALFORMED, frame(0xff, 0xff, 0xff)),
  bad("[FRM-6] an unknown kind", ErrorCode.FRAME_MALFORMED, frame(0xfa, 0x07, 0x00)),
  bad(
    "[FRM-6] two kinds in one frame (P32)",
    ErrorCode.FRAME_MALFORMED,
    frame(0x1a, 0x00, 0x3a, 0x00),
  ),
  bad("[FRM-6] content that cannot be decoded", ErrorCode.FRAME_MALFORMED, frame(0x42, 0x01, 0x08)),
  bad("[FRM-7] a frame of the service", ErrorCode.FRAME_WRONG_SENDER, frame(0x12, 0x00)),
  bad("[FRM-8] a second Hello", ErrorCode.FRAME_WRONG_PHASE, helloBytes()),
  bad("[RPC-1] a call that is not the first", ErrorCode.SEQUENCE_GAP, call(2)),
  bad(
    "[RPC-2] more calls than may wait",
    ErrorCode.CREDIT_EXCEEDED,
    Buffer.concat(Array.from({ length: 17 }, (_, index) => call(index + 1))),
  ),
  bad("[FRM-5] submit 0", ErrorCode.COUNTER_OUT_OF_RANGE, submit(0, hi)),
  bad("[SEQ-2] submit 2^31 (P31)", ErrorCode.SEQUENCE_GAP, submit(2 ** 31, hi)),
  bad("[SEQ-2] submit 2^32 (P31)", ErrorCode.SEQUENCE_GAP, submit(2 ** 32, hi)),
  bad("[SEQ-2] submit 2^53-1 (P31)", ErrorCode.SEQUENCE_GAP, rawSubmit(...MAX)),
  bad(
    "[FRM-5] submit 2^53 (P31)",
    ErrorCode.COUNTER_OUT_OF_RANGE,
    rawSubmit(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10),
  ),
  bad(
    "[FRM-5] submit 2^64-1 (P31)",
    ErrorCode.COUNTER_OUT_OF_RANGE,
    rawSubmit(...Array(9).fill(0xff), 0x01),
  ),
  bad(
    "[SEQ-9] deliveries acknowledged above what was sent (P8)",
    ErrorCode.ACK_BEYOND_SENT,
    ack(1000, 0),
  ),
  bad(
    "[SEQ-9] results acknowledged above what was sent (P8)",
    ErrorCode.ACK_BEYOND_SENT,
    ack(0, 1),
  ),
  bad(
    "[SEQ-8] more submits than the window",
    ErrorCode.CREDIT_EXCEEDED,
    ...[1, 2, 3, 4, 5].map((seq) => submit(seq, hi)),
  ),
  bad(
    "[SEQ-5] other content under a used number",
    ErrorCode.SUBMIT_CONFLICT,
    submit(1, hi),
    submit(1, operation("mallory", "ho")),
  ),
  bad(
    "[SES-15] a ping that tells of lost submits",
    ErrorCode.SEQUENCE_GAP,
    encodeFrame({ kind: "ping", value: { id: 1, sentThrough: 9 } }),
  ),
  bad("[LNK-6] a frame that is never finished", ErrorCode.TOO_SLOW, Uint8Array.of(0x20, 0x22)),
  first("[FRM-8] a submit before Hello", ErrorCode.FRAME_WRONG_PHASE, submit(1, hi)),
  first(
    "[FRM-4] a large frame before Hello",
    ErrorCode.FRAME_TOO_LARGE,
    Uint8Array.of(0x81, 0x80, 0x01),
  ),
  first("[SES-1] nothing at all", ErrorCode.TOO_SLOW),
  first(
    "[SES-2] a submit before Welcome",
    ErrorCode.FRAME_WRONG_PHASE,
    helloBytes(),
    submit(1, hi),
  ),
  first(
    "[SES-3] versions of the future",
    ErrorCode.VERSION_UNSUPPORTED,
    helloBytes({ versionMin: 7, versionMax: 9 }),
  ),
  first("[SES-5] an illegal device id", ErrorCode.HELLO_INVALID, helloBytes({ deviceId: "a b" })),
  first("[SES-5] no user", ErrorCode.HELLO_INVALID, helloBytes({ userId: "" })),
  first(
    "[SES-11] timers that cannot work (P28)",
    ErrorCode.TIMERS_IMPOSSIBLE,
    helloBytes({ timers: { keepaliveMs: 1000, idleMs: 2000, ageMs: 0 } }),
  ),
  first(
    "[RES-13] results nobody sent",
    ErrorCode.ACK_BEYOND_SENT,
    helloBytes({ deviceId: "other", outbox: { epoch: 1, resultsThrough: 7, next: 8 } }),
  ),
];

function bad(title: string, code: ErrorCode, ...bytes: Uint8Array[]): BadInput {
  return { title, code, bytes };
}
function first(title: string, code: ErrorCode, ...bytes: Uint8Array[]): BadInput {
  return { title, code, bytes, opening: true };
}

const nameOf = (code: number) => ERROR_RULES.get(code)?.name ?? String(code);

async function withPeer(kind: RawKind, body: (peer: RawPeer) => Promise<void>): Promise<void> {
  const peer = await rawPeer(kind, server.address.port);
  try {
    await body(peer);
  } finally {
    peer.close();
  }
}

/**
 * A WebSocket message must hold whole frames: an unfinished one is another fault there, and tested
 * as such.
 */
const unfinished = ({ title }: BadInput) => /never finished|oversized|a large frame/.test(title);

for (const kind of KINDS) {
  describe(`bad input over ${kind}`, () => {
    for (const input of CASES) {
      test(`${input.title} is ${nameOf(input.code)}`, () =>
        withPeer(kind, async (peer) => {
          const deviceId = input.title.replace(/[^a-zA-Z0-9]/g, "").slice(0, 30) + kind;
          if (input.title.startsWith("[RES-13]")) await knownOutbox(kind);
          if (!input.opening) await attachRaw(peer, { userId: `mallory-${kind}`, deviceId });
          for (const bytes of input.bytes) await peer.send(bytes);
          const close = await peer.until("close");
          assert.equal(close?.kind, "close", "the link ends with a Close");
          const code = close?.kind === "close" ? close.value.code : 0;
          const wanted =
            kind === "websocket" && unfinished(input) ? ErrorCode.FRAME_MALFORMED : input.code;
          assert.equal(nameOf(code), nameOf(wanted));
        }));
    }

    test("[SES-6] the older of two attachments of one device is SUPERSEDED", () =>
      withPeer(kind, async (older) => {
        await attachRaw(older, { userId: `mallory-${kind}`, deviceId: `twice-${kind}` });
        await withPeer(kind, async (newer) => {
          await attachRaw(newer, { userId: `mallory-${kind}`, deviceId: `twice-${kind}` });
          const close = await older.until("close");
          assert.equal(close?.kind === "close" && close.value.code, ErrorCode.SUPERSEDED);
        });
      }));

    test("[SES-10] a device that falls silent is IDLE", () =>
      withPeer(kind, async (peer) => {
        const timers = { keepaliveMs: 100, idleMs: 300, ageMs: 0 };
        await attachRaw(peer, { userId: `mallory-${kind}`, deviceId: `idle-${kind}`, timers });
        const close = await peer.until("close");
        assert.equal(close?.kind === "close" && close.value.code, ErrorCode.IDLE);
      }));

    test("[SEQ-6] refused operations have typed results and the session goes on", () =>
      withPeer(kind, async (peer) => {
        await attachRaw(peer, { userId: `mallory-${kind}`, deviceId: `refused-${kind}` });
        const operations = [
          [operation("nobody-here", "hi"), ErrorCode.USER_UNKNOWN],
          [operation("mallory", ""), ErrorCode.MESSAGE_EMPTY],
          [operation("mallory", "x".repeat(1025)), ErrorCode.MESSAGE_TOO_LARGE],
          [operation("no/one", "hi"), ErrorCode.USER_ID_INVALID],
          [Uint8Array.of(0xff), ErrorCode.OPERATION_MALFORMED],
          [operation("mallory", "x".repeat(1024)), ErrorCode.UNSPECIFIED],
        ] as const;
        for (const [index, [bytes, code]] of operations.entries()) {
          if (index > 0) await peer.send(ack(0, index));
          await peer.send(submit(index + 1, bytes));
          const answer = await peer.until("submitAck");
          assert.equal(answer?.kind, "submitAck");
          const results = answer?.kind === "submitAck" ? answer.value.results : [];
          assert.equal(nameOf(results.at(-1)?.code ?? -1), nameOf(code));
        }
      }));
  });
}

/** Makes the device of the RES-13 case known with an empty outbox of epoch 1. */
async function knownOutbox(kind: RawKind): Promise<void> {
  await withPeer(kind, async (peer) => {
    const attached = { deviceId: "other" };
    if (!knownDevices.has("other")) await attachRaw(peer, attached);
    knownDevices.add("other");
  });
}
const knownDevices = new Set<string>();

/** What a socket is answered to some first bytes, until it is closed. */
function answerTo(bytes: Uint8Array | string): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connect({ port: server.address.port, host: "127.0.0.1" });
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => resolve(Buffer.concat(chunks)));
    if (bytes.length > 0) socket.write(bytes);
  });
}

/** Length, tag and length of the frame, tag and value of its first field. */
const closeCodeIn = (answer: Buffer) => answer[4];

test("[LNK-2] anything but a preface, TLS or HTTP is PREFACE_INVALID", async () => {
  for (const bytes of [
    Uint8Array.of(0),
    Uint8Array.of(0xf0, 0x9f, 0x93, 0xae),
    Buffer.from("ssh"),
  ]) {
    assert.equal(closeCodeIn(await answerTo(bytes)), ErrorCode.PREFACE_INVALID);
  }
});

test("[LNK-6] half a preface, or nothing, is TOO_SLOW", async () => {
  assert.equal(closeCodeIn(await answerTo(Uint8Array.of(0xf0, 0x9f))), ErrorCode.TOO_SLOW);
  assert.equal(closeCodeIn(await answerTo("")), ErrorCode.TOO_SLOW);
});

test("[LNK-3] TLS where there is none is TRANSPORT_NOT_SERVED", async () => {
  const answer = await answerTo(Uint8Array.of(0x16, 3, 1, 0, 5));
  assert.equal(closeCodeIn(answer), ErrorCode.TRANSPORT_NOT_SERVED);
});

test("[LNK-6] [ERR-1] what is no HTTP request, or never becomes one, is refused with a code", async () => {
  const head = "POST /posthorn.v1.LongPollService/Open HTTP/1.1\r\nX: ";
  assert.match(String(await answerTo(head)), /^HTTP\/1\.1 408 [\s\S]*"code":"TOO_SLOW"/);
  const large = `${head}${"x".repeat(20_000)}\r\n\r\n`;
  assert.match(String(await answerTo(large)), /^HTTP\/1\.1 431 [\s\S]*"code":"REQUEST_INVALID"/);
  const broken = "GET / HTTP/9.9.9\r\n\r\n";
  assert.match(String(await answerTo(broken)), /^HTTP\/1\.1 400 [\s\S]*"code":"REQUEST_INVALID"/);
});

test("[LNK-7] an offer to upgrade to something else is passed over", async () => {
  const request =
    "POST /posthorn.v1.LongPollService/Open HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n" +
    "Upgrade: h2c\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
  assert.match(String(await answerTo(request)), /^HTTP\/1\.1 200 [\s\S]*"linkId"/);
});

test("[LNK-5] WebSocket at another path or without the subprotocol is refused in JSON", async () => {
  const upgrade = (path: string, extra: string) =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${extra}\r\n`;
  assert.match(String(await answerTo(upgrade("/other", ""))), /^HTTP\/1\.1 404 [\s\S]*"code"/);
  assert.match(String(await answerTo(upgrade("/posthorn.v1", ""))), /^HTTP\/1\.1 400 /);
  const foreign = "Sec-WebSocket-Protocol: posthorn.v1\r\nOrigin: https://evil.example\r\n";
  assert.match(String(await answerTo(upgrade("/posthorn.v1", foreign))), /^HTTP\/1\.1 403 /);
});

test("[AUT-6] a page of another site may not open a long poll on an open node", async () => {
  const response = await fetch(
    `http://127.0.0.1:${server.address.port}/posthorn.v1.LongPollService/Open`,
    {
      method: "POST",
      headers: { "Content-Type": "application/json", Origin: "https://evil.example" },
      body: "{}",
    },
  );
  assert.equal(response.status, 403);
});

test("[ERR-1] long-poll refusals carry our code, in both wire forms alike (P2)", async () => {
  const call = async (method: string, type: string, body: string | Uint8Array) => {
    const url = `http://127.0.0.1:${server.address.port}/posthorn.v1.LongPollService/${method}`;
    const headers = { "Content-Type": type };
    const response = await fetch(url, { method: "POST", headers, body: body as string });
    return { status: response.status, body: (await response.json()) as object };
  };
  const json = await call("Poll", "application/json", '{"linkId":"AAAA"}');
  const proto = await call("Poll", "application/proto", Uint8Array.of(0x0a, 3, 0, 0, 0));
  assert.equal(json.status, 404);
  assert.equal(proto.status, 404);
  assert.match(JSON.stringify(json.body), /posthorn\.v1\.ErrorDetail/);
  const plain = (body: object) => JSON.stringify({ ...body, details: undefined });
  assert.equal(plain(json.body), plain(proto.body));
});
