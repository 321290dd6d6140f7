import { createInterface, type Interface } from "node:readline";
import type { ClientStatus } from "../client/options.ts";
import { errorRule } from "../gen/posthorn/v1/error_rules.ts";
import type { CommandIo } from "./command.ts";

/**
 * The terminal: messages above, a prompt with the status below. Plain lines where it is not a
 * terminal.
 */
export class ChatScreen {
  readonly #io: CommandIo;
  #to: string;
  #status: ClientStatus | undefined;
  readonly #lines: Interface;
  #prompt = "";
  /** What the line that is being typed may become. */
  completer: (line: string) => [string[], string] = (line) => [[], line];

  constructor(io: CommandIo, to: string) {
    this.#io = io;
    this.#to = to;
    const terminal = Boolean(io.stdin.isTTY && io.stdout.isTTY);
    const completer = (line: string) => this.completer(line);
    const streams = { input: io.stdin, output: io.stdout };
    this.#lines = createInterface({ ...streams, terminal, prompt: "", completer });
  }

  get isTerminal(): boolean {
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
    this.#status = status;
    if (!this.isTerminal) return;
    this.#prompt = `[${statusText(status)}] ${this.#to}> `;
    this.refresh();
  }

  /** Whom one talks to. */
  set to(name: string) {
    if (name === this.#to) return;
    this.#to = name;
    if (this.#status !== undefined) this.status(this.#status);
  }

  refresh(): void {
    if (!this.isTerminal) return;
    this.#lines.setPrompt(this.#prompt);
    this.#lines.prompt(true);
  }

  print(line: string): void {
    if (this.isTerminal) this.#io.stdout.write("\r\x1b[2K");
    this.#io.stdout.write(`${line}\n`);
    this.refresh();
  }

  close(): void {
    this.#lines.close();
    if (this.isTerminal) this.#io.stdout.write("\n");
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
