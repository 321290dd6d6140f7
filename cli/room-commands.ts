import type { Client } from "../client/client.ts";
import type { Conversations, NewConversation } from "../client/conversations/conversations.ts";
import { listedMessages, readersOf } from "../client/conversations/lookups.ts";
import { ROLE_NAMES, type RoleName } from "../client/conversations/names.ts";
import type { SeenConversation } from "../client/conversations/seen-conversation.ts";
import type { ConversationView } from "../client/conversations/view.ts";
import { usersOf } from "../client/users/users.ts";
import { isConversationId } from "../protocol/conversation-id.ts";
import { nearest } from "../server/nearest.ts";
import { UsageError } from "./command.ts";
import { seenText } from "./event-text.ts";
import { listedRooms, type RoomLine, roomText, seenRooms } from "./room-lines.ts";
import { done, draft, mute, todo, undraft, unmute, untodo } from "./room-personal.ts";
import { columns } from "./terminal.ts";
import {
  conversationCalled,
  firstWord,
  mentionsOf,
  messageNumber,
  secondsIn,
  userIdsIn,
} from "./typed-text.ts";

/** What commands that are typed into a chat may touch. */
export interface Talking {
  readonly client: Client;
  readonly conversations: Conversations;
  readonly view: ConversationView;
  /** The one that is talked in. @throws UsageError when there is none */
  readonly current: SeenConversation;
  /** Who is in it, as far as is known. */
  readonly memberIds: ReadonlySet<string>;
  /** Whether the service can be asked now. */
  readonly isOpen: boolean;
  print(line: string): void;
  /**
   * From now on it is talked in this one.
   *
   * @param memberIds who will be in it, before the service has said so
   */
  enter(conversation: SeenConversation, memberIds?: readonly string[]): void;
  /** Asks the service what a conversation is like that nothing was heard of. */
  learn(conversationId: string): Promise<void>;
  /** Nobody waits for it; that it failed is said. */
  submitted(work: Promise<unknown>): void;
}

/** One command that is typed into a chat. */
interface TypedCommand {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  /**
   * Resolves when the next line may be obeyed: what is submitted by then comes before it.
   *
   * @param rest what was typed after the name
   */
  run(talking: Talking, rest: string): void | Promise<void>;
}

const COMMANDS: readonly TypedCommand[] = [
  { name: "to", usage: "ROOM|USER", summary: "talk there from now on", run: to },
  { name: "rooms", usage: "", summary: "the conversations that you are in", run: rooms },
  { name: "unread", usage: "", summary: "those in which there is something unread", run: unread },
  { name: "new", usage: "NAME @USER...", summary: "make a group and talk in it", run: make },
  {
    name: "channel",
    usage: "NAME @USER...",
    summary: "likewise, where only admins write",
    run: (talking, rest) => make(talking, rest, "channel"),
  },
  { name: "join", usage: "ID", summary: "come into an open room and talk in it", run: join },
  { name: "leave", usage: "", summary: "go out of this room", run: leave },
  { name: "members", usage: "", summary: "who is in this room, as far as is known", run: members },
  { name: "add", usage: "@USER...", summary: "let others in", run: add },
  { name: "remove", usage: "@USER...", summary: "put members out", run: remove },
  { name: "role", usage: "@USER ROLE", summary: `give one of ${ROLE_NAMES.join(" ")}`, run: role },
  { name: "title", usage: "TEXT", summary: "call this room otherwise", run: title },
  {
    name: "open",
    usage: "",
    summary: "let in whoever knows this room's ID",
    run: (talking) => change(talking, { join: "open" }),
  },
  {
    name: "close",
    usage: "",
    summary: "let nobody in who is not added",
    run: (talking) => change(talking, { join: "added" }),
  },
  {
    name: "for",
    usage: "TIME TEXT",
    summary: "say what disappears after 30s, 10m, 8h or 7d",
    run: sayFor,
  },
  {
    name: "lifetime",
    usage: "TIME|off",
    summary: "let all that is said here from now on disappear so",
    run: lifetime,
  },
  { name: "reply", usage: "N TEXT", summary: "answer message N", run: reply },
  { name: "edit", usage: "N TEXT", summary: "give your message N another text", run: edit },
  { name: "recall", usage: "N", summary: "take message N back, for good", run: recall },
  { name: "react", usage: "N EMOJI", summary: "react to message N", run: react },
  { name: "unreact", usage: "N EMOJI", summary: "do not any more", run: unreact },
  { name: "todo", usage: "N", summary: "something is to be done about message N", run: todo },
  { name: "done", usage: "N", summary: "all is done about message N", run: done },
  { name: "untodo", usage: "N", summary: "say nothing of that any more", run: untodo },
  {
    name: "mute",
    usage: "[MINUTES]",
    summary: "have this room call you no more",
    run: mute,
  },
  { name: "unmute", usage: "", summary: "have it call you again", run: unmute },
  {
    name: "draft",
    usage: "[TEXT]",
    summary: "keep it for later, for all your devices; what is kept",
    run: draft,
  },
  { name: "undraft", usage: "", summary: "keep it no more", run: undraft },
  { name: "readers", usage: "N", summary: "who has read message N, as far as shown", run: readers },
  {
    name: "history",
    usage: "[N [COUNT]]",
    summary: "what was said before message N",
    run: history,
  },
  {
    name: "receipts",
    usage: "on|off",
    summary: "whether others are told what you have read",
    run: receipts,
  },
  {
    name: "block",
    usage: "@USER...",
    summary: "hear nothing of them, nor say anything to them",
    run: ({ client, submitted }, rest) => submitted(usersOf(client).block(userIdsIn(rest))),
  },
  {
    name: "unblock",
    usage: "@USER...",
    summary: "the end of that",
    run: ({ client, submitted }, rest) => submitted(usersOf(client).unblock(userIdsIn(rest))),
  },
  { name: "help", usage: "", summary: "these commands", run: help },
];

export const COMMAND_NAMES: readonly string[] = COMMANDS.map(({ name }) => name);

/** The commands, for people. */
export function commandTable(): string {
  return columns(
    COMMANDS.map(({ name, usage, summary }) => [`/${name} ${usage}`.trimEnd(), summary]),
  );
}

/**
 * Does what was typed after a slash.
 *
 * @throws UsageError for what is no command, or lacks something; RefusedError as the service says
 */
export async function obeyTyped(talking: Talking, typed: string): Promise<void> {
  const [name, rest] = firstWord(typed);
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) {
    const meant = nearest(name, COMMAND_NAMES);
    const hint = meant === undefined ? "" : `; did you mean /${meant}?`;
    throw new UsageError(`/${name} is no command here${hint}`);
  }
  await command.run(talking, rest);
}

/** Says something where it is talked. */
export function say(talking: Talking, text: string): void {
  const { conversations, current, submitted } = talking;
  // What was kept for later is said now.
  const clearsDraft = current.draft?.content === text;
  submitted(conversations.send(current.id, text, { clearsDraft, ...calling(talking, text) }));
}

function calling({ memberIds }: Talking, text: string) {
  const mentions = mentionsOf(text, memberIds);
  return mentions === undefined ? {} : { mentions };
}

function sayFor(talking: Talking, rest: string): void {
  const [time, text] = firstWord(rest);
  const lifetimeS = secondsIn(time);
  if (text === "") throw new UsageError("and what? /for TIME TEXT");
  const { conversations, current, submitted } = talking;
  submitted(conversations.send(current.id, text, { lifetimeS, ...calling(talking, text) }));
}

function lifetime(talking: Talking, rest: string): void {
  change(talking, { lifetimeS: rest === "off" ? 0 : secondsIn(rest) });
}

function to(talking: Talking, rest: string): void {
  if (rest === "") throw new UsageError("where to? /to ROOM|USER");
  talking.enter(conversationCalled(rest, talking.view));
}

function rooms(talking: Talking): void {
  const { print } = talking;
  withRooms(talking, (lines) => {
    if (lines.length === 0) print("-- none yet: /new NAME @USER... makes one --");
    for (const line of lines) print(roomText(line));
  });
}

function unread(talking: Talking): void {
  const { print } = talking;
  withRooms(talking, (lines) => {
    const unreadOnes = lines.filter(({ unreadCount }) => unreadCount > 0);
    if (unreadOnes.length === 0) print("-- nothing is unread --");
    for (const line of unreadOnes) print(roomText(line));
  });
}

/** As the service says; what this chat has seen where it cannot be asked. */
function withRooms(
  { client, view, isOpen, submitted }: Talking,
  show: (lines: readonly RoomLine[]) => void,
): void {
  if (isOpen) submitted(listedRooms(client, view.userId).then(show));
  else show(seenRooms(view));
}

async function make(
  talking: Talking,
  rest: string,
  kind: NewConversation["kind"] & string = "group",
): Promise<void> {
  const words = rest.split(/\s+/).filter((word) => word !== "");
  const name = words.filter((word) => !word.startsWith("@")).join(" ");
  const others = words.filter((word) => word.startsWith("@"));
  if (name === "") throw new UsageError("what is it called? /new NAME @USER...");
  const asked = others.length === 0 ? [] : userIdsIn(others.join(" "));
  const members = asked.map((userId) => ({ userId }));
  const { conversations, view, enter, submitted } = talking;
  const { conversationId, made } = await conversations.create({ kind, title: name, members });
  submitted(made);
  enter(view.conversation(conversationId), asked);
}

function join({ conversations, view, enter, learn, submitted }: Talking, rest: string): void {
  const [id] = firstWord(rest);
  if (!isConversationId(id)) throw new UsageError("which one? /join ID");
  // Nothing is told of it to who is in already.
  submitted(conversations.join(id).then(() => learn(id)));
  enter(view.conversation(id));
}

function leave({ conversations, current, submitted }: Talking): void {
  submitted(conversations.leave(current.id));
}

function members({ current, print }: Talking): void {
  for (const { userId, role: name } of current.members) print(`   ${userId}: ${name}`);
  const more = (current.info?.memberCount ?? 0) - current.members.length;
  if (more > 0) print(`   and ${more} more`);
}

function add({ conversations, current, submitted }: Talking, rest: string): void {
  const set = userIdsIn(rest).map((userId) => ({ userId }));
  submitted(conversations.changeMembers(current.id, { set }));
}

function remove({ conversations, current, submitted }: Talking, rest: string): void {
  submitted(conversations.changeMembers(current.id, { remove: userIdsIn(rest) }));
}

function role({ conversations, current, submitted }: Talking, rest: string): void {
  const [user, name] = firstWord(rest);
  const [userId = ""] = userIdsIn(user);
  if (!isRole(name)) throw new UsageError(`which role? ${ROLE_NAMES.join(", ")}`);
  submitted(conversations.changeMembers(current.id, { set: [{ userId, role: name }] }));
}

function isRole(name: string): name is RoleName {
  return ROLE_NAMES.some((one) => one === name);
}

function title(talking: Talking, rest: string): void {
  if (rest === "") throw new UsageError("what is it called? /title TEXT");
  change(talking, { title: rest });
}

function change(
  { conversations, current, submitted }: Talking,
  changes: Partial<Pick<NewConversation, "title" | "join" | "lifetimeS">>,
): void {
  const { info, id } = current;
  if (info === undefined) throw new UsageError("nothing is known of this room yet");
  submitted(conversations.change(id, { ...info, ...changes }));
}

function reply(talking: Talking, rest: string): void {
  const { conversations, current, submitted } = talking;
  const [number, text] = numbered(rest);
  const reference = { kind: "reply", conversationSeq: number } as const;
  submitted(conversations.send(current.id, text, { reference, ...calling(talking, text) }));
}

function edit(talking: Talking, rest: string): void {
  const { conversations, current, submitted } = talking;
  const [number, text] = numbered(rest);
  submitted(conversations.edit(current.id, number, text, calling(talking, text)));
}

function recall({ conversations, current, submitted }: Talking, rest: string): void {
  submitted(conversations.recall(current.id, messageNumber(rest)));
}

function react({ conversations, current, submitted }: Talking, rest: string): void {
  const [number, reaction] = numbered(rest);
  submitted(conversations.react(current.id, number, reaction));
}

function unreact({ conversations, current, submitted }: Talking, rest: string): void {
  const [number, reaction] = numbered(rest);
  submitted(conversations.react(current.id, number, reaction, { remove: true }));
}

function numbered(rest: string): readonly [number, string] {
  const [word, text] = firstWord(rest);
  const number = messageNumber(word);
  if (text === "") throw new UsageError("and what? N, then the text");
  return [number, text];
}

function readers({ client, current, submitted, print }: Talking, rest: string): void {
  const number = messageNumber(rest);
  const named = { conversationId: current.id, conversationSeq: number };
  const asked = readersOf(client, named).then((userIds) => {
    const who = userIds.length === 0 ? "nobody who shows it" : userIds.join(", ");
    print(`-- [${number}] was read by ${who} --`);
  });
  submitted(asked);
}

function history({ client, current, submitted, print }: Talking, rest: string): void {
  const [word, countWord] = firstWord(rest);
  const before = word === "" ? {} : { before: messageNumber(word) };
  const count = countWord === "" ? {} : { count: messageNumber(countWord) };
  const asked = listedMessages(client, current.id, { ...before, ...count }).then((page) => {
    if (page.messages.length === 0) print("-- nothing was said before that --");
    for (const message of page.messages) print(`   ${seenText(message)}`);
  });
  submitted(asked);
}

function receipts({ conversations, submitted }: Talking, rest: string): void {
  if (rest !== "on" && rest !== "off") throw new UsageError("/receipts on|off");
  submitted(conversations.changePreferences({ receiptsHidden: rest === "off" }));
}

function help({ print }: Talking): void {
  for (const line of commandTable().trimEnd().split("\n")) print(line);
}
