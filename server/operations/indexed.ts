import { ConversationKind, MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import {
  intersection,
  NO_NUMBERS,
  type NumberSet,
  numbersFrom,
  union,
  without,
} from "../../protocol/number-set.ts";
import { documentsIn, numbersIn } from "../store/documents.ts";
import type { DocumentRef, PlanningReads, PlanningState } from "../store/store.ts";
import { conversationIn, conversationRef, messageLog } from "./conversations.ts";
import type { Sender } from "./plan.ts";
import {
  allMentionsRef,
  mentionsRef,
  readRef,
  recalledRef,
  roleMentionsRef,
} from "./read-state.ts";

const ROLES = [MemberRole.READER, MemberRole.MEMBER, MemberRole.ADMIN, MemberRole.OWNER];

/** What of a conversation a user can be told by its numbers alone. */
export interface ToldByNumber {
  /** What HistoryService answers the user, without what has to be told whole. [CAT-3] [CAT-4] */
  readonly numbers: NumberSet;
  /** What the user has read and sent. */
  readonly read: NumberSet;
}

/** What has to be read to know that of some conversations; all at one moment. */
export function indexReads(sender: Sender, conversationIds: readonly string[]): PlanningReads {
  const { tenant } = sender;
  const documents = conversationIds.flatMap((id) => [
    conversationRef(tenant, id),
    readRef(tenant, id, sender.userId),
    ...attentionRefs(sender, id),
  ]);
  const logs = conversationIds.map((id) => messageLog(tenant, id));
  return { users: [], documents, heads: logs, expired: logs };
}

/** Nothing of a room, which has no history, nor of a conversation that the user is not in. */
export function toldByNumber(sender: Sender, id: string, state: PlanningState): ToldByNumber {
  const { tenant, userId } = sender;
  const document = documentsIn(state.documents);
  const numbers = (ref: DocumentRef) => numbersIn(document(ref));
  const conversation = conversationIn(id, document(conversationRef(tenant, id)));
  const own = conversation?.members.get(userId);
  if (own === undefined || conversation?.record.kind === ConversationKind.ROOM) {
    return { numbers: NO_NUMBERS, read: NO_NUMBERS };
  }
  const log = messageLog(tenant, id);
  const from = Math.max(Number(own.visibleFrom), state.floors?.get(log) ?? 1);
  const readable = numbersFrom(from, state.heads.get(log) ?? 0);
  const expired = state.expired?.get(log) ?? NO_NUMBERS;
  const whole = attentionRefs(sender, id).map(numbers).reduce(union, expired);
  const read = intersection(numbers(readRef(tenant, id, userId)), readable);
  return { numbers: without(readable, whole), read };
}

/**
 * What was taken back, and what calls somebody whom the user is or may come to be. These sets may
 * hold more than is true [CNV-33]: what is told whole is never wrong.
 */
function attentionRefs({ tenant, userId }: Sender, id: string): DocumentRef[] {
  return [
    recalledRef(tenant, id),
    mentionsRef(tenant, id, userId),
    allMentionsRef(tenant, id),
    ...ROLES.map((role) => roleMentionsRef(tenant, id, role)),
  ];
}
