import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { ChangeBlocks } from "../../gen/posthorn/v1/operation_pb.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import type { DocumentRevision, Plan } from "../store/plans.ts";
import {
  type DocumentRef,
  documentRefOf,
  type PlanningReads,
  type PlanningState,
  type StoredDocument,
} from "../store/store.ts";
import { ownLog } from "./directory.ts";
import { nothingPlan } from "./nothing-plan.ts";
import { namedRefusal, tellPlan } from "./own-lists.ts";
import type { OperationRules, Sender } from "./plan.ts";
import { contactsRef } from "./presence.ts";

/** Whom a user blocks: a list of names, in their byte order. */
export function blocksRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `blocks:${userId}`);
}

/** Read once for as long as its bytes are held: every direct message asks for two. */
const READ = new WeakMap<StoredDocument, ReadonlySet<string>>();

/** Whom a user blocks. */
export function blockedIn(document: StoredDocument): ReadonlySet<string> {
  const known = READ.get(document);
  if (known !== undefined) return known;
  const blocked = new Set(namesIn(document));
  READ.set(document, blocked);
  return blocked;
}

/** What a plan relies on of a list, so that a block that comes meanwhile holds. [USR-27] */
export function blocksRevision(
  { tenant }: Sender,
  userId: string,
  state: PlanningState,
): DocumentRevision {
  const ref = blocksRef(tenant, userId);
  return { ref, revision: documentsIn(state.documents)(ref).revision };
}

/** Whether a user blocks the sender. */
export function isBlockedBy(
  { tenant, userId }: Sender,
  otherId: string,
  state: PlanningState,
): boolean {
  return blockedIn(documentsIn(state.documents)(blocksRef(tenant, otherId))).has(userId);
}

/** From whom something of the sender is kept, and what that relies on. */
export interface Blocks {
  readonly requires: readonly DocumentRevision[];
  isKeptFrom(userId: string): boolean;
}

/**
 * Keeps what the sender does from those whom it blocks, and from those of the others who block it.
 * [USR-21] [USR-24]
 *
 * @param others the other one of a direct conversation, or nobody
 */
export function blocksOf(sender: Sender, others: readonly string[], state: PlanningState): Blocks {
  const { tenant, userId } = sender;
  const listed = [...new Set([userId, ...others])];
  const own = blockedIn(documentsIn(state.documents)(blocksRef(tenant, userId)));
  return {
    requires: listed.map((one) => blocksRevision(sender, one, state)),
    isKeptFrom: (one) => own.has(one) || (others.includes(one) && isBlockedBy(sender, one, state)),
  };
}

export function changeBlocksReads({ tenant, userId }: Sender): PlanningReads {
  return { users: [], documents: [blocksRef(tenant, userId)] };
}

/** Others whom the sender blocks. [USR-20] [USR-26] */
export function planChangeBlocks(
  { blockUserIds, unblockUserIds }: ChangeBlocks,
  sender: Sender,
  state: PlanningState,
  { users }: OperationRules,
): Plan {
  const { tenant, userId } = sender;
  const malformed = namedRefusal([...blockUserIds, ...unblockUserIds]);
  if (malformed !== undefined) return { kind: "refuse", code: malformed };
  if (blockUserIds.includes(userId)) return { kind: "refuse", code: ErrorCode.NOT_PERMITTED };
  const ref = blocksRef(tenant, userId);
  const document = documentsIn(state.documents)(ref);
  const requires = [{ ref, revision: document.revision }];
  const before = blockedIn(document);
  const blockedUserIds = blockUserIds.filter((one) => !before.has(one));
  const unblockedUserIds = unblockUserIds.filter((one) => before.has(one));
  if (blockedUserIds.length + unblockedUserIds.length === 0) {
    return nothingPlan(ownLog(tenant, userId), { requires });
  }
  const left = new Set(unblockedUserIds);
  const after = [...before, ...blockedUserIds].filter((one) => !left.has(one)).sort();
  // An operator may have lowered the bound: whoever is above it may still unblock.
  if (blockedUserIds.length > 0 && after.length > users.blocksMax) {
    return { kind: "refuse", code: ErrorCode.CONTACTS_FULL, requires };
  }
  const revision = BigInt(document.revision + 1);
  const value = { blockedUserIds, unblockedUserIds, revision };
  return {
    ...tellPlan(sender, { case: "blocksChanged", value }),
    requires,
    puts: [{ ref, bytes: new TextEncoder().encode(after.join("\n")) }],
    // Neither shows itself to the other one any more for having written to it. [USR-23]
    drops: blockedUserIds.flatMap((one) => [
      { ref: contactsRef(tenant, userId), name: one },
      { ref: contactsRef(tenant, one), name: userId },
    ]),
  };
}
