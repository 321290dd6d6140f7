import type { JsonValue } from "@bufbuild/protobuf";
import { bytesField, field, hexOf, type Named, named, varint } from "./builder.ts";

export interface DecodingVector extends Named {
  readonly sender: "device" | "service";
  /** The receiver's phase. */
  readonly phase: "opening" | "joining" | "open";
  /** Without a length prefix. */
  readonly frame_hex: string;
  /** What it holds, as Protobuf's JSON; or the code that it fails with. */
  readonly expect: { readonly json: JsonValue } | { readonly fails: string };
}

type Where = Pick<DecodingVector, "sender" | "phase">;
type Outcome = DecodingVector["expect"];

function decoding(
  what: Named & Partial<Where>,
  bytes: readonly number[],
  expect: Outcome,
): DecodingVector {
  const { sender = "device", phase = "open", ...rest } = what;
  return { ...rest, sender, phase, frame_hex: hexOf(bytes), expect };
}

const fails = (code: string): Outcome => ({ fails: code });
const malformed = fails("FRAME_MALFORMED");
const outOfRange = fails("COUNTER_OUT_OF_RANGE");
const text = (value: string) => [...Buffer.from(value)];

const ACK = bytesField(7, field(1, 3));
const PING = bytesField(8, field(1, 5));
const PHONE = bytesField(5, text("phone"));

/**
 * Every place of a frame that holds a counter: its bytes, and its JSON, with a number in it.
 * Numbering begins at 1 in the first two.
 */
const COUNTERS: readonly (readonly [
  name: string,
  where: Where,
  bytes: (value: bigint) => readonly number[],
  json: (value: string) => JsonValue,
])[] = [
  [
    "submit-seq",
    { sender: "device", phase: "open" },
    (value) => bytesField(4, [...field(1, value), ...bytesField(2, [1])]),
    (seq) => ({ submit: { seq, operation: "AQ==" } }),
  ],
  [
    "deliver-seq",
    { sender: "service", phase: "open" },
    (value) =>
      bytesField(6, [...field(1, value), ...field(2, 1), ...field(3, 1), ...bytesField(4, [1])]),
    (seq) => ({ deliver: { seq, conversationSeq: "1", committedMs: "1", event: "AQ==" } }),
  ],
  [
    "deliver-conversation-seq",
    { sender: "service", phase: "open" },
    (value) => bytesField(6, [...field(1, 1), ...field(2, value)]),
    (conversationSeq) => ({ deliver: { seq: "1", conversationSeq } }),
  ],
  [
    "submit-ack-through",
    { sender: "service", phase: "open" },
    (value) => bytesField(5, field(1, value)),
    (through) => ({ submitAck: { through } }),
  ],
  [
    "submit-ack-result",
    { sender: "service", phase: "open" },
    (value) => bytesField(5, [...field(1, 1), ...bytesField(2, field(2, value))]),
    (conversationSeq) => ({ submitAck: { through: "1", results: [{ conversationSeq }] } }),
  ],
  [
    "ack-delivered",
    { sender: "device", phase: "open" },
    (value) => bytesField(7, field(1, value)),
    (deliveredThrough) => ({ ack: { deliveredThrough } }),
  ],
  [
    "ack-results",
    { sender: "device", phase: "open" },
    (value) => bytesField(7, field(2, value)),
    (resultsThrough) => ({ ack: { resultsThrough } }),
  ],
  [
    "ping-sent",
    { sender: "service", phase: "open" },
    (value) => bytesField(8, [...field(1, 5), ...field(2, value)]),
    (sentThrough) => ({ ping: { id: 5, sentThrough } }),
  ],
  [
    "pong-sent",
    { sender: "device", phase: "open" },
    (value) => bytesField(9, [...field(1, 5), ...field(2, value)]),
    (sentThrough) => ({ pong: { id: 5, sentThrough } }),
  ],
  [
    "hello-outbox-next",
    { sender: "device", phase: "opening" },
    (value) => bytesField(1, [...PHONE, ...bytesField(6, field(3, value))]),
    (next) => ({ hello: { deviceId: "phone", outbox: { next } } }),
  ],
  [
    "hello-cursor-seq",
    { sender: "device", phase: "opening" },
    (value) => bytesField(1, [...PHONE, ...bytesField(7, [...field(1, 7), ...field(2, value)])]),
    (seq) => ({ hello: { deviceId: "phone", cursor: { epoch: "7", seq } } }),
  ],
  [
    "welcome-generation",
    { sender: "service", phase: "opening" },
    (value) => bytesField(2, [...field(1, 1), ...field(3, value)]),
    (generation) => ({ welcome: { version: 1, generation } }),
  ],
  [
    "welcome-lost-to",
    { sender: "service", phase: "opening" },
    (value) => bytesField(2, bytesField(6, bytesField(4, [...field(1, 1), ...field(2, value)]))),
    (to) => ({ welcome: { resume: { lost: { from: "1", to } } } }),
  ],
];

const VALUES = [1n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n];
const BEYOND = [2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];

const COUNTING: readonly DecodingVector[] = COUNTERS.flatMap(([place, where, bytes, json]) => [
  ...VALUES.map((value) =>
    decoding(
      { ...named("FRM-5 P31", `${place}-${value}`, `${value} in ${place}.`), ...where },
      bytes(value),
      { json: json(String(value)) },
    ),
  ),
  ...BEYOND.map((value) =>
    decoding(
      { ...named("FRM-5 P31", `${place}-${value}`, `${value} in ${place}.`), ...where },
      bytes(value),
      outOfRange,
    ),
  ),
]);

const content = (bytes: readonly number[]) => bytesField(7, bytes);
const refused = (name: string, description: string, bytes: readonly number[]) =>
  decoding(named("FRM-6", name, description), bytes, malformed);
const twice = (name: string, description: string, bytes: readonly number[]) =>
  decoding(named("FRM-6 P32", name, description), bytes, malformed);

const SHAPES: readonly DecodingVector[] = [
  decoding(named("FRM-6 P7", "ack", "The example of chapter 2."), [0x3a, 0x02, 0x08, 0x03], {
    json: { ack: { deliveredThrough: "3" } },
  }),
  decoding(named("FRM-5", "submit-0", "Submits are numbered from 1."), submitBytes(0), outOfRange),
  decoding(
    { ...named("FRM-5", "deliver-0", "Deliveries are numbered from 1."), sender: "service" },
    deliverBytes(0),
    outOfRange,
  ),
  decoding(
    named("FRM-5", "submit-unnumbered", "No number is the number 0."),
    bytesField(4, []),
    outOfRange,
  ),
  decoding(named("FRM-5", "ack-0", "Nothing is acknowledged yet."), content(field(1, 0)), {
    json: { ack: {} },
  }),
  decoding(named("FRM-6", "ack-empty", "A kind without content."), content([]), {
    json: { ack: {} },
  }),
  refused("empty", "No kind.", []),
  refused("tag-alone", "A tag and nothing behind it.", [0x3a]),
  refused("kind-0", "Field 0 is none.", [0x02, 0x00]),
  refused("unknown-kind", "Field 15 of Frame.", bytesField(15, [8, 1])),
  refused("unknown-kind-large", "Field 2^29-1 of Frame.", bytesField(2 ** 29 - 1, [1])),
  twice("two-kinds", "Two members of the oneof.", [...ACK, ...PING]),
  twice("two-kinds-reversed", "Two members of the oneof.", [...PING, ...ACK]),
  twice("kind-twice", "The same member twice.", [...ACK, ...ACK]),
  twice("kind-and-unknown", "A kind, then a field that is none.", [...ACK, ...field(99, 7)]),
  twice("unknown-and-kind", "A field that is no kind, then one.", [...field(99, 7), ...ACK]),
  refused("cut", "The content is shorter than its length.", ACK.slice(0, -1)),
  refused("trailing-byte", "A byte behind the content.", [...ACK, 0x00]),
  refused("long-tag", "The tag in two bytes.", [0xba, 0x00, ...ACK.slice(1)]),
  refused("long-length", "The length of the content in two bytes.", [0x3a, 0x82, 0x00, 0x08, 0x03]),
  refused("varint-kind", "Ack as a varint.", [0x38, 0x03]),
  refused("fixed64-kind", "Ack as eight bytes.", [0x39, 8, 3, 0, 0, 0, 0, 0, 0]),
  refused("fixed32-kind", "Ack as four bytes.", [0x3d, 8, 3, 0, 0]),
  refused("group-kind", "Ack as a group.", [0x3b, 0x08, 0x03, 0x3c]),
  refused("content-varint-cut", "A varint that does not end.", content([0x08, 0xff])),
  refused(
    "content-varint-endless",
    "A varint of eleven bytes.",
    content([0x08, ...Array.from({ length: 10 }, () => 0xff), 0x01]),
  ),
  refused(
    "content-bytes-cut",
    "Bytes that are longer than what holds them.",
    bytesField(4, [...field(1, 1), 0x12, 0x05, 0x01]),
  ),
  refused("content-field-0", "Field 0 is none.", content([0x00, 0x01])),
  refused("content-wire-type-6", "There is no wire type 6.", content([0x0e, 0x01])),
  refused(
    "content-message-cut",
    "A message within, longer than what holds it.",
    bytesField(10, [0x0a, 0x05, 0x08, 0x01]),
  ),
  refused(
    "content-not-utf-8",
    "A text that is not UTF-8.",
    bytesField(12, [...field(1, 19), ...bytesField(2, [0xc3, 0x28])]),
  ),
  decoding(
    named("FRM-9", "unknown-field", "Field 99 inside Ack."),
    content([...field(1, 3), ...field(99, 7)]),
    {
      json: { ack: { deliveredThrough: "3" } },
    },
  ),
  decoding(
    named("FRM-9", "unknown-fields-first", "Unknown fields of each wire type before a known one."),
    content([
      ...field(99, 2n ** 64n - 1n),
      ...bytesField(98, [1, 2, 3]),
      ...[...varint((97 << 3) | 1), 1, 2, 3, 4, 5, 6, 7, 8],
      ...[...varint((96 << 3) | 5), 1, 2, 3, 4],
      ...field(1, 3),
    ]),
    { json: { ack: { deliveredThrough: "3" } } },
  ),
  decoding(
    {
      ...named("FRM-9", "unknown-field-within", "Field 9 of a result in SubmitAck."),
      sender: "service",
    },
    bytesField(5, [...field(1, 1), ...bytesField(2, [...field(2, 4), ...bytesField(9, [7])])]),
    { json: { submitAck: { through: "1", results: [{ conversationSeq: "4" }] } } },
  ),
  decoding(
    named("FRM-6", "content-long-form", "Inside its kind a varint may be longer than it need be."),
    content([0x08, 0x83, 0x00]),
    { json: { ack: { deliveredThrough: "3" } } },
  ),
  decoding(
    named("FRM-6", "content-any-order", "Inside its kind fields come in any order."),
    content([...field(2, 4), ...field(1, 3)]),
    { json: { ack: { deliveredThrough: "3", resultsThrough: "4" } } },
  ),
  decoding(
    named(
      "FRM-6",
      "content-repeated",
      "Inside its kind the last of a field counts, as in Protobuf.",
    ),
    content([...field(1, 3), ...field(1, 4)]),
    { json: { ack: { deliveredThrough: "4" } } },
  ),
  decoding(
    {
      ...named("FRM-8", "phase-before-content", "Legality is judged before content."),
      phase: "joining",
    },
    content([0x08, 0xff]),
    fails("FRAME_WRONG_PHASE"),
  ),
  decoding(
    {
      ...named("FRM-7", "sender-before-content", "Legality is judged before content."),
      sender: "service",
    },
    content([0x08, 0xff]),
    fails("FRAME_WRONG_SENDER"),
  ),
];

export const DECODING: readonly DecodingVector[] = [...SHAPES, ...COUNTING];

/** Who may send each kind, and in which phases of the receiver: chapter 2's table, by hand. */
const RULES: readonly (readonly [
  kind: string,
  bytes: readonly number[],
  json: JsonValue,
  senders: string,
  phases: string,
])[] = [
  ["hello", bytesField(1, field(1, 1)), { hello: { versionMin: 1 } }, "device", "opening"],
  ["welcome", bytesField(2, field(1, 1)), { welcome: { version: 1 } }, "service", "opening"],
  ["ready", bytesField(3, []), { ready: {} }, "device", "joining"],
  ["submit", submitBytes(1), { submit: { seq: "1", operation: "AQ==" } }, "device", "open"],
  ["submit_ack", bytesField(5, field(1, 0)), { submitAck: {} }, "service", "open"],
  ["deliver", deliverBytes(1), { deliver: { seq: "1", event: "AQ==" } }, "service", "open"],
  ["ack", content(field(1, 1)), { ack: { deliveredThrough: "1" } }, "device", "open"],
  ["ping", PING, { ping: { id: 5 } }, "device service", "open"],
  ["pong", bytesField(9, field(1, 5)), { pong: { id: 5 } }, "device service", "open"],
  [
    "credit",
    bytesField(10, bytesField(1, field(1, 1))),
    { credit: { window: { count: 1 } } },
    "device service",
    "open",
  ],
  ["drain", bytesField(11, field(1, 1)), { drain: { slotMs: 1 } }, "service", "open"],
  [
    "close",
    bytesField(12, field(1, 19)),
    { close: { code: "ERROR_CODE_GOODBYE" } },
    "device service",
    "opening joining open",
  ],
  ["call", bytesField(13, field(1, 1)), { call: { id: "1" } }, "device", "open"],
  ["reply", bytesField(14, field(1, 1)), { reply: { id: "1" } }, "service", "open"],
  [
    "signal",
    bytesField(15, bytesField(1, field(2, 1))),
    { signal: { typing: { active: true } } },
    "device",
    "open",
  ],
  [
    "hints",
    bytesField(16, bytesField(2, field(2, 4))),
    { hints: { presence: [{ state: "PRESENCE_STATE_ONLINE" }] } },
    "service",
    "open",
  ],
];

export const FRAME_RULE_VECTORS: readonly DecodingVector[] = RULES.flatMap(
  ([kind, bytes, json, senders, phases]) =>
    (["device", "service"] as const).flatMap((sender) =>
      (["opening", "joining", "open"] as const).map((phase) => {
        const isSender = senders.split(" ").includes(sender);
        const isPhase = phases.split(" ").includes(phase);
        const wrong = isSender ? fails("FRAME_WRONG_PHASE") : fails("FRAME_WRONG_SENDER");
        const what = named(
          isSender ? "FRM-8" : "FRM-7",
          `${kind}-from-${sender}-${phase}`,
          `${kind} from the ${sender} while its receiver is ${phase}.`,
        );
        return decoding({ ...what, sender, phase }, bytes, isSender && isPhase ? { json } : wrong);
      }),
    ),
);

function submitBytes(seq: number): readonly number[] {
  return bytesField(4, [...field(1, seq), ...bytesField(2, [1])]);
}

function deliverBytes(seq: number): readonly number[] {
  return bytesField(6, [...field(1, seq), ...bytesField(4, [1])]);
}
