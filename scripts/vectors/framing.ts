import { bytesField, delimited, field, hexOf, type Named, varint } from "./builder.ts";

export interface FramingVector extends Named {
  /** The bytes of one direction of a link, from its beginning. */
  readonly stream_hex: string;
  /** The largest frame accepted, without its length prefix. */
  readonly frame_bytes_max: number;
  /** However the stream is cut, exactly these frames come out before `fails`, if it does. */
  readonly expect: { readonly frames_hex: readonly string[]; readonly fails?: string };
}

export interface DecodingVector extends Named {
  readonly sender: "device" | "service";
  /** The receiver's phase. */
  readonly phase: "opening" | "joining" | "open";
  /** Without a length prefix. */
  readonly frame_hex: string;
  readonly expect: { readonly valid: true } | { readonly fails: string };
}

const ACK = bytesField(7, field(1, 3));
const PING = bytesField(8, field(1, 5));
const MAX = 262_144;

function framing(
  named: Named & { readonly stream: readonly number[]; readonly max?: number },
  frames: readonly (readonly number[])[],
  fails?: string,
): FramingVector {
  const { stream, max = MAX, ...rest } = named;
  const expect = { frames_hex: frames.map(hexOf), ...(fails === undefined ? {} : { fails }) };
  return { ...rest, stream_hex: hexOf(stream), frame_bytes_max: max, expect };
}

const body = (length: number) => Array.from({ length }, (_, index) => index & 0xff);
const split = (name: string, description: string, requirement: string) => ({
  name,
  description,
  requirements: [requirement],
});

export const FRAMING: readonly FramingVector[] = [
  framing({ ...split("nothing", "A link that carries nothing yet.", "FRM-1"), stream: [] }, []),
  framing({ ...split("one", "One frame.", "FRM-1"), stream: delimited(ACK) }, [ACK]),
  framing(
    {
      ...split("three", "Three frames behind each other.", "FRM-1"),
      stream: [...delimited(ACK), ...delimited(PING), ...delimited(ACK)],
    },
    [ACK, PING, ACK],
  ),
  framing(
    {
      ...split("unfinished", "The last frame is not whole: it is waited for.", "FRM-1"),
      stream: [...delimited(ACK), ...delimited(PING).slice(0, -1)],
    },
    [ACK],
  ),
  framing(
    {
      ...split("empty", "A length of 0 is a frame, which decoding then refuses.", "FRM-6"),
      stream: [0, ...delimited(ACK)],
    },
    [[], ACK],
  ),
  ...[127, 128, 16_383, 16_384].map((length) =>
    framing(
      {
        ...split(`length-${length}`, `A frame of ${length} bytes.`, "FRM-1"),
        stream: delimited(body(length)),
      },
      [body(length)],
    ),
  ),
  framing(
    {
      ...split("at-limit", "A frame as large as the limit.", "FRM-3"),
      stream: delimited(body(64)),
      max: 64,
    },
    [body(64)],
  ),
  framing(
    {
      ...split(
        "above-limit",
        "One byte more than the limit, refused by its length alone.",
        "FRM-3",
      ),
      stream: [...delimited(ACK), ...varint(65)],
      max: 64,
    },
    [ACK],
    "FRAME_TOO_LARGE",
  ),
  framing(
    {
      ...split("length-2-31", "A length of 2^31.", "FRM-3"),
      stream: varint(2n ** 31n),
      max: MAX,
    },
    [],
    "FRAME_TOO_LARGE",
  ),
  framing(
    { ...split("length-2-35", "A length of six bytes.", "FRM-2"), stream: varint(2n ** 35n) },
    [],
    "LENGTH_INVALID",
  ),
  framing(
    {
      ...split("long-form", "The length 4 written in two bytes.", "FRM-2"),
      stream: [0x84, 0x00, ...ACK],
    },
    [],
    "LENGTH_INVALID",
  ),
  framing(
    {
      ...split("long-form-0", "The length 0 written in two bytes.", "FRM-2"),
      stream: [0x80, 0x00],
    },
    [],
    "LENGTH_INVALID",
  ),
  framing(
    {
      ...split("endless-length", "A length that does not end in five bytes.", "FRM-2"),
      stream: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    },
    [],
    "LENGTH_INVALID",
  ),
];

function decoding(
  named: Named & Pick<DecodingVector, "sender" | "phase">,
  bytes: readonly number[],
  fails?: string,
): DecodingVector {
  const expect = fails === undefined ? ({ valid: true } as const) : { fails };
  return { ...named, frame_hex: hexOf(bytes), expect };
}

const fromDevice = { sender: "device", phase: "open" } as const;
const submit = (seq: number | bigint) => bytesField(4, [...field(1, seq), ...bytesField(2, [1])]);
const ack = (through: number | bigint) => bytesField(7, field(1, through));
const deliver = (seq: number | bigint) =>
  bytesField(6, [...field(1, seq), ...field(2, 1), ...field(3, 1), ...bytesField(4, [1])]);

const COUNTERS = [
  ["1", 1n, true],
  ["2^31", 2n ** 31n, true],
  ["2^32", 2n ** 32n, true],
  ["2^53-1", 2n ** 53n - 1n, true],
  ["2^53", 2n ** 53n, false],
  ["2^63", 2n ** 63n, false],
  ["2^64-1", 2n ** 64n - 1n, false],
] as const;

export const DECODING: readonly DecodingVector[] = [
  decoding(
    { ...split("ack", "The example of chapter 2.", "FRM-6"), pitfalls: ["P7"], ...fromDevice },
    [0x3a, 0x02, 0x08, 0x03],
  ),
  ...COUNTERS.flatMap(([text, value, isValid]) => {
    const fails = isValid ? undefined : "COUNTER_OUT_OF_RANGE";
    const what = { requirements: ["FRM-5"], pitfalls: ["P31"] };
    return [
      decoding(
        { name: `submit-${text}`, description: `Submit ${text}.`, ...what, ...fromDevice },
        submit(value),
        fails,
      ),
      decoding(
        { name: `ack-${text}`, description: `Ack through ${text}.`, ...what, ...fromDevice },
        ack(value),
        fails,
      ),
      decoding(
        {
          name: `deliver-${text}`,
          description: `Deliver ${text}.`,
          ...what,
          sender: "service",
          phase: "open",
        },
        deliver(value),
        fails,
      ),
    ];
  }),
  decoding(
    { ...split("submit-0", "Numbering begins at 1.", "FRM-5"), ...fromDevice },
    submit(0),
    "COUNTER_OUT_OF_RANGE",
  ),
  decoding(
    { ...split("deliver-0", "Numbering begins at 1.", "FRM-5"), sender: "service", phase: "open" },
    deliver(0),
    "COUNTER_OUT_OF_RANGE",
  ),
  decoding({ ...split("ack-0", "Nothing is acknowledged yet.", "FRM-5"), ...fromDevice }, ack(0)),
  decoding({ ...split("empty", "No kind.", "FRM-6"), ...fromDevice }, [], "FRAME_MALFORMED"),
  decoding(
    { ...split("unknown-kind", "Field 200 of Frame.", "FRM-6"), ...fromDevice },
    bytesField(200, [1]),
    "FRAME_MALFORMED",
  ),
  decoding(
    {
      ...split("two-kinds", "Two members of the oneof.", "FRM-6"),
      pitfalls: ["P32"],
      ...fromDevice,
    },
    [...ACK, ...PING],
    "FRAME_MALFORMED",
  ),
  decoding(
    { ...split("kind-twice", "The same member twice.", "FRM-6"), pitfalls: ["P32"], ...fromDevice },
    [...ACK, ...ACK],
    "FRAME_MALFORMED",
  ),
  decoding(
    { ...split("cut", "The content is shorter than its length.", "FRM-6"), ...fromDevice },
    ACK.slice(0, -1),
    "FRAME_MALFORMED",
  ),
  decoding(
    { ...split("long-tag", "The tag in two bytes.", "FRM-6"), ...fromDevice },
    [0xba, 0x00, ...ACK.slice(1)],
    "FRAME_MALFORMED",
  ),
  decoding(
    { ...split("wrong-wire-type", "Ack as a varint.", "FRM-6"), ...fromDevice },
    [0x38, 0x03],
    "FRAME_MALFORMED",
  ),
  decoding(
    { ...split("bad-content", "A varint that does not end.", "FRM-6"), ...fromDevice },
    bytesField(7, [0x08, 0xff]),
    "FRAME_MALFORMED",
  ),
  decoding(
    { ...split("unknown-field", "Field 99 inside Ack is passed over.", "FRM-9"), ...fromDevice },
    bytesField(7, [...field(1, 3), ...field(99, 7)]),
  ),
];

/** Who may send each kind, and in which phases of the receiver: chapter 2's table, by hand. */
const RULES: readonly (readonly [
  kind: string,
  bytes: readonly number[],
  senders: string,
  phases: string,
])[] = [
  ["hello", bytesField(1, field(1, 1)), "device", "opening"],
  ["welcome", bytesField(2, field(1, 1)), "service", "opening"],
  ["ready", bytesField(3, []), "device", "joining"],
  ["submit", submit(1), "device", "open"],
  ["submit_ack", bytesField(5, field(1, 0)), "service", "open"],
  ["deliver", deliver(1), "service", "open"],
  ["ack", ack(1), "device", "open"],
  ["ping", PING, "device service", "open"],
  ["pong", bytesField(9, field(1, 5)), "device service", "open"],
  ["credit", bytesField(10, bytesField(1, field(1, 1))), "device service", "open"],
  ["drain", bytesField(11, field(1, 1)), "service", "open"],
  ["close", bytesField(12, field(1, 19)), "device service", "opening joining open"],
];

export const FRAME_RULE_VECTORS: readonly DecodingVector[] = RULES.flatMap(
  ([kind, bytes, senders, phases]) =>
    (["device", "service"] as const).flatMap((sender) =>
      (["opening", "joining", "open"] as const).map((phase) => {
        const isSender = senders.includes(sender);
        const isPhase = phases.split(" ").includes(phase);
        const fails = isSender ? (isPhase ? undefined : "FRAME_WRONG_PHASE") : "FRAME_WRONG_SENDER";
        const named = {
          name: `${kind}-from-${sender}-${phase}`,
          description: `${kind} from the ${sender} while its receiver is ${phase}.`,
          requirements: [isSender ? "FRM-8" : "FRM-7"],
        };
        return decoding({ ...named, sender, phase }, bytes, fails);
      }),
    ),
);
