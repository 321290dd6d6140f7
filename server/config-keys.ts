import {
  CONTENT_BYTES_MAX,
  FRAME_BYTES_MAX,
  TIMER_MS_MAX,
  WINDOW_BYTES_DEFAULT,
  WINDOW_BYTES_MAX,
  WINDOW_COUNT_DEFAULT,
  WINDOW_COUNT_MAX,
} from "../protocol/limits.ts";
import { CONVERSATION_RULES } from "./operations/conversations.ts";
import { USER_RULES } from "./operations/own-lists.ts";
import { DEVICES_MAX } from "./store/store.ts";

/**
 * What a key holds. "bytes" and "duration" take units: 256KiB, 25s. A "file" must exist; "" means
 * none.
 */
export type ConfigKind =
  | { readonly kind: "integer" | "bytes" | "duration"; readonly min: number; readonly max: number }
  | { readonly kind: "boolean" | "string" | "folder" | "file" | "files" }
  | { readonly kind: "choice"; readonly of: readonly string[] };

/** One key: its place in the table says its name in the file, the environment and the flags. */
export interface ConfigKey {
  /** The default. */
  readonly value: string | number | boolean | readonly string[];
  readonly type: ConfigKind;
  readonly doc: string;
}

type Bounds = readonly [number, number];
const integer = (value: number, [min, max]: Bounds, doc: string) =>
  ({ value, type: { kind: "integer", min, max }, doc }) as const;
const bytes = (value: number, [min, max]: Bounds, doc: string) =>
  ({ value, type: { kind: "bytes", min, max }, doc }) as const;
const duration = (value: number, [min, max]: Bounds, doc: string) =>
  ({ value, type: { kind: "duration", min, max }, doc }) as const;
const flag = (value: boolean, doc: string) => ({ value, type: { kind: "boolean" }, doc }) as const;
const text = (value: string, doc: string) => ({ value, type: { kind: "string" }, doc }) as const;
const folder = (value: string, doc: string) => ({ value, type: { kind: "folder" }, doc }) as const;
const file = (doc: string) => ({ value: "", type: { kind: "file" }, doc }) as const;
const files = (doc: string) => ({ value: [], type: { kind: "files" }, doc }) as const;
const choice = <const Of extends readonly string[]>(of: Of, value: Of[number], doc: string) =>
  ({ value, type: { kind: "choice", of }, doc }) as const;
const range = (name: string, values: readonly [number, number, number], min: number) => ({
  defaultMs: duration(values[0], [min, TIMER_MS_MAX], `${name} granted when a device does not ask`),
  minMs: duration(values[1], [min, TIMER_MS_MAX], `shortest ${name} granted`),
  maxMs: duration(values[2], [min, TIMER_MS_MAX], `longest ${name} granted`),
});

const rate = (values: readonly [number, number], what: string) => ({
  atOnce: integer(values[0], [1, 1_000_000], `${what} at once`),
  perSecond: integer(values[1], [0, 100_000], `${what} more each second; 0: no limit`),
});

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const MINUTE = 60_000;

/**
 * Every key of the server, in the shape of its configuration. Flags, variables, help and reference
 * are printed from it.
 */
export const CONFIG_KEYS = {
  host: text("127.0.0.1", "address to listen on; without authentication only a loopback address"),
  port: integer(4370, [0, 65_535], "port to listen on; 0 takes a free one"),
  data: folder("posthorn-data", "folder of the embedded store; made when missing"),
  corsOrigin: text("*", "Access-Control-Allow-Origin of long poll and calls"),
  log: {
    level: choice(
      ["debug", "info", "warn", "error", "silent"],
      "info",
      "least severe level that is logged, to standard error",
    ),
    format: choice(["json", "text"], "json", "one JSON object per line, or text for people"),
  },
  transports: {
    tcp: flag(true, "serve raw TCP"),
    websocket: flag(true, "serve WebSocket"),
    longPoll: flag(true, "serve HTTP long polling"),
    calls: flag(true, "serve calls over HTTP: Connect, gRPC and gRPC-Web"),
  },
  envelope: choice(
    ["off", "allowed", "required"],
    "allowed",
    "whether links may, or must, be sealed by the envelope",
  ),
  envelopeMinSuite: integer(
    1,
    [1, 2],
    "weakest suite of sealed links: 1 RSA, 2 X-Wing; devices remember it and refuse less later",
  ),
  clearLinks: flag(false, "take links of other machines that are neither sealed nor TLS"),
  tls: {
    certFile: file("PEM certificate chain; with tls.keyFile, TLS is served on the same port"),
    keyFile: file("PEM private key of the certificate"),
  },
  auth: {
    hmacSecretFile: file("file with the HS256 secret, 32 bytes or more"),
    publicKeyFiles: files(
      "PEM, JWK or JWKS files with the EdDSA, ES256 and RS256 keys tokens are checked with",
    ),
    issuer: text("", "issuer (iss) that tokens must have; empty accepts any"),
    audience: text("", "audience (aud) that tokens must have; empty accepts any"),
    clockToleranceSeconds: integer(
      5,
      [0, 300],
      "how far the clocks of issuer and server may differ",
    ),
    loginDays: integer(
      30,
      [0, 3650],
      "days for which a device that showed a token logs in without, blocked or not; 0: none",
    ),
  },
  limits: {
    linksMax: integer(100_000, [1, 1_000_000], "links at a time"),
    linksPerPeerMax: integer(20_000, [1, 1_000_000], "links at a time from one address"),
    // A reply with all of them, and those that were ended, is one frame: below 256 bytes each.
    devicesMax: integer(DEVICES_MAX, [1, 128], "devices of a user, without those that were ended"),
    // A reply with a full directory is no smaller: 16 certificates of up to 6 KiB. [SEC-101]
    frameBytes: bytes(FRAME_BYTES_MAX, [128 * KIB, 16 * MIB], "largest frame"),
    contentBytes: bytes(CONTENT_BYTES_MAX, [1, 15 * MIB], "largest message content"),
    submitWindowCount: integer(
      WINDOW_COUNT_DEFAULT,
      [1, WINDOW_COUNT_MAX],
      "submits that a device may have outstanding",
    ),
    submitWindowBytes: bytes(
      WINDOW_BYTES_DEFAULT,
      [16 * KIB, WINDOW_BYTES_MAX],
      "bytes of submits that a device may have outstanding",
    ),
    deliveryWindowCount: integer(
      WINDOW_COUNT_MAX,
      [1, WINDOW_COUNT_MAX],
      "most deliveries outstanding to a device, whatever it asks",
    ),
    deliveryWindowBytes: bytes(
      WINDOW_BYTES_MAX,
      [KIB, WINDOW_BYTES_MAX],
      "most bytes of deliveries outstanding to a device, whatever it asks",
    ),
    handshakeMs: duration(10_000, [100, MINUTE], "time for preface, TLS, HTTP heads and handshake"),
    frameMs: duration(30_000, [100, 10 * MINUTE], "time for one frame or record to arrive whole"),
    // As many at once as a device may have waited with: an outbox that was full comes through.
    operations: rate([10_000, 100], "operations of a user, by what they cost"),
    messagesPerDay: integer(50_000, [0, 10_000_000], "messages of a user in a day; 0: no limit"),
    conversationsPerDay: integer(
      500,
      [0, 1_000_000],
      "conversations that a user creates in a day; 0: no limit",
    ),
    calls: rate([2_000, 100], "calls of a user"),
    // Behind one address there may be a proxy, and behind it everybody.
    addressLinks: rate([20_000, 500], "links opened from one address"),
    addressCalls: rate([20_000, 1_000], "calls over HTTP from one address"),
    addressFailures: rate([1_000, 50], "failed attempts from one address to be somebody"),
  },
  conversations: {
    fanOutMembersMax: integer(
      CONVERSATION_RULES.fanOutMembersMax,
      [1, 50_000],
      "members beyond which a message enters the timelines of those only whom it calls",
    ),
    receiptMembersMax: integer(
      CONVERSATION_RULES.receiptMembersMax,
      [1, 1_000],
      "members beyond which nobody is told what others have read",
    ),
    membersMax: integer(CONVERSATION_RULES.membersMax, [2, 50_000], "members of a conversation"),
    conversationsMax: integer(
      CONVERSATION_RULES.conversationsMax,
      [1, 10_000],
      "conversations of a user, without direct ones",
    ),
    recallWindowMs: duration(
      CONVERSATION_RULES.recallWindowMs,
      [0, TIMER_MS_MAX],
      "for how long a sender may take a message back",
    ),
    retentionDays: integer(0, [0, 36_500], "days that messages are kept (0: for ever)"),
  },
  users: {
    contactsMax: integer(USER_RULES.contactsMax, [1, 10_000], "contacts of a user"),
    blocksMax: integer(USER_RULES.blocksMax, [1, 10_000], "users whom a user blocks"),
    profileToldMax: integer(
      USER_RULES.profileToldMax,
      [0, 1_000],
      "users who are told when a profile changes, of those to whom its user has written last",
    ),
  },
  backend: {
    webhooksFile: file("JSON file that says who is told over HTTP what reaches which users"),
    webhookTimeoutMs: duration(15_000, [100, MINUTE], "time for a webhook's receiver to answer"),
    webhookRetryMinMs: duration(1_000, [10, MINUTE], "wait after a receiver's first failure"),
    webhookRetryMaxMs: duration(
      15 * MINUTE,
      [10, 24 * 60 * MINUTE],
      "longest wait between two tries, whatever the receiver asks",
    ),
  },
  timers: {
    keepalive: range("keepalive", [25_000, 1_000, 10 * MINUTE], 1),
    idle: range("idle time", [60_000, 3_000, 30 * MINUTE], 3),
    age: range("link age (0: for ever)", [0, 0, 0], 0),
  },
  longPoll: {
    holdMs: duration(25_000, [10, 10 * MINUTE], "how long a poll hangs at most"),
    coalesceMs: duration(20, [0, 1_000], "how long a poll waits for more at most"),
    idleMs: duration(
      60_000,
      [20, 30 * MINUTE],
      "a link without a request for this long is forgotten",
    ),
    sendBytesMax: bytes(512 * KIB, [KIB, 16 * MIB], "largest data of a Send"),
    pollBytesMax: bytes(512 * KIB, [KIB, 16 * MIB], "largest data of a poll's answer"),
    bufferBytesMax: bytes(MIB, [64 * KIB, 64 * MIB], "unacknowledged bytes before a session waits"),
  },
  drain: {
    slotSpreadMs: duration(
      5_000,
      [0, 10 * MINUTE],
      "over how long sessions come back after a stop",
    ),
    graceMs: duration(3_000, [100, 10 * MINUTE], "how long a stop waits for sessions"),
  },
  store: {
    mapBytes: bytes(64 * GIB, [MIB, 16_384 * GIB], "the most that the store may grow to"),
    timelineEventsMax: integer(1_000_000, [16, 1e12], "events that a timeline keeps at least"),
  },
} as const;
