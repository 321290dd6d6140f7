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
  readonly #to: string;
  readonly #lines: Interface;
  #prompt = "";

  constructor(io: CommandIo, to: string) {
    this.#io = io;
    this.#to = to;
    const terminal = Boolean(io.stdin.isTTY && io.stdout.isTTY);
    this.#lines = createInterface({ input: io.stdin, output: io.stdout, terminal, prompt: "" });
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
    if (!this.isTerminal) return;
    this.#prompt = `[${statusText(status)}] ${this.#to}> `;
    this.refresh();
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
