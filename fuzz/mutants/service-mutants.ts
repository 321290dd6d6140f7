import type { Mutant } from "./mutant.ts";

const killedBy = "conversations-services";

/** Bugs in what services answer. */
export const SERVICE_MUTANTS: readonly Mutant[] = [
  {
    name: "conversations-services-unknown-told",
    title: "[SVC-4] tells strangers that there is such a conversation",
    file: "server/services/access.ts",
    find: "if (role === undefined) return ErrorCode.CONVERSATION_UNKNOWN;",
    replace: "if (role === undefined) return ErrorCode.NOT_PERMITTED;",
    killedBy,
  },
  {
    name: "conversations-services-older-upwards",
    title: "[SVC-11] begins upwards before the caller came",
    file: "server/services/history.ts",
    find: "from: Math.max(value + 1, visibleFrom), through: head",
    replace: "from: value + 1, through: head",
    killedBy,
  },
  {
    name: "conversations-services-older-downwards",
    title: "[SVC-11] goes downwards to what was before the caller came",
    file: "server/services/history.ts",
    find: "return { from: visibleFrom, through, fromEnd: true };",
    replace: "return { from: 1, through, fromEnd: true };",
    killedBy,
  },
  {
    name: "conversations-services-older-around",
    title: "[SVC-13] shows what is around a message that the caller may not read",
    file: "server/services/place.ts",
    find: "if (seq >= visibleFrom && seq <= head) return seq;",
    replace: "if (seq >= visibleFrom - 1 && seq <= head) return seq;",
    killedBy,
  },
  {
    name: "conversations-services-page-ends",
    title: "[SVC-12] ends a page upwards without saying that more comes",
    file: "server/services/history.ts",
    find: "return last > 0 && last < head ? last : 0;",
    replace: "return last > 0 && last < head - 1 ? last : 0;",
    killedBy,
  },
  {
    name: "conversations-services-room-log",
    title: "[SVC-11] answers the log of a room",
    file: "server/services/place.ts",
    find: "const isRoom = conversation.record.kind === ConversationKind.ROOM;",
    replace: "const isRoom = conversation.record.kind === ConversationKind.UNSPECIFIED;",
    killedBy,
  },
  {
    name: "conversations-services-recalled-unread",
    title: "[SVC-16] counts what was recalled as unread",
    file: "server/services/conversation-view.ts",
    find: "union(numbers(readRef(tenant, id, userId)), numbers(recalledRef(tenant, id)))",
    replace: "union(numbers(readRef(tenant, id, userId)), [])",
    killedBy,
  },
  {
    name: "conversations-services-hidden-reader",
    title: "[SVC-18] tells others who has read what, though it hides it",
    file: "server/services/conversations.ts",
    find: "(userId === callerId || !hides) &&",
    replace: "(userId === callerId || !hides || true) &&",
    killedBy,
  },
  {
    name: "conversations-services-members-skipped",
    title: "[SVC-17] leaves a member out between two pages",
    file: "server/services/conversations.ts",
    find: "nextOrdinal: matching[most]?.ordinal ?? 0,",
    replace: "nextOrdinal: matching[most + 1]?.ordinal ?? 0,",
    killedBy,
  },
];
