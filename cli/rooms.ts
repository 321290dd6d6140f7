import { readArguments, readPositionals } from "./arguments.ts";
import { ASKING_HELP, asking } from "./asking.ts";
import { type Command, type CommandIo, EXIT } from "./command.ts";
import { CONNECTION_OPTIONS } from "./connection.ts";
import { jsonLine } from "./event-text.ts";
import { listedRooms, roomText } from "./room-lines.ts";

export const rooms: Command = {
  name: "rooms",
  summary: "list the conversations that you are in",
  help: () => `posthorn rooms [options]

Lists your conversations, those talked in last first, with what is unread in them, which
you have muted and what you have begun to write there.

  posthorn rooms --user alice
  posthorn rooms --user alice --json

${ASKING_HELP}  --unread           only those in which something is unread
  --json             one JSON line for each
`,
  run,
};

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  unread: { type: "boolean" },
  json: { type: "boolean" },
} as const;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments(args, OPTIONS);
  readPositionals(parsed, []);
  const { values } = parsed;
  const listed = await asking(values, listedRooms);
  const wanted = listed.filter(({ unreadCount }) => unreadCount > 0 || !values.unread);
  for (const line of wanted) {
    io.stdout.write(`${values.json ? jsonLine(line) : roomText(line).trimStart()}\n`);
  }
  return EXIT.done;
}
