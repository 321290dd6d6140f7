import { fromBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Operation, OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { DocumentChanges, documentsIn } from "../store/documents.ts";
import type { Plan } from "../store/plans.ts";
import {
  type DeviceStanding,
  entryName,
  type LogEntry,
  type LogRef,
  type PlanningReads,
  type PlanningState,
} from "../store/store.ts";
import { changeContactsReads, planChangeContacts } from "./address-book.ts";
import { changeBlocksReads, planChangeBlocks } from "./blocks.ts";
import { type ConversationRules, joinedReads, membershipReads } from "./conversations.ts";
import { deviceReads, planEndDevice, planNameDevice } from "./devices.ts";
import { directoryReads, planPublishDevice, planRevokeDevice } from "./directory.ts";
import { planSaveDraft, saveDraftReads } from "./drafts.ts";
import { messageReads } from "./entries.ts";
import { markReads, planChangePreferences, planMark } from "./marks.ts";
import {
  changeMembersReads,
  createConversationReads,
  joinReads,
  planChangeConversation,
  planChangeMembers,
  planCreateConversation,
  planJoinConversation,
  planLeaveConversation,
} from "./members.ts";
import {
  planEditMessage,
  planRecallMessage,
  planSendDirect,
  planSendMessage,
  sendDirectReads,
  sendMessageReads,
} from "./messages.ts";
import { muteReads, planMuteConversation } from "./mutes.ts";
import type { UserRules } from "./own-lists.ts";
import { planSendPacket, sendPacketReads } from "./packets.ts";
import { planSetPresencePolicy, presencePolicyRef } from "./presence.ts";
import { changeProfileReads, planChangeProfile } from "./profiles.ts";
import { planReact, reactReads } from "./reactions.ts";
import { markTodoReads, planMarkTodo } from "./todos.ts";

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
  /** For certificates, and for ids. */
  readonly crypto: CryptoProvider;
  readonly conversations: ConversationRules;
  readonly users: UserRules;
}

export type KnownOperation = Operation["kind"] & { readonly case: string };

/** An operation decoded, or the refusal that its bytes deserve. [SEQ-6] */
export type DecodedOperation =
  | { readonly kind: "operation"; readonly operation: KnownOperation }
  | { readonly kind: "refuse"; readonly code: ErrorCode; readonly retryAfterMs?: number };

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
export function readsOf(
  decoded: readonly DecodedOperation[],
  sender: Sender,
  rules: OperationRules,
): PlanningReads {
  const reads = decoded.map((item) =>
    item.kind === "refuse" ? { users: [] } : readsOfOne(item.operation, sender, rules),
  );
  const { users, documents, entries, heads, devices } = joinedReads(...reads);
  return {
    users: [...new Set(users)],
    documents: [...new Set(documents)],
    entries: entries ?? [],
    heads: [...new Set(heads)],
    devices: devices ?? [],
  };
}

function readsOfOne(
  operation: KnownOperation,
  sender: Sender,
  rules: OperationRules,
): PlanningReads {
  switch (operation.case) {
    case "sendDirect":
      return sendDirectReads(operation.value, sender);
    case "sendMessage":
      return sendMessageReads(operation.value, sender);
    case "editMessage":
    case "recallMessage":
      return messageReads(sender, operation.value);
    case "sendPacket":
      return sendPacketReads(operation.value, sender);
    case "publishDevice":
    case "revokeDevice":
      return { users: [], documents: directoryReads(sender) };
    case "react":
      return reactReads(operation.value, sender);
    case "mark":
      return markReads(operation.value, sender);
    case "createConversation":
      return createConversationReads(operation.value, sender, rules);
    case "changeMembers":
      return changeMembersReads(operation.value, sender);
    case "joinConversation":
      return joinReads(operation.value, sender);
    case "leaveConversation":
    case "changeConversation":
      return membershipReads(sender, operation.value.conversationId);
    case "setPresencePolicy":
      return { users: [], documents: [presencePolicyRef(sender.tenant, sender.userId)] };
    case "changePreferences":
      return { users: [] };
    case "endDevice":
    case "nameDevice":
      return deviceReads(operation.value, sender);
    case "saveDraft":
      return saveDraftReads(operation.value, sender);
    case "muteConversation":
      return muteReads(operation.value, sender);
    case "markTodo":
      return markTodoReads(operation.value, sender);
    case "changeProfile":
      return changeProfileReads(sender);
    case "changeContacts":
      return changeContactsReads(sender);
    case "changeBlocks":
      return changeBlocksReads(sender);
  }
}

/** Decides what operations do, each on what the ones before it would leave. */
export function planOperations(
  decoded: readonly DecodedOperation[],
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): readonly Plan[] {
  const changes = new PlanningChanges(state);
  return decoded.map((item) => {
    const plan = planOperation(item, sender, changes.state, rules);
    changes.apply(plan);
    return plan;
  });
}

/** What planners are told, as it is after some plans. */
class PlanningChanges {
  readonly #before: PlanningState;
  readonly #documents: DocumentChanges;
  readonly #entries: Map<string, LogEntry>;
  readonly #heads: Map<LogRef, number>;
  #devices: readonly DeviceStanding[];

  constructor(before: PlanningState) {
    this.#before = before;
    this.#documents = new DocumentChanges(documentsIn(before.documents));
    this.#entries = new Map(before.entries);
    this.#heads = new Map(before.heads);
    this.#devices = before.devices ?? [];
  }

  get state(): PlanningState {
    const { changed } = this.#documents;
    const before = this.#before.documents;
    const documents = changed.size === 0 ? before : new Map([...before, ...changed]);
    const [entries, heads, devices] = [this.#entries, this.#heads, this.#devices];
    return { ...this.#before, documents, entries, heads, devices };
  }

  apply(plan: Plan): void {
    this.#documents.apply(plan);
    if (plan.kind === "refuse") return;
    for (const content of plan.replaces ?? []) {
      const { committedMs = 0 } = this.#entries.get(entryName(content)) ?? {};
      this.#entries.set(entryName(content), { committedMs, event: content.event });
    }
    for (const ended of plan.ends ?? []) {
      this.#devices = this.#devices.map((one) =>
        one.user === ended.user && one.deviceId === ended.deviceId
          ? { ...one, isEnded: true }
          : one,
      );
    }
    if (plan.kind !== "append") return;
    const head = this.#heads.get(plan.log);
    if (head !== undefined) this.#heads.set(plan.log, head + 1);
  }
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
    case "sendMessage":
      return planSendMessage(operation.value, sender, state, rules);
    case "editMessage":
      return planEditMessage(operation.value, sender, state, rules);
    case "recallMessage":
      return planRecallMessage(operation.value, sender, state, rules);
    case "sendPacket":
      return planSendPacket(operation.value, sender, state, rules);
    case "publishDevice":
      return planPublishDevice(operation.value, sender, state, rules);
    case "revokeDevice":
      return planRevokeDevice(operation.value, sender, state, rules);
    case "react":
      return planReact(operation.value, sender, state, rules);
    case "mark":
      return planMark(operation.value, sender, state, rules);
    case "createConversation":
      return planCreateConversation(operation.value, sender, state, rules);
    case "changeMembers":
      return planChangeMembers(operation.value, sender, state, rules);
    case "joinConversation":
      return planJoinConversation(operation.value, sender, state, rules);
    case "leaveConversation":
      return planLeaveConversation(operation.value, sender, state, rules);
    case "changeConversation":
      return planChangeConversation(operation.value, sender, state, rules);
    case "changePreferences":
      return planChangePreferences(operation.value, sender);
    case "setPresencePolicy":
      return planSetPresencePolicy(operation.value, sender, state);
    case "endDevice":
      return planEndDevice(operation.value, sender, state);
    case "nameDevice":
      return planNameDevice(operation.value, sender, state);
    case "saveDraft":
      return planSaveDraft(operation.value, sender, state, rules);
    case "muteConversation":
      return planMuteConversation(operation.value, sender, state);
    case "markTodo":
      return planMarkTodo(operation.value, sender, state, rules);
    case "changeProfile":
      return planChangeProfile(operation.value, sender, state, rules);
    case "changeContacts":
      return planChangeContacts(operation.value, sender, state, rules);
    case "changeBlocks":
      return planChangeBlocks(operation.value, sender, state, rules);
  }
}
