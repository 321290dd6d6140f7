import { existsSync } from "node:fs";
import { pinText } from "../protocol/envelope/identity.ts";
import { CONFIG_KEYS } from "../server/config-keys.ts";
import {
  announceNext,
  type Identities,
  identityPath,
  openIdentities,
  rotate,
} from "../server/envelope/identity-file.ts";
import { readArguments, readPositionals } from "./arguments.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import { columns } from "./terminal.ts";

export const identity: Command = {
  name: "identity",
  summary: "show the service's pin, and replace its identity",
  help: () => `posthorn identity [--data FOLDER] [--announce | --rotate] [--json]

Prints the pin by which devices know this service; the identity is made when there is none. To
replace it without a device noticing: announce the next one, restart the server, wait until devices
have been there, rotate, restart.

  --data FOLDER   the server's data folder [${CONFIG_KEYS.data.value}]
  --announce      make the next identity, and let devices pin it beside the present one
  --rotate        put the announced identity into force
  --classical     make one of Ed25519 alone, for devices that know no ML-DSA; only the first time
  --json          print the pins as one JSON line
`,
  run,
};

const OPTIONS = {
  data: { type: "string", default: CONFIG_KEYS.data.value },
  announce: { type: "boolean" },
  rotate: { type: "boolean" },
  classical: { type: "boolean" },
  json: { type: "boolean" },
} as const;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments(args, OPTIONS);
  readPositionals(parsed, []);
  const { data, announce, rotate: isRotating, classical, json } = parsed.values;
  if (announce && isRotating) throw new UsageError("--announce or --rotate, not both at once");
  if (classical && existsSync(identityPath(data))) {
    throw new UsageError(`${identityPath(data)} is there: an identity keeps its kind`);
  }
  const made = openIdentities(data, classical);
  const pins = pinsOf(announce ? announceNext(data) : isRotating ? rotate(data) : made);
  io.stdout.write(json ? `${JSON.stringify(pins)}\n` : columns(rowsOf(pins)));
  return EXIT.done;
}

interface Pins {
  readonly pin: string;
  readonly next: string | undefined;
  readonly former: readonly string[];
}

function pinsOf({ present, next, former }: Identities): Pins {
  return {
    pin: pinText(present.serverId),
    next: next && pinText(next.serverId),
    former: former.map(({ serverId }) => pinText(serverId)),
  };
}

function rowsOf({ pin, next, former }: Pins): (readonly [string, string])[] {
  return [
    ["pin", pin],
    ...(next === undefined ? [] : [["next", next] as const]),
    ...former.map((text) => ["former", text] as const),
  ];
}
