import { create, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";
import type { Client } from "../client.ts";
import { RefusedError, type SendResult } from "../results.ts";
import { sleep } from "../sleep.ts";
import type { SteadyClock } from "../steady-clock.ts";

/** Packets of a session that the service has not answered for, beyond which nothing is sealed. */
export const WAITING_MAX = 64;
/** Of them, how many are with the service at once. */
const IN_FLIGHT_MAX = 8;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;

/** A packet for one device. */
export interface OutgoingPacket {
  readonly sessionId: Uint8Array;
  readonly to: DeviceAddress;
  readonly packet: Uint8Array;
  readonly ttlS: number;
}

/** For who waits until a packet is durable at the service. */
export interface Sent {
  resolve(result: SendResult): void;
  reject(error: Error): void;
}

interface Item extends OutgoingPacket {
  /** Of its session, from 0. */
  readonly place: number;
  /** No longer of use to anybody. */
  readonly untilMs: number;
  readonly sent: Sent | undefined;
}

interface Lane {
  nextPlace: number;
  /** In the order of their places. */
  waiting: Item[];
  inFlightCount: number;
  /** Set while the service has no room: then one packet at a time asks for some. */
  retryMs: number;
  isPaused: boolean;
}

export interface OutgoingOptions {
  readonly client: Client;
  readonly clock: SteadyClock;
  readonly over: AbortSignal;
  /** A packet that the service will never take. */
  readonly gaveUp: (packet: OutgoingPacket, code: ErrorCode) => void;
}

/**
 * Packets on their way to the service. What it has no room for now is sent again, the same bytes
 * and in its session's order: a message that was sealed has used up its place. [SEC-42]
 */
export class OutgoingPackets {
  readonly #options: OutgoingOptions;
  /** By session id; those in which something waits. */
  readonly #lanes = new Map<string, Lane>();

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** Whether a session may seal one more message. */
  hasRoom(sessionId: Uint8Array): boolean {
    const lane = this.#lanes.get(sessionId.join());
    return lane === undefined || lane.waiting.length + lane.inFlightCount < WAITING_MAX;
  }

  push(packet: OutgoingPacket, sent?: Sent): void {
    const id = packet.sessionId.join();
    const fresh = { nextPlace: 0, waiting: [], inFlightCount: 0, retryMs: 0, isPaused: false };
    const lane: Lane = this.#lanes.get(id) ?? fresh;
    this.#lanes.set(id, lane);
    const untilMs = this.#options.clock.nowMs() + packet.ttlS * 1000;
    lane.waiting.push({ ...packet, place: lane.nextPlace, untilMs, sent });
    lane.nextPlace += 1;
    this.#pump(id, lane);
  }

  #pump(id: string, lane: Lane): void {
    if (this.#options.over.aborted) return this.#drop(lane);
    const most = lane.retryMs > 0 ? 1 : IN_FLIGHT_MAX;
    while (!lane.isPaused && lane.inFlightCount < most) {
      const item = lane.waiting.shift();
      if (item === undefined) break;
      lane.inFlightCount += 1;
      this.#submit(item).then(
        (result) => {
          lane.inFlightCount -= 1;
          lane.retryMs = 0;
          item.sent?.resolve(result);
          this.#pump(id, lane);
        },
        (error: Error) => {
          lane.inFlightCount -= 1;
          this.#refused(id, lane, { item, error });
        },
      );
    }
    if (lane.waiting.length === 0 && lane.inFlightCount === 0) this.#lanes.delete(id);
  }

  #submit({ to, packet, untilMs }: Item): Promise<SendResult> {
    const ttlS = Math.ceil((untilMs - this.#options.clock.nowMs()) / 1000);
    if (ttlS < 1) return Promise.reject(new RefusedError(ErrorCode.SECURE_EXPIRED));
    const value = { toUserId: to.userId, toDeviceId: to.deviceId, packet, ttlS };
    const operation = create(OperationSchema, { kind: { case: "sendPacket", value } });
    return this.#options.client.submit(toBinary(OperationSchema, operation));
  }

  #refused(id: string, lane: Lane, { item, error }: { item: Item; error: Error }): void {
    const { over, gaveUp } = this.#options;
    const code = error instanceof RefusedError ? error.code : undefined;
    if (code !== undefined && errorRule(code).temporary && !over.aborted) {
      lane.waiting.push(item);
      lane.waiting.sort((a, b) => a.place - b.place);
      if (lane.isPaused) return;
      lane.isPaused = true;
      lane.retryMs = Math.min(Math.max(lane.retryMs * 2, RETRY_MS_MIN), RETRY_MS_MAX);
      const resume = () => {
        lane.isPaused = false;
        this.#pump(id, lane);
      };
      // What it says of a time is not asked before. [LIM-12]
      const { retryAfterMs } = error as RefusedError;
      sleep(Math.max(lane.retryMs, retryAfterMs), over).then(resume, resume);
      return;
    }
    item.sent?.reject(error);
    if (code !== undefined && !over.aborted) gaveUp(item, code);
    this.#pump(id, lane);
  }

  #drop(lane: Lane): void {
    for (const { sent } of lane.waiting) sent?.reject(new RefusedError(ErrorCode.SECURE_NOT_OPEN));
    lane.waiting = [];
  }
}
