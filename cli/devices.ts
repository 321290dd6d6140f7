import type { Client } from "../client/client.ts";
import { endDevice, nameDevice } from "../client/operations.ts";
import { SessionError } from "../client/results.ts";
import { DevicesService } from "../gen/posthorn/v1/devices_pb.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { readArguments, readPositionals } from "./arguments.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import { CONNECTION_HELP, CONNECTION_OPTIONS, connectBy, deviceOf } from "./connection.ts";

import { jsonLine, oneLine } from "./event-text.ts";
import { columns } from "./terminal.ts";

export const devices: Command = {
  name: "devices",
  summary: "list your devices, name them, end one that is lost",
  help: () => `posthorn devices [list | name DEVICE NAME | end DEVICE] [options]

Lists your devices, gives one a name, or ends one for ever: its session closes at once, and it
never attaches again. An empty name takes a name away.

  posthorn devices --user alice
  posthorn devices name phone "Alice's phone" --user alice
  posthorn devices end phone --user alice

${CONNECTION_HELP}  --json             one JSON line for each device, or for what was done

This command attaches as a device as well. Say --device where another program is attached as this
one: only one of them can be.
`,
  run,
};

const OPTIONS = { ...CONNECTION_OPTIONS, json: { type: "boolean" } } as const;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  const work = workOf(positionals, { io, json: values.json ?? false, ownId: deviceOf(values) });
  const client = await connectBy(values, { start: "latest" });
  try {
    await work(client);
  } finally {
    await client.close();
  }
  return EXIT.done;
}

interface Asked {
  readonly io: CommandIo;
  readonly json: boolean;
  /** The device that asks. */
  readonly ownId: string;
}

type Work = (client: Client) => Promise<void>;

/** @throws UsageError before anything is connected */
function workOf([verb = "list", ...rest]: readonly string[], asked: Asked): Work {
  switch (verb) {
    case "list":
      readPositionals({ positionals: rest }, []);
      return (client) => list(client, asked);
    case "name": {
      const [deviceId = "", name = ""] = readPositionals({ positionals: rest }, ["DEVICE", "NAME"]);
      return async (client) => {
        await client.submit(nameDevice(deviceId, name));
        tell(asked, { deviceId, name }, `${deviceId} is named ${name}`);
      };
    }
    case "end": {
      const [deviceId = ""] = readPositionals({ positionals: rest }, ["DEVICE"]);
      return async (client) => {
        await end(client, deviceId, asked);
        tell(asked, { deviceId, ended: true }, `${deviceId} is ended`);
      };
    }
    default:
      throw new UsageError(`${JSON.stringify(verb)}: list, name or end`);
  }
}

/** A device that is told of its own end may hear of it before the result. [DEV-3] */
async function end(client: Client, deviceId: string, { ownId }: Asked): Promise<void> {
  try {
    await client.submit(endDevice(deviceId));
  } catch (error) {
    const isOwn = deviceId === ownId && error instanceof SessionError;
    if (!isOwn || error.code !== ErrorCode.DEVICE_ENDED) throw error;
  }
}

function tell({ io, json }: Asked, told: object, text: string): void {
  io.stdout.write(json ? `${jsonLine(told)}\n` : `${oneLine(text)}\n`);
}

async function list(client: Client, { io, json }: Asked): Promise<void> {
  const answer = await client.call(DevicesService.method.list, {});
  const rows = answer.devices.map(({ deviceId, name, ended, asking, ...times }) => ({
    deviceId,
    name,
    firstAttachedMs: Number(times.firstAttachedMs),
    lastAttachedMs: Number(times.lastAttachedMs),
    ended,
    asking,
  }));
  for (const row of json ? rows : []) io.stdout.write(`${jsonLine(row)}\n`);
  if (json) return;
  const named = rows.map(({ deviceId, name, lastAttachedMs, ended, asking }) => {
    const last = lastAttachedMs === 0 ? "never attached" : timeText(lastAttachedMs);
    const state = ended ? ", ended" : asking ? ", this one" : "";
    const called = name === "" ? "" : `  ${name}`;
    return [oneLine(deviceId), oneLine(`${last}${state}${called}`)] as const;
  });
  io.stdout.write(columns(named));
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}
