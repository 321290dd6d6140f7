import type { Client } from "../client/client.ts";
import { Conversations } from "../client/conversations/conversations.ts";
import { listedConversation, listedConversations } from "../client/conversations/lookups.ts";
import { ConversationView } from "../client/conversations/view.ts";
import type { ClientEvent } from "../client/events.ts";
import { sleep } from "../client/sleep.ts";
import type { ChatScreen } from "./chat-screen.ts";
import { errorLine, UsageError } from "./command.ts";
import { changeText, eventLine, oneLine, reactionText, seenText, todoText } from "./event-text.ts";
import { ReadMarks } from "./read-marks.ts";
import { COMMAND_NAMES, obeyTyped, say, type Talking } from "./room-commands.ts";
import { RoomWindow } from "./room-window.ts";
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

/** A clock may be set meanwhile; and no timer runs for a year. */
const EXPIRY_WAIT_MS_MAX = 60_000;

/** Conversations in the terminal: what is typed, and what comes. */
export class RoomChat {
  readonly #client: Client;
  readonly #screen: ChatScreen;
  readonly #options: RoomChatOptions;
  readonly #conversations: Conversations;
  #view: ConversationView | undefined;
  #window: RoomWindow | undefined;
  #turn: Promise<void> = Promise.resolve();
  /** When it is known what the user is in; never rejects. */
  #learned: Promise<void> = Promise.resolve();
  /** Until the next message disappears. */
  #expiry = new AbortController();

  constructor(client: Client, screen: ChatScreen, options: RoomChatOptions) {
    this.#client = client;
    this.#screen = screen;
    this.#options = options;
    this.#conversations = new Conversations(client);
    if (options.userId !== undefined) this.#begin(options.userId);
    screen.onLine((line) => this.#line(line));
    screen.completer = (line) => {
      const memberIds = [...(this.#window?.memberIds ?? [])].sort();
      return completions(line, { memberIds, commands: COMMAND_NAMES });
    };
  }

  /** Until the client is closed. */
  async run(): Promise<void> {
    for await (const event of this.#client.events()) {
      const ready = this.#ready ?? this.#begin(this.#client.status.userId ?? "");
      // So that what happens is told by names: of what was before, nothing is delivered again.
      await this.#learned;
      this.#show(event, ready);
      this.#expire(ready);
    }
    this.#expiry.abort();
  }

  /** Forgets messages whose time is over, now and when the next one's is. [CNV-95] */
  #expire(ready: Ready): void {
    const { view, window } = ready;
    for (const left of view.expire(Date.now())) {
      if (left.conversationId === window.current?.id) this.#screen.print(seenText(left));
    }
    this.#expiry.abort();
    const { nextExpiryMs } = view;
    if (nextExpiryMs === undefined) return;
    this.#expiry = new AbortController();
    const delayMs = Math.min(Math.max(nextExpiryMs - Date.now(), 1), EXPIRY_WAIT_MS_MAX);
    sleep(delayMs, this.#expiry.signal).then(
      () => this.#expire(ready),
      () => {},
    );
  }

  #begin(userId: string): Ready {
    const { style, place } = this.#options;
    const view = new ConversationView(userId);
    const [client, screen] = [this.#client, this.#screen];
    const marks = new ReadMarks(this.#conversations);
    const window = new RoomWindow({ userId, client, screen, marks, style });
    this.#view = view;
    this.#window = window;
    if (place.user !== undefined) window.enter(conversationCalled(place.user, view));
    const ready = { view, window };
    this.#learned = this.#learnAll(ready).catch((error: unknown) => this.#failed(error));
    return ready;
  }

  get #ready(): Ready | undefined {
    const [view, window] = [this.#view, this.#window];
    return view && window && { view, window };
  }

  /** What the user is in, also where nothing happens that this device was not told before. */
  async #learnAll(ready: Ready): Promise<void> {
    const { room } = this.#options.place;
    for await (const listed of listedConversations(this.#client)) ready.view.learn(listed);
    ready.window.heard();
    this.#look(ready);
    if (room === undefined || ready.window.current !== undefined) return;
    this.#screen.print(`-- no room is called ${room} yet --`);
  }

  /** Whether the room where the chat begins is known by now. */
  #look({ view, window }: Ready): void {
    const { room } = this.#options.place;
    if (room === undefined || window.current !== undefined) return;
    const called = roomCalled(room, view);
    if (called !== undefined) window.enter(called);
  }

  #talkingIn({ view, window }: Ready): Talking {
    const client = this.#client;
    return {
      client,
      conversations: this.#conversations,
      view,
      get current() {
        const { current } = window;
        if (current === undefined) throw new UsageError("you are nowhere: /to ROOM|USER");
        return current;
      },
      memberIds: window.memberIds,
      isOpen: client.status.state === "open",
      print: (line) => this.#screen.print(line),
      enter: (conversation, memberIds) => window.enter(conversation, memberIds),
      learn: async (conversationId) => {
        const listed = await listedConversation(client, conversationId);
        if (listed !== undefined) view.learn(listed);
        window.heard();
      },
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
    const isCommand = text.startsWith("/") && !text.startsWith("//");
    const said = text.replace(/^\/\//, "/");
    const { user } = this.#options.place;
    const ready = this.#ready;
    if (ready === undefined) {
      if (isCommand || user === undefined) {
        throw new UsageError("the service has not said yet who you are");
      }
      // Nobody has said who one is, but whom one talks to: that is enough for the journal.
      void this.#client.send(user, said).catch((error: unknown) => this.#failed(error));
    } else if (isCommand) await obeyTyped(this.#talkingIn(ready), text.slice(1));
    else say(this.#talkingIn(ready), said);
  }

  #failed(error: unknown): void {
    if (this.#client.status.state === "closed") return;
    this.#screen.print(`-- ${errorLine(error)} --`);
  }

  #show(event: ClientEvent, ready: Ready): void {
    const { view, window } = ready;
    const before =
      event.kind === "message" || event.kind === "recalled" || event.kind === "expired"
        ? view.conversation(event.conversationId).message(event.conversationSeq)
        : undefined;
    const conversation = view.apply(event);
    switch (event.kind) {
      case "message":
      case "recalled":
      case "expired":
        if (conversation !== undefined) window.show(conversation, event, before);
        return;
      case "reaction":
        if (conversation === window.current) this.#screen.print(`-- ${reactionText(event)} --`);
        return;
      case "conversation":
        this.#screen.print(`-- ${oneLine(event.conversation.title)}: ${changeText(event)} --`);
        this.#look(ready);
        window.heard();
        return;
      case "todo":
        if (conversation === window.current) this.#screen.print(`-- ${todoText(event)} --`);
        return;
      case "draft":
      case "marks":
        return;
      case "epoch-changed":
        // The view has begun anew: what is there of the conversation is another object.
        if (window.current !== undefined) window.enter(view.conversation(window.current.id));
        break;
    }
    const line = eventLine(event);
    if (line !== undefined) this.#screen.print(line);
  }
}

/** What there is once it is known who the user is. */
interface Ready {
  readonly view: ConversationView;
  readonly window: RoomWindow;
}
