import type { Client } from "../client/client.ts";
import { readArguments } from "./arguments.ts";
import { ChatScreen } from "./chat-screen.ts";
import { type Command, type CommandIo, EXIT, errorLine, UsageError } from "./command.ts";
import {
  CONNECTION_HELP,
  CONNECTION_OPTIONS,
  type ConnectionValues,
  connectBy,
  deviceOf,
  urlsOf,
} from "./connection.ts";
import { eventLine } from "./event-text.ts";
import { SECURE_HELP, secureKeysFolder, Talk } from "./secure-chat.ts";

export const chat: Command = {
  name: "chat",
  summary: "talk with somebody in the terminal",
  help: () => `posthorn chat USER [options]

Type a line and press Enter. The prompt shows the link, its round trip and how many of your
messages are not yet durable at the service. Ctrl-C or Ctrl-D leaves; what was not sent goes out
next time.

  posthorn chat bob --user alice --url tcp://127.0.0.1:4370
  posthorn chat alice --user bob --url http://127.0.0.1:4370

${CONNECTION_HELP}${SECURE_HELP}`,
  run,
};

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  secure: { type: "boolean" },
  "to-device": { type: "string" },
  lifetime: { type: "string" },
  "replace-account": { type: "boolean" },
} as const;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  const [to] = positionals;
  if (to === undefined) throw new UsageError("with whom?");
  const secure = values.secure ? secureOptions(to, values) : undefined;
  const client = await connectBy(values, { start: secure ? "latest" : "earliest" });
  const screen = new ChatScreen(io, to);
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
      screen.onLine((text) => sendLine(client, screen, { to, text }));
      await printEvents(client, screen);
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

async function printEvents(client: Client, screen: ChatScreen): Promise<void> {
  for await (const event of client.events()) {
    const line = eventLine(event);
    if (line !== undefined) screen.print(line);
  }
}

interface SecureValues extends ConnectionValues {
  readonly "to-device"?: string | undefined;
  readonly lifetime?: string | undefined;
  readonly "replace-account"?: boolean | undefined;
}

function secureOptions(to: string, values: SecureValues) {
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

function sendLine(
  client: Client,
  screen: ChatScreen,
  message: { readonly to: string; readonly text: string },
): void {
  if (message.text === "") return screen.refresh();
  client.send(message.to, message.text).catch((error: unknown) => {
    if (client.status.state !== "closed") screen.print(`-- not sent: ${errorLine(error)} --`);
  });
}
