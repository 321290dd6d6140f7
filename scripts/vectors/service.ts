import type { JsonValue } from "@bufbuild/protobuf";
import {
  base64,
  crc32,
  frame,
  type Named,
  named,
  rawFrame,
  sendText,
  type VectorFrame,
} from "./builder.ts";

/** What is durable at the service before the device comes. */
export interface ServiceGiven {
  readonly submit_window: { readonly count: number; readonly bytes: number };
  /** The record of device "phone" of user "alice"; null: it never attached. */
  readonly device: null | {
    readonly generation: number;
    readonly outbox_epoch: number;
    readonly through: number;
    readonly results_through: number;
    /** Digests of the accepted submits from results_through + 1 on. */
    readonly result_digests: readonly number[];
  };
  /** Alice's timeline: events of Bob, 100 bytes or so each. Null: nobody knows Alice. */
  readonly timeline: null | {
    readonly epoch: number;
    readonly floor: number;
    readonly head: number;
  };
}

/** One frame comes, and everything that the service sends until it is quiet. */
export interface ServiceStep {
  readonly receive: VectorFrame;
  /** Each has at least these members; frames of one kind in this order, kinds may mix. */
  readonly answer: readonly JsonValue[];
}

export interface ServiceVector extends Named {
  readonly given: ServiceGiven;
  readonly steps: readonly ServiceStep[];
}

const WINDOW = { count: 4, bytes: 10_000 };
const NOTHING: ServiceGiven = { submit_window: WINDOW, device: null, timeline: null };
const TIMELINE = { epoch: 7, floor: 1, head: 3 };
const note = (number: number) => sendText("alice", `note ${number}`);
const digest = (number: number) => crc32(note(number));
/** Two submits are committed, the result of the second is not acknowledged. */
const DEVICE = {
  generation: 4,
  outbox_epoch: 2,
  through: 2,
  results_through: 1,
  result_digests: [digest(2)],
};
const KNOWN: ServiceGiven = { submit_window: WINDOW, device: DEVICE, timeline: TIMELINE };

const HELLO = {
  versionMin: 1,
  versionMax: 1,
  userId: "alice",
  deviceId: "phone",
  outbox: { epoch: "2", resultsThrough: "1", next: "3" },
  cursor: { epoch: "7", seq: "3" },
  deliveryWindow: { count: 8, bytes: 10_000 },
  agent: "vector",
};
const FRESH = {
  ...HELLO,
  outbox: { next: "1" },
  cursor: { start: "CURSOR_START_EARLIEST" },
};

const hello = (part: object = {}, base: object = HELLO) =>
  frame("hello", { ...base, ...part } as JsonValue);
const submit = (seq: number, text = note(seq)) =>
  frame("submit", { seq: String(seq), operation: base64(text) });
const ack = (deliveredThrough: number, resultsThrough: number) =>
  frame("ack", {
    deliveredThrough: String(deliveredThrough),
    resultsThrough: String(resultsThrough),
  });
const close = (code: string) => ({ close: { code: `ERROR_CODE_${code}` } });
const welcome = (json: JsonValue) => ({ welcome: json });
const result = (number: number) => ({ digest: digest(number) });

/** An attach that goes well, then what follows. */
const attached = (...steps: ServiceStep[]): ServiceStep[] => [
  { receive: hello(), answer: [welcome({ generation: "5" })] },
  { receive: frame("ready", {}), answer: [] },
  ...steps,
];
const refused = (code: string, receive: VectorFrame): ServiceStep[] => [
  { receive, answer: [close(code)] },
];

function script(
  ids: string,
  title: readonly [string, string],
  given: ServiceGiven,
  steps: readonly ServiceStep[],
): ServiceVector {
  return { ...named(ids, title), given, steps };
}

const RESUMING: readonly ServiceVector[] = [
  script("RES-8 RES-9", ["fresh", "A device and user that nobody knows."], NOTHING, [
    {
      receive: hello({}, FRESH),
      answer: [
        welcome({ version: 1, generation: "1", outbox: { epoch: "1" }, resume: { resumed: {} } }),
      ],
    },
  ]),
  script(
    "RES-2 SEQ-4",
    ["resumed", "The cursor is the head; the kept result comes with Welcome."],
    KNOWN,
    [
      {
        receive: hello(),
        answer: [
          welcome({
            generation: "5",
            outbox: { epoch: "2", through: "2", resultsThrough: "1", results: [result(2)] },
            timeline: { epoch: "7", head: "3", floor: "1" },
            resume: { cursor: "3", resumed: {} },
          }),
        ],
      },
    ],
  ),
  script("RES-3 SEQ-10 SES-7", ["replaying", "Two events follow, and not before Ready."], KNOWN, [
    {
      receive: hello({ cursor: { epoch: "7", seq: "1" } }),
      answer: [welcome({ resume: { cursor: "1", replaying: { count: "2" } } })],
    },
    {
      receive: frame("ready", {}),
      answer: [{ deliver: { seq: "2" } }, { deliver: { seq: "3" } }],
    },
  ]),
  script(
    "RES-4",
    ["lost", "Retention removed what follows the cursor."],
    { ...KNOWN, timeline: { epoch: 7, floor: 3, head: 3 } },
    [
      {
        receive: hello({ cursor: { epoch: "7", seq: "0" } }),
        answer: [
          welcome({
            resume: { cursor: "2", lost: { from: "1", to: "2", reason: "LOST_REASON_RETENTION" } },
          }),
        ],
      },
    ],
  ),
  script("RES-5 P14", ["epoch-changed", "The cursor is of another epoch."], KNOWN, [
    {
      receive: hello({ cursor: { epoch: "6", seq: "3" } }),
      answer: [welcome({ resume: { epochChanged: { oldEpoch: "6" } }, timeline: { epoch: "7" } })],
    },
  ]),
  script(
    "RES-7 P8",
    ["cursor-ahead", "The cursor is above the head."],
    KNOWN,
    refused("CURSOR_AHEAD", hello({ cursor: { epoch: "7", seq: "4" } })),
  ),
  script("RES-8", ["latest", "Without a cursor, after the head."], KNOWN, [
    {
      receive: hello({ cursor: { start: "CURSOR_START_LATEST" } }),
      answer: [welcome({ resume: { cursor: "3", resumed: {} } })],
    },
  ]),
  script("RES-9", ["epoch-asked", "Epoch 0 is granted a new one, above the known."], KNOWN, [
    { receive: hello({ outbox: { next: "1" } }), answer: [welcome({ outbox: { epoch: "3" } })] },
  ]),
  script(
    "RES-9",
    ["epoch-foreign", "An epoch that was not granted here is answered with one above."],
    KNOWN,
    [
      {
        receive: hello({ outbox: { epoch: "9", resultsThrough: "4", next: "6" } }),
        answer: [welcome({ outbox: { epoch: "10" } })],
      },
    ],
  ),
  script(
    "RES-10",
    ["epoch-stale", "An epoch that is over."],
    KNOWN,
    refused("OUTBOX_EPOCH_STALE", hello({ outbox: { epoch: "1", next: "1" } })),
  ),
  script(
    "RES-13 P8",
    ["results-ahead", "Results are claimed that were never given."],
    KNOWN,
    refused("ACK_BEYOND_SENT", hello({ outbox: { epoch: "2", resultsThrough: "3", next: "4" } })),
  ),
];

const HELLOS: readonly ServiceVector[] = [
  ...(
    [
      ["device-id", { deviceId: "a b" }],
      ["no-user", { userId: "" }],
      ["next-0", { outbox: { epoch: "2" } }],
      ["results-not-below-next", { outbox: { epoch: "2", resultsThrough: "3", next: "3" } }],
      ["epoch-0-with-results", { outbox: { resultsThrough: "1", next: "2" } }],
      ["cursor-0-with-number", { cursor: { seq: "1" } }],
      ["agent-too-long", { agent: "x".repeat(129) }],
    ] as const
  ).map(([name, part]) =>
    script(
      "SES-5",
      [`hello-${name}`, "A Hello that breaks a rule."],
      KNOWN,
      refused("HELLO_INVALID", hello(part)),
    ),
  ),
  script(
    "SES-3",
    ["version-2-only", "No common version."],
    KNOWN,
    refused("VERSION_UNSUPPORTED", hello({ versionMin: 2, versionMax: 2 })),
  ),
  script(
    "SES-11 P28",
    ["timers-impossible", "Keepalive is not below half of idle."],
    KNOWN,
    refused("TIMERS_IMPOSSIBLE", hello({ timers: { keepaliveMs: 2000, idleMs: 4000 } })),
  ),
  script(
    "SES-1",
    ["not-hello", "The first frame is another one."],
    KNOWN,
    refused("FRAME_WRONG_PHASE", ack(0, 0)),
  ),
  script("SES-18 P11", ["hello-alone", "A Hello that nobody follows up changes nothing."], KNOWN, [
    { receive: hello(), answer: [welcome({ generation: "5" })] },
    { receive: frame("close", { code: "ERROR_CODE_GOODBYE" }), answer: [] },
  ]),
];

const SUBMITTING: readonly ServiceVector[] = [
  script(
    "SEQ-3 SEQ-14",
    ["submit", "A submit is acknowledged and delivered."],
    KNOWN,
    attached({
      receive: submit(3),
      answer: [{ submitAck: { through: "3", results: [result(3)] } }, { deliver: { seq: "4" } }],
    }),
  ),
  script(
    "SEQ-4 P19 P20",
    ["submit-repeated", "A repeat has the kept result and no further effect."],
    KNOWN,
    attached(
      { receive: submit(2), answer: [{ submitAck: { through: "2", results: [result(2)] } }] },
      {
        receive: submit(3),
        answer: [{ submitAck: { through: "3", results: [result(3)] } }, { deliver: { seq: "4" } }],
      },
      { receive: submit(3), answer: [{ submitAck: { through: "3", results: [result(3)] } }] },
    ),
  ),
  script(
    "SEQ-5",
    ["submit-conflict", "A used number with other content."],
    KNOWN,
    attached({ receive: submit(2, note(99)), answer: [close("SUBMIT_CONFLICT")] }),
  ),
  script(
    "SEQ-2 P16",
    ["submit-gap", "A number is missing."],
    KNOWN,
    attached({ receive: submit(4), answer: [close("SEQUENCE_GAP")] }),
  ),
  script(
    "FRM-5 P31",
    ["submit-2-53", "A number above 2^53-1."],
    KNOWN,
    attached({
      receive: rawFrame(
        4,
        [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0x12, 0x01, 0x00],
        "Submit 2^53",
      ),
      answer: [close("COUNTER_OUT_OF_RANGE")],
    }),
  ),
  script(
    "SEQ-6",
    ["submit-refused", "A refused operation consumes its number."],
    KNOWN,
    attached(
      {
        receive: submit(3, sendText("nobody", "hello")),
        answer: [{ submitAck: { through: "3", results: [{ code: "ERROR_CODE_USER_UNKNOWN" }] } }],
      },
      {
        receive: submit(4),
        answer: [{ submitAck: { through: "4", results: [result(4)] } }, { deliver: { seq: "4" } }],
      },
    ),
  ),
  script(
    "SEQ-8",
    ["submit-window", "The fifth above the acknowledged results, of a window of four."],
    KNOWN,
    attached(
      ...[3, 4, 5].map((seq) => ({
        receive: submit(seq),
        answer: [{ submitAck: { through: String(seq) } }, { deliver: { seq: String(seq + 1) } }],
      })),
      { receive: submit(6), answer: [close("CREDIT_EXCEEDED")] },
    ),
  ),
  script(
    "SEQ-8",
    ["submit-window-moves", "Acknowledged results make room."],
    KNOWN,
    attached(
      ...[3, 4, 5].map((seq) => ({
        receive: submit(seq),
        answer: [{ submitAck: { through: String(seq) } }, { deliver: { seq: String(seq + 1) } }],
      })),
      { receive: ack(3, 2), answer: [] },
      { receive: submit(6), answer: [{ submitAck: { through: "6" } }, { deliver: { seq: "7" } }] },
    ),
  ),
  script("FRM-8", ["submit-before-ready", "Submits wait for Ready."], KNOWN, [
    { receive: hello(), answer: [welcome({})] },
    { receive: submit(3), answer: [close("FRAME_WRONG_PHASE")] },
  ]),
  script(
    "FRM-7",
    ["deliver-from-device", "Only a service delivers."],
    KNOWN,
    attached({
      receive: frame("deliver", {
        seq: "1",
        conversationSeq: "1",
        committedMs: "1",
        event: "AQ==",
      }),
      answer: [close("FRAME_WRONG_SENDER")],
    }),
  ),
];

const ACKNOWLEDGING: readonly ServiceVector[] = [
  script(
    "SEQ-9 P8",
    ["ack-beyond-deliveries", "More deliveries are acknowledged than were sent."],
    KNOWN,
    attached({ receive: ack(4, 1), answer: [close("ACK_BEYOND_SENT")] }),
  ),
  script(
    "SEQ-9 P8",
    ["ack-beyond-results", "More results are acknowledged than were given."],
    KNOWN,
    attached({ receive: ack(3, 3), answer: [close("ACK_BEYOND_SENT")] }),
  ),
  script(
    "SEQ-9",
    ["ack-below", "An earlier acknowledgement comes again."],
    KNOWN,
    attached(
      { receive: ack(3, 2), answer: [] },
      { receive: ack(0, 0), answer: [] },
      { receive: submit(3), answer: [{ submitAck: { through: "3" } }, { deliver: { seq: "4" } }] },
    ),
  ),
  script(
    "SEQ-13",
    ["delivery-window", "Two deliveries of a window of two, then what is acknowledged makes room."],
    KNOWN,
    [
      {
        receive: hello({
          cursor: { epoch: "7", seq: "0" },
          deliveryWindow: { count: 2, bytes: 10_000 },
        }),
        answer: [welcome({ resume: { replaying: { count: "3" } } })],
      },
      {
        receive: frame("ready", {}),
        answer: [{ deliver: { seq: "1" } }, { deliver: { seq: "2" } }],
      },
      { receive: ack(1, 1), answer: [{ deliver: { seq: "3" } }] },
    ],
  ),
  script(
    "SES-9",
    ["ping", "Each Ping has a Pong of its id, with the service's position."],
    KNOWN,
    attached({
      receive: frame("ping", { id: 77, sentThrough: "2" }),
      answer: [{ pong: { id: 77, sentThrough: "3" } }],
    }),
  ),
  script(
    "SES-15 P12",
    ["ping-tells-of-a-loss", "The device has sent what never came."],
    KNOWN,
    attached({
      receive: frame("ping", { id: 1, sentThrough: "3" }),
      answer: [{ pong: { id: 1 } }, close("SEQUENCE_GAP")],
    }),
  ),
];

export const SERVICE: readonly ServiceVector[] = [
  ...RESUMING,
  ...HELLOS,
  ...SUBMITTING,
  ...ACKNOWLEDGING,
];
