import type { JsonObject } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { ClientSession } from "../../protocol/session/client.ts";
import type { ClientEffect } from "../../protocol/session/client-effects.ts";
import { unreachable } from "../../protocol/violation.ts";
import { codeText } from "../sim/frame-text.ts";
import { bytesOf, framesIn, hexOf, kindOf } from "./frames.ts";

/** As device.json states them. */
export interface DeviceSetup {
  readonly user: string;
  readonly device: string;
  readonly timers: Readonly<Record<"keepalive_ms" | "idle_ms" | "age_ms", number>>;
  readonly handshake_ms: number;
}

export interface DeviceGivenState {
  readonly outbox_epoch: number;
  readonly results_through: number;
  readonly next: number;
  readonly pending_hex: readonly string[];
  readonly cursor: { readonly epoch: number; readonly seq: number };
  readonly delivery_window: { readonly count: number; readonly bytes: number };
  readonly handles: "at-once" | "when-told";
}

const START_MS = 1_800_000_000_000;

/** The device's machine with a journal and an application that are done at once, unless told. */
export class DeviceBench {
  readonly #session: ClientSession;
  readonly #handlesAtOnce: boolean;
  /** A journal that never gets done with a Welcome keeps the device before Ready. */
  readonly #installs: boolean;
  #nowMs = START_MS;
  #epoch: number;
  #sent: JsonObject[] = [];
  #events: number[] = [];
  #results: { operation_hex: string; outcome: string }[] = [];
  #acknowledged = { delivered_through: 0, results_through: 0 };
  #ended: ErrorCode | undefined;

  constructor(setup: DeviceSetup, given: DeviceGivenState, installs = true) {
    const { keepalive_ms, idle_ms, age_ms } = setup.timers;
    this.#handlesAtOnce = given.handles === "at-once";
    this.#installs = installs;
    this.#epoch = given.cursor.epoch;
    this.#session = new ClientSession(
      {
        deviceId: setup.device,
        userId: setup.user,
        agent: "vector",
        start: "earliest",
        deliveryWindow: given.delivery_window,
        timers: { keepaliveMs: keepalive_ms, idleMs: idle_ms, ageMs: age_ms },
        handshakeMs: setup.handshake_ms,
      },
      {
        outboxEpoch: given.outbox_epoch,
        resultsThrough: given.results_through,
        next: given.next,
        pending: given.pending_hex.map((hex, index) => ({
          seq: given.next - given.pending_hex.length + index,
          operation: bytesOf(hex),
        })),
        cursor: given.cursor,
      },
    );
  }

  link(): void {
    this.#session.linked({ token: "" }, this.#nowMs);
    this.#pump();
  }

  cut(): void {
    this.#session.unlinked();
    this.#pump();
  }

  receive(pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) this.#session.received(piece, this.#nowMs);
    this.#pump();
  }

  submit(operations: readonly Uint8Array[]): void {
    for (const operation of operations) {
      if (this.#session.admits(operation)) this.#session.submit(operation);
      else this.#told(operation, ErrorCode.MESSAGE_TOO_LARGE);
    }
    this.#pump();
  }

  handle(through: number): void {
    this.#session.applied({ epoch: this.#epoch, seq: through }, this.#nowMs);
    this.#pump();
  }

  close(): void {
    this.#session.close(ErrorCode.GOODBYE);
    this.#pump();
  }

  passUntil(atMs: number): void {
    const endMs = START_MS + atMs;
    for (;;) {
      const deadlineMs = this.#session.deadlineMs();
      this.#nowMs = Math.max(this.#nowMs, Math.min(endMs, deadlineMs));
      if (deadlineMs > endMs) return;
      this.#session.elapsed(this.#nowMs);
      this.#pump();
    }
  }

  /** What happened since the last call. */
  take() {
    const taken = { sent: this.#sent, events: this.#events, results: this.#results };
    this.#sent = [];
    this.#events = [];
    this.#results = [];
    const next = this.#ended === undefined ? undefined : errorRule(this.#ended).retry;
    this.#ended = undefined;
    return { ...taken, acknowledged: this.#acknowledged, next };
  }

  #pump(): void {
    for (;;) {
      const effects = this.#session.effects(this.#nowMs);
      if (effects.length === 0) return;
      for (const effect of effects) this.#obey(effect);
    }
  }

  #obey(effect: ClientEffect): void {
    switch (effect.kind) {
      case "append":
        return this.#session.appended();
      case "install":
        this.#epoch = effect.state.cursor.epoch;
        if (!this.#installs) return;
        this.#tell(effect.settlements);
        return this.#session.installed(this.#nowMs);
      case "settle":
        this.#tell(effect.settlements);
        return this.#session.settled(effect.resultsThrough, this.#nowMs);
      case "deliver": {
        const seqs = effect.deliveries.map(({ seq }) => seq);
        this.#events.push(...seqs);
        if (!this.#handlesAtOnce) return;
        return this.#session.applied({ epoch: this.#epoch, seq: seqs.at(-1) ?? 0 }, this.#nowMs);
      }
      case "index": {
        const { seq } = effect.index;
        this.#events.push(seq);
        if (!this.#handlesAtOnce) return;
        return this.#session.applied({ epoch: this.#epoch, seq }, this.#nowMs);
      }
      case "drain":
        return this.#session.close(ErrorCode.GOODBYE);
      case "write":
        for (const frame of framesIn(effect.bytes)) this.#note(frame);
        return;
      case "close":
        this.#ended = effect.because.code;
        return;
      case "opened":
      case "answer":
      case "hints":
        return;
      default:
        unreachable(effect);
    }
  }

  #note(frame: JsonObject): void {
    this.#sent.push(frame);
    const content = frame[kindOf(frame)] as JsonObject;
    if (kindOf(frame) === "hello") {
      const { outbox, cursor } = content as Record<"outbox" | "cursor", JsonObject>;
      this.#acknowledged = positions(cursor.seq, outbox.resultsThrough);
    } else if (kindOf(frame) === "ack") {
      this.#acknowledged = positions(content.deliveredThrough, content.resultsThrough);
    }
  }

  #tell(settlements: (ClientEffect & { readonly kind: "settle" })["settlements"]): void {
    for (const { entry, outcome } of settlements) {
      this.#told(entry.operation, outcome === "rolled-back" ? outcome : outcome.code);
    }
  }

  #told(operation: Uint8Array, outcome: ErrorCode | "rolled-back"): void {
    const text = outcome === "rolled-back" ? outcome : codeText(outcome);
    this.#results.push({ operation_hex: hexOf(operation), outcome: text });
  }
}

function positions(delivered: unknown, results: unknown) {
  return { delivered_through: Number(delivered ?? 0), results_through: Number(results ?? 0) };
}
