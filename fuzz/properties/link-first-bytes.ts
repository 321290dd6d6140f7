import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { PREFACE } from "../../protocol/sniff.ts";
import { assert } from "../../protocol/violation.ts";
import type { Doors } from "../links/doors.ts";
import { cuts, openingPieces } from "../links/drawn-traffic.ts";
import { FrameLog } from "../links/frame-log.ts";
import { readAnswer } from "../links/http.ts";
import { judged } from "../links/judged.ts";
import { Rig } from "../links/rig.ts";
import { StreamRules } from "../links/stream-rules.ts";
import { bytesOf, type Piece } from "../links/traffic.ts";
import type { Leaving, Wire } from "../links/wire.ts";
import { property, type Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";

/** What a server serves. */
type Door = "all" | "tls" | "raw" | "http" | "polls";

/** How a connection begins. */
type Opening =
  | { readonly kind: "preface"; readonly pieces: readonly Piece[] }
  /** The preface with one bit changed, or only the first bytes of it. */
  | { readonly kind: "almost"; readonly bytes: number; readonly bit: number }
  | { readonly kind: "request"; readonly request: Request }
  /** The preface of HTTP/2, or its first bytes, and what follows it. */
  | { readonly kind: "http2"; readonly bytes: number; readonly rest: Uint8Array }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array };

interface Request {
  /** Method and path. */
  readonly target: readonly [string, string];
  readonly version: string;
  /** Whatever the header says; null: it is missing. */
  readonly host: string | null;
  readonly upgrade: readonly string[];
  /** Anything in the midst of the head. */
  readonly garbage: Uint8Array;
  readonly isWhole: boolean;
}

interface Case {
  readonly door: Door;
  /** What is offered over TLS; null: the connection is in the clear. */
  readonly protocols: readonly string[] | null;
  readonly opening: Opening;
  readonly cuts: readonly number[];
  /** Whether the device waits for what it is answered before it leaves. */
  readonly isPatient: boolean;
  readonly leaving: Leaving;
}

const TESTDATA = join(import.meta.dirname, "..", "..", "server", "testdata");
const CERT_FILE = join(TESTDATA, "localhost-cert.pem");
const CA = readFileSync(CERT_FILE, "utf8");
const DOORS = {
  all: {},
  tls: { tls: { certFile: CERT_FILE, keyFile: join(TESTDATA, "localhost-key.pem") } },
  raw: { transports: { websocket: false, longPoll: false, calls: false } },
  http: { transports: { tcp: false } },
  polls: { transports: { tcp: false, websocket: false } },
} as const;

/** What the first bytes are taken for, or how the connection ends because of them. */
type Judgement = "more" | "frames" | "http" | "http2" | "tls" | ErrorCode;

const HTTP2_PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** [LNK-2], [LNK-3] and [LNK-4], written a second time. */
function judgement(bytes: Uint8Array, { door, protocols }: Case): Judgement {
  const [first] = bytes;
  const isSecure = protocols !== null;
  const only = protocols?.[0];
  if (first === undefined) return "more";
  if (first === 0x16 && !isSecure) {
    return door === "tls" ? "tls" : ErrorCode.TRANSPORT_NOT_SERVED;
  }
  if (/^[A-Z]$/.test(String.fromCharCode(first))) {
    const isHttp2 = HTTP2_PREFACE.every((byte, at) => at >= bytes.length || bytes[at] === byte);
    if (isHttp2 && bytes.length < HTTP2_PREFACE.length) return "more";
    const agreed = isHttp2 ? only === "h2" || !isSecure : only === undefined || only === "http/1.1";
    if (!agreed) return ErrorCode.PREFACE_INVALID;
    return isHttp2 && door !== "raw" ? "http2" : "http";
  }
  const isPreface = PREFACE.every((byte, at) => at >= bytes.length || bytes[at] === byte);
  if (!isPreface) return ErrorCode.PREFACE_INVALID;
  if (bytes.length < PREFACE.length) return "more";
  if (only === "http/1.1" || only === "h2") return ErrorCode.PREFACE_INVALID;
  return door === "http" || door === "polls" ? ErrorCode.TRANSPORT_NOT_SERVED : "frames";
}

function openingBytes(opening: Opening, userId: string): Buffer {
  switch (opening.kind) {
    case "preface":
      return Buffer.concat([PREFACE, bytesOf(opening.pieces, { userId, deviceId: "d" })]);
    case "almost": {
      const bytes = Buffer.from(PREFACE.subarray(0, opening.bytes));
      const at = opening.bit >> 3;
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << (opening.bit & 7));
      return bytes;
    }
    case "request": {
      const { target, version, host, upgrade, garbage, isWhole } = opening.request;
      const lines = [...(host === null ? [] : [`Host: ${host}`]), ...upgrade];
      const text = lines.map((line) => `${line}\r\n`).join("");
      const head = Buffer.from(`${target.join(" ")} HTTP/${version}\r\n${text}`);
      return Buffer.concat([head, garbage, Buffer.from(isWhole ? "\r\n\r\n" : "")]);
    }
    case "http2":
      if (opening.bytes < HTTP2_PREFACE.length) return HTTP2_PREFACE.subarray(0, opening.bytes);
      return Buffer.concat([HTTP2_PREFACE, opening.rest]);
    case "bytes":
      return Buffer.from(opening.bytes);
  }
}

async function play(rig: Rig, doors: Record<Door, Doors>, { given, seen }: Played): Promise<void> {
  const { door, opening, protocols, isPatient, leaving } = given;
  const bytes = openingBytes(opening, rig.freshUser());
  const judge = judgement(bytes, given);
  const log = new FrameLog();
  const said: Buffer[] = [];
  const isRaw = judge === "frames" || typeof judge === "number";
  const take = (chunk: Buffer) => (isRaw ? log.take(chunk) : void said.push(chunk));
  const wire =
    protocols === null
      ? await doors[door].wire(take)
      : await doors[door].tlsWire(take, { ca: CA, protocols });
  await wire.writeCut(bytes, given.cuts);
  seen(`${door}: ${typeof judge === "number" ? codeText(judge) : judge}`);
  if (isPatient && isRaw) await framesAnswer(wire, log, { judge, bytes, seen });
  if (isPatient && judge === "http") await httpAnswers(wire, said, given);
  wire.leave(leaving);
  seen(leaving);
  // A handshake that is not complete is waited for, for its time. [LNK-6]
  if (leaving === "finish" && judge !== "tls") {
    await wire.untilEnded("the service's end of a finished connection");
  }
  const answer = Buffer.concat(said).toString("latin1");
  const isHttp = answer === "" || answer.startsWith("HTTP/1.1 ");
  assert(
    judge === "tls" || judge === "http2" || isHttp,
    `HTTP is answered in HTTP, not ${JSON.stringify(answer)}`,
  );
}

interface Played {
  readonly given: Case;
  readonly seen: Seen;
}

async function framesAnswer(
  wire: Wire,
  log: FrameLog,
  expected: { readonly judge: Judgement; readonly bytes: Buffer; readonly seen: Seen },
): Promise<void> {
  const { judge, bytes, seen } = expected;
  if (judge === "frames") {
    const rules = new StreamRules("opening");
    rules.take(bytes.subarray(PREFACE.length));
    const link = {
      log,
      changes: wire.changes,
      get isOver() {
        return wire.ended;
      },
      send: (more: Uint8Array) => wire.write(more),
    };
    await judged(link, rules, () => {});
    return;
  }
  await wire.untilEnded("the end of a refused connection");
  assert(log.close?.code === judge, `refused with ${codeText(log.close?.code ?? 0)}`);
  assert(log.frames.length === 1, "Close and nothing else");
  seen("refused");
}

/** A request that is whole, or wrong, is answered; what it asks for decides the status. */
async function httpAnswers(wire: Wire, said: readonly Buffer[], given: Case): Promise<void> {
  const { door, opening } = given;
  const answerNow = () => readAnswer(Buffer.concat(said));
  const isWhole = opening.kind === "request" && opening.request.isWhole;
  if (!isWhole && door !== "raw") return;
  await wire.changes.until(() => answerNow() !== undefined || wire.ended, "an answer");
  const read = answerNow();
  const isRefused = opening.kind === "request" && opening.request.target[0] === "CONNECT";
  assert(read !== undefined || isRefused, "a connection ends with an answer");
  if (read === undefined) return;
  const { status, body } = read.answer;
  assert(status < 500, `whatever is asked is no failure of the service: ${status}`);
  if (door === "raw") {
    assert(status === 421 && /TRANSPORT_NOT_SERVED/.test(String(body)), "not served [LNK-3]");
    return;
  }
  if (opening.kind !== "request") return;
  const { target, garbage, upgrade, host } = opening.request;
  const [method, path] = target;
  const isPlain = upgrade.length === 0 && host === "x" && method !== "CONNECT";
  const isTyped = status < 400 || /"code"/.test(String(body));
  assert(!isPlain || isTyped, `a refusal has a code, unlike ${status} ${body} [ERR-1]`);
  if (method === "GET" && garbage.length === 0 && upgrade.length === 0 && host === "x") {
    assert(path !== "/healthz" || status === 200, `the node is well: ${status}`);
    const isServed = status !== 404 || /TRANSPORT_NOT_SERVED/.test(String(body));
    assert(path !== "/other" || isServed, "no such path, in words");
  }
}

const one = <const Value>(value: Value) => fc.constant(value);
const mostly = <Value>(usual: fc.Arbitrary<Value>, rare: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 3, arbitrary: usual }, { weight: 1, arbitrary: rare });
const UPGRADE_LINES = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Protocol: posthorn.v1",
];
const ODD_LINES = [
  "Upgrade: h2c",
  "Sec-WebSocket-Version: 12",
  "Sec-WebSocket-Key: x",
  "Sec-WebSocket-Protocol: ,,",
  "Sec-WebSocket-Extensions: permessage-deflate",
  "Origin: https://evil.example",
  "Expect: 100-continue",
  "Connection: close",
  "Content-Type: application/json",
  "Content-Type: application/proto",
  "Connect-Timeout-Ms: x",
];
const target = fc.oneof(
  { weight: 2, arbitrary: one(["GET", "/posthorn.v1"] as const) },
  { weight: 1, arbitrary: one(["POST", "/posthorn.v1.LongPollService/Open"] as const) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constantFrom("GET", "POST", "OPTIONS", "PUT", "CONNECT", "PRI", "X"),
      fc.constantFrom(
        "/posthorn.v1",
        "/posthorn.v1?token=x",
        "/other",
        "/healthz",
        "/metrics",
        "/posthorn.v1.LongPollService/Open",
        "/posthorn.v1.LongPollService/Nothing",
        "/posthorn.v1.KeyDirectoryService/ListDevices",
        "/posthorn.v1.KeyDirectoryService/Nothing",
        "*",
        "http://x/healthz",
      ),
    ),
  },
);
const request: fc.Arbitrary<Request> = fc.record({
  target,
  version: fc.constantFrom("1.1", "1.1", "1.1", "1.0"),
  host: mostly(one("x"), fc.constantFrom(null, "", "[", "a b", "x:99999", "%")),
  upgrade: mostly(
    fc.constantFrom<string[][]>([], UPGRADE_LINES),
    fc.subarray([...UPGRADE_LINES, ...ODD_LINES]),
  ),
  garbage: mostly(one(new Uint8Array(0)), fc.uint8Array({ maxLength: 8 })),
  isWhole: mostly(one(true), one(false)),
});
const EMPTY_SETTINGS = Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0);
const opening: fc.Arbitrary<Opening> = fc.oneof(
  fc.record({ kind: one("preface" as const), pieces: openingPieces }),
  fc.record({ kind: one("almost" as const), bytes: fc.nat(5), bit: fc.nat(47) }),
  fc.record({ kind: one("request" as const), request }),
  fc.record({ kind: one("request" as const), request }),
  fc.record({
    kind: one("http2" as const),
    bytes: mostly(one(HTTP2_PREFACE.length), fc.nat(HTTP2_PREFACE.length)),
    rest: mostly(one(EMPTY_SETTINGS), fc.uint8Array({ maxLength: 40 })),
  }),
  fc.record({
    kind: one("bytes" as const),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.uint8Array({ maxLength: 40 }).map((rest) => Uint8Array.of(0x16, 3, 1, ...rest)),
    ),
  }),
);

const protocols = fc.constantFrom<(string[] | null)[]>(
  null,
  [],
  ["posthorn/1"],
  ["h2"],
  ["http/1.1"],
);

/** One port for all transports, and whatever knocks at it. */
export const linkFirstBytes = property<Case>({
  name: "link-first-bytes",
  title:
    "[LNK-2] [LNK-3] [LNK-4] whatever a connection begins with, it is told apart by its first " +
    "bytes, refused in the words of its transport, and gone when its peer is",
  smokeRuns: 150,
  kinds: [
    ..."more frames http PREFACE_INVALID TRANSPORT_NOT_SERVED".split(" ").map((is) => `all: ${is}`),
    ..."tls: tls,tls: frames,tls: http,tls: http2,all: http2,raw: frames,raw: http".split(","),
    ..."http: TRANSPORT_NOT_SERVED,polls: TRANSPORT_NOT_SERVED".split(","),
    ..."refused destroy reset finish".split(" "),
  ],
  arbitrary: fc
    .constantFrom<Door[]>("all", "all", "tls", "tls", "raw", "http", "polls")
    .chain((door) =>
      fc.record({
        door: one(door),
        protocols: door === "tls" ? protocols : one(null),
        opening,
        cuts,
        isPatient: fc.boolean(),
        leaving: fc.constantFrom<Leaving[]>("destroy", "reset", "finish"),
      }),
    ),
  start: async (seen) => {
    const rig = await Rig.start();
    const doors = { all: rig.doors } as Record<Door, Doors>;
    for (const name of ["tls", "raw", "http", "polls"] as const) {
      doors[name] = await rig.another(DOORS[name]);
    }
    return {
      check: (given) => rig.run(() => play(rig, doors, { given, seen })),
      stop: () => rig.stop(),
    };
  },
});
