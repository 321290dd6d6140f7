import { readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { type Client, connect } from "../client/client.ts";
import type { Dialer } from "../client/dialer.ts";
import { memoryJournal } from "../client/memory-journal.ts";
import { dialersOf, fileJournal, nodeEnvelope, nodeLogin, pinsOf } from "../client/node.ts";
import type { ServiceEnvelope } from "../client/service-envelope.ts";
import { UsageError } from "./command.ts";
import { knownService } from "./known-services.ts";
import { version } from "./version.ts";

const KNOWN_SERVICES = join(homedir(), ".posthorn", "known-services.json");

/** The options with which commands reach a service; shared by chat, send and tail. */
export const CONNECTION_OPTIONS = {
  url: { type: "string", multiple: true },
  user: { type: "string" },
  device: { type: "string" },
  "token-file": { type: "string" },
  journal: { type: "string" },
  temporary: { type: "boolean" },
  seal: { type: "string" },
} as const;

export const CONNECTION_HELP = `  --url URL          tcp:// tls:// ws:// wss:// http:// https://, best first, may repeat;
                     or posthorn://HOST:PORT for all three transports [posthorn://127.0.0.1:4370]
  --user NAME        who you are, where the service runs without authentication
  --token-file FILE  your token; where it may leave, it registers a key in the journal's folder,
                     by which this device logs in where it may not, and without it
  --device NAME      this device's name [the host's name]
  --journal FOLDER   where the device keeps its outbox and cursor [~/.posthorn/USER-DEVICE]
  --seal MODE        seals links to a URL without #pin=: first-seen (remembers who was there
                     first, and stops when it is somebody else) or unverified
  --temporary        keep them in memory only: nothing is left behind
`;

export interface ConnectionValues {
  readonly url?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly device?: string | undefined;
  readonly "token-file"?: string | undefined;
  readonly journal?: string | undefined;
  readonly temporary?: boolean | undefined;
  readonly seal?: string | undefined;
}

/** Attaches as the options say. */
export async function connectBy(
  values: ConnectionValues,
  part: { readonly start: "earliest" | "latest" },
): Promise<Client> {
  const urls = urlsOf(values);
  const dialers: Dialer[] = urls.flatMap((url) => dialersFrom(url, values.seal));
  const tokenFile = values["token-file"];
  const token = tokenFile === undefined ? "" : () => readFileSync(tokenFile, "utf8").trim();
  const userId = values.user ?? "";
  if (userId === "" && token === "")
    throw new UsageError("say who you are: --user or --token-file");
  const deviceId = deviceOf(values);
  const folder = values.journal ?? join(homedir(), ".posthorn", `${userId || "token"}-${deviceId}`);
  const journal = values.temporary ? memoryJournal() : await fileJournal(folder);
  const agent = `posthorn-cli/${version()}`;
  const login = values.temporary ? {} : { login: nodeLogin(loginPath(folder, urls)) };
  return connect({ dialers, deviceId, userId, token, journal, agent, ...login, ...part });
}

/** Where the service is, best first. */
export function urlsOf({ url }: ConnectionValues): readonly string[] {
  return url ?? ["posthorn://127.0.0.1:4370"];
}

/** This device's name. */
export function deviceOf({ device }: ConnectionValues): string {
  const named = hostname().replace(/[^A-Za-z0-9._-]/g, "-");
  return device ?? named.slice(0, 64);
}

/** Of the service at the first URL alone: no two services may share a device's secret. [ENV-55] */
function loginPath(folder: string, [url = ""]: readonly string[]): string {
  return join(folder, `login-${encodeURIComponent(new URL(url).host)}.json`);
}

function dialersFrom(url: string, mode: string | undefined): Dialer[] {
  try {
    return dialersOf(url.split("#")[0] as string, envelopeFor(url, mode));
  } catch (cause) {
    throw cause instanceof TypeError ? new UsageError(`--url: ${cause.message}`) : cause;
  }
}

/** Whom a URL's links are sealed to; undefined: to nobody. */
function envelopeFor(url: string, mode: string | undefined): ServiceEnvelope | undefined {
  const pins = pinsOf(url);
  const memory = knownService(KNOWN_SERVICES, new URL(url).host);
  if (pins.length > 0) return nodeEnvelope({ trust: pins, memory });
  switch (mode) {
    case undefined:
      return undefined;
    case "first-seen":
      return nodeEnvelope({ trust: "first-seen", memory });
    case "unverified":
      return nodeEnvelope({ trust: "none" });
    default:
      throw new UsageError(`--seal ${mode}: first-seen or unverified`);
  }
}
