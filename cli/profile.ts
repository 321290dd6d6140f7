import { userIdOf } from "../client/conversations/conversations.ts";
import type { UserProfile } from "../client/users/events.ts";
import { type ListedProfile, type Users, usersOf } from "../client/users/users.ts";
import { readArguments, readPositionals } from "./arguments.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import { CONNECTION_HELP, CONNECTION_OPTIONS, connectBy } from "./connection.ts";
import { oneLine, profileText } from "./event-text.ts";

export const profile: Command = {
  name: "profile",
  summary: "see what users say of themselves, and say it yourself",
  help: () => `posthorn profile [show USER... | set] [options]

Shows your own profile or those of others, or sets yours in place of the one before: what is not
said is empty from then on. A name proves nothing; anybody may take any.

  posthorn profile --user alice
  posthorn profile set --name "Alice" --about "at sea until May" --user alice
  posthorn profile show bob carol --user alice

${CONNECTION_HELP}  --name TEXT        what people call you, with set
  --about TEXT       what there is to say of you, with set
  --avatar URI       where your picture is, with set
  --json             one JSON line for each user

This command attaches as a device. Say --device where another program is attached as this one: only
one of them can be.
`,
  run,
};

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  name: { type: "string" },
  about: { type: "string" },
  avatar: { type: "string" },
  json: { type: "boolean" },
} as const;

type Work = (users: Users, ownId: () => Promise<string>) => Promise<readonly ListedProfile[]>;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  const { name, about, avatar } = values;
  const said: Partial<UserProfile> = {
    ...(name !== undefined && { displayName: name }),
    ...(about !== undefined && { about }),
    ...(avatar !== undefined && { avatarUri: avatar }),
  };
  const work = workOf(positionals, said);
  const client = await connectBy(values, { start: "latest" });
  try {
    for (const { userId, profile: shown } of await work(usersOf(client), () => userIdOf(client))) {
      const line = values.json
        ? JSON.stringify({ userId, ...shown })
        : `${oneLine(userId)} ${profileText(shown)}`;
      io.stdout.write(`${line}\n`);
    }
  } finally {
    await client.close();
  }
  return EXIT.done;
}

/** @throws UsageError before anything is connected */
function workOf([verb, ...rest]: readonly string[], said: Partial<UserProfile>): Work {
  const saysNothing = Object.keys(said).length === 0;
  if (!saysNothing && verb !== "set") {
    throw new UsageError("--name, --about and --avatar go with set");
  }
  switch (verb) {
    case undefined:
      return async (users, ownId) => await users.profiles([await ownId()]);
    case "show":
      if (rest.length === 0) throw new UsageError("USER is missing");
      return (users) => users.profiles(rest);
    case "set":
      readPositionals({ positionals: rest }, []);
      if (saysNothing) throw new UsageError("set what? --name, --about or --avatar");
      return async (users, ownId) => {
        await users.changeProfile(said);
        return await users.profiles([await ownId()]);
      };
    default:
      throw new UsageError(`${JSON.stringify(verb)}: show or set`);
  }
}
