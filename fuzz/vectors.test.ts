import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fromBinary, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { FrameSchema } from "../gen/posthorn/v1/frame_pb.ts";
import { PipeReceiver, PipeSender } from "../protocol/byte-pipe.ts";
import { crc32 } from "../protocol/crc32.ts";
import { Delimiter } from "../protocol/delimit.ts";
import { decodeFrame, isViolation } from "../protocol/frames.ts";
import { type ClientEffect, ClientSession } from "../protocol/session/client.ts";
import { type ServerEffect, ServerSession } from "../protocol/session/server.ts";
import { sniff } from "../protocol/sniff.ts";
import { type Violation, violation } from "../protocol/violation.ts";
import type { DeviceVector } from "../scripts/vectors/device.ts";
import type { DecodingVector, FramingVector } from "../scripts/vectors/framing.ts";
import type { PipeVector, SniffingVector } from "../scripts/vectors/links.ts";
import type { ServiceVector } from "../scripts/vectors/service.ts";
import { openAuthenticator } from "../server/auth/open.ts";
import { decodeOperation, planOperation } from "../server/operations/plan.ts";
import { logRefOf, type UserRef, userRefOf } from "../server/store/store.ts";
import { codeText } from "./sim/frame-text.ts";
import { Service } from "./sim/service.ts";

const FOLDER = join(import.meta.dirname, "..", "spec", "vectors");
const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const NOW_MS = 1_800_000_000_000;

interface Case {
  readonly name: string;
  readonly requirements: readonly string[];
  readonly pitfalls?: readonly string[];
}

/** Every case of a file is a test whose title names what it checks. */
function vectors<Vector extends Case>(
  file: string,
  check: (vector: Vector) => void | Promise<void>,
) {
  const { cases } = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as { cases: Vector[] };
  describe(file, () => {
    for (const vector of cases) {
      const ids = vector.requirements.map((id) => `[${id}]`).join(" ");
      const pitfalls = vector.pitfalls === undefined ? "" : ` (${vector.pitfalls.join(", ")})`;
      test(`${ids} ${vector.name}${pitfalls}`, () => check(vector));
    }
  });
}

vectors<FramingVector>("framing.json", ({ stream_hex, frame_bytes_max, expect }) => {
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

function decodes({ sender, phase, frame_hex, expect }: DecodingVector): void {
  const bytes = bytesOf(frame_hex);
  const context = { sender: sender === "device" ? "client" : "server", phase } as const;
  const frame = decodeFrame(bytes, { at: 0, end: bytes.length }, context);
  const fails = isViolation(frame) ? codeText(frame.code) : undefined;
  assert.equal(fails, "fails" in expect ? expect.fails : undefined);
}
vectors<DecodingVector>("decoding.json", decodes);
vectors<DecodingVector>("frame-rules.json", decodes);

vectors<SniffingVector>("sniffing.json", ({ bytes_hex, expect }) => {
  const opening = sniff(bytesOf(bytes_hex));
  const named = { preface: "raw", unknown: "refused" }[opening as "preface" | "unknown"] ?? opening;
  assert.equal(named, expect);
});

vectors<PipeVector>("byte-pipe.json", ({ steps, up_hex }) => {
  const [down, up] = [new PipeSender(), new PipeReceiver()];
  let received = "";
  for (const { write_hex, send, poll, expect } of steps) {
    if (write_hex !== undefined) down.write(bytesOf(write_hex));
    if (send !== undefined) {
      const fresh = up.take(Number(send.offset), bytesOf(send.data_hex));
      const answer = "code" in fresh ? { fails: codeText(fresh.code) } : undefined;
      if (!("code" in fresh)) received += hexOf(fresh);
      assert.deepEqual(answer ?? { received_offset: up.received }, expect);
    }
    if (poll !== undefined) {
      const fault = down.acknowledged(Number(poll.received_offset));
      const data_hex = hexOf(down.peek(poll.data_bytes_max));
      const answer = fault ? { fails: codeText(fault.code) } : { offset: down.base, data_hex };
      assert.deepEqual(answer, expect);
    }
  }
  assert.equal(received, up_hex);
});

vectors<ServiceVector>("service.json", async (vector) => {
  const bench = new ServiceBench(vector.given);
  for (const { receive, answer } of vector.steps) {
    const sent = await bench.received(bytesOf(receive.hex));
    assertFrames(sent, answer);
  }
});

vectors<DeviceVector>("device.json", (vector) => {
  const bench = new DeviceBench(vector.given);
  for (const step of vector.steps) {
    bench.events.length = 0;
    bench.results.length = 0;
    for (const hex of step.submit_hex ?? []) bench.session.submit(bytesOf(hex));
    const sent = bench.run(step.receive && bytesOf(step.receive.hex));
    const kinds = new Set(step.sends.flatMap((frame) => Object.keys(frame as JsonObject)));
    const compared = sent.filter((frame) => {
      const [kind = ""] = Object.keys(frame as JsonObject);
      return kind !== "ping" && (kind !== "ack" || kinds.has("ack"));
    });
    assertFrames(compared, step.sends);
    assert.deepEqual(bench.events, step.events ?? []);
    assert.deepEqual(bench.results, step.results ?? []);
  }
});

/** Frames of one kind come in this order, each with at least these members; kinds may mix. */
function assertFrames(sent: readonly JsonValue[], expected: readonly JsonValue[]): void {
  const byKind = (frames: readonly JsonValue[]) =>
    [...frames].sort((a, b) => kindOf(a).localeCompare(kindOf(b)));
  const [is, must] = [byKind(sent), byKind(expected)];
  assert.deepEqual(is.map(kindOf), must.map(kindOf), JSON.stringify(sent));
  must.forEach((frame, index) => {
    assertHolds(is[index] as JsonValue, frame, kindOf(frame));
  });
}

function kindOf(frame: JsonValue): string {
  return Object.keys(frame as JsonObject)[0] ?? "";
}

function assertHolds(value: JsonValue | undefined, part: JsonValue, at: string): void {
  if (Array.isArray(part)) {
    assert.ok(Array.isArray(value) && value.length === part.length, `${at}: as many`);
    part.forEach((item, index) => {
      assertHolds(value[index], item, `${at}[${index}]`);
    });
  } else if (typeof part === "object" && part !== null) {
    assert.ok(typeof value === "object" && value !== null, `${at} is there`);
    for (const [key, member] of Object.entries(part)) {
      assertHolds((value as JsonObject)[key], member as JsonValue, `${at}.${key}`);
    }
  } else {
    assert.equal(value, part, at);
  }
}

function framesIn(bytes: Uint8Array): JsonValue[] {
  const frames: JsonValue[] = [];
  new Delimiter(1 << 24).push(bytes, (from, at, end) => {
    frames.push(toJson(FrameSchema, fromBinary(FrameSchema, from.subarray(at, end))));
    return true;
  });
  return frames;
}

/** A service as a vector gives it: our machine, rules and operations over a disk of its own. */
class ServiceBench {
  readonly #service = new Service(() => NOW_MS);
  readonly #session: ServerSession;
  readonly #limits;
  #position = { device: DEVICE, generation: 0, outboxEpoch: 0 };

  constructor(given: ServiceVector["given"]) {
    const range = (defaultMs: number) => ({ defaultMs, minMs: 0, maxMs: 60_000 });
    this.#limits = {
      frameBytes: 262_144,
      contentBytes: 1_024,
      submitWindow: given.submit_window,
      deliveryWindowMax: { count: 100, bytes: 100_000 },
      timers: { keepalive: range(1_000), idle: range(3_000), age: range(0) },
      handshakeMs: 1_000,
      frameMs: 1_000,
      drainGraceMs: 500,
    };
    this.#session = new ServerSession(this.#limits, NOW_MS);
    const { disk } = this.#service;
    disk.users.set(BOB, { epoch: 1, head: 0, floor: 1 });
    if (given.timeline !== null) {
      const { head } = given.timeline;
      disk.users.set(ALICE, given.timeline);
      const event = new Uint8Array(100);
      disk.logs.set(
        LOG,
        Array.from({ length: head }, () => ({ committedMs: 1, event })),
      );
      const entries = Array.from({ length: head }, (_, index) => ({ log: LOG, logSeq: index + 1 }));
      disk.timelines.set(ALICE, entries);
    }
    if (given.device === null) return;
    const { generation, outbox_epoch, through, results_through, result_digests } = given.device;
    const results = result_digests.map((digest) => ({
      code: ErrorCode.UNSPECIFIED,
      conversationSeq: 1,
      committedMs: 1,
      digest,
    }));
    disk.devices.set(`${ALICE}\0phone`, {
      generation,
      sessionId: new Uint8Array(16),
      granted: { from: outbox_epoch, through: outbox_epoch },
      outboxEpoch: outbox_epoch,
      through,
      resultsThrough: results_through,
      results,
      deliveredThrough: 0,
    });
  }

  async received(bytes: Uint8Array): Promise<JsonValue[]> {
    const sent: JsonValue[] = [];
    this.#session.received(bytes, NOW_MS);
    for (let turn = 0; turn < 10; turn += 1) {
      for (const effect of this.#session.effects()) {
        if (effect.kind === "write") sent.push(...framesIn(effect.bytes));
        else await this.#do(effect);
      }
    }
    return sent;
  }

  async #do(effect: ServerEffect): Promise<void> {
    const session = this.#session;
    switch (effect.kind) {
      case "prepare": {
        const identity = await openAuthenticator().authenticate(effect.claim);
        if (identity.kind === "refused") {
          return session.refused(violation(identity.code, identity.requirement, ""));
        }
        const { outbox, cursor } = effect.claim;
        const prepared = this.#service.prepare({ device: DEVICE, outbox, cursor });
        if (prepared.kind === "refused") {
          return session.refused(violation(prepared.code, prepared.requirement, ""));
        }
        const { attachment } = prepared;
        const { generation } = attachment;
        this.#position = { device: DEVICE, generation, outboxEpoch: attachment.outbox.epoch };
        this.#service.write((group) => group.attach({ device: DEVICE, attachment }));
        return session.prepared({ attachment, userId: "alice" }, NOW_MS);
      }
      case "attach":
        return session.attached();
      case "commit":
        return this.#commit(effect.submits);
      case "load": {
        const { after, limit } = effect;
        return session.loaded(this.#service.disk.page({ user: ALICE, after, limit }), NOW_MS);
      }
      case "advance": {
        const { deliveredThrough, resultsThrough } = effect;
        const position = { ...this.#position, deliveredThrough, resultsThrough };
        this.#service.write((group) => group.advance(position));
        return;
      }
      case "write":
      case "close":
        return;
    }
  }

  #commit(submits: (ServerEffect & { readonly kind: "commit" })["submits"]): void {
    const sender = { tenant: "", userId: "alice", deviceId: "phone" };
    const knownUsers = new Set<UserRef>(this.#service.disk.users.keys());
    const planned = submits.map(({ seq, operation }) => ({
      seq,
      digest: crc32(operation),
      plan: planOperation(decodeOperation(operation), sender, { knownUsers }, this.#limits),
    }));
    const outcome = this.#service.commit({ ...this.#position, submits: planned });
    if (outcome.kind === "committed") this.#session.committed(outcome.receipt, NOW_MS);
    else this.#session.refused(violation(ErrorCode.SUBMIT_CONFLICT, "SEQ-5", ""));
    this.#session.woken(this.#service.disk.bounds(ALICE)?.head ?? 0);
  }
}

const ALICE = userRefOf("", "alice");
const BOB = userRefOf("", "bob");
const LOG = logRefOf("", "d:alice:bob");
const DEVICE = { user: ALICE, deviceId: "phone" };

/** A device as a vector gives it, whose journal and application are done at once. */
class DeviceBench {
  readonly session: ClientSession;
  readonly events: number[] = [];
  readonly results: { operation_hex: string; outcome: string }[] = [];
  #epoch = 0;
  #linked = false;

  constructor(given: DeviceVector["given"]) {
    const { outbox_epoch, results_through, next, pending_hex, cursor, delivery_window } = given;
    this.session = new ClientSession(
      {
        deviceId: "phone",
        userId: "alice",
        agent: "vector",
        start: "earliest",
        deliveryWindow: delivery_window,
        timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
        handshakeMs: 1_000,
      },
      {
        outboxEpoch: outbox_epoch,
        resultsThrough: results_through,
        next,
        pending: pending_hex.map((hex, index) => ({
          seq: results_through + 1 + index,
          operation: bytesOf(hex),
        })),
        cursor,
      },
    );
  }

  run(bytes: Uint8Array | undefined): JsonValue[] {
    const sent: JsonValue[] = [];
    if (!this.#linked) this.session.linked("", NOW_MS);
    this.#linked = true;
    if (bytes !== undefined) this.session.received(bytes, NOW_MS);
    for (let turn = 0; turn < 10; turn += 1) {
      for (const effect of this.session.effects(NOW_MS)) {
        if (effect.kind === "write") sent.push(...framesIn(effect.bytes));
        else this.#do(effect);
      }
    }
    return sent;
  }

  #do(effect: ClientEffect): void {
    switch (effect.kind) {
      case "append":
        return this.session.appended();
      case "install":
        this.#epoch = effect.state.cursor.epoch;
        this.#tell(effect.settlements);
        return this.session.installed(NOW_MS);
      case "settle":
        this.#tell(effect.settlements);
        return this.session.settled(effect.resultsThrough, NOW_MS);
      case "deliver": {
        const seqs = effect.deliveries.map(({ seq }) => seq);
        this.events.push(...seqs);
        return this.session.applied({ epoch: this.#epoch, seq: seqs.at(-1) as number }, NOW_MS);
      }
      case "drain":
        return this.session.close(ErrorCode.GOODBYE);
      case "opened":
      case "write":
      case "close":
        return;
    }
  }

  #tell(settlements: (ClientEffect & { readonly kind: "settle" })["settlements"]): void {
    for (const { entry, outcome } of settlements) {
      const text = outcome === "rolled-back" ? outcome : codeText(outcome.code);
      this.results.push({ operation_hex: hexOf(entry.operation), outcome: text });
    }
  }
}
