import type { Client } from "../client/client.ts";
import type { MessageContent } from "../client/conversations/content.ts";
import type { ConversationInfo } from "../client/conversations/events.ts";
import {
  type ListedConversation,
  listedConversations,
  listedDrafts,
} from "../client/conversations/lookups.ts";
import type { RoleName } from "../client/conversations/names.ts";
import type { ConversationView } from "../client/conversations/view.ts";
import { directUsers } from "../protocol/conversation-id.ts";
import { contentText, muteText, oneLine } from "./event-text.ts";

/** What of a draft is shown beside others. */
const DRAFT_SHOWN_MAX = 40;

/** A conversation in a list. */
export interface RoomLine {
  readonly info: ConversationInfo;
  readonly name: string;
  readonly role: RoleName | undefined;
  readonly unreadCount: number;
  readonly mentionCount: number;
  /** Unix milliseconds. 0: it is not muted. */
  readonly mutedUntilMs: number;
  /** What the user has begun to write. */
  readonly draft: MessageContent | undefined;
  readonly lastMs: number;
}

/** All that the service knows of, those talked in last first. */
export async function listedRooms(
  client: Pick<Client, "call">,
  userId: string,
): Promise<readonly RoomLine[]> {
  const lines: RoomLine[] = [];
  const drafts = await listedDrafts(client);
  const begun = new Map(drafts.map(({ conversationId, content }) => [conversationId, content]));
  for await (const listed of listedConversations(client)) {
    lines.push({ ...lineOf(listed, userId), draft: begun.get(listed.info.conversationId) });
  }
  return lines.sort((a, b) => b.lastMs - a.lastMs);
}

function lineOf(listed: ListedConversation, userId: string): Omit<RoomLine, "draft"> {
  const { info, role, unreadCount, mentionCount, mutedUntilMs, lastMessage } = listed;
  const lastMs = lastMessage?.committedMs ?? 0;
  const name = nameOf(info, userId);
  return { info, name, role, unreadCount, mentionCount, mutedUntilMs, lastMs };
}

function nameOf({ conversationId, title }: ConversationInfo, userId: string): string {
  const users = directUsers(conversationId);
  return users === undefined ? title : (users.find((one) => one !== userId) ?? userId);
}

/** Those that a view has seen and the user is in. */
export function seenRooms(view: ConversationView): readonly RoomLine[] {
  return view.conversations.flatMap((seen) => {
    // Getters, which a spread would leave out.
    const { info, name, role, unreadCount, mentionCount, mutedUntilMs } = seen;
    const { draft: begun, lastActivityMs: lastMs } = seen;
    const own = { mutedUntilMs, draft: begun?.content };
    return info && role ? [{ info, name, role, unreadCount, mentionCount, ...own, lastMs }] : [];
  });
}

export function roomText({ info, name, role, mutedUntilMs, draft, ...counts }: RoomLine): string {
  const { kind, conversationId, memberCount } = info;
  const about = kind === "direct" ? "direct" : `${kind} of ${memberCount}, ${role}`;
  const muted = mutedUntilMs > 0 ? `, ${muteText(mutedUntilMs)}` : "";
  const begun = draft === undefined ? "" : `, draft: ${shortText(draft)}`;
  return `   ${oneLine(name)} (${conversationId}): ${about}, ${unreadText(counts)}${muted}${begun}`;
}

/** The beginning of a content, on one line. */
function shortText(content: MessageContent): string {
  const text = oneLine(contentText(content));
  return text.length <= DRAFT_SHOWN_MAX ? text : `${text.slice(0, DRAFT_SHOWN_MAX)}\u2026`;
}

/** How much is unread, and how much of it calls. */
export function unreadText({
  unreadCount,
  mentionCount,
}: Pick<RoomLine, "unreadCount" | "mentionCount">): string {
  const calls = mentionCount === 1 ? "1 calls you" : `${mentionCount} call you`;
  return `${unreadCount} unread${mentionCount === 0 ? "" : `, ${calls}`}`;
}
