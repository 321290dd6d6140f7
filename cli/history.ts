import type { Client } from "../client/client.ts";
import { listedMessages } from "../client/conversations/lookups.ts";
import type { SeenMessage } from "../client/conversations/seen-conversation.ts";
import { directConversationId, isConversationId } from "../protocol/conversation-id.ts";
import { USER_ID_PATTERN } from "../protocol/limits.ts";
import { readArguments, readPositionals } from "./arguments.ts";
import { ASKING_HELP, asking } from "./asking.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import { CONNECTION_OPTIONS } from "./connection.ts";
import { jsonLine, seenText } from "./event-text.ts";
import { listedRooms } from "./room-lines.ts";
import { jsonEvent } from "./tail.ts";

export const history: Command = {
  name: "history",
  summary: "print what was said in a conversation",
  help: () => `posthorn history ROOM|USER [options]

Prints the newest messages of a conversation, by its id, its title or the user who it is with. Each
is as it is now. Marks nothing as read.

  posthorn history Garden --user alice
  posthorn history bob --user alice --before 200 --count 50 --json

${ASKING_HELP}  --before N         those before message N
  --count N          so many [20]
  --json             one JSON line a message
`,
  run,
};

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  before: { type: "string" },
  count: { type: "string" },
  json: { type: "boolean" },
} as const;

const COUNT_DEFAULT = 20;
/** What the service gives at once. */
const PAGE_COUNT = 200;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments(args, OPTIONS);
  const [name = ""] = readPositionals(parsed, ["ROOM or USER"]);
  const { values } = parsed;
  const count = numberOf("--count", values.count) ?? COUNT_DEFAULT;
  const before = numberOf("--before", values.before);
  const messages = await asking(values, async (client, userId) => {
    const conversationId = await conversationIdOf(client, { name, userId });
    return await newest(client, { conversationId, before, count });
  });
  for (const message of messages) {
    io.stdout.write(`${values.json ? jsonLine(jsonMessage(message)) : seenText(message)}\n`);
  }
  return EXIT.done;
}

/** History is no timeline: what it does not know is not printed. */
function jsonMessage(message: SeenMessage): object {
  const { seq: _, own: __, ...said } = jsonEvent(message) as SeenMessage;
  return said;
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new UsageError(`${flag}: ${text}`);
  return number;
}

/** By its id, its title, or the user who it is with. */
async function conversationIdOf(
  client: Client,
  { name, userId }: { readonly name: string; readonly userId: string },
): Promise<string> {
  if (isConversationId(name)) return name;
  const title = name.replace(/^#/, "").toLowerCase();
  const called = (await listedRooms(client, userId)).filter(
    ({ info }) => info.title.toLowerCase() === title,
  );
  const ids = called.map(({ info }) => info.conversationId);
  if (ids.length > 1) throw new UsageError(`several are called ${name}: ${ids.join(", ")}`);
  if (ids[0] !== undefined) return ids[0];
  if (!USER_ID_PATTERN.test(name)) throw new UsageError(`no room is called ${name}`);
  return directConversationId(userId, name);
}

/** The newest so many, or of those before a number, by rising number. */
async function newest(
  client: Client,
  wanted: { conversationId: string; before: number | undefined; count: number },
): Promise<readonly SeenMessage[]> {
  const { conversationId, count } = wanted;
  let { before } = wanted;
  let messages: readonly SeenMessage[] = [];
  while (messages.length < count) {
    const asked = Math.min(PAGE_COUNT, count - messages.length);
    const from = before === undefined ? {} : { before };
    const page = await listedMessages(client, conversationId, { count: asked, ...from });
    messages = [...page.messages, ...messages];
    if (page.next === 0) break;
    before = page.next;
  }
  return messages;
}
