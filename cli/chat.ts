import { USER_ID_PATTERN } from "../protocol/limits.ts";
import { readArguments } from "./arguments.ts";
import { ChatScreen } from "./chat-screen.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import {
  CONNECTION_HELP,
  CONNECTION_OPTIONS,
  type ConnectionValues,
  connectBy,
  deviceOf,
  urlsOf,
} from "./connection.ts";
import { type ChatPlace, RoomChat } from "./room-chat.ts";
import { commandTable } from "./room-commands.ts";
import { SECURE_HELP, secureKeysFolder, Talk } from "./secure-chat.ts";
import { styleFor } from "./terminal.ts";

export const chat: Command = {
  name: "chat",
  summary: "talk with somebody, or in rooms, in the terminal",
  help: () => `posthorn chat [USER | --room ROOM] [options]

Type a line and press Enter. The prompt shows the link, its round trip and how many of your
messages are not yet durable at the service. Ctrl-C or Ctrl-D leaves; what was not sent goes out
next time.

  posthorn chat bob --user alice --url tcp://127.0.0.1:4370
  posthorn chat alice --user bob --url http://127.0.0.1:4370
  posthorn chat --room Garden --user alice

A line that begins with a slash is a command; one that begins with two is said, with one. @NAME
calls a member, @everyone all of them, @admins and the like those of a role. Tab completes both.

${commandTable()}
${CONNECTION_HELP}  --room ROOM        talk in this room, by its title or ID
${SECURE_HELP}`,
  run,
};

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  room: { type: "string" },
  secure: { type: "boolean" },
  "to-device": { type: "string" },
  lifetime: { type: "string" },
  "replace-account": { type: "boolean" },
} as const;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  const place = placeOf(positionals, values.room);
  const secure = values.secure ? secureOptions(place, values) : undefined;
  const client = await connectBy(values, { start: secure ? "latest" : "earliest" });
  const screen = new ChatScreen(io, place.user ?? "");
  client.onStatus((status) => screen.status(status));
  screen.status(client.status);
  let talk: Talk | undefined;
  const leave = () => {
    const farewell = talk?.end() ?? Promise.resolve();
    void farewell.then(() => client.close()).catch(() => {});
  };
  screen.onEnd(leave);
  process.once("SIGTERM", leave);
  try {
    if (secure === undefined) {
      const style = styleFor(io.stdout, io.env);
      await new RoomChat(client, screen, { place, userId: values.user, style }).run();
    } else {
      talk = new Talk(client, screen, secure);
      await talk.run();
    }
    return EXIT.done;
  } finally {
    screen.close();
    await client.close();
  }
}

/** With whom, or where; nowhere yet is a place too. */
function placeOf([user, more]: readonly string[], room: string | undefined): ChatPlace {
  if (more !== undefined) throw new UsageError(`${JSON.stringify(more)} is one argument too many`);
  if (user === undefined) return { room };
  if (room !== undefined) throw new UsageError("with a user, or in a room?");
  if (!USER_ID_PATTERN.test(user)) throw new UsageError(`${JSON.stringify(user)} is nobody's name`);
  return { user };
}

interface SecureValues extends ConnectionValues {
  readonly "to-device"?: string | undefined;
  readonly lifetime?: string | undefined;
  readonly "replace-account"?: boolean | undefined;
}

function secureOptions({ user: to }: ChatPlace, values: SecureValues) {
  if (to === undefined) throw new UsageError("with whom?");
  const lifetimeS = Number(values.lifetime ?? 0);
  if (!Number.isInteger(lifetimeS) || lifetimeS < 0 || lifetimeS > 2 ** 31) {
    throw new UsageError(`--lifetime: ${values.lifetime}`);
  }
  return {
    to,
    toDevice: values["to-device"],
    deviceId: deviceOf(values),
    keys: values.temporary ? undefined : secureKeysFolder(urlsOf(values)),
    replaceAccount: values["replace-account"] ?? false,
    lifetimeS,
  };
}
