import type { ClientEvent } from "../client/events.ts";
import { readArguments, readPositionals } from "./arguments.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import { CONNECTION_HELP, CONNECTION_OPTIONS, connectBy } from "./connection.ts";
import { eventLine, jsonLine } from "./event-text.ts";

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
    const line = values.json ? jsonLine(jsonEvent(event)) : eventLine(event);
    if (event.kind === "packet" || line === undefined) continue;
    io.stdout.write(`${line}\n`);
    count += 1;
    if (count >= countMax) stop();
  }
  await client.close();
  return EXIT.done;
}

/** Bytes as base64: JSON has none. */
export function jsonEvent(event: ClientEvent): object {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  if (event.kind === "unknown") return { ...event, event: base64(event.event) };
  if (event.kind !== "message" || typeof event.content === "string") return event;
  const { content } = event;
  if (content instanceof Uint8Array) return { ...event, content: { base64: base64(content) } };
  if (content.kind === "location" || content.sha256 === undefined) return event;
  return { ...event, content: { ...content, sha256: base64(content.sha256) } };
}
