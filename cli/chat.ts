import { createInterface, type Interface } from "node:readline";
import type { Client } from "../client/client.ts";
import type { ClientStatus } from "../client/options.ts";
import { errorRule } from "../gen/posthorn/v1/error_rules.ts";
import { readArguments } from "./arguments.ts";
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

/**
 * The terminal: messages above, a prompt with the status below. Plain lines where it is not a
 * terminal.
 */
class ChatScreen {
  readonly #io: CommandIo;
  readonly #to: string;
  readonly #lines: Interface;
  #prompt = "";

  constructor(io: CommandIo, to: string) {
    this.#io = io;
    this.#to = to;
    const terminal = Boolean(io.stdin.isTTY && io.stdout.isTTY);
    this.#lines = createInterface({ input: io.stdin, output: io.stdout, terminal, prompt: "" });
  }

  get #terminal(): boolean {
    return this.#lines.terminal;
  }

  onLine(listener: (text: string) => void): void {
    this.#lines.on("line", listener);
  }

  onEnd(listener: () => void): void {
    this.#lines.on("close", listener);
    this.#lines.on("SIGINT", () => this.#lines.close());
  }

  status(status: ClientStatus): void {
    if (!this.#terminal) return;
    this.#prompt = `[${statusText(status)}] ${this.#to}> `;
    this.refresh();
  }

  refresh(): void {
    if (!this.#terminal) return;
    this.#lines.setPrompt(this.#prompt);
    this.#lines.prompt(true);
  }

  print(line: string): void {
    if (this.#terminal) this.#io.stdout.write("\r\x1b[2K");
    this.#io.stdout.write(`${line}\n`);
    this.refresh();
  }

  close(): void {
    this.#lines.close();
    if (this.#terminal) this.#io.stdout.write("\n");
  }
}

function statusText({
  state,
  link,
  trust,
  roundTripMs,
  unsettledCount,
  error,
}: ClientStatus): string {
  const waiting = unsettledCount > 0 ? ` ${unsettledCount} unsent` : "";
  if (state !== "open") {
    const why = error === undefined ? "" : ` ${errorRule(error).name}`;
    return `${state}${why}${waiting}`;
  }
  const trip = roundTripMs === undefined ? "" : ` ${Math.round(roundTripMs)}ms`;
  const sealed = trust === undefined ? "" : ` ${trust === "none" ? "unverified" : trust}`;
  return `${link ?? ""}${sealed}${trip}${waiting}`;
}
