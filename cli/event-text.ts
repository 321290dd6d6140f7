import type { MessageContent } from "../client/conversations/content.ts";
import type {
  ConversationEvent,
  ConversationInfo,
  MessageEvent,
  ReactionEvent,
  RecalledEvent,
} from "../client/conversations/events.ts";
import type { ClientEvent } from "../client/events.ts";
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
    case "reaction":
      return `-- ${roomOf(event)}${reactionText(event)} --`;
    case "marks":
      return undefined;
    case "conversation":
      return `-- ${oneLine(event.conversation.title)}: ${changeText(event)} --`;
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
      return `-- ${printable(event.userId)} has other devices than before --`;
    case "presence-policy":
      return "-- it is shown to others than before when you are there --";
    case "device": {
      const what = event.change === "ended" ? "was ended" : `is named ${printable(event.name)}`;
      return `-- your device ${printable(event.deviceId)} ${what} --`;
    }
    case "unknown":
      return `-- event ${event.seq} of a kind that this version does not know --`;
  }
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
export function seenText(message: MessageEvent | RecalledEvent): string {
  if (message.kind === "recalled") return `-- ${recalledText(message)} --`;
  const { committedMs, conversationSeq } = message;
  return `${timeOf(committedMs)} [${conversationSeq}] ${messageText(message)}`;
}

export function recalledText({ conversationSeq, recalledByUserId }: RecalledEvent): string {
  return `[${conversationSeq}] was taken back by ${recalledByUserId}`;
}

export function reactionText({ userId, reaction, removed, conversationSeq }: ReactionEvent) {
  const does = removed ? "does not react any more with" : "reacts with";
  return `${userId} ${does} ${oneLine(reaction)} to [${conversationSeq}]`;
}

export function contentText(content: MessageContent): string {
  if (typeof content === "string") return printable(content);
  if (content instanceof Uint8Array) return "(binary)";
  if (content.kind === "location") {
    const { latitude, longitude, label } = content;
    const named = label === undefined ? "" : ` ${printable(label)}`;
    return `(location ${latitude}, ${longitude}${named})`;
  }
  const { shownAs, uri, name, caption } = content;
  const named = name === undefined ? "" : ` ${printable(name)}`;
  const said = caption === undefined ? "" : ` ${printable(caption)}`;
  return `(${shownAs}${named} ${printable(uri)})${said}`;
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

/** In front of what is not said between two users. */
function roomOf({ conversationId }: { readonly conversationId: string }): string {
  return directUsers(conversationId) === undefined ? `${printable(conversationId)} ` : "";
}

/** Text of others, without what moves the cursor. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is replaced
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\u00b7");
}
