import type {
  BlocksChanged,
  ContactsChanged,
  ProfileChanged,
} from "../../gen/posthorn/v1/event_pb.ts";
import type { DeliverPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import type { Contact, Profile } from "../../gen/posthorn/v1/users_pb.ts";

/** What a user says of itself. Proves nothing: two users may say the same. Empty: nothing. */
export interface UserProfile {
  readonly displayName: string;
  readonly about: string;
  /** Where a picture is: whoever fetches it shows itself there. */
  readonly avatarUri: string;
}

/** Somebody on the user's own list of contacts. */
export interface UserContact {
  readonly userId: string;
  /** What the user calls it. Empty: nothing of its own. */
  readonly alias: string;
  readonly note: string;
}

/** A user says something else of itself: one that the device's user may know, or it itself. */
export interface ProfileEvent {
  readonly kind: "profile";
  readonly seq: number;
  readonly userId: string;
  readonly profile: UserProfile;
  /** Of two profiles of a user the one with the higher number is the newer one. [USR-3] */
  readonly revision: number;
}

/** The user's contacts are others. [USR-13] */
export interface ContactsEvent {
  readonly kind: "contacts";
  readonly seq: number;
  readonly set: readonly UserContact[];
  readonly removedUserIds: readonly string[];
  /** Of the list from now on: one that was answered with no lower one has this in it. [USR-31] */
  readonly revision: number;
}

/** The user blocks others than before. [USR-26] */
export interface BlocksEvent {
  readonly kind: "blocks";
  readonly seq: number;
  readonly blockedUserIds: readonly string[];
  readonly unblockedUserIds: readonly string[];
  /** As of contacts. */
  readonly revision: number;
}

export function profileEvent({ seq }: DeliverPlain, changed: ProfileChanged): ProfileEvent {
  const { userId, profile, revision } = changed;
  return { kind: "profile", seq, userId, profile: profileOf(profile), revision: Number(revision) };
}

export function contactsEvent({ seq }: DeliverPlain, changed: ContactsChanged): ContactsEvent {
  const { set, removedUserIds, revision } = changed;
  const changes = { set: set.map(contactOf), removedUserIds };
  return { kind: "contacts", seq, ...changes, revision: Number(revision) };
}

export function blocksEvent({ seq }: DeliverPlain, changed: BlocksChanged): BlocksEvent {
  const { blockedUserIds, unblockedUserIds, revision } = changed;
  const changes = { blockedUserIds, unblockedUserIds };
  return { kind: "blocks", seq, ...changes, revision: Number(revision) };
}

export function profileOf(profile: Profile | undefined): UserProfile {
  const { displayName = "", about = "", avatarUri = "" } = profile ?? {};
  return { displayName, about, avatarUri };
}

export function contactOf({ userId, alias, note }: Contact): UserContact {
  return { userId, alias, note };
}
