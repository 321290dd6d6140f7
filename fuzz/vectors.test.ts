import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Delimiter } from "../protocol/delimit.ts";
import { decodeFrame, encodeFrame, isViolation } from "../protocol/frames.ts";
import { sniff } from "../protocol/sniff.ts";
import type { Violation } from "../protocol/violation.ts";
import { codeText } from "./sim/frame-text.ts";
import { DeviceBench, type DeviceGivenState, type DeviceSetup } from "./vectors/device-bench.ts";
import { assertFrames, bytesOf, framesIn, hexOf, kindOf } from "./vectors/frames.ts";
import { PipeBench, type PipeSetup } from "./vectors/pipe-bench.ts";
import { ServiceBench, type ServiceSetup, type ServiceState } from "./vectors/service-bench.ts";

// Reads spec/vectors/ as a stranger would: nothing of the generator is used.

interface Case {
  readonly name: string;
  readonly requirements: readonly string[];
  readonly pitfalls?: readonly string[];
}

interface VectorFile<Vector, Setup> {
  readonly setup: Setup;
  readonly cases: readonly Vector[];
}

function read<Vector, Setup = undefined>(file: string): VectorFile<Vector, Setup> {
  const path = join(import.meta.dirname, "..", "spec", "vectors", file);
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Every case of a file is a test whose title names what it checks. */
function vectors<Vector extends Case>(
  file: string,
  check: (vector: Vector) => void | Promise<void>,
): void {
  describe(file, () => {
    for (const vector of read<Vector>(file).cases) {
      const ids = vector.requirements.map((id) => `[${id}]`).join(" ");
      const pitfalls = vector.pitfalls === undefined ? "" : ` (${vector.pitfalls.join(", ")})`;
      test(`${ids} ${vector.name}${pitfalls}`, () => check(vector));
    }
  });
}

interface FramingCase extends Case {
  readonly stream_hex: string;
  readonly frame_bytes_max: number;
  readonly expect: { readonly frames_hex: readonly string[]; readonly fails?: string };
}

vectors<FramingCase>("framing.json", ({ stream_hex, frame_bytes_max, expect }) => {
  const stream = bytesOf(stream_hex);
  for (const piece of [stream.length + 1, 1, 2, 3, 7]) {
    const delimiter = new Delimiter(frame_bytes_max);
    const frames: string[] = [];
    let fault: Violation | undefined;
    for (let at = 0; at < stream.length && fault === undefined; at += piece) {
      fault = delimiter.push(stream.slice(at, at + piece), (from, start, end) => {
        frames.push(hexOf(from.subarray(start, end)));
        return true;
      });
    }
    assert.deepEqual(frames, expect.frames_hex, `cut every ${piece} bytes`);
    assert.equal(fault && codeText(fault.code), expect.fails);
  }
});

interface DecodingCase extends Case {
  readonly sender: "device" | "service";
  readonly phase: "opening" | "joining" | "open";
  readonly frame_hex: string;
  readonly expect: { readonly json: JsonValue } | { readonly fails: string };
}

function decodes({ sender, phase, frame_hex, expect }: DecodingCase): void {
  const bytes = bytesOf(frame_hex);
  const context = { sender: sender === "device" ? "client" : "server", phase } as const;
  const frame = decodeFrame(bytes, { at: 0, end: bytes.length }, context);
  const outcome = isViolation(frame)
    ? { fails: codeText(frame.code) }
    : { json: framesIn(encodeFrame(frame))[0] };
  assert.deepEqual(outcome, expect);
}
vectors<DecodingCase>("decoding.json", decodes);
vectors<DecodingCase>("frame-rules.json", async (vector) => {
  decodes(vector);
  const sent = vector.sender === "device" ? await serviceJudges(vector) : deviceJudges(vector);
  const close = sent.find((frame) => kindOf(frame) === "close")?.close as JsonObject | undefined;
  const code = String(close?.code ?? "").replace("ERROR_CODE_", "");
  if ("fails" in vector.expect) assert.equal(code, vector.expect.fails, "the session says so too");
  else assert.doesNotMatch(code, /^FRAME_WRONG_/, "the session lets it in");
});

/** A service brought to a phase by the frames of the first two steps of a vector. */
async function serviceJudges({ phase, frame_hex }: DecodingCase): Promise<readonly JsonObject[]> {
  const { setup, cases } = read<ServiceCase, ServiceSetup>("service.json");
  const attached = cases.find(({ name }) => name === "submit") as ServiceCase;
  const bench = new ServiceBench(setup, attached.given);
  const steps = attached.steps.slice(0, { opening: 0, joining: 1, open: 2 }[phase]);
  for (const { receive = [] } of steps) {
    bench.receive(
      "a",
      receive.map(({ hex }) => bytesOf(hex)),
    );
    await bench.settle();
  }
  bench.takeSent();
  bench.receive("a", [delimited(frame_hex)]);
  await bench.settle();
  return bench.takeSent().get("a") ?? [];
}

/** Likewise a device; before Ready while its journal is at work. */
function deviceJudges({ phase, frame_hex }: DecodingCase): readonly JsonObject[] {
  const { setup, cases } = read<DeviceCase, DeviceSetup>("device.json");
  const attached = cases.find(({ name }) => name === "repeats") as DeviceCase;
  const bench = new DeviceBench(setup, attached.given, phase !== "joining");
  bench.link();
  const welcome = attached.steps[1]?.receive?.map(({ hex }) => bytesOf(hex)) ?? [];
  if (phase !== "opening") bench.receive(welcome);
  bench.take();
  bench.receive([delimited(frame_hex)]);
  return bench.take().sent;
}

function delimited(frame_hex: string): Uint8Array {
  const bytes = bytesOf(frame_hex);
  assert.ok(bytes.length < 128, "a length of one byte");
  return Uint8Array.of(bytes.length, ...bytes);
}

vectors<Case & { readonly bytes_hex: string; readonly expect: string }>(
  "sniffing.json",
  ({ bytes_hex, expect }) => {
    const opening = sniff(bytesOf(bytes_hex));
    const names = { preface: "raw", unknown: "refused" } as Readonly<Record<string, string>>;
    assert.equal(names[opening] ?? opening, expect);
  },
);

interface PipeCase extends Case {
  readonly steps: readonly {
    readonly at_ms?: number;
    readonly write_hex?: string;
    readonly ends?: true;
    readonly send?: { readonly offset: string; readonly data_hex: string };
    readonly sent?: object;
    readonly poll?: { readonly name: string; readonly received_offset: string };
    readonly cut?: string;
    readonly answers?: object;
  }[];
  readonly up_hex: string;
}

const PIPE_SETUP = read<PipeCase, PipeSetup>("byte-pipe.json").setup;
vectors<PipeCase>("byte-pipe.json", async ({ steps, up_hex }) => {
  const bench = new PipeBench(PIPE_SETUP);
  for (const { at_ms, write_hex, ends, send, sent, poll, cut, answers } of steps) {
    if (at_ms !== undefined) bench.passUntil(at_ms);
    if (write_hex !== undefined) bench.write(bytesOf(write_hex));
    if (ends) bench.end();
    if (send) assert.deepEqual(bench.send(BigInt(send.offset), bytesOf(send.data_hex)), sent);
    if (poll) bench.poll(poll.name, BigInt(poll.received_offset));
    if (cut !== undefined) bench.cut(cut);
    assert.deepEqual(bench.takeAnswers(), answers ?? {});
  }
  assert.equal(await bench.received(), up_hex);
});

interface VectorFrame {
  readonly hex: string;
  readonly json?: JsonValue;
}

interface SessionStep {
  readonly at_ms?: number;
  readonly receive?: readonly VectorFrame[];
  readonly sends: readonly JsonValue[];
  readonly may_send?: readonly string[];
}

interface ServiceCase extends Case {
  readonly given: ServiceState;
  readonly steps: readonly (SessionStep & {
    readonly link?: string;
    readonly cut?: true;
    readonly stops?: true;
    readonly others?: Readonly<Record<string, readonly JsonValue[]>>;
  })[];
}

/** What arrives comes in one piece; or, all the same, in as many as it has bytes. */
const PIECES = [
  (frames: readonly VectorFrame[]) => [Buffer.concat(frames.map(({ hex }) => bytesOf(hex)))],
  (frames: readonly VectorFrame[]) =>
    frames.flatMap(({ hex }) => [...bytesOf(hex)].map((byte) => Uint8Array.of(byte))),
];

const SERVICE_SETUP = read<ServiceCase, ServiceSetup>("service.json").setup;
vectors<ServiceCase>("service.json", async ({ given, steps }) => {
  for (const cutUp of PIECES) {
    const bench = new ServiceBench(SERVICE_SETUP, given);
    for (const [index, step] of steps.entries()) {
      const { link = "a", receive = [], sends, others = {}, may_send = [] } = step;
      if (step.at_ms !== undefined) await bench.passUntil(step.at_ms);
      bench.link(link);
      if (step.cut) bench.cut(link);
      if (step.stops) bench.stop();
      if (receive.length > 0) bench.receive(link, cutUp(receive));
      await bench.settle();
      for (const [name, sent] of bench.takeSent()) {
        const frames = name === link ? sends : (others[name] ?? []);
        const mayCome = [...may_send, ...["ping", "credit"].filter(isNotIn(frames))];
        within(`step ${index}, link ${name}`, () => assertFrames(sent, { frames, mayCome }));
        const closes = frames.some((frame) => kindOf(frame) === "close");
        if (closes) assert.ok(bench.isClosed(name), "Close closes the link [LNK-14]");
      }
    }
  }
});

interface DeviceCase extends Case {
  readonly given: DeviceGivenState;
  readonly steps: readonly (SessionStep & {
    readonly link?: true;
    readonly cut?: true;
    readonly submit_hex?: readonly string[];
    readonly handles?: number;
    readonly closes?: true;
    readonly events?: readonly number[];
    readonly results?: readonly object[];
    readonly acknowledged?: object;
    readonly next?: string;
  })[];
}

const DEVICE_SETUP = read<DeviceCase, DeviceSetup>("device.json").setup;
vectors<DeviceCase>("device.json", ({ given, steps }) => {
  for (const cutUp of PIECES) {
    const bench = new DeviceBench(DEVICE_SETUP, given);
    for (const [index, step] of steps.entries()) {
      within(`step ${index}`, () => {
        deviceDoes(bench, step, cutUp);
      });
    }
  }
});

function deviceDoes(
  bench: DeviceBench,
  step: DeviceCase["steps"][number],
  cutUp: (typeof PIECES)[number],
): void {
  const { at_ms, receive, submit_hex, handles, sends, may_send = [] } = step;
  if (at_ms !== undefined) bench.passUntil(at_ms);
  if (step.link) bench.link();
  if (step.cut) bench.cut();
  if (receive) bench.receive(cutUp(receive));
  if (submit_hex) bench.submit(submit_hex.map(bytesOf));
  if (handles !== undefined) bench.handle(handles);
  if (step.closes) bench.close();
  const { sent, events, results, acknowledged, next } = bench.take();
  const mayCome = [...may_send, ...["ping", "ack", "credit"].filter(isNotIn(sends))];
  assertFrames(sent, { frames: sends, mayCome });
  assert.deepEqual(events, step.events ?? []);
  assert.deepEqual(results, step.results ?? []);
  assert.deepEqual({ ...acknowledged, ...step.acknowledged }, acknowledged);
  if (step.next !== undefined) assert.equal(next, step.next);
}

function isNotIn(frames: readonly JsonValue[]): (kind: string) => boolean {
  const kinds = new Set(frames.map(kindOf));
  return (kind) => !kinds.has(kind);
}

function within(place: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (error instanceof Error) error.message = `${place}: ${error.message}`;
    throw error;
  }
}

test("what is said of a frame in JSON is what its bytes hold", () => {
  const steps = ["service.json", "device.json"].flatMap((file) =>
    read<{ readonly steps: readonly SessionStep[] }>(file).cases.flatMap((one) => one.steps),
  );
  const frames = steps.flatMap(({ receive = [] }) => receive);
  const honest = frames.filter(({ json }) => json !== undefined);
  assert.ok(honest.length > 500, `${honest.length} frames`);
  for (const { hex, json } of honest) assert.deepEqual(framesIn(bytesOf(hex)), [json]);
});
