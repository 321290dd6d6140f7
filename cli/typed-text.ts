import type { MessageMentions } from "../client/conversations/events.ts";
import { ROLE_NAMES, type RoleName } from "../client/conversations/names.ts";
import type { SeenConversation } from "../client/conversations/seen-conversation.ts";
import type { ConversationView } from "../client/conversations/view.ts";
import { directConversationId, isConversationId } from "../protocol/conversation-id.ts";
import { USER_ID_PATTERN } from "../protocol/limits.ts";
import { UsageError } from "./command.ts";

const EVERYONE = "everyone";
/** The characters of user ids; what ends a sentence is tried without. */
const MENTION_PATTERN = /(?<=^|[\s(,])@([A-Za-z0-9][A-Za-z0-9._@+-]*)/g;

/** Whom a text calls: `@` and a member's name, a role's plural, or everyone. */
export function mentionsOf(
  text: string,
  memberIds: ReadonlySet<string>,
): Partial<MessageMentions> | undefined {
  const userIds = new Set<string>();
  const roles = new Set<RoleName>();
  let everyone = false;
  for (const [, written = ""] of text.matchAll(MENTION_PATTERN)) {
    const name = [written, written.replace(/[.@+-]+$/, "")].find((one) => memberIds.has(one));
    const role = ROLE_NAMES.find((one) => written.replace(/[.-]+$/, "") === `${one}s`);
    if (name !== undefined) userIds.add(name);
    else if (role !== undefined) roles.add(role);
    else everyone ||= written.replace(/[.-]+$/, "") === EVERYONE;
  }
  if (userIds.size === 0 && roles.size === 0 && !everyone) return undefined;
  return { userIds: [...userIds], roles: [...roles], everyone };
}

/** What the word that is being typed may become, in readline's form. */
export function completions(
  line: string,
  known: { readonly memberIds: readonly string[]; readonly commands: readonly string[] },
): [string[], string] {
  const word = /\S*$/.exec(line)?.[0] ?? "";
  const from = word.startsWith("@")
    ? [...known.memberIds, EVERYONE].map((name) => `@${name} `)
    : known.commands.map((name) => `/${name} `);
  const isWanted = word.startsWith("@") || (word.startsWith("/") && word === line);
  return [isWanted ? from.filter((one) => one.startsWith(word)) : [], word];
}

/** The first word, and what comes after it. */
export function firstWord(text: string): readonly [string, string] {
  const [, word = "", rest = ""] = /^(\S*)\s*(.*)$/s.exec(text.trim()) ?? [];
  return [word, rest];
}

/** @throws UsageError for what is no number of a message */
export function messageNumber(word: string): number {
  const number = Number(word.replace(/^\[(.*)\]$/, "$1"));
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new UsageError("which message? Its number stands before it");
}

const UNIT_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** How long it lasts. @throws UsageError for what is no time */
export function secondsIn(word: string): number {
  const [, number = "", unit = ""] = /^(\d{1,9})([smhd])$/.exec(word) ?? [];
  const seconds = Number(number) * (UNIT_S[unit] ?? 0);
  if (seconds > 0) return seconds;
  throw new UsageError("for how long? 30s, 10m, 8h or 7d");
}

/** Names with or without an `@`. @throws UsageError when there is none, or one that nobody has */
export function userIdsIn(words: string): readonly string[] {
  const userIds = words.split(/[\s,]+/).filter((word) => word !== "");
  if (userIds.length === 0) throw new UsageError("whom?");
  return userIds.map(userIdOf);
}

function userIdOf(word: string): string {
  const userId = word.replace(/^@/, "");
  if (USER_ID_PATTERN.test(userId)) return userId;
  throw new UsageError(`${word} is nobody's name`);
}

/**
 * The conversation that is meant: by its id, its title, or the user who it is with.
 *
 * @throws UsageError when several have the title, and for what can be none of these
 */
export function conversationCalled(name: string, view: ConversationView): SeenConversation {
  const byTitle = roomCalled(name, view);
  if (byTitle !== undefined) return byTitle;
  const direct = directConversationId(view.userId, userIdOf(name));
  return view.conversation(direct);
}

/** Only those that were made, and direct ones by their ids. @throws UsageError for several */
export function roomCalled(name: string, view: ConversationView): SeenConversation | undefined {
  if (isConversationId(name)) return view.conversation(name);
  const title = name.replace(/^#/, "").toLowerCase();
  const called = view.conversations.filter(
    ({ info, role }) => role !== undefined && info?.title.toLowerCase() === title,
  );
  if (called.length > 1) {
    throw new UsageError(`several are called ${name}: ${called.map(({ id }) => id).join(", ")}`);
  }
  return title === "" ? undefined : called[0];
}
