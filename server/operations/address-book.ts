import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { ChangeContacts } from "../../gen/posthorn/v1/operation_pb.ts";
import {
  type Contact,
  type ContactsRecord,
  ContactsRecordSchema,
} from "../../gen/posthorn/v1/users_pb.ts";
import { documentsIn } from "../store/documents.ts";
import type { Plan } from "../store/plans.ts";
import {
  type DocumentRef,
  documentRefOf,
  type PlanningReads,
  type PlanningState,
  type StoredDocument,
} from "../store/store.ts";
import { isName, isWithin } from "./content.ts";
import { ownLog } from "./directory.ts";
import { nothingPlan } from "./nothing-plan.ts";
import { namedRefusal, tellPlan } from "./own-lists.ts";
import type { OperationRules, Sender } from "./plan.ts";

const ALIAS_BYTES_MAX = 128;
const NOTE_BYTES_MAX = 256;
/** Every change writes the whole list: so that is not large. [USR-10] */
const LIST_BYTES_MAX = 128 * 1024;

/**
 * A user's own list of contacts: an encoded ContactsRecord. Those to whom it has written are
 * another one: it is shown to them, and to nobody for being on this one. [USR-13]
 */
export function addressBookRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `address-book:${userId}`);
}

/** As the store has it: it was encoded below. */
export function addressBookIn({ bytes }: StoredDocument): ContactsRecord {
  return fromBinary(ContactsRecordSchema, bytes);
}

export function changeContactsReads({ tenant, userId }: Sender): PlanningReads {
  return { users: [], documents: [addressBookRef(tenant, userId)] };
}

/** Other contacts, or something else about them. [USR-10] [USR-11] [USR-12] */
export function planChangeContacts(
  { set, removeUserIds }: ChangeContacts,
  sender: Sender,
  state: PlanningState,
  { users }: OperationRules,
): Plan {
  const malformed = namedRefusal([...set.map(({ userId }) => userId), ...removeUserIds]);
  if (malformed !== undefined) return { kind: "refuse", code: malformed };
  if (!set.every(isContact)) return { kind: "refuse", code: ErrorCode.CONTENT_INVALID };
  const { tenant, userId } = sender;
  const ref = addressBookRef(tenant, userId);
  const document = documentsIn(state.documents)(ref);
  const requires = [{ ref, revision: document.revision }];
  const contacts = new Map(addressBookIn(document).contacts.map((one) => [one.userId, one]));
  const changed = set.filter((one) => !isSame(one, contacts.get(one.userId)));
  const removed = removeUserIds.filter((one) => contacts.has(one));
  if (changed.length + removed.length === 0) {
    return nothingPlan(ownLog(tenant, userId), { requires });
  }
  const before = contacts.size;
  for (const one of changed) contacts.set(one.userId, one);
  for (const one of removed) contacts.delete(one);
  const sorted = [...contacts.values()].sort((one, other) => (one.userId < other.userId ? -1 : 1));
  const bytes = toBinary(ContactsRecordSchema, create(ContactsRecordSchema, { contacts: sorted }));
  // An operator may have lowered the bound: whoever is above it may still change what is there.
  const isFull = sorted.length > Math.max(before, users.contactsMax);
  const isLarge = bytes.length > Math.max(document.bytes.length, LIST_BYTES_MAX);
  if (isFull || isLarge) return { kind: "refuse", code: ErrorCode.CONTACTS_FULL, requires };
  const revision = BigInt(document.revision + 1);
  const value = { set: changed, removedUserIds: removed, revision };
  return {
    ...tellPlan(sender, { case: "contactsChanged", value }),
    requires,
    puts: [{ ref, bytes }],
  };
}

function isContact({ alias, note }: Contact): boolean {
  return isName(alias, ALIAS_BYTES_MAX) && isWithin(note, NOTE_BYTES_MAX);
}

function isSame({ alias, note }: Contact, other: Contact | undefined): boolean {
  return alias === other?.alias && note === other.note;
}
