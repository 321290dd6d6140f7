import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConversationKind,
  type Preferences,
  PreferencesSchema,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { ChangePreferences, Mark } from "../../gen/posthorn/v1/operation_pb.ts";
import { isConversationId } from "../../protocol/conversation-id.ts";
import { count, decodeNumberSet, numbersFrom, without } from "../../protocol/number-set.ts";
import { documentsIn, numbersIn } from "../store/documents.ts";
import type { Plan } from "../store/plans.ts";
import {
  type PlanningReads,
  type PlanningState,
  type StoredDocument,
  userRefOf,
} from "../store/store.ts";
import { blocksOf, blocksRef } from "./blocks.ts";
import {
  directOthers,
  happeningsLog,
  headReads,
  joinedReads,
  type Membership,
  membershipOf,
  membershipReads,
  messageLog,
  timelinesOf,
} from "./conversations.ts";
import { ownLog } from "./directory.ts";
import { nothingPlan } from "./nothing-plan.ts";
import type { OperationRules, Sender } from "./plan.ts";
import { deliveredRef, preferencesRef, readRef } from "./read-state.ts";

export function markReads({ conversationId }: Mark, sender: Sender): PlanningReads {
  const { tenant, userId } = sender;
  const isId = isConversationId(conversationId);
  const marked = isId ? markedRefs(sender, conversationId) : [];
  const documents = [preferencesRef(tenant, userId), blocksRef(tenant, userId), ...marked];
  const heads = headReads(sender, conversationId);
  return joinedReads(membershipReads(sender, conversationId), { users: [], documents }, heads);
}

/** What a user has read of a conversation, and what it has got. */
function markedRefs({ tenant, userId }: Sender, conversationId: string) {
  return [
    readRef(tenant, conversationId, userId),
    deliveredRef(tenant, conversationId, userId),
  ] as const;
}

/** More that was read, or came. Sets only grow, so that marks of several devices merge. [CNV-30] */
export function planMark(
  operation: Mark,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const { conversationId } = operation;
  const { tenant, userId } = sender;
  const membership = membershipOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const preferred = preferencesRef(tenant, userId);
  const preferences = documentsIn(state.documents)(preferred);
  const blocks = blocksOf(sender, directOthers(sender, conversationId), state);
  // Who hides its receipts meanwhile, or blocks somebody, shows none any more. [CNV-35] [USR-24]
  const requires = [
    ...membership.requires,
    ...blocks.requires,
    { ref: preferred, revision: preferences.revision },
  ];
  const head = state.heads.get(messageLog(tenant, conversationId)) ?? 0;
  const read = decodeNumberSet(operation.read);
  const deliveredThrough = Number(operation.deliveredThrough);
  const highest = Math.max(read?.at(-1)?.through ?? 0, deliveredThrough);
  if (read === undefined || highest === 0 || highest > head) {
    return { kind: "refuse", code: ErrorCode.MARK_INVALID, requires };
  }
  const refs = markedRefs(sender, conversationId);
  const marks = [
    { ref: refs[0], numbers: read },
    { ref: refs[1], numbers: numbersFrom(1, deliveredThrough) },
  ];
  const document = documentsIn(state.documents);
  // What is marked already is told nobody again. [CNV-30]
  for (const ref of refs) requires.push({ ref, revision: document(ref).revision });
  const isNew = marks.some(
    ({ ref, numbers }) => count(without(numbers, numbersIn(document(ref)))) > 0,
  );
  if (!isNew) return nothingPlan(happeningsLog(tenant, conversationId), { requires });
  const value = {
    conversationId,
    userId,
    read: operation.read,
    deliveredThrough: operation.deliveredThrough,
  };
  const event = create(EventSchema, { kind: { case: "marksChanged", value } });
  const isShown = !preferencesIn(preferences).receiptsHidden && isShownIn(membership, rules);
  const members = isShown ? [...membership.conversation.members.keys()] : [userId];
  const told = members.filter((one) => !blocks.isKeptFrom(one));
  return {
    kind: "append",
    log: happeningsLog(tenant, conversationId),
    event: toBinary(EventSchema, event),
    timelines: timelinesOf(tenant, told),
    requires,
    marks,
  };
}

/** Whether the members of a conversation tell each other what they have read. [CNV-34] */
export function isShownIn(
  { conversation }: Pick<Membership, "conversation">,
  { conversations }: Pick<OperationRules, "conversations">,
): boolean {
  const { kind } = conversation.record;
  if (kind === ConversationKind.DIRECT) return true;
  return (
    kind === ConversationKind.GROUP && conversation.members.size <= conversations.receiptMembersMax
  );
}

/** What a user has set for itself. */
export function preferencesIn({ bytes }: StoredDocument): Preferences {
  return fromBinary(PreferencesSchema, bytes);
}

/** Takes the place of what was set before. [CNV-35] */
export function planChangePreferences(operation: ChangePreferences, sender: Sender): Plan {
  const { tenant, userId } = sender;
  const preferences = operation.preferences ?? create(PreferencesSchema);
  const kind = { case: "preferencesChanged" as const, value: { preferences } };
  return {
    kind: "append",
    log: ownLog(tenant, userId),
    event: toBinary(EventSchema, create(EventSchema, { kind })),
    timelines: [userRefOf(tenant, userId)],
    puts: [
      { ref: preferencesRef(tenant, userId), bytes: toBinary(PreferencesSchema, preferences) },
    ],
  };
}
