import { createInterface } from "node:readline";
import { readArguments } from "./arguments.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import { CONNECTION_HELP, CONNECTION_OPTIONS, connectBy } from "./connection.ts";

export const send: Command = {
  name: "send",
  summary: "send messages and wait until they are durable",
  help: () => `posthorn send USER [TEXT ...] [options]

Sends one message of the words given, or one a line from standard input.

  posthorn send bob Hello there --user alice
  tail -f app.log | posthorn send ops --user bot --url ws://127.0.0.1:4370

${CONNECTION_HELP}  --json             one JSON line for each message that became durable
`,
  run,
};

const OPTIONS = { ...CONNECTION_OPTIONS, json: { type: "boolean" } } as const;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  const [to, ...words] = positionals;
  if (to === undefined) throw new UsageError("to whom?");
  const client = await connectBy(values, { start: "latest" });
  let sentCount = 0;
  const sendOne = async (text: string) => {
    const result = await client.send(to, text);
    sentCount += 1;
    const { conversationSeq, committedMs } = result;
    if (values.json) io.stdout.write(`${JSON.stringify({ conversationSeq, committedMs })}\n`);
    else if (io.stderr.isTTY) io.stderr.write(`\r${sentCount} durable`);
  };
  try {
    if (words.length > 0) await sendOne(words.join(" "));
    else await sendLines(io, sendOne);
  } finally {
    await client.close();
  }
  if (io.stderr.isTTY && !values.json) io.stderr.write("\n");
  return EXIT.done;
}

const IN_FLIGHT_MAX = 256;

/** Sends as lines come, several in flight, in order. */
async function sendLines(io: CommandIo, sendOne: (text: string) => Promise<void>): Promise<void> {
  const inFlight = new Set<Promise<void>>();
  let failure: unknown;
  for await (const line of createInterface({ input: io.stdin })) {
    if (line === "") continue;
    const one = sendOne(line)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => inFlight.delete(one));
    inFlight.add(one);
    if (inFlight.size >= IN_FLIGHT_MAX) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
  if (failure !== undefined) throw failure;
}
