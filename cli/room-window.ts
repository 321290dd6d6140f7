import type { Client } from "../client/client.ts";
import { mentionsUser } from "../client/conversations/events.ts";
import {
  listedConversation,
  listedMembers,
  listedMessages,
} from "../client/conversations/lookups.ts";
import type { SeenConversation, SeenMessage } from "../client/conversations/seen-conversation.ts";
import type { ChatScreen } from "./chat-screen.ts";
import { oneLine, seenText } from "./event-text.ts";
import type { ReadMarks } from "./read-marks.ts";
import { unreadText } from "./room-lines.ts";
import type { Style } from "./terminal.ts";

/** Messages that are shown of what is read already when one comes in. */
const CONTEXT_COUNT = 10;
const BACKLOG_MAX = 200;

export interface RoomWindowOptions {
  readonly userId: string;
  readonly client: Pick<Client, "call">;
  readonly screen: ChatScreen;
  readonly marks: ReadMarks;
  readonly style: Style;
}

/** What was shown of a conversation. */
interface Shown {
  /** Numbers below were not shown, and will not be: there is more before what is on the screen. */
  readonly from: number;
  /** The first that the user may not have read. */
  readonly unreadFrom: number;
  /** The highest. */
  through: number;
}

/** The conversation on the screen: its messages are shown, and marked as read; others' counted. */
export class RoomWindow {
  readonly #options: RoomWindowOptions;
  readonly #shown = new Map<SeenConversation, Shown>();
  #current: SeenConversation | undefined;
  /** Who will be in it, where nothing was heard of it yet. */
  #invited: readonly string[] = [];
  /** The one whose messages are being asked for; the one that is shown. */
  #arriving: SeenConversation | undefined;
  #arrived: SeenConversation | undefined;

  constructor(options: RoomWindowOptions) {
    this.#options = options;
  }

  get current(): SeenConversation | undefined {
    return this.#current;
  }

  get memberIds(): ReadonlySet<string> {
    const members = this.#current?.members ?? [];
    return new Set([...this.#invited, ...members.map(({ userId }) => userId)]);
  }

  enter(conversation: SeenConversation, memberIds: readonly string[] = []): void {
    this.#current = conversation;
    this.#invited = memberIds;
    this.#arriving = undefined;
    this.#arrived = undefined;
    this.heard();
  }

  /** There may be news of the conversation: it is shown as soon as it is known what it is. */
  heard(): void {
    const conversation = this.#current;
    if (conversation === undefined) return;
    this.#options.screen.to = oneLine(conversation.name);
    if (conversation.info === undefined || this.#arriving === conversation) return;
    this.#arriving = conversation;
    this.#invited = [];
    void this.#arrive(conversation);
  }

  /** @param before the message as it was seen before */
  show(conversation: SeenConversation, message: SeenMessage, before: SeenMessage | undefined) {
    const { userId, marks, screen } = this.#options;
    const { conversationSeq: number } = message;
    const isOwn = message.senderUserId === userId;
    if (!isOwn) marks.came(conversation.id, number);
    // A changed message comes under every number that it has in the timeline.
    if (before !== undefined && isSame(before, message)) return;
    if (conversation === this.#arrived) return this.#print(conversation, message, before);
    if (isOwn || before !== undefined || conversation === this.#current) return;
    screen.print(`-- ${oneLine(conversation.name)}: ${unreadText(conversation)} --`);
  }

  /** What comes meanwhile is shown with what was said before, in its place. */
  async #arrive(conversation: SeenConversation): Promise<void> {
    const known = this.#shown.get(conversation);
    // A service that cannot answer keeps nobody from talking: then the timeline is all there is.
    const shown = known ?? (await this.#backlog(conversation).catch(() => undefined));
    if (this.#current !== conversation || this.#arriving !== conversation) return;
    this.#shown.set(conversation, shown ?? { from: 1, unreadFrom: 1, through: 0 });
    this.#arrived = conversation;
    const { info, id } = conversation;
    if (info !== undefined && info.kind !== "direct") {
      const name = oneLine(conversation.name);
      this.#options.screen.print(`-- in ${name} (${id}), a ${info.kind} --`);
    }
    for (const message of conversation.messages) this.#print(conversation, message, undefined);
  }

  async #backlog(conversation: SeenConversation): Promise<Shown | undefined> {
    const { client, userId } = this.#options;
    const { id } = conversation;
    const listed = await listedConversation(client, id);
    if (listed === undefined) return undefined;
    const { info, unreadCount } = listed;
    conversation.learned(info, await listedMembers(client, id));
    const count = Math.min(BACKLOG_MAX, Math.max(CONTEXT_COUNT, unreadCount));
    const { messages, head } = await listedMessages(client, id, { count });
    for (const message of messages) conversation.said(message);
    const [first] = messages;
    if (first === undefined) return undefined;
    const others = messages.filter(
      (message) => message.kind === "message" && message.senderUserId !== userId,
    );
    const oldestUnread = unreadCount === 0 ? undefined : (others.at(-unreadCount) ?? others[0]);
    const unreadFrom = oldestUnread?.conversationSeq ?? head + 1;
    return { from: first.conversationSeq, unreadFrom, through: 0 };
  }

  /** @param before undefined: not seen before; it may have been shown all the same */
  #print(conversation: SeenConversation, message: SeenMessage, before: SeenMessage | undefined) {
    const { userId, marks, screen, style } = this.#options;
    const { conversationSeq: number, senderUserId } = message;
    const shown = this.#shown.get(conversation);
    if (shown === undefined || number < shown.from) return;
    if (before === undefined && number <= shown.through) return;
    shown.through = Math.max(shown.through, number);
    const isOwn = senderUserId === userId;
    if (!isOwn && number >= shown.unreadFrom) marks.shown(conversation.id, number);
    const line = seenText(message);
    const calls =
      !isOwn &&
      message.kind === "message" &&
      mentionsUser(message.mentions, userId, conversation.role);
    screen.print(calls ? style.bold(`${line} (calls you)`) : line);
  }
}

/** Whether nothing has become of a message that one has seen. */
function isSame(before: SeenMessage, message: SeenMessage): boolean {
  if (before.kind !== "message") return true;
  return message.kind === "message" && message.editCount <= before.editCount;
}
