import type { JsonValue } from "@bufbuild/protobuf";
import { base64, crc32, frame, type Named, named, type VectorFrame } from "./builder.ts";

/** What is durable at the device before the link. */
export interface DeviceGiven {
  readonly outbox_epoch: number;
  readonly results_through: number;
  readonly next: number;
  /** Operations of the submits from results_through + 1 to next - 1. */
  readonly pending_hex: readonly string[];
  readonly cursor: { readonly epoch: number; readonly seq: number };
  readonly delivery_window: { readonly count: number; readonly bytes: number };
}

/** One thing happens; the device's journal and application are done with it at once. */
export interface DeviceStep {
  readonly receive?: VectorFrame;
  /** The application submits these operations. */
  readonly submit_hex?: readonly string[];
  /**
   * What the device sends until it is quiet; Ping is left out, and Ack too unless it is named here.
   * Each frame has at least these members.
   */
  readonly sends: readonly JsonValue[];
  /** What the application is told: numbers of events, results of submits by operation. */
  readonly events?: readonly number[];
  readonly results?: readonly { readonly operation_hex: string; readonly outcome: string }[];
}

export interface DeviceVector extends Named {
  readonly given: DeviceGiven;
  /** The first step is the link: Hello. */
  readonly steps: readonly DeviceStep[];
}

const OPERATIONS = ["0a01", "0a02", "0a03", "0a04", "0a05", "0a06"];
const bytesOf = (hex: string) => Buffer.from(hex, "hex");
const digestOf = (hex: string) => crc32(bytesOf(hex));
const op = (number: number) => OPERATIONS[number - 1] as string;

const GIVEN: DeviceGiven = {
  outbox_epoch: 2,
  results_through: 1,
  next: 4,
  pending_hex: [op(2), op(3)],
  cursor: { epoch: 7, seq: 3 },
  delivery_window: { count: 4, bytes: 10_000 },
};
const WELCOME = {
  version: 1,
  sessionId: base64(new Uint8Array(16)),
  generation: "5",
  outbox: { epoch: "2", through: "1", resultsThrough: "1" },
  timeline: { epoch: "7", head: "3", floor: "1" },
  resume: { cursor: "3", resumed: {} },
  timers: { keepaliveMs: 1000, idleMs: 3000 },
  submitWindow: { count: 4, bytes: 10_000 },
  limits: { frameBytes: 262_144, contentBytes: 1024 },
  userId: "alice",
  nowMs: "1",
};
const result = (number: number) => ({
  conversationSeq: "1",
  committedMs: "1",
  digest: digestOf(op(number)),
});
const welcome = (part: object = {}) => frame("welcome", { ...WELCOME, ...part } as JsonValue);
const submitted = (seq: number, hex: string) => ({
  submit: { seq: String(seq), operation: base64(bytesOf(hex)) },
});
const close = (code: string) => ({ close: { code: `ERROR_CODE_${code}` } });
const told = (number: number, outcome: string) => ({ operation_hex: op(number), outcome });
const deliver = (seq: number) =>
  frame("deliver", {
    seq: String(seq),
    conversationSeq: String(seq),
    committedMs: "1",
    event: "AQ==",
  });
const pong = (sentThrough: number) => frame("pong", { id: 1, sentThrough: String(sentThrough) });

const LINK: DeviceStep = {
  sends: [
    {
      hello: {
        outbox: { epoch: "2", resultsThrough: "1", next: "4" },
        cursor: { epoch: "7", seq: "3" },
      },
    },
  ],
};
/** An attach on which both pending submits go up again. */
const attached = (...steps: DeviceStep[]): DeviceStep[] => [
  LINK,
  { receive: welcome(), sends: [{ ready: {} }, submitted(2, op(2)), submitted(3, op(3))] },
  ...steps,
];

function script(
  ids: string,
  title: readonly [string, string],
  steps: readonly DeviceStep[],
  given: DeviceGiven = GIVEN,
): DeviceVector {
  return { ...named(ids, title), given, steps };
}

export const DEVICE: readonly DeviceVector[] = [
  script(
    "SEQ-7 SES-7",
    ["repeats", "What Welcome does not cover goes up again, the same bytes."],
    attached(),
  ),
  script(
    "SEQ-7 P19",
    ["repeats-the-rest", "What Welcome covers has its result and is not sent again."],
    [
      LINK,
      {
        receive: welcome({
          outbox: { epoch: "2", through: "2", resultsThrough: "1", results: [result(2)] },
        }),
        sends: [{ ready: {} }, submitted(3, op(3))],
        results: [told(2, "ok")],
      },
    ],
  ),
  script(
    "RES-11",
    ["renumbers", "Under another epoch the pending submits are numbered from 1."],
    [
      LINK,
      {
        receive: welcome({ outbox: { epoch: "3" } }),
        sends: [{ ready: {} }, submitted(1, op(2)), submitted(2, op(3))],
      },
    ],
  ),
  script(
    "RES-12",
    ["rolled-back", "The kept result of number 2 is of other content: a forgotten life used it."],
    [
      LINK,
      {
        receive: welcome({
          outbox: {
            epoch: "2",
            through: "2",
            resultsThrough: "1",
            results: [{ ...result(2), digest: 7 }],
          },
        }),
        sends: [{ ready: {} }, submitted(3, op(3))],
        results: [told(2, "rolled-back")],
      },
    ],
  ),
  script(
    "RES-12",
    ["rolled-back-beyond", "Welcome covers more than this journal knows: numbers go on above."],
    [
      LINK,
      {
        receive: welcome({
          outbox: { epoch: "2", through: "5", resultsThrough: "5" },
        }),
        sends: [{ ready: {} }],
        results: [told(2, "rolled-back"), told(3, "rolled-back")],
      },
      { submit_hex: [op(4)], sends: [submitted(6, op(4))] },
    ],
  ),
  script(
    "SEQ-4",
    ["acknowledged", "Each submit has one result, told once."],
    attached(
      {
        receive: frame("submitAck", { through: "2", results: [result(2)] }),
        sends: [],
        results: [told(2, "ok")],
      },
      {
        receive: frame("submitAck", { through: "3", results: [result(2), result(3)] }),
        sends: [],
        results: [told(3, "ok")],
      },
      { receive: frame("submitAck", { through: "2", results: [result(2)] }), sends: [] },
    ),
  ),
  script(
    "SEQ-6 P29",
    ["refused", "A refusal is a result, whatever its code."],
    attached({
      receive: frame("submitAck", {
        through: "2",
        results: [{ ...result(2), code: "ERROR_CODE_USER_UNKNOWN" }],
      }),
      sends: [],
      results: [told(2, "USER_UNKNOWN")],
    }),
  ),
  script(
    "SEQ-9 P8",
    ["acknowledged-beyond", "A submit is acknowledged that was never sent."],
    attached({
      receive: frame("submitAck", { through: "4", results: [result(2), result(3), result(4)] }),
      sends: [close("ACK_BEYOND_SENT")],
    }),
  ),
  script(
    "SEQ-4",
    ["result-missing", "The results do not reach down to the last one received."],
    attached({
      receive: frame("submitAck", { through: "3", results: [result(3)] }),
      sends: [close("SEQUENCE_GAP")],
    }),
  ),
  script(
    "SEQ-8",
    ["window", "Four submits above the acknowledged result, and no fifth."],
    attached(
      { submit_hex: [op(4), op(5), op(6)], sends: [submitted(4, op(4)), submitted(5, op(5))] },
      {
        receive: frame("submitAck", { through: "3", results: [result(2), result(3)] }),
        sends: [{ ack: { resultsThrough: "3" } }, submitted(6, op(6))],
        results: [told(2, "ok"), told(3, "ok")],
      },
    ),
  ),
  script(
    "SEQ-10 SEQ-11",
    ["delivered", "Deliveries reach the application once, in order."],
    attached(
      { receive: deliver(4), sends: [], events: [4] },
      { receive: deliver(5), sends: [{ ack: { deliveredThrough: "5" } }], events: [5] },
      { receive: deliver(5), sends: [] },
    ),
  ),
  script(
    "SEQ-2 P16",
    ["delivery-gap", "A delivery is missing."],
    attached({ receive: deliver(5), sends: [close("SEQUENCE_GAP")] }),
  ),
  script(
    "SEQ-2 P16 P20",
    ["delivery-twice-and-gap", "A duplicate does not make up for a hole."],
    attached(
      { receive: deliver(4), sends: [], events: [4] },
      { receive: deliver(4), sends: [] },
      { receive: deliver(6), sends: [close("SEQUENCE_GAP")] },
    ),
  ),
  script(
    "SES-15 P12",
    ["pong-tells-of-a-loss", "The service has sent what never came."],
    attached({ receive: pong(4), sends: [close("SEQUENCE_GAP")] }),
  ),
  script(
    "SES-14",
    ["drained", "What is handled is acknowledged before the link closes."],
    attached(
      { receive: deliver(4), sends: [], events: [4] },
      {
        receive: frame("drain", { slotMs: 20, graceMs: 500 }),
        sends: [{ ack: { deliveredThrough: "4" } }, close("GOODBYE")],
      },
    ),
  ),
  ...(
    [
      ["resumed-elsewhere", "RES-2", { resume: { cursor: "2", resumed: {} } }],
      ["resumed-below-head", "RES-2", { timeline: { epoch: "7", head: "4", floor: "1" } }],
      [
        "replay-count",
        "RES-3",
        {
          timeline: { epoch: "7", head: "5", floor: "1" },
          resume: { cursor: "3", replaying: { count: "1" } },
        },
      ],
      ["epoch-unsaid", "RES-5", { timeline: { epoch: "8", head: "3", floor: "1" } }],
      [
        "lost-nothing",
        "RES-4",
        { resume: { cursor: "3", lost: { from: "4", to: "3", reason: "LOST_REASON_RETENTION" } } },
      ],
      ["no-outcome", "RES-1", { resume: { cursor: "3" } }],
      ["results-missing", "SEQ-4", { outbox: { epoch: "2", through: "2", resultsThrough: "1" } }],
      ["epoch-below", "RES-9", { outbox: { epoch: "1" } }],
      ["timers", "SES-11", { timers: { keepaliveMs: 2000, idleMs: 3000 } }],
      ["version", "SES-3", { version: 2 }],
    ] as const
  ).map(([name, id, part]) =>
    script(
      id,
      [`welcome-untrue-${name}`, "A Welcome that cannot be true for this Hello."],
      [LINK, { receive: welcome(part), sends: [close("FRAME_MALFORMED")] }],
    ),
  ),
  script(
    "FRM-8",
    ["deliver-before-welcome", "Nothing comes before Welcome."],
    [LINK, { receive: deliver(4), sends: [close("FRAME_WRONG_PHASE")] }],
  ),
  script(
    "FRM-7",
    ["submit-from-service", "Only a device submits."],
    attached({
      receive: frame("submit", { seq: "1", operation: "AQ==" }),
      sends: [close("FRAME_WRONG_SENDER")],
    }),
  ),
];
