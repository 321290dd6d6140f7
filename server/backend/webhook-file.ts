import { X509Certificate } from "node:crypto";
import { isIPv4 } from "node:net";
import { DEVICE_ID_PATTERN, USER_ID_PATTERN } from "../../protocol/limits.ts";
import { TENANT_PATTERN } from "../auth/token.ts";
import { ConfigError } from "../config-error.ts";
import { webhookSecretIn } from "./webhook-signature.ts";

/** Who is told what reaches a user. [BCK-13] */
export interface WebhookSettings {
  /** In logs, in ids and in what is told. */
  readonly name: string;
  readonly tenant: string;
  readonly userId: string;
  /** Never logged: a path may be a secret. [BCK-25] */
  readonly url: URL;
  /** One, or two while one is replaced by another. */
  readonly secrets: readonly Uint8Array[];
  /** PEM: what certificates are checked with in place of the system's. */
  readonly ca: string | undefined;
}

/** The configuration key that names the file, for errors. */
const KEY = "backend.webhooksFile";
const WEBHOOKS_MAX = 256;
const SECRETS_MAX = 2;
const MEMBERS = ["name", "tenant", "user", "url", "secretFiles", "caFile"];

/**
 * Reads the webhooks of a file. Only who may write the operator's files says where requests go: no
 * method does. [BCK-13]
 *
 * @param readFile of paths from the working directory; throws what `node:fs` throws
 * @throws ConfigError
 */
export function webhooksIn(
  path: string,
  readFile: (path: string) => Uint8Array,
): readonly WebhookSettings[] {
  const read = (name: string) => {
    try {
      return Buffer.from(readFile(name)).toString("utf8");
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? "unreadable";
      throw new ConfigError({ key: KEY, problem: `cannot read ${name} (${reason})`, cause });
    }
  };
  const listed = listIn(path, read(path));
  const webhooks = listed.map((entry, index) => settingsOf(entry, `webhook ${index + 1}`, read));
  const names = webhooks.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw illegal(`two webhooks are named ${twice}`);
  return webhooks;
}

function listIn(path: string, text: string): readonly unknown[] {
  let parsed: { readonly webhooks?: unknown };
  try {
    parsed = JSON.parse(text);
  } catch {
    // What the parser says quotes the file, which holds addresses.
    throw illegal(`${path} is not JSON`);
  }
  const { webhooks, ...rest } = parsed ?? {};
  if (!Array.isArray(webhooks) || Object.keys(rest).length > 0) {
    throw illegal(`${path} is not {"webhooks": [...]}`);
  }
  if (webhooks.length > WEBHOOKS_MAX) throw illegal(`holds more than ${WEBHOOKS_MAX} webhooks`);
  return webhooks;
}

function settingsOf(
  entry: unknown,
  where: string,
  read: (path: string) => string,
): WebhookSettings {
  if (typeof entry !== "object" || entry === null) throw illegal(`${where} is no object`);
  const unknown = Object.keys(entry).find((member) => !MEMBERS.includes(member));
  if (unknown !== undefined) throw illegal(`${where} has no member ${JSON.stringify(unknown)}`);
  const { name, tenant = "", user, url, secretFiles, caFile } = entry as Record<string, unknown>;
  const files: readonly unknown[] = Array.isArray(secretFiles) ? secretFiles : [];
  if (files.length < 1 || files.length > SECRETS_MAX) {
    throw illegal(`${where}: secretFiles must name one file, or two`);
  }
  const text = (member: string, value: unknown, pattern: RegExp) => {
    if (typeof value === "string" && pattern.test(value)) return value;
    throw illegal(`${where}: ${member} does not match ${pattern.source}`);
  };
  return {
    name: text("name", name, DEVICE_ID_PATTERN),
    tenant: text("tenant", tenant, TENANT_PATTERN),
    userId: text("user", user, USER_ID_PATTERN),
    url: urlIn(url, where),
    secrets: files.map((file) => secretIn(text("secretFiles", file, /./), read)),
    ca: caFile === undefined ? undefined : certificateIn(text("caFile", caFile, /./), read),
  };
}

/** Errors do not repeat it. [BCK-25] */
function urlIn(value: unknown, where: string): URL {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined) throw illegal(`${where}: url is no URL`);
  if (url.username !== "" || url.password !== "" || url.hash !== "") {
    throw illegal(`${where}: url must have no user, password or fragment`);
  }
  const isClear = url.protocol === "http:" && isThisMachine(url.hostname);
  if (url.protocol === "https:" || isClear) return url;
  throw illegal(`${where}: url must be https; http is for this machine only`);
}

function isThisMachine(host: string): boolean {
  return host === "localhost" || host === "[::1]" || (isIPv4(host) && host.startsWith("127."));
}

function secretIn(file: string, read: (path: string) => string): Uint8Array {
  const secret = webhookSecretIn(read(file).trim());
  if (secret !== undefined) return secret;
  throw illegal(`${file} holds no secret: whsec_ and 24 to 64 bytes in base64`);
}

function certificateIn(file: string, read: (path: string) => string): string {
  const pem = read(file);
  try {
    new X509Certificate(pem);
  } catch {
    throw illegal(`${file} holds no certificate in PEM form`);
  }
  return pem;
}

function illegal(problem: string): ConfigError {
  return new ConfigError({ key: KEY, problem });
}
