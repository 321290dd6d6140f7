import assert from "node:assert/strict";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { CursorStart } from "../../gen/posthorn/v1/session_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import { decodeFrame, encodeFrame, type Frame, isViolation } from "../../protocol/frames.ts";
import type { AcceptedLink } from "../../protocol/link.ts";
import { openAuthenticator } from "../../server/auth/open.ts";
import { CONVERSATION_RULES } from "../../server/operations/conversations.ts";
import { USER_RULES } from "../../server/operations/own-lists.ts";
import { PublishBudget } from "../../server/operations/publish-budget.ts";
import { Services } from "../../server/services/service.ts";
import { Alarms } from "../../server/sessions/alarms.ts";
import { type DriverContext, SessionDriver } from "../../server/sessions/driver.ts";
import { Hub } from "../../server/sessions/hub.ts";
import { SignalBoard } from "../../server/signals/board.ts";
import type { MemoryStore } from "../../server/store/memory.ts";

export type OperationKind = NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>;

const WINDOW = { count: 8, bytes: 10_000 };
const RANGE = { defaultMs: 1_000, minMs: 100, maxMs: 60_000 };
const LIMITS = {
  frameBytes: 4096,
  contentBytes: 1024,
  submitWindow: WINDOW,
  deliveryWindowMax: WINDOW,
  timers: { keepalive: RANGE, idle: { ...RANGE, defaultMs: 3_000 }, age: { ...RANGE, minMs: 0 } },
  handshakeMs: 1_000,
  frameMs: 1_000,
  drainGraceMs: 100,
};

/** A node over a store. */
export function nodeOf(store: MemoryStore): DriverContext {
  const alarms = new Alarms({ nowMs: () => 1, timer: () => () => {} });
  const failed = (where: string, error: unknown) => assert.fail(`${where}: ${error}`);
  return {
    store,
    authenticator: openAuthenticator(),
    services: new Services({ roleIn: async () => undefined }),
    crypto: NATIVE_CRYPTO,
    publishing: new PublishBudget(),
    conversations: CONVERSATION_RULES,
    users: USER_RULES,
    hub: new Hub(store),
    signals: new SignalBoard({ store, deadlines: alarms, failed }),
    alarms,
    limits: LIMITS,
    observer: {
      attached: () => {},
      closed: () => {},
      committed: () => {},
      delivered: () => {},
      passed: () => {},
      failed,
    },
  };
}

/** A device's end of one link to a node, driven frame by frame. */
export class Peer {
  readonly heard: Frame[] = [];
  readonly #driver: SessionDriver;
  readonly #frames = new Delimiter(1 << 20);

  readonly #userId: string;

  constructor(node: DriverContext, part: Partial<AcceptedLink> = {}, userId = "alice") {
    this.#userId = userId;
    const link: AcceptedLink = {
      kind: "tcp",
      peer: "",
      isTls: false,
      write: (bytes) => {
        this.#frames.push(bytes, (from, at, end) => {
          for (const phase of ["opening", "open"] as const) {
            const frame = decodeFrame(from, { at, end }, { sender: "server", phase });
            if (isViolation(frame)) continue;
            this.heard.push(frame);
            break;
          }
          return true;
        });
        return true;
      },
      close: (code) => void setImmediate(() => this.#driver.closed(code, "")),
      ...part,
    };
    this.#driver = new SessionDriver(link, node, () => {});
  }

  say(...frames: readonly Frame[]): Promise<void> {
    for (const frame of frames) this.#driver.received(encodeFrame(frame));
    return rest();
  }

  hello(epoch: number, deviceId = "phone"): Promise<void> {
    return this.say({
      kind: "hello",
      value: {
        versionMin: 1,
        versionMax: 1,
        token: "",
        userId: this.#userId,
        deviceId,
        outbox: { epoch, resultsThrough: 0, next: 1 },
        cursor: { epoch: 0, seq: 0, start: CursorStart.EARLIEST },
        deliveryWindow: WINDOW,
        agent: "",
      },
    });
  }

  cut(): void {
    this.#driver.closed(ErrorCode.LINK_LOST, "");
  }

  /** Attaches, and hears of nothing but that. */
  async attach(epoch: number, deviceId?: string): Promise<void> {
    await this.hello(epoch, deviceId);
    await this.say(READY);
  }

  /** Submits without waiting. */
  submit(seq: number, kind: OperationKind): void {
    const operation = toBinary(OperationSchema, create(OperationSchema, { kind }));
    this.#driver.received(encodeFrame({ kind: "submit", value: { seq, operation } }));
  }

  get closedWith(): ErrorCode | undefined {
    const last = this.heard.at(-1);
    return last?.kind === "close" ? last.value.code : undefined;
  }
}

export const READY: Frame = { kind: "ready", value: {} };
export const ACK: Frame = { kind: "ack", value: { deliveredThrough: 0, resultsThrough: 0 } };
/** Until all that can happen without a timer has happened. */
export const rest = () => new Promise<void>((resolve) => setImmediate(resolve));
