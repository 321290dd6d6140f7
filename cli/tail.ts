import type { ClientEvent } from "../client/events.ts";
import { readArguments, readPositionals } from "./arguments.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import { CONNECTION_HELP, CONNECTION_OPTIONS, connectBy } from "./connection.ts";

export const tail: Command = {
  name: "tail",
  summary: "print the timeline as it grows, as text or JSON lines",
  help: () => `posthorn tail [options]

Prints each event of your timeline once, from where this device left off.

  posthorn tail --user bob
  posthorn tail --user bob --json --temporary --count 10

${CONNECTION_HELP}  --from-now         a new device begins with what comes from now on
  --count N          stop after N events
  --json             one JSON line an event
`,
  run,
};

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  "from-now": { type: "boolean" },
  count: { type: "string" },
  json: { type: "boolean" },
} as const;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments(args, OPTIONS);
  readPositionals(parsed, []);
  const { values } = parsed;
  const countMax = values.count === undefined ? Number.POSITIVE_INFINITY : Number(values.count);
  if (!(countMax > 0)) throw new UsageError(`--count: ${values.count}`);
  const start = values["from-now"] ? "latest" : "earliest";
  const client = await connectBy(values, { start });
  // Whether it could be closed is told at the end.
  const stop = () => void client.close().catch(() => {});
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  let count = 0;
  for await (const event of client.events()) {
    const line = values.json ? JSON.stringify(jsonEvent(event)) : eventLine(event);
    if (event.kind === "packet" || line === undefined) continue;
    io.stdout.write(`${line}\n`);
    count += 1;
    if (count >= countMax) stop();
  }
  await client.close();
  return EXIT.done;
}

/** Bytes as base64: JSON has none. */
function jsonEvent(event: ClientEvent): object {
  if (event.kind === "unknown") {
    return { ...event, event: Buffer.from(event.event).toString("base64") };
  }
  if (event.kind !== "message" || typeof event.content === "string") return event;
  return { ...event, content: { base64: Buffer.from(event.content).toString("base64") } };
}

/**
 * One event for people; nothing for packets of secure chats. Control characters of others must not
 * reach the terminal.
 */
export function eventLine(event: ClientEvent): string | undefined {
  switch (event.kind) {
    case "message": {
      const time = new Date(event.committedMs).toTimeString().slice(0, 8);
      const text = typeof event.content === "string" ? event.content : "(binary)";
      return `${time} ${event.senderUserId}: ${printable(text)}`;
    }
    case "lost":
      return `-- events ${event.from} to ${event.to} are no longer held by the service --`;
    case "epoch-changed":
      return "-- the service's timeline began anew --";
    case "packet":
      return undefined;
    case "directory":
      return `-- ${printable(event.userId)} has other devices than before --`;
    case "device": {
      const what = event.change === "ended" ? "was ended" : `is named ${printable(event.name)}`;
      return `-- your device ${printable(event.deviceId)} ${what} --`;
    }
    case "unknown":
      return `-- event ${event.seq} of a kind that this version does not know --`;
  }
}

export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is replaced
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\u00b7");
}
