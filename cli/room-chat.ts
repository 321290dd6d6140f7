import type { Client } from "../client/client.ts";
import { Conversations } from "../client/conversations/conversations.ts";
import { mentionsUser } from "../client/conversations/events.ts";
import type { SeenConversation, SeenMessage } from "../client/conversations/seen-conversation.ts";
import { ConversationView } from "../client/conversations/view.ts";
import type { ClientEvent } from "../client/events.ts";
import { has } from "../protocol/number-set.ts";
import type { ChatScreen } from "./chat-screen.ts";
import { errorLine, UsageError } from "./command.ts";
import {
  changeText,
  eventLine,
  messageText,
  oneLine,
  reactionText,
  recalledText,
  timeOf,
} from "./event-text.ts";
import { ReadMarks } from "./read-marks.ts";
import { COMMAND_NAMES, obeyTyped, say, type Talking, unreadText } from "./room-commands.ts";
import type { Style } from "./terminal.ts";
import { completions, conversationCalled, roomCalled } from "./typed-text.ts";

/** Where a chat begins: with a user, in a room, or nowhere yet. */
export interface ChatPlace {
  readonly user?: string | undefined;
  /** By its id or title. */
  readonly room?: string | undefined;
}

export interface RoomChatOptions {
  readonly place: ChatPlace;
  /** Who one is, where that is known before the service says so. */
  readonly userId: string | undefined;
  readonly style: Style;
}

/** Conversations in the terminal: what is said where one is, and that there is more elsewhere. */
export class RoomChat {
  readonly #client: Client;
  readonly #screen: ChatScreen;
  readonly #options: RoomChatOptions;
  readonly #conversations: Conversations;
  readonly #marks: ReadMarks;
  #view: ConversationView | undefined;
  #current: SeenConversation | undefined;
  /** Who will be in it, where nothing was heard of it yet. */
  #invited: readonly string[] = [];
  /** The conversation that was said to be entered. */
  #entered: SeenConversation | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(client: Client, screen: ChatScreen, options: RoomChatOptions) {
    this.#client = client;
    this.#screen = screen;
    this.#options = options;
    this.#conversations = new Conversations(client);
    this.#marks = new ReadMarks(this.#conversations);
    if (options.userId !== undefined) this.#begin(options.userId);
    screen.onLine((line) => this.#line(line));
    screen.completer = (line) =>
      completions(line, { memberIds: [...this.#memberIds].sort(), commands: COMMAND_NAMES });
  }

  /** Until the client is closed. */
  async run(): Promise<void> {
    for await (const event of this.#client.events()) {
      const view = this.#view ?? this.#begin(this.#client.status.userId ?? "");
      this.#show(view, event);
    }
  }

  #begin(userId: string): ConversationView {
    const view = new ConversationView(userId);
    this.#view = view;
    const { user } = this.#options.place;
    if (user !== undefined) this.#enter(conversationCalled(user, view));
    this.#look(view);
    return view;
  }

  /** Whether the room where the chat begins is known by now. */
  #look(view: ConversationView): void {
    const { room } = this.#options.place;
    if (room === undefined || this.#current !== undefined) return;
    const called = roomCalled(room, view);
    if (called !== undefined) this.#enter(called);
  }

  get #memberIds(): ReadonlySet<string> {
    const members = this.#current?.members ?? [];
    return new Set([...this.#invited, ...members.map(({ userId }) => userId)]);
  }

  get #talking(): Talking {
    const view = this.#view;
    if (view === undefined) throw new UsageError("the service has not said yet who you are");
    const here = () => {
      if (this.#current === undefined) throw new UsageError("you are nowhere: /to ROOM|USER");
      return this.#current;
    };
    return {
      client: this.#client,
      conversations: this.#conversations,
      view,
      get current() {
        return here();
      },
      memberIds: this.#memberIds,
      print: (line) => this.#screen.print(line),
      enter: (conversation, memberIds) => this.#enter(conversation, memberIds),
      submitted: (work) => void work.catch((error: unknown) => this.#failed(error)),
    };
  }

  /** One line after the other: what is typed after /to is said there. */
  #line(text: string): void {
    this.#turn = this.#turn
      .then(() => this.#obey(text))
      .catch((error: unknown) => this.#failed(error));
  }

  async #obey(text: string): Promise<void> {
    if (text.trim() === "") return this.#screen.refresh();
    if (text.startsWith("/") && !text.startsWith("//")) {
      return await obeyTyped(this.#talking, text.slice(1));
    }
    const said = text.replace(/^\/\//, "/");
    const { user } = this.#options.place;
    // Nobody has said who one is, but whom one talks to: that is enough for the journal.
    if (this.#view === undefined && user !== undefined) {
      void this.#client.send(user, said).catch((error: unknown) => this.#failed(error));
    } else say(this.#talking, said);
  }

  #failed(error: unknown): void {
    if (this.#client.status.state === "closed") return;
    this.#screen.print(`-- ${errorLine(error)} --`);
  }

  #enter(conversation: SeenConversation, memberIds: readonly string[] = []): void {
    this.#current = conversation;
    this.#invited = memberIds;
    this.#entered = undefined;
    this.#tellEntered();
  }

  /** Once it is known what it is called; what is unread in it is shown then. */
  #tellEntered(): void {
    const conversation = this.#current;
    if (conversation === undefined) return;
    this.#screen.to = oneLine(conversation.name);
    const { info, id } = conversation;
    if (info === undefined || this.#entered === conversation) return;
    this.#entered = conversation;
    this.#invited = [];
    if (info.kind !== "direct") {
      this.#screen.print(`-- in ${oneLine(conversation.name)} (${id}), a ${info.kind} --`);
    }
    const { unread } = conversation;
    for (const message of conversation.messages) {
      if (has(unread, message.conversationSeq)) this.#print(conversation, message);
    }
  }

  #show(view: ConversationView, event: ClientEvent): void {
    const before =
      event.kind === "message" || event.kind === "recalled"
        ? view.conversation(event.conversationId).message(event.conversationSeq)
        : undefined;
    const conversation = view.apply(event);
    const isHere = conversation !== undefined && conversation === this.#current;
    switch (event.kind) {
      case "message":
      case "recalled":
        if (conversation !== undefined) this.#showMessage(conversation, event, before);
        return;
      case "reaction":
        if (isHere) this.#screen.print(`-- ${reactionText(event)} --`);
        return;
      case "conversation":
        this.#screen.print(`-- ${oneLine(event.conversation.title)}: ${changeText(event)} --`);
        this.#look(view);
        if (isHere) this.#tellEntered();
        return;
      case "marks":
        return;
      case "epoch-changed":
        // The view has begun anew: what is there of the conversation is another object.
        if (this.#current !== undefined) this.#enter(view.conversation(this.#current.id));
        break;
    }
    const line = eventLine(event);
    if (line !== undefined) this.#screen.print(line);
  }

  #showMessage(
    conversation: SeenConversation,
    message: SeenMessage,
    before: SeenMessage | undefined,
  ): void {
    const { userId } = this.#view as ConversationView;
    const { id } = conversation;
    const isOwn = message.senderUserId === userId;
    if (!isOwn) this.#marks.came(id, message.conversationSeq);
    // A changed message comes under every number that it has in the timeline.
    if (before !== undefined && isSame(before, message)) return;
    if (conversation === this.#entered) return this.#print(conversation, message);
    if (isOwn || before !== undefined || conversation === this.#current) return;
    this.#screen.print(`-- ${oneLine(conversation.name)}: ${unreadText(conversation)} --`);
  }

  #print(conversation: SeenConversation, message: SeenMessage): void {
    const { userId } = this.#view as ConversationView;
    const { conversationSeq: number, senderUserId } = message;
    if (senderUserId !== userId) this.#marks.shown(conversation.id, number);
    if (message.kind === "recalled") {
      return this.#screen.print(`-- ${recalledText(message)} --`);
    }
    const line = `${timeOf(message.committedMs)} [${number}] ${messageText(message)}`;
    const { role } = conversation;
    const calls = senderUserId !== userId && mentionsUser(message.mentions, userId, role);
    this.#screen.print(calls ? this.#options.style.bold(`${line} (calls you)`) : line);
  }
}

/** Whether nothing has become of a message that one has seen. */
function isSame(before: SeenMessage, message: SeenMessage): boolean {
  if (before.kind === "recalled") return true;
  return message.kind === "message" && message.editCount <= before.editCount;
}
