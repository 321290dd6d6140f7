import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type DraftSize, DraftsRecordSchema } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Draft, DraftSchema, EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { SaveDraft } from "../../gen/posthorn/v1/operation_pb.ts";
import { isConversationId } from "../../protocol/conversation-id.ts";
import { COUNTER_MAX, USER_ID_PATTERN } from "../../protocol/limits.ts";
import { documentsIn } from "../store/documents.ts";
import type { Plan } from "../store/plans.ts";
import {
  type DocumentRef,
  documentRefOf,
  type EntryRef,
  type LogRef,
  type PlanningReads,
  type PlanningState,
  type StoredDocument,
  unnumberedLogRefOf,
  userRefOf,
} from "../store/store.ts";
import { contentRefusal } from "./content.ts";
import { joinedReads, membershipOf, membershipReads } from "./conversations.ts";
import { ownLog } from "./directory.ts";
import { areFew, areRoles, distinctMentions } from "./mentions.ts";
import { isReference } from "./messages.ts";
import { nothingPlan } from "./nothing-plan.ts";
import type { OperationRules, Sender } from "./plan.ts";

/** Drafts of one user, and bytes of all of them. [CNV-73] */
export const DRAFTS_MAX = 100;
export const DRAFTS_BYTES_MAX = 262_144;

/**
 * Which drafts a user has: an encoded DraftsRecord. Nothing of what they say: a document leaves
 * what it was in free pages, and an entry of a log does not. [CNV-72]
 */
export function draftsRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `drafts:${userId}`);
}

/**
 * Where one draft is: the only entry of a log of its own, which gets another content whenever the
 * draft does. So what it was is erased as what was edited is.
 */
export function draftEntry(tenant: string, userId: string, conversationId: string): EntryRef {
  return { log: draftLog(tenant, userId, conversationId), seq: 1 };
}

function draftLog(tenant: string, userId: string, conversationId: string): LogRef {
  return unnumberedLogRefOf(tenant, `draft:${conversationId}/${userId}`);
}

export function saveDraftReads({ conversationId }: SaveDraft, sender: Sender): PlanningReads {
  // Whatever a device makes up is no name of a log: a store could not even look for it.
  if (!isConversationId(conversationId)) return { users: [] };
  const { tenant, userId } = sender;
  return joinedReads(membershipReads(sender, conversationId), {
    users: [],
    documents: [draftsRef(tenant, userId)],
    heads: [draftLog(tenant, userId, conversationId)],
  });
}

/** What has begun to be written, in place of what was kept of it. [CNV-70] to [CNV-74] */
export function planSaveDraft(
  operation: SaveDraft,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const { conversationId, content } = operation;
  const code = content === undefined ? undefined : formRefusal(operation, rules);
  if (code !== undefined) return { kind: "refuse", code };
  if (!isConversationId(conversationId)) {
    return { kind: "refuse", code: ErrorCode.CONVERSATION_UNKNOWN };
  }
  const { tenant, userId } = sender;
  const ref = draftsRef(tenant, userId);
  const document = documentsIn(state.documents)(ref);
  const requires = [{ ref, revision: document.revision }];
  const sizes = draftSizesIn(document);
  if (content === undefined && sizes.delete(conversationId)) {
    // Also for who is out of the conversation by now: it is the user's own. [CNV-74]
    return savePlan({ operation, sender, state, sizes }, requires);
  }
  const membership = membershipOf(sender, conversationId, state);
  if ("kind" in membership) {
    return { ...membership, requires: [...requires, ...(membership.requires ?? [])] };
  }
  const reliedOn = [...requires, ...membership.requires];
  if (content === undefined) return nothingPlan(ownLog(tenant, userId), { requires: reliedOn });
  sizes.set(conversationId, toBinary(DraftSchema, draftOf(operation, sender, state)).length);
  const bytes = [...sizes.values()].reduce((sum, one) => sum + one, 0);
  if (sizes.size > DRAFTS_MAX || bytes > DRAFTS_BYTES_MAX) {
    return { kind: "refuse", code: ErrorCode.DRAFTS_FULL, requires: reliedOn };
  }
  return savePlan({ operation, sender, state, sizes }, reliedOn);
}

/** Why it could never be sent; whether it could be now is judged when it is. [CNV-71] */
function formRefusal(
  { content, reference, mentions }: SaveDraft,
  rules: OperationRules,
): ErrorCode | undefined {
  const refused = contentRefusal(content, rules);
  if (refused !== undefined) return refused;
  const refers = reference?.conversationSeq ?? 1n;
  const isWhole = reference === undefined || isReference(reference);
  const isNumber = refers >= 1n && refers <= BigInt(COUNTER_MAX);
  const { userIds = [], roles = [] } = mentions ?? {};
  const areNames = areFew(mentions) && userIds.every((userId) => USER_ID_PATTERN.test(userId));
  const isSound = isWhole && isNumber && areNames && areRoles(roles);
  return isSound ? undefined : ErrorCode.CONTENT_INVALID;
}

interface Saved {
  readonly operation: SaveDraft;
  readonly sender: Sender;
  readonly state: PlanningState;
  /** Of all drafts, as they are then. */
  readonly sizes: ReadonlyMap<string, number>;
}

function savePlan(saved: Saved, requires: NonNullable<Plan["requires"]>): Plan {
  const { operation, sender, state, sizes } = saved;
  const { tenant, userId } = sender;
  const entry = draftEntry(tenant, userId, operation.conversationId);
  const kind = {
    case: "draftChanged" as const,
    value: { draft: draftOf(operation, sender, state) },
  };
  const event = toBinary(EventSchema, create(EventSchema, { kind }));
  const drafts = [...sizes]
    .map(([conversationId, bytes]) => ({ conversationId, bytes }))
    .sort((one, other) => (one.conversationId < other.conversationId ? -1 : 1));
  const record = toBinary(DraftsRecordSchema, create(DraftsRecordSchema, { drafts }));
  const changes = {
    // To nobody else, whatever becomes of it. [CNV-70]
    timelines: [userRefOf(tenant, userId)],
    requires,
    puts: [{ ref: draftsRef(tenant, userId), bytes: record }],
  };
  if ((state.heads.get(entry.log) ?? 0) > 0) {
    return { kind: "repeat", entry, replaces: [{ ...entry, event }], ...changes };
  }
  const requiresHeads = [{ log: entry.log, head: 0 }];
  return { kind: "append", log: entry.log, event, requiresHeads, ...changes };
}

/** Of a draft that is taken away, nothing but where it was. */
function draftOf(
  { conversationId, content, reference, mentions: called }: SaveDraft,
  { deviceId }: Sender,
  { nowMs }: PlanningState,
): Draft {
  const draft = create(DraftSchema, { conversationId, savedMs: BigInt(nowMs), deviceId });
  if (content === undefined) return draft;
  draft.content = content;
  if (reference !== undefined) draft.reference = reference;
  const mentions = distinctMentions(called);
  if (mentions !== undefined) draft.mentions = mentions;
  return draft;
}

/** How large each draft of a user is, by its conversation. */
export function draftSizesIn({ bytes }: StoredDocument): Map<string, number> {
  const { drafts } = fromBinary(DraftsRecordSchema, bytes);
  return new Map(
    drafts.map(({ conversationId, bytes: size }: DraftSize) => [conversationId, size]),
  );
}

/** The draft of a stored event. */
export function draftIn(event: Uint8Array): Draft | undefined {
  const { kind } = fromBinary(EventSchema, event);
  return kind.case === "draftChanged" ? kind.value.draft : undefined;
}
