import type { Client } from "../client/client.ts";
import type { ConversationInfo } from "../client/conversations/events.ts";
import { type ListedConversation, listedConversations } from "../client/conversations/lookups.ts";
import type { RoleName } from "../client/conversations/names.ts";
import type { ConversationView } from "../client/conversations/view.ts";
import { directUsers } from "../protocol/conversation-id.ts";
import { oneLine } from "./event-text.ts";

/** A conversation in a list. */
export interface RoomLine {
  readonly info: ConversationInfo;
  readonly name: string;
  readonly role: RoleName | undefined;
  readonly unreadCount: number;
  readonly mentionCount: number;
  readonly lastMs: number;
}

/** All that the service knows of, those talked in last first. */
export async function listedRooms(
  client: Pick<Client, "call">,
  userId: string,
): Promise<readonly RoomLine[]> {
  const lines: RoomLine[] = [];
  for await (const listed of listedConversations(client)) lines.push(lineOf(listed, userId));
  return lines.sort((a, b) => b.lastMs - a.lastMs);
}

function lineOf(listed: ListedConversation, userId: string): RoomLine {
  const { info, role, unreadCount, mentionCount, lastMessage } = listed;
  const name = nameOf(info, userId);
  return { info, name, role, unreadCount, mentionCount, lastMs: lastMessage?.committedMs ?? 0 };
}

function nameOf({ conversationId, title }: ConversationInfo, userId: string): string {
  const users = directUsers(conversationId);
  return users === undefined ? title : (users.find((one) => one !== userId) ?? userId);
}

/** Those that a view has seen and the user is in. */
export function seenRooms(view: ConversationView): readonly RoomLine[] {
  return view.conversations.flatMap((seen) => {
    // Getters, which a spread would leave out.
    const { info, name, role, unreadCount, mentionCount, lastActivityMs: lastMs } = seen;
    return info && role ? [{ info, name, role, unreadCount, mentionCount, lastMs }] : [];
  });
}

export function roomText({ info, name, role, ...counts }: RoomLine): string {
  const { kind, conversationId, memberCount } = info;
  const about = kind === "direct" ? "direct" : `${kind} of ${memberCount}, ${role}`;
  return `   ${oneLine(name)} (${conversationId}): ${about}, ${unreadText(counts)}`;
}

/** How much is unread, and how much of it calls. */
export function unreadText({
  unreadCount,
  mentionCount,
}: Pick<RoomLine, "unreadCount" | "mentionCount">): string {
  const calls = mentionCount === 1 ? "1 calls you" : `${mentionCount} call you`;
  return `${unreadCount} unread${mentionCount === 0 ? "" : `, ${calls}`}`;
}
