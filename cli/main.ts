#!/usr/bin/env node
import { nearest } from "../server/nearest.ts";
import { chat } from "./chat.ts";
import { type Command, type CommandIo, EXIT, errorLine, exitOf, UsageError } from "./command.ts";
import { contacts } from "./contacts.ts";
import { devices } from "./devices.ts";
import { history } from "./history.ts";
import { identity } from "./identity.ts";
import { profile } from "./profile.ts";
import { rooms } from "./rooms.ts";
import { send } from "./send.ts";
import { serve } from "./serve.ts";
import { tail } from "./tail.ts";
import { columns } from "./terminal.ts";
import { token } from "./token.ts";
import { version } from "./version.ts";

const COMMANDS: readonly Command[] = [
  serve,
  chat,
  send,
  tail,
  rooms,
  history,
  contacts,
  profile,
  devices,
  token,
  identity,
];
const HELP = new Set(["--help", "-h"]);

function help(): string {
  return `posthorn COMMAND [options]

One session, any transport, nothing lost, nothing twice.

${columns(COMMANDS.map(({ name, summary }) => [name, summary]))}
A first chat, in three terminals:
  posthorn serve
  posthorn chat bob --user alice --url tcp://127.0.0.1:4370
  posthorn chat alice --user bob --url ws://127.0.0.1:4370

posthorn COMMAND --help says more; posthorn --version prints the version.
Exit status: 0 done, 1 failed, 2 called or configured wrongly.
`;
}

async function main(args: readonly string[], io: CommandIo): Promise<number> {
  const [first, ...rest] = args;
  if (first === undefined) {
    io.stderr.write(help());
    return EXIT.usage;
  }
  const asked = first === "help" ? rest[0] : undefined;
  const command = COMMANDS.find(({ name }) => name === (asked ?? first));
  try {
    if (HELP.has(first) || (first === "help" && asked === undefined)) io.stdout.write(help());
    else if (first === "--version") io.stdout.write(`${version()}\n`);
    else if (command === undefined) throw unknownCommand(asked ?? first);
    else if (asked !== undefined || asksForHelp(rest)) io.stdout.write(command.help());
    else return await runCommand(command, rest, io);
    return EXIT.done;
  } catch (error) {
    io.stderr.write(`posthorn: ${errorLine(error)}\n`);
    if (error instanceof UsageError) {
      const more = command === undefined ? "posthorn --help" : `posthorn ${command.name} --help`;
      io.stderr.write(`${more} says more.\n`);
    }
    return exitOf(error);
  }
}

function unknownCommand(name: string): UsageError {
  const meant = nearest(name, [...COMMANDS.map((command) => command.name), "--help", "--version"]);
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  return new UsageError(`no command ${JSON.stringify(name)}${hint}`);
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end === -1 ? args.length : end).some((arg) => HELP.has(arg));
}

function runCommand(command: Command, args: readonly string[], io: CommandIo): Promise<number> {
  io.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    // As with `posthorn tail | head`: who only prints has nothing left to do.
    if (command.outlivesReader !== true) process.exit(EXIT.done);
  });
  return command.run(args, io);
}

const { argv, env, stdin, stdout, stderr } = process;
process.exitCode = await main(argv.slice(2), { env, stdin, stdout, stderr });
