import type { Client } from "../client/client.ts";
import type { UserContact } from "../client/users/events.ts";
import { type Users, usersOf } from "../client/users/users.ts";
import { readArguments, readPositionals } from "./arguments.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import { CONNECTION_HELP, CONNECTION_OPTIONS, connectBy } from "./connection.ts";
import { oneLine } from "./event-text.ts";
import { columns } from "./terminal.ts";

export const contacts: Command = {
  name: "contacts",
  summary: "list whom you know and whom you block, and change that",
  help: () => `posthorn contacts [list | set USER [ALIAS] | remove USER...
                   | blocked | block USER... | unblock USER...] [options]

Lists your contacts, puts somebody on the list or says something else of it, or takes some off it:
only you see that list. Whom you block can send you nothing, nor you them, bring you into no group
and see nothing of you: they are told so when they write.

  posthorn contacts --user alice
  posthorn contacts set bob "Bob, upstairs" --note "has a key" --user alice
  posthorn contacts block mallory --user alice

${CONNECTION_HELP}  --note TEXT        what you have noted, with set
  --json             one JSON line for each user, or for what was done

This command attaches as a device. Say --device where another program is attached as this one: only
one of them can be.
`,
  run,
};

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  note: { type: "string" },
  json: { type: "boolean" },
} as const;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  const work = workOf(positionals, { io, json: values.json ?? false, note: values.note });
  const client: Client = await connectBy(values, { start: "latest" });
  try {
    await work(usersOf(client));
  } finally {
    await client.close();
  }
  return EXIT.done;
}

interface Asked {
  readonly io: CommandIo;
  readonly json: boolean;
  readonly note: string | undefined;
}

type Work = (users: Users) => Promise<void>;

/** @throws UsageError before anything is connected */
function workOf([verb = "list", ...rest]: readonly string[], asked: Asked): Work {
  if (asked.note !== undefined && verb !== "set") throw new UsageError("--note goes with set");
  switch (verb) {
    case "list":
      readPositionals({ positionals: rest }, []);
      return async (users) => print(asked, (await users.contacts()).items, contactLine);
    case "blocked":
      readPositionals({ positionals: rest }, []);
      return async (users) => {
        const blocked = (await users.blocked()).items.map((userId) => ({ userId }));
        print(asked, blocked, ({ userId }) => [userId, ""]);
      };
    case "set": {
      const [userId = "", alias = ""] = readPositionals(
        { positionals: rest },
        rest.length > 1 ? ["USER", "ALIAS"] : ["USER"],
      );
      const contact = { userId, alias, note: asked.note ?? "" };
      return async (users) => {
        await users.changeContacts({ set: [contact] });
        tell(asked, contact, `${userId} is on your list`);
      };
    }
    default:
      return changeOf(verb, rest, asked);
  }
}

const CHANGES: Readonly<
  Record<string, (users: Users, userIds: readonly string[]) => Promise<unknown>>
> = {
  remove: (users, remove) => users.changeContacts({ remove }),
  block: (users, userIds) => users.block(userIds),
  unblock: (users, userIds) => users.unblock(userIds),
};
const DONE: Readonly<Record<string, string>> = {
  remove: "not on your list",
  block: "blocked",
  unblock: "not blocked",
};

function changeOf(verb: string, userIds: readonly string[], asked: Asked): Work {
  const change = Object.hasOwn(CHANGES, verb) ? CHANGES[verb] : undefined;
  if (change === undefined) {
    const verbs = "list, set, remove, blocked, block or unblock";
    throw new UsageError(`${JSON.stringify(verb)}: ${verbs}`);
  }
  if (userIds.length === 0) throw new UsageError("USER is missing");
  return async (users) => {
    await change(users, userIds);
    for (const userId of userIds) {
      tell(asked, { userId, done: verb }, `${userId}: ${DONE[verb]}`);
    }
  };
}

function contactLine({ userId, alias, note }: UserContact): readonly [string, string] {
  return [userId, [alias, note].filter((text) => text !== "").join("  ")];
}

function print<Row extends object>(
  { io, json }: Asked,
  rows: readonly Row[],
  lineOf: (row: Row) => readonly [string, string],
): void {
  for (const row of json ? rows : []) io.stdout.write(`${JSON.stringify(row)}\n`);
  if (json) return;
  const lines = rows.map((row) => {
    const [userId, text] = lineOf(row);
    return [oneLine(userId), oneLine(text)] as const;
  });
  io.stdout.write(columns(lines));
}

function tell({ io, json }: Asked, told: object, text: string): void {
  io.stdout.write(json ? `${JSON.stringify(told)}\n` : `${oneLine(text)}\n`);
}
