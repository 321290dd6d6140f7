import { fromBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Operation, OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import type { Plan, PlanningReads, PlanningState, UserRef } from "../store/store.ts";
import { planSendDirect, sendDirectReads } from "./messages.ts";

/** Who submits: authenticated, never taken from what the device says (P26). */
export interface Sender {
  readonly tenant: string;
  readonly userId: string;
  readonly deviceId: string;
}

export interface OperationLimits {
  /** Bytes of a message's content. */
  readonly contentBytes: number;
}

export type KnownOperation = Operation["kind"] & { readonly case: string };

/** An operation decoded, or the refusal that its bytes deserve. [SEQ-6] */
export type DecodedOperation =
  | { readonly kind: "operation"; readonly operation: KnownOperation }
  | { readonly kind: "refuse"; readonly code: ErrorCode };

/** Decodes an operation's bytes; never throws. */
export function decodeOperation(bytes: Uint8Array): DecodedOperation {
  try {
    const { kind } = fromBinary(OperationSchema, bytes, { readUnknownFields: false });
    if (kind.case !== undefined) return { kind: "operation", operation: kind };
  } catch {
    // Refused below like an operation without a kind: the bytes say nothing that can be done.
  }
  return { kind: "refuse", code: ErrorCode.OPERATION_MALFORMED };
}

/** What must be read before the operations can be planned. */
export function readsOf(decoded: readonly DecodedOperation[], sender: Sender): PlanningReads {
  const users = new Set<UserRef>();
  for (const item of decoded) {
    if (item.kind === "refuse") continue;
    if (item.operation.case !== "sendDirect") continue;
    for (const user of sendDirectReads(item.operation.value, sender)) users.add(user);
  }
  return { users: [...users] };
}

/** Decides what an operation does: pure; the numbers are the store's to give. */
export function planOperation(
  decoded: DecodedOperation,
  sender: Sender,
  state: PlanningState,
  limits: OperationLimits,
): Plan {
  if (decoded.kind === "refuse") return decoded;
  switch (decoded.operation.case) {
    case "sendDirect":
      return planSendDirect(decoded.operation.value, sender, state, limits);
    default:
      return { kind: "refuse", code: ErrorCode.OPERATION_MALFORMED };
  }
}
