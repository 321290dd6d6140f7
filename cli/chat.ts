import type { Client } from "../client/client.ts";
import { readArguments } from "./arguments.ts";
import { ChatScreen } from "./chat-screen.ts";
import { type Command, type CommandIo, EXIT, errorLine, UsageError } from "./command.ts";
import { CONNECTION_HELP, CONNECTION_OPTIONS, connectBy } from "./connection.ts";
import { eventLine } from "./tail.ts";

export const chat: Command = {
  name: "chat",
  summary: "talk with somebody in the terminal",
  help: () => `posthorn chat USER [options]

Type a line and press Enter. The prompt shows the link, its round trip and how many of your
messages are not yet durable at the service. Ctrl-C or Ctrl-D leaves; what was not sent goes out
next time.

  posthorn chat bob --user alice --url tcp://127.0.0.1:4370
  posthorn chat alice --user bob --url http://127.0.0.1:4370

${CONNECTION_HELP}`,
  run,
};

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = readArguments(args, CONNECTION_OPTIONS);
  const [to] = positionals;
  if (to === undefined) throw new UsageError("with whom?");
  const client = await connectBy(values, { start: "earliest" });
  const screen = new ChatScreen(io, to);
  client.onStatus((status) => screen.status(status));
  screen.status(client.status);
  const leave = () => void client.close().catch(() => {});
  screen.onLine((text) => sendLine(client, screen, { to, text }));
  screen.onEnd(leave);
  process.once("SIGTERM", leave);
  try {
    for await (const event of client.events()) {
      const line = eventLine(event);
      if (line !== undefined) screen.print(line);
    }
    return EXIT.done;
  } finally {
    screen.close();
    await client.close();
  }
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
