import { lookUp, verified } from "../client/secure/directory.ts";
import { NATIVE_CRYPTO } from "../platform/native-crypto.ts";
import { USER_ID_PATTERN } from "../protocol/limits.ts";
import { JudgedCertificates } from "../protocol/secure/judged-certificates.ts";
import { readArguments } from "./arguments.ts";
import { ASKING_HELP, asking } from "./asking.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";
import { CONNECTION_OPTIONS } from "./connection.ts";

export const devices: Command = {
  name: "devices",
  summary: "list the devices of a user that take secure chats",
  help: () => `posthorn devices [USER] [options]

Lists the devices that a user's account has vouched for, yours unless you say whose: those that
"posthorn chat --secure" reaches. The service can leave some out, but cannot add any; whether the
account is really the user's is what safety numbers show.

  posthorn devices --user alice
  posthorn devices bob --user alice --json

${ASKING_HELP}  --json             one JSON line for each
`,
  run,
};

const OPTIONS = { ...CONNECTION_OPTIONS, json: { type: "boolean" } } as const;

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  const [user, more] = positionals;
  if (more !== undefined) throw new UsageError(`${JSON.stringify(more)} is one argument too many`);
  if (user !== undefined && !USER_ID_PATTERN.test(user)) {
    throw new UsageError(`${JSON.stringify(user)} is nobody's name`);
  }
  const listed = await asking(values, (client, own) =>
    lookUp(client, NATIVE_CRYPTO, { userId: user ?? own }),
  );
  if (listed === undefined) return EXIT.done;
  const vouchedFor = verified(listed, new JudgedCertificates(NATIVE_CRYPTO), Date.now()).devices;
  for (const { userId, deviceId, createdMs, expiresMs } of vouchedFor) {
    const shown = { userId, deviceId, createdMs, expiresMs };
    const since = new Date(createdMs).toISOString().slice(0, 10);
    const line = values.json ? JSON.stringify(shown) : `${userId}/${deviceId}, since ${since}`;
    io.stdout.write(`${line}\n`);
  }
  return EXIT.done;
}
