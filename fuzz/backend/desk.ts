import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  BackendService,
  SubmitAsRequestSchema,
  SubmitAsResponseSchema,
} from "../../gen/posthorn/v1/backend_pb.ts";
import { DevicesService } from "../../gen/posthorn/v1/devices_pb.ts";
import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { backendService } from "../../server/backend/service.ts";
import { Streams } from "../../server/backend/streams.ts";
import type { Caller } from "../../server/services/access.ts";
import { devices } from "../../server/services/devices.ts";
import { Services } from "../../server/services/service.ts";
import { type MemoryDisk, MemoryStore } from "../../server/store/memory.ts";
import { nodeOf } from "../store/session-peer.ts";

export type OperationInit = MessageInitShape<typeof OperationSchema>;

/** What a call of SubmitAs came to: its response, or the code of its refusal. */
export interface Answered {
  /** UNSPECIFIED: there is a result. */
  readonly code: ErrorCode;
  /** The response's bytes. */
  readonly result: string;
  /** Why the operation was refused. UNSPECIFIED: it took effect, or there is no result. */
  readonly refused: ErrorCode;
}

export const DESK: Caller = { tenant: "", userId: "", deviceId: "", backendId: "desk" };

/** A node's services over a memory store, as backends and users ask them. */
export class DeskNode {
  readonly store: MemoryStore;
  readonly #services: Services;

  /** @param disk what an earlier node has left */
  constructor(disk?: MemoryDisk, flush?: (write: () => void) => Promise<void>, keptMax?: number) {
    let epochs = 0;
    this.store = new MemoryStore({
      nowMs: () => 1_800_000_000_000,
      newSessionId: () => new Uint8Array(16),
      newTimelineEpoch: () => {
        epochs += 1;
        return epochs;
      },
      ...(disk && { disk }),
      ...(flush && { flush }),
      ...(keptMax && { timelineEventsMax: keptMax }),
    });
    const node = nodeOf(this.store);
    const { limits, crypto, conversations, users } = node;
    const sizes = { contentBytes: 100_000, frameBytes: 262_144 };
    const rules = { ...limits, ...sizes, crypto, conversations, users };
    const streams = new Streams({ ...node, rules, nowMs: () => 1, committed: () => {} });
    this.#services = new Services({ roleIn: async () => undefined })
      .add(BackendService, backendService(this.store, streams))
      .add(DevicesService, devices(this.store));
  }

  async submit(
    request: MessageInitShape<typeof SubmitAsRequestSchema>,
    caller = DESK,
  ): Promise<Answered> {
    const bytes = toBinary(SubmitAsRequestSchema, create(SubmitAsRequestSchema, request));
    const { code, response } = await this.ask("BackendService/SubmitAs", bytes, caller);
    const { code: refused } = fromBinary(SubmitAsResponseSchema, response);
    return { code, result: Buffer.from(response).toString("hex"), refused };
  }

  ask(method: string, request: Uint8Array, caller: Caller) {
    return this.#services.answer(`posthorn.v1.${method}`, request, caller);
  }
}

export function sayTo(toUserId: string, text: string): OperationInit {
  const content = { kind: { case: "text" as const, value: text } };
  return { kind: { case: "sendDirect", value: { toUserId, content } } };
}
