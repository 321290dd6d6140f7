import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { Asked } from "./asked.ts";
import {
  type By,
  type ModelLimits,
  type ModelState,
  type ModelUser,
  USER_ID,
  usersOf,
} from "./model-state.ts";
import { blocksText, contactsText, profileText } from "./texts.ts";

/** Something that a user does to what is its own: what is told, and whom. */
export interface Said {
  readonly text: string;
  readonly to: readonly string[];
}

type OfUser = Extract<Asked, { kind: "blocks" | "contacts" | "profile" }>;

export function newUser(): ModelUser {
  return {
    timeline: [],
    drafts: new Map(),
    mutes: new Map(),
    hidden: false,
    blocks: new Set(),
    blocksRevision: 0,
    contacts: new Map(),
    contactsRevision: 0,
    profile: "",
    profileRevision: 0,
    written: [],
  };
}

/** Undefined: it is so already. [USR-2] [USR-20] */
export function changeUser(
  asked: OfUser,
  { userId }: By,
  { state, limits }: { readonly state: ModelState; readonly limits: ModelLimits },
): Said | readonly ErrorCode[] | undefined {
  const own = userOf(state, userId);
  if (asked.kind === "contacts") return changeContacts(asked, { userId, own, limits });
  if (asked.kind === "blocks") return changeBlocks(asked, userId, { state, limits });
  if (asked.name.includes("\n")) return [ErrorCode.PROFILE_INVALID];
  if (asked.name === own.profile) return undefined;
  own.profile = asked.name;
  own.profileRevision += 1;
  const text = profileText(userId, own.profile, own.profileRevision);
  // Those to whom it has written, the last ones. [USR-4]
  const others = own.written.slice(Math.max(0, own.written.length - limits.profileTold));
  return { text, to: [userId, ...others] };
}

function changeContacts(
  { set, remove }: Extract<Asked, { kind: "contacts" }>,
  { userId, own, limits }: { userId: string; own: ModelUser; limits: ModelLimits },
): Said | readonly ErrorCode[] | undefined {
  const broken = namesBroken([...set.map((one) => one.userId), ...remove]);
  if (set.some(({ alias }) => alias.includes("\n"))) broken.push(ErrorCode.CONTENT_INVALID);
  if (broken.length > 0) return broken;
  const changed = set.filter((one) => own.contacts.get(one.userId) !== one.alias);
  const removed = remove.filter((one) => own.contacts.has(one));
  const added = set.filter((one) => !own.contacts.has(one.userId));
  const count = own.contacts.size + added.length - removed.length;
  if (count > limits.contacts) return [ErrorCode.CONTACTS_FULL];
  if (changed.length + removed.length === 0) return undefined;
  for (const one of changed) own.contacts.set(one.userId, one.alias);
  for (const one of removed) own.contacts.delete(one);
  own.contactsRevision += 1;
  return { text: contactsText(changed, removed, own.contactsRevision), to: [userId] };
}

/** [USR-11] */
function namesBroken(named: readonly string[]): ErrorCode[] {
  const broken: ErrorCode[] = [];
  if (named.length === 0 || new Set(named).size < named.length) {
    broken.push(ErrorCode.CONTENT_INVALID);
  }
  if (!named.every((one) => USER_ID.test(one))) broken.push(ErrorCode.USER_ID_INVALID);
  return broken;
}

function changeBlocks(
  { block, unblock }: Extract<Asked, { kind: "blocks" }>,
  userId: string,
  { state, limits }: { readonly state: ModelState; readonly limits: ModelLimits },
): Said | readonly ErrorCode[] | undefined {
  const own = userOf(state, userId);
  const broken = namesBroken([...block, ...unblock]);
  if (block.includes(userId)) broken.push(ErrorCode.NOT_PERMITTED);
  const blocked = block.filter((one) => !own.blocks.has(one));
  const unblocked = unblock.filter((one) => own.blocks.has(one));
  const count = own.blocks.size + blocked.length - unblocked.length;
  if (blocked.length > 0 && count > limits.blocks) broken.push(ErrorCode.CONTACTS_FULL);
  if (broken.length > 0) return broken;
  if (blocked.length + unblocked.length === 0) return undefined;
  for (const one of unblocked) own.blocks.delete(one);
  for (const one of blocked) {
    own.blocks.add(one);
    forget(own, one);
    forget(state.users.get(one), userId);
  }
  own.blocksRevision += 1;
  return { text: blocksText(blocked, unblocked, own.blocksRevision), to: [userId] };
}

function forget(user: ModelUser | undefined, other: string): void {
  const at = user?.written.indexOf(other) ?? -1;
  if (at >= 0) user?.written.splice(at, 1);
}

/** Whether a user blocks another one. */
export function blocks(state: ModelState, userId: string, other: string): boolean {
  return state.users.get(userId)?.blocks.has(other) ?? false;
}

/** Whether in a direct conversation one of the two blocks the other. [USR-21] */
export function isBlocked(state: ModelState, id: string): boolean {
  const [one, other] = usersOf(id) ?? [];
  if (one === undefined || other === undefined) return false;
  return blocks(state, one, other) || blocks(state, other, one);
}

/** Somebody has written to somebody else: it shows itself to it from then on. [SIG-14] */
export function noteWritten(state: ModelState, userId: string, id: string): void {
  const { written } = userOf(state, userId);
  for (const other of usersOf(id) ?? []) {
    if (other !== userId && !written.includes(other)) written.push(other);
  }
}

function userOf(state: ModelState, userId: string): ModelUser {
  return state.users.get(userId) as ModelUser;
}
