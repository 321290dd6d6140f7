import type { JsonValue } from "@bufbuild/protobuf";
import { base64, crc32, frame, type Named, sendText, type VectorFrame } from "./builder.ts";

/** How the service of service.json is run, in all cases. */
export const SERVICE_SETUP = {
  authentication: "none",
  frame_bytes: 262_144,
  content_bytes: 1024,
  delivery_window_max: { count: 100, bytes: 100_000 },
  timers_default: { keepalive_ms: 1000, idle_ms: 3000, age_ms: 0 },
  timers_max_ms: 60_000,
  handshake_ms: 1000,
  frame_ms: 1000,
  drain_grace_ms: 500,
};

/** What is durable at the service before the first link. Bob exists and has nothing. */
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
  /** Alice's timeline: events of 100 bytes. Null: nobody knows Alice. */
  readonly timeline: null | {
    readonly epoch: number;
    readonly floor: number;
    readonly head: number;
  };
}

/** Something happens, and all that the service sends until it is quiet. */
export interface ServiceStep {
  /** Since the first step; absent: at the time of the step before. */
  readonly at_ms?: number;
  /** On which link: "a" where it is absent. A name that is new is a new link. */
  readonly link?: string;
  /** What arrives, in one piece. */
  readonly receive?: readonly VectorFrame[];
  /** The link dies without a word. */
  readonly cut?: true;
  /** The node is asked to stop; its only link drains. */
  readonly stops?: true;
  /** Each frame has at least these members. */
  readonly sends: readonly JsonValue[];
  /** Likewise, on other links than this step's. */
  readonly others?: Readonly<Record<string, readonly JsonValue[]>>;
  /** Kinds of frame that may come or not: it is the service's choice. */
  readonly may_send?: readonly string[];
}

export interface ServiceVector extends Named {
  readonly given: ServiceGiven;
  readonly steps: readonly ServiceStep[];
}

export const WINDOW = { count: 4, bytes: 10_000 };
export const NOTHING: ServiceGiven = { submit_window: WINDOW, device: null, timeline: null };
export const note = (number: number): Uint8Array => sendText("alice", `note ${number}`);
const digest = (number: number) => crc32(note(number));
/** Two submits are committed, the result of the second is not acknowledged. */
export const KNOWN: ServiceGiven = {
  submit_window: WINDOW,
  device: {
    generation: 4,
    outbox_epoch: 2,
    through: 2,
    results_through: 1,
    result_digests: [digest(2)],
  },
  timeline: { epoch: 7, floor: 1, head: 3 },
};

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
/** Of a device that holds nothing. */
export const FRESH = { outbox: { next: "1" }, cursor: { start: "CURSOR_START_EARLIEST" } };

/** The Hello that fits {@link KNOWN}, but for a part. */
export const hello = (part: object = {}): VectorFrame =>
  frame("hello", { ...HELLO, ...part } as JsonValue);
export const helloWithout = (member: keyof typeof HELLO): VectorFrame => {
  const { [member]: _, ...rest } = HELLO;
  return frame("hello", rest);
};
export const ready: VectorFrame = frame("ready", {});
export const submit = (
  seq: number | bigint,
  operation: Uint8Array = note(Number(seq)),
): VectorFrame => frame("submit", { seq: String(seq), operation: base64(operation) });
export const ack = (
  deliveredThrough: number | bigint,
  resultsThrough: number | bigint,
): VectorFrame =>
  frame("ack", {
    deliveredThrough: String(deliveredThrough),
    resultsThrough: String(resultsThrough),
  });
export const ping = (id: number, sentThrough: number | bigint): VectorFrame =>
  frame("ping", { id, sentThrough: String(sentThrough) });

export const close = (code: string): JsonValue => ({ close: { code: `ERROR_CODE_${code}` } });
export const welcome = (json: JsonValue): JsonValue => ({ welcome: json });
export const result = (number: number): JsonValue => ({ digest: digest(number) });
export const acked = (...numbers: readonly number[]): JsonValue => ({
  submitAck: { through: String(numbers.at(-1)), results: numbers.map(result) },
});
export const delivered = (...seqs: readonly number[]): JsonValue[] =>
  seqs.map((seq) => ({ deliver: { seq: String(seq) } }));

/** A step in which some frames arrive. */
export const when = (
  receive: VectorFrame | readonly VectorFrame[],
  ...sends: readonly JsonValue[]
): ServiceStep => ({ receive: "hex" in receive ? [receive] : receive, sends });

/** The device attaches, with nothing to be delivered. */
export const ATTACHED: readonly ServiceStep[] = [
  when(hello(), welcome({ generation: "5" })),
  when(ready),
];

export const service = (
  what: Named,
  given: ServiceGiven,
  ...steps: readonly ServiceStep[]
): ServiceVector => ({ ...what, given, steps });
