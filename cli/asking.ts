import type { Client } from "../client/client.ts";
import { userIdOf } from "../client/conversations/conversations.ts";
import { CONNECTION_HELP, type ConnectionValues, connectBy, deviceOf } from "./connection.ts";

/** For commands that only ask: they leave nothing behind. */
export const ASKING_HELP = CONNECTION_HELP.replace(
  /^ {2}--token-file .*\n(?: {4,}.*\n)*/m,
  "  --token-file FILE  your token\n",
)
  .replace(
    /^ {2}--device .*\n/m,
    "  --device NAME      this device's name [the host's name and -ask]\n",
  )
  .replace(/^ {2}--(?:journal|temporary) .*\n/gm, "");

/**
 * Attaches for as long as something is asked. Under a name of its own: the session of a chat on
 * this device goes on.
 */
export async function asking<Answer>(
  values: ConnectionValues,
  ask: (client: Client, userId: string) => Promise<Answer>,
): Promise<Answer> {
  const device = values.device ?? `${deviceOf(values).slice(0, 60)}-ask`;
  const client = await connectBy({ ...values, device, temporary: true }, { start: "latest" });
  try {
    return await ask(client, await userIdOf(client));
  } finally {
    await client.close();
  }
}
