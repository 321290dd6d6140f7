import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { SetPresencePolicy } from "../../gen/posthorn/v1/operation_pb.ts";
import {
  PresenceAudience,
  type PresencePolicy,
  PresencePolicySchema,
} from "../../gen/posthorn/v1/signal_pb.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import type { NameAddition, Plan } from "../store/plans.ts";
import {
  type DocumentRef,
  documentRefOf,
  type PlanningState,
  type StoredDocument,
  userRefOf,
} from "../store/store.ts";
import { ownLog } from "./directory.ts";
import type { Sender } from "./plan.ts";

/** To how many users one's presence is shown for having written to them. [SIG-14] */
export const CONTACTS_MAX = 1_000;

/** To whom a user's presence is shown: an encoded PresencePolicy. */
export function presencePolicyRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `presence:${userId}`);
}

/** To whom a user has written: a list of names. */
export function contactsRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `contacts:${userId}`);
}

/** As the store has it: it was encoded below. */
export function presencePolicyIn({ bytes }: StoredDocument): PresencePolicy {
  return fromBinary(PresencePolicySchema, bytes);
}

/** Sets to whom the sender's presence is shown, and tells its devices. */
export function planSetPresencePolicy(
  operation: SetPresencePolicy,
  { tenant, userId }: Sender,
  state: PlanningState,
): Plan {
  const policy = operation.policy ?? create(PresencePolicySchema);
  if (!isAudience(policy.stateTo) || !isAudience(policy.lastSeenTo)) {
    return { kind: "refuse", code: ErrorCode.PRESENCE_POLICY_INVALID };
  }
  const ref = presencePolicyRef(tenant, userId);
  const { revision } = documentsIn(state.documents)(ref);
  const changed = { case: "presencePolicyChanged" as const, value: { policy } };
  return {
    kind: "append",
    log: ownLog(tenant, userId),
    event: toBinary(EventSchema, create(EventSchema, { kind: changed })),
    timelines: [userRefOf(tenant, userId)],
    requires: [{ ref, revision }],
    puts: [{ ref, bytes: toBinary(PresencePolicySchema, policy) }],
  };
}

function isAudience(audience: PresenceAudience): boolean {
  return audience >= PresenceAudience.UNSPECIFIED && audience <= PresenceAudience.NOBODY;
}

interface Contacts {
  readonly all: ReadonlySet<string>;
  /** Those that a list would not put at its end again. */
  readonly recent: ReadonlySet<string>;
}

/** Read once for as long as its bytes are held: every message asks for it. */
const READ = new WeakMap<StoredDocument, Contacts>();

function contactsOf(document: StoredDocument): Contacts {
  const known = READ.get(document);
  if (known !== undefined) return known;
  const names = namesIn(document);
  const recent = names.slice(Math.max(0, names.length - CONTACTS_MAX / 2));
  const contacts = { all: new Set(names), recent: new Set(recent) };
  READ.set(document, contacts);
  return contacts;
}

/** To whom a user has written. [SIG-14] */
export function contactsIn(document: StoredDocument): ReadonlySet<string> {
  return contactsOf(document).all;
}

/** Whoever writes to somebody shows itself to them. Never the other way round. [SIG-14] */
export function contactListing(
  { tenant, userId }: Sender,
  toUserId: string,
  state: PlanningState,
): readonly NameAddition[] {
  const ref = contactsRef(tenant, userId);
  const listed = contactsOf(documentsIn(state.documents)(ref));
  if (toUserId === userId || listed.recent.has(toUserId)) return [];
  return [{ ref, name: toUserId, countMax: CONTACTS_MAX }];
}
