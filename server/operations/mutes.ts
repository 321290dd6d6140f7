import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { MuteRecordSchema } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { MuteConversation } from "../../gen/posthorn/v1/operation_pb.ts";
import { COUNTER_MAX } from "../../protocol/limits.ts";
import { documentsIn } from "../store/documents.ts";
import type { Plan } from "../store/plans.ts";
import {
  type DocumentRef,
  documentRefOf,
  type PlanningReads,
  type PlanningState,
  type StoredDocument,
  userRefOf,
} from "../store/store.ts";
import { joinedReads, membershipOf, membershipReads } from "./conversations.ts";
import { ownLog } from "./directory.ts";
import { nothingPlan } from "./nothing-plan.ts";
import type { Sender } from "./plan.ts";

/** How long a user has a conversation muted: an encoded MuteRecord. */
export function muteRef(tenant: string, conversationId: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `mute:${conversationId}/${userId}`);
}

export function muteReads({ conversationId }: MuteConversation, sender: Sender): PlanningReads {
  const { tenant, userId } = sender;
  const documents = [muteRef(tenant, conversationId, userId)];
  const reads = membershipReads(sender, conversationId);
  // Of what is no id there is no document either: it may be longer than the store's keys.
  const isName = reads.users.length > 0 || (reads.documents ?? []).length > 0;
  return isName ? joinedReads(reads, { users: [], documents }) : reads;
}

/** How long a conversation calls no more. It takes nothing from what is delivered. [CNV-76] */
export function planMuteConversation(
  { conversationId, untilMs }: MuteConversation,
  sender: Sender,
  state: PlanningState,
): Plan {
  if (untilMs > BigInt(COUNTER_MAX)) return { kind: "refuse", code: ErrorCode.SETTING_INVALID };
  const membership = membershipOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const { tenant, userId } = sender;
  const ref = muteRef(tenant, conversationId, userId);
  const document = documentsIn(state.documents)(ref);
  const log = ownLog(tenant, userId);
  // What another device has set meanwhile is told once. [CNV-76]
  const requires = [...membership.requires, { ref, revision: document.revision }];
  if (mutedUntil(document) === Number(untilMs)) return nothingPlan(log, { requires });
  const kind = { case: "muteChanged" as const, value: { conversationId, untilMs } };
  return {
    kind: "append",
    log,
    event: toBinary(EventSchema, create(EventSchema, { kind })),
    timelines: [userRefOf(tenant, userId)],
    requires,
    puts: [{ ref, bytes: toBinary(MuteRecordSchema, create(MuteRecordSchema, { untilMs })) }],
  };
}

/** Until when a conversation is muted, Unix milliseconds; 0: it never was. */
export function mutedUntil({ bytes }: StoredDocument): number {
  return Number(fromBinary(MuteRecordSchema, bytes).untilMs);
}
