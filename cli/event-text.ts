import type { MessageContent } from "../client/conversations/content.ts";
import type {
  ConversationEvent,
  ConversationInfo,
  ExpiredEvent,
  MessageEvent,
  ReactionEvent,
  RecalledEvent,
} from "../client/conversations/events.ts";
import { MUTED_FOR_EVER, type TodoEvent } from "../client/conversations/personal.ts";
import type { ClientEvent, DeviceEvent } from "../client/events.ts";
import type { UserProfile } from "../client/users/events.ts";
import { directUsers } from "../protocol/conversation-id.ts";
import { count } from "../protocol/number-set.ts";

/**
 * One event for people; nothing for packets of secure chats. Control characters of others must not
 * reach the terminal.
 */
export function eventLine(event: ClientEvent): string | undefined {
  switch (event.kind) {
    case "message":
      return `${timeOf(event.committedMs)} ${roomOf(event)}${messageText(event)}`;
    case "recalled":
      return `-- ${roomOf(event)}${recalledText(event)} --`;
    case "expired":
      return `-- ${roomOf(event)}${expiredText(event)} --`;
    case "reaction":
      return `-- ${roomOf(event)}${reactionText(event)} --`;
    case "marks":
      return undefined;
    case "conversation":
      return `-- ${oneLine(event.conversation.title)}: ${changeText(event)} --`;
    case "draft":
      return undefined;
    case "mute":
      return `-- ${roomOf(event)}${muteText(event.mutedUntilMs)} --`;
    case "todo":
      return `-- ${roomOf(event)}${todoText(event)} --`;
    case "preferences":
      return `-- receipts are ${event.receiptsHidden ? "hidden" : "shown"} --`;
    case "indexed": {
      const messages = event.conversations.reduce((sum, { told }) => sum + count(told), 0);
      return `-- ${messages} messages in ${event.conversations.length} conversations --`;
    }
    case "lost":
      return `-- events ${event.from} to ${event.to} are no longer held by the service --`;
    case "epoch-changed":
      return "-- the service's timeline began anew --";
    case "packet":
      return undefined;
    case "directory":
      return `-- ${oneLine(event.userId)} has other devices than before --`;
    case "presence-policy":
      return "-- it is shown to others than before when you are there --";
    case "device":
      return `-- your device ${oneLine(event.deviceId)} ${deviceText(event)} --`;
    case "profile":
      return `-- ${oneLine(event.userId)} ${profileText(event.profile)} --`;
    case "contacts": {
      const names = [...event.set.map(({ userId }) => userId), ...event.removedUserIds];
      return `-- your contacts have changed: ${oneLine(names.join(", "))} --`;
    }
    case "blocks": {
      const blocked = event.blockedUserIds.map((userId) => `you block ${userId}`);
      const unblocked = event.unblockedUserIds.map(
        (userId) => `you do not block ${userId} any more`,
      );
      return `-- ${oneLine([...blocked, ...unblocked].join(", "))} --`;
    }
    case "unknown":
      return `-- event ${event.seq} of a kind that this version does not know --`;
  }
}

/** Until when a conversation is muted. */
export function muteText(mutedUntilMs: number): string {
  if (mutedUntilMs === 0) return "is not muted any more";
  if (mutedUntilMs === MUTED_FOR_EVER) return "is muted";
  return `is muted until ${new Date(mutedUntilMs).toLocaleString("sv")}`;
}

export function todoText({ byUserId, conversationSeq, todo }: TodoEvent): string {
  const of = `[${conversationSeq}]`;
  if (todo === undefined) return `${byUserId} says nothing any more of what to do about ${of}`;
  const says = todo.state === "open" ? "something is to be done about" : "all is done about";
  return `${byUserId} says that ${says} ${of}`;
}

/** What became of a device. Of a new one its user may know nothing: then it has been broken in. */
function deviceText({ change, name }: DeviceEvent): string {
  switch (change) {
    case "added":
      return "is new; if it is none of yours, end it: posthorn devices end";
    case "ended":
      return "was ended";
    case "named":
      return `is named ${oneLine(name)}`;
  }
}

/** What somebody says of itself. */
export function profileText({ displayName, about, avatarUri }: UserProfile): string {
  const name = displayName === "" ? "has no name" : `is called ${oneLine(displayName)}`;
  const says = about === "" ? "" : `, says: ${oneLine(about)}`;
  const shown = avatarUri === "" ? "" : `, picture: ${oneLine(avatarUri)}`;
  return `${name}${says}${shown}`;
}

/** Who said what, and what it is said to. */
export function messageText(event: MessageEvent): string {
  const { senderUserId, content, editCount, reference } = event;
  const to =
    reference === undefined ? "" : ` (${reference.kind} to [${reference.conversationSeq}])`;
  const edited = editCount === 0 ? "" : " (edited)";
  return `${senderUserId}: ${contentText(content)}${to}${edited}`;
}

/** A message with its number, as it is now. */
export function seenText(message: MessageEvent | RecalledEvent | ExpiredEvent): string {
  if (message.kind === "recalled") return `-- ${recalledText(message)} --`;
  if (message.kind === "expired") return `-- ${expiredText(message)} --`;
  const { committedMs, conversationSeq, expiresMs } = message;
  const until = expiresMs === undefined ? "" : ` (until ${untilText(expiresMs)})`;
  return `${timeOf(committedMs)} [${conversationSeq}] ${messageText(message)}${until}`;
}

export function expiredText(message: ExpiredEvent): string {
  const { conversationSeq, senderUserId, expiresMs } = message;
  if (expiresMs === undefined) return `[${conversationSeq}] is kept no longer`;
  return `[${conversationSeq}] of ${senderUserId} has disappeared`;
}

export function recalledText({ conversationSeq, recalledByUserId }: RecalledEvent): string {
  return `[${conversationSeq}] was taken back by ${recalledByUserId}`;
}

export function reactionText({ userId, reaction, removed, conversationSeq }: ReactionEvent) {
  const does = removed ? "does not react any more with" : "reacts with";
  return `${userId} ${does} ${oneLine(reaction)} to [${conversationSeq}]`;
}

export function contentText(content: MessageContent): string {
  if (typeof content === "string") return paragraph(content);
  if (content instanceof Uint8Array) return "(binary)";
  if (content.kind === "location") {
    const { latitude, longitude, label } = content;
    const named = label === undefined ? "" : ` ${oneLine(label)}`;
    return `(location ${latitude}, ${longitude}${named})`;
  }
  const { shownAs, uri, name, caption } = content;
  const named = name === undefined ? "" : ` ${oneLine(name)}`;
  const said = caption === undefined ? "" : ` ${paragraph(caption)}`;
  return `(${shownAs}${named} ${oneLine(uri)})${said}`;
}

/** What somebody has changed of a conversation and its members. */
export function changeText({ conversation, byUserId, members, leftUserIds }: ConversationEvent) {
  const came = members.map(({ userId, role }) => `${userId} is ${role}`);
  const isOwn = [...members.map(({ userId }) => userId), ...leftUserIds].every(
    (userId) => userId === byUserId,
  );
  const left = leftUserIds.map((userId) => (isOwn ? `${userId} left` : `${userId} is out`));
  const parts = [...came, ...left];
  if (parts.length === 0) return `${settingsText(conversation)} (by ${byUserId})`;
  return isOwn ? parts.join(", ") : `${parts.join(", ")} (by ${byUserId})`;
}

function settingsText({ topic, join }: ConversationInfo): string {
  const about = topic === "" ? "" : `, ${oneLine(topic)}`;
  return `is now ${join === "open" ? "open" : "not open"} to whoever knows its ID${about}`;
}

/** A name, on one line whatever it holds. */
export function oneLine(text: string): string {
  return printable(text).replace(/[\t\n]/g, " ");
}

export function timeOf(committedMs: number): string {
  return new Date(committedMs).toTimeString().slice(0, 8);
}

/** The day and the time. */
function untilText(expiresMs: number): string {
  const until = new Date(expiresMs);
  const day = [until.getFullYear(), until.getMonth() + 1, until.getDate()];
  const [year = "", ...others] = day.map((part) => String(part).padStart(2, "0"));
  return `${[year, ...others].join("-")} ${timeOf(expiresMs)}`;
}

/** In front of what is not said between two users. */
function roomOf({ conversationId }: { readonly conversationId: string }): string {
  return directUsers(conversationId) === undefined ? `${oneLine(conversationId)} ` : "";
}

/**
 * Text of others, which may have several lines. None of them looks like one of ours: whoever writes
 * "ok\n-- verified --" says all of it itself.
 */
export function paragraph(text: string): string {
  return printable(text).replaceAll("\n", "\n  | ");
}

/**
 * What moves the cursor, and what turns the direction of the text around it (UAX #9), so that a
 * name or a line reads otherwise than it is.
 */
const MISLEADING =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is replaced
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text of others, without what misleads a terminal or who reads it. */
function printable(text: string): string {
  return text.replace(MISLEADING, "\u00b7");
}

/** One line of JSON. What misleads is escaped in it: somebody may look at it in a terminal. */
export function jsonLine(value: unknown): string {
  const escaped = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(MISLEADING, escaped);
}
