import { fromBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Operation, OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { DocumentChanges, documentsIn } from "../store/documents.ts";
import type { DocumentRef, Plan, PlanningReads, PlanningState, UserRef } from "../store/store.ts";
import { directoryReads, planPublishDevice, planRevokeDevice } from "./directory.ts";
import { planSendDirect, sendDirectReads } from "./messages.ts";
import { planSendPacket, sendPacketReads } from "./packets.ts";
import { planSetPresencePolicy, presencePolicyRef } from "./presence.ts";

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

export interface OperationRules extends OperationLimits {
  /** The largest frame. */
  readonly frameBytes: number;
  /** For certificates. */
  readonly crypto: CryptoProvider;
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
  const documents = new Set<DocumentRef>();
  for (const item of decoded) {
    if (item.kind === "refuse") continue;
    const reads = readsOfOne(item.operation, sender);
    for (const user of reads.users) users.add(user);
    for (const ref of reads.documents ?? []) documents.add(ref);
  }
  return { users: [...users], documents: [...documents] };
}

function readsOfOne(operation: KnownOperation, sender: Sender): PlanningReads {
  switch (operation.case) {
    case "sendDirect":
      return sendDirectReads(operation.value, sender);
    case "sendPacket":
      return sendPacketReads(operation.value, sender);
    case "publishDevice":
    case "revokeDevice":
      return { users: [], documents: directoryReads(sender) };
    case "setPresencePolicy":
      return { users: [], documents: [presencePolicyRef(sender.tenant, sender.userId)] };
    default:
      return { users: [] };
  }
}

/** Decides what operations do, each on what the ones before it would leave. */
export function planOperations(
  decoded: readonly DecodedOperation[],
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): readonly Plan[] {
  const changes = new DocumentChanges(documentsIn(state.documents));
  return decoded.map((item) => {
    const { changed } = changes;
    const documents =
      changed.size === 0 ? state.documents : new Map([...state.documents, ...changed]);
    const plan = planOperation(item, sender, { ...state, documents }, rules);
    changes.apply(plan);
    return plan;
  });
}

/** Decides what an operation does: pure; the numbers are the store's to give. */
export function planOperation(
  decoded: DecodedOperation,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  if (decoded.kind === "refuse") return decoded;
  const { operation } = decoded;
  switch (operation.case) {
    case "sendDirect":
      return planSendDirect(operation.value, sender, state, rules);
    case "sendPacket":
      return planSendPacket(operation.value, sender, state, rules);
    case "publishDevice":
      return planPublishDevice(operation.value, sender, state, rules);
    case "revokeDevice":
      return planRevokeDevice(operation.value, sender, state, rules);
    case "setPresencePolicy":
      return planSetPresencePolicy(operation.value, sender, state);
    default:
      return { kind: "refuse", code: ErrorCode.OPERATION_MALFORMED };
  }
}
