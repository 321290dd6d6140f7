// The schema's enumerations by names, each list in the order of its numbers from 1.

/** What kind of conversation it is. Channels are written in by admins; rooms have no history. */
export type ConversationKindName = (typeof KIND_NAMES)[number];
export const KIND_NAMES = ["direct", "group", "channel", "room"] as const;

/** What a member may do: each what those before may, and more. */
export type RoleName = (typeof ROLE_NAMES)[number];
export const ROLE_NAMES = ["reader", "member", "admin", "owner"] as const;

/** What of the log newcomers may read: what is sent from then on, or everything. */
export type HistoryName = (typeof HISTORY_NAMES)[number];
export const HISTORY_NAMES = ["joined", "all"] as const;

/** Who may come in without being added: nobody, or whoever knows the id. */
export type JoinName = (typeof JOIN_NAMES)[number];
export const JOIN_NAMES = ["added", "open"] as const;

/** What a message has to do with another one. */
export type ReferenceName = (typeof REFERENCE_NAMES)[number];
export const REFERENCE_NAMES = ["reply", "thread", "quote", "comment"] as const;

/** What an attachment is shown as. */
export type AttachmentName = (typeof ATTACHMENT_NAMES)[number];
export const ATTACHMENT_NAMES = ["image", "audio", "video", "file"] as const;

/** Whether something is to be done about a message. */
export type TodoName = (typeof TODO_NAMES)[number];
export const TODO_NAMES = ["open", "done"] as const;

/** The name of a number of the schema; undefined for one that this version does not know. */
export function nameOf<Name extends string>(
  names: readonly Name[],
  number: number,
): Name | undefined {
  return names[number - 1];
}

/** The schema's number of a name; 0, its "unspecified", for none. */
export function numberOf<Enumerated extends number>(
  names: readonly string[],
  name: string | undefined,
): Enumerated {
  return (name === undefined ? 0 : names.indexOf(name) + 1) as Enumerated;
}
