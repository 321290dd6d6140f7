import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema, type Todo, TodoSchema, TodoState } from "../../gen/posthorn/v1/event_pb.ts";
import type { MarkTodo } from "../../gen/posthorn/v1/operation_pb.ts";
import { documentsIn } from "../store/documents.ts";
import type { Plan } from "../store/plans.ts";
import type { PlanningReads, PlanningState, StoredDocument } from "../store/store.ts";
import { happeningsLog, mayWrite, readersOf, speakerOf, timelinesOf } from "./conversations.ts";
import { messageOf, notedReads } from "./entries.ts";
import { nothingPlan } from "./nothing-plan.ts";
import type { OperationRules, Sender } from "./plan.ts";
import { todoRef } from "./read-state.ts";

export function markTodoReads(operation: MarkTodo, sender: Sender): PlanningReads {
  return notedReads(sender, operation, todoRef);
}

/** A mark that all members share, another one, or none. [CNV-80] to [CNV-82] */
export function planMarkTodo(
  operation: MarkTodo,
  sender: Sender,
  planning: PlanningState,
  rules: OperationRules,
): Plan {
  const { conversationId, conversationSeq, state } = operation;
  const isState = state >= TodoState.UNSPECIFIED && state <= TodoState.DONE;
  if (!isState) return { kind: "refuse", code: ErrorCode.SETTING_INVALID };
  const { tenant, userId } = sender;
  const membership = speakerOf(sender, conversationId, planning);
  if ("kind" in membership) return membership;
  const found = messageOf(sender, operation, membership, planning);
  if ("kind" in found) return found;
  const { requiresEntries } = found;
  const ref = todoRef(tenant, conversationId, found.entry.seq);
  const document = documentsIn(planning.documents)(ref);
  const requires = [...membership.requires, { ref, revision: document.revision }];
  if (!mayWrite(membership)) {
    return { kind: "refuse", code: ErrorCode.NOT_PERMITTED, requires, requiresEntries };
  }
  const log = happeningsLog(tenant, conversationId);
  if ((todoIn(document)?.state ?? TodoState.UNSPECIFIED) === state) {
    return nothingPlan(log, { requires, requiresEntries });
  }
  const todo = create(TodoSchema, { state, byUserId: userId, setMs: BigInt(planning.nowMs) });
  const kind = { case: "todoChanged" as const, value: { conversationId, conversationSeq, todo } };
  const { members } = membership.conversation;
  const isSmall = members.size <= rules.conversations.fanOutMembersMax;
  const reached = isSmall ? members.keys() : [userId, found.message.senderUserId];
  const isMarked = state !== TodoState.UNSPECIFIED;
  return {
    kind: "append",
    log,
    event: toBinary(EventSchema, create(EventSchema, { kind })),
    timelines: timelinesOf(tenant, readersOf(membership, reached, conversationSeq)),
    requires,
    requiresEntries,
    puts: [{ ref, bytes: isMarked ? toBinary(TodoSchema, todo) : new Uint8Array(0) }],
  };
}

/** What is said of a message; undefined where nobody says anything. */
export function todoIn({ bytes }: StoredDocument): Todo | undefined {
  return bytes.length === 0 ? undefined : fromBinary(TodoSchema, bytes);
}
