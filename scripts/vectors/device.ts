import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { base64, crc32, frame, type Named, type VectorFrame } from "./builder.ts";

/** What the device of device.json is, in all cases. */
export const DEVICE_SETUP = {
  user: "alice",
  device: "phone",
  start: "EARLIEST",
  timers: { keepalive_ms: 0, idle_ms: 0, age_ms: 0 },
  handshake_ms: 1000,
};

/** What is durable at the device before its first link. */
export interface DeviceGiven {
  readonly outbox_epoch: number;
  readonly results_through: number;
  readonly next: number;
  /** Operations of the submits from results_through + 1 to next - 1. */
  readonly pending_hex: readonly string[];
  readonly cursor: { readonly epoch: number; readonly seq: number };
  readonly delivery_window: { readonly count: number; readonly bytes: number };
  /** Whether the application handles each event at once, or when a step says so. */
  readonly handles: "at-once" | "when-told";
}

/** Something happens, and all that the device does until it is quiet. */
export interface DeviceStep {
  /** Since the first step; absent: at the time of the step before. */
  readonly at_ms?: number;
  /** A link is usable. */
  readonly link?: true;
  /** The link dies without a word. */
  readonly cut?: true;
  /** What arrives, in one piece. */
  readonly receive?: readonly VectorFrame[];
  /** The application submits these operations. */
  readonly submit_hex?: readonly string[];
  /** The application has durably handled events up to this number. */
  readonly handles?: number;
  /** The application closes the session. */
  readonly closes?: true;
  /** Without Ping, unless it is listed, and without Ack. Each frame has at least these members. */
  readonly sends: readonly JsonValue[];
  /** Kinds of frame that may come or not: it is the device's choice. */
  readonly may_send?: readonly string[];
  /** What the application is told: numbers of events, results of submits by operation. */
  readonly events?: readonly number[];
  readonly results?: readonly { readonly operation_hex: string; readonly outcome: string }[];
  /** What the last Ack on this link says by now; where there was none, what Hello said. */
  readonly acknowledged?: {
    readonly delivered_through?: number;
    readonly results_through?: number;
  };
  /** The link is over: what the device does next, by the rule of the code. */
  readonly next?: "never" | "same" | "after-delay" | "elsewhere";
}

export interface DeviceVector extends Named {
  readonly given: DeviceGiven;
  readonly steps: readonly DeviceStep[];
}

const OPERATIONS = ["0a01", "0a02", "0a03", "0a04", "0a05", "0a06"];
const bytesOf = (hex: string) => Buffer.from(hex, "hex");
export const op = (number: number): string => OPERATIONS[number - 1] as string;

/** Submits 2 and 3 have no result yet; events are handled up to 3. */
export const GIVEN: DeviceGiven = {
  outbox_epoch: 2,
  results_through: 1,
  next: 4,
  pending_hex: [op(2), op(3)],
  cursor: { epoch: 7, seq: 3 },
  delivery_window: { count: 4, bytes: 10_000 },
  handles: "at-once",
};
export const EMPTY: DeviceGiven = {
  ...GIVEN,
  outbox_epoch: 0,
  results_through: 0,
  next: 1,
  pending_hex: [],
  cursor: { epoch: 0, seq: 0 },
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
  limits: { frameBytes: 262_144, contentBytes: 1024, calls: 16 },
  userId: "alice",
  nowMs: "1",
};

/** The Welcome that fits {@link GIVEN}, but for a part. */
export const welcome = (part: object = {}): VectorFrame =>
  frame("welcome", { ...WELCOME, ...part } as JsonValue);
export const welcomeWithout = (member: keyof typeof WELCOME): VectorFrame => {
  const { [member]: _, ...rest } = WELCOME;
  return frame("welcome", rest);
};
/** The result of the submit of an operation. */
export const result = (number: number): JsonObject => ({
  conversationSeq: "1",
  committedMs: "1",
  digest: crc32(bytesOf(op(number))),
});
export const submitAck = (through: number, ...numbers: readonly number[]): VectorFrame =>
  frame("submitAck", { through: String(through), results: numbers.map(result) });
export const deliver = (...seqs: readonly number[]): VectorFrame[] =>
  seqs.map((seq) =>
    frame("deliver", {
      seq: String(seq),
      conversationSeq: String(seq),
      committedMs: "1",
      event: "AQ==",
    }),
  );

export const hello = (parts: {
  readonly outbox?: readonly [epoch: number, resultsThrough: number, next: number];
  readonly cursor?: readonly [epoch: number, seq: number];
}): JsonValue => {
  const { outbox: [epoch, resultsThrough, next] = [2, 1, 4], cursor = [7, 3] } = parts;
  const counters = (names: readonly string[], values: readonly number[]) =>
    Object.fromEntries(
      names
        .map((name, index) => [name, String(values[index])])
        .filter(([, value]) => value !== "0"),
    );
  return {
    hello: {
      versionMin: 1,
      versionMax: 1,
      deviceId: "phone",
      outbox: counters(["epoch", "resultsThrough", "next"], [epoch, resultsThrough, next]),
      cursor: counters(["epoch", "seq"], cursor),
    },
  };
};
export const submitted = (seq: number, hex: string): JsonValue => ({
  submit: { seq: String(seq), operation: base64(bytesOf(hex)) },
});
export const close = (code: string): JsonValue => ({ close: { code: `ERROR_CODE_${code}` } });
export const told = (number: number, outcome: string) => ({ operation_hex: op(number), outcome });

/** A link, on which the device states its positions. */
export const linked = (parts: Parameters<typeof hello>[0] = {}): DeviceStep => ({
  link: true,
  sends: [hello(parts)],
});
export const when = (
  receive: VectorFrame | readonly VectorFrame[],
  ...sends: readonly JsonValue[]
): DeviceStep => ({ receive: "hex" in receive ? [receive] : receive, sends });
export const READY: JsonValue = { ready: {} };

/** An attach on which both pending submits go up again. */
export const ATTACHED: readonly DeviceStep[] = [
  linked(),
  when(welcome(), READY, submitted(2, op(2)), submitted(3, op(3))),
];

export const device = (
  what: Named,
  given: DeviceGiven,
  ...steps: readonly DeviceStep[]
): DeviceVector => ({ ...what, given, steps });
