import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { DEVICE_ID_PATTERN, USER_ID_PATTERN } from "../protocol/limits.ts";
import {
  type KeySource,
  newKeyTexts,
  newSecretText,
  secretFrom,
  signingKeyFrom,
  type TokenKey,
} from "../server/auth/keys.ts";
import { signToken, TENANT_PATTERN } from "../server/auth/token.ts";
import { newWebhookSecretText } from "../server/backend/webhook-signature.ts";
import { ConfigError } from "../server/config-error.ts";
import { readNamed } from "../server/config-file.ts";
import { durationMs } from "../server/config-values.ts";
import { readArguments, readPositionals } from "./arguments.ts";
import { type Command, type CommandIo, EXIT, UsageError } from "./command.ts";

export const token: Command = {
  name: "token",
  summary: "make tokens, and the keys they are signed with",
  help: () => `posthorn token USER (--secret-file FILE | --private-key FILE) [options]
posthorn token BACKEND --backend (--secret-file FILE | --private-key FILE) [options]
posthorn token --new-secret FILE
posthorn token --new-key FILE
posthorn token --new-webhook-secret FILE

Prints a JSON Web Token with which a user's devices attach. With a secret, whoever checks tokens can
make them too; with a key pair the server needs only the public half.

  posthorn token --new-secret secret.key
  posthorn serve --auth-hmac-secret-file secret.key
  posthorn token alice --secret-file secret.key --expires 12h > alice.token
  posthorn chat bob --token-file alice.token

  posthorn token --new-key signing.jwk
  posthorn serve --auth-public-key-files signing.jwk.pub
  posthorn token alice --private-key signing.jwk --device phone

  --secret-file FILE    sign with HS256 [$${SECRET_VARIABLE}]
  --private-key FILE    sign with a PEM or JWK private key: Ed25519, P-256 or RSA
  --expires TIME        90m, 12h, 30d [1h]
  --backend             for a program of yours that sends as any user, and is none itself
  --device ID           good for this device only
  --tenant NAME         the user's tenant
  --issuer NAME         [$${ISSUER_VARIABLE}]
  --audience NAME       [$${AUDIENCE_VARIABLE}]
  --json                print the token with its user and its end as one JSON line
  --new-secret FILE     make an HS256 secret, readable by you only
  --new-key FILE        make an Ed25519 key pair: FILE, readable by you only, and FILE.pub;
                        as JWK where FILE ends in .jwk or .json, otherwise as PEM
  --new-webhook-secret FILE
                        make a secret that requests of webhooks are signed with
`,
  run,
};

/** What the server is configured with goes for the tokens made beside it. */
const SECRET_VARIABLE = "POSTHORN_AUTH_HMAC_SECRET_FILE";
const ISSUER_VARIABLE = "POSTHORN_AUTH_ISSUER";
const AUDIENCE_VARIABLE = "POSTHORN_AUTH_AUDIENCE";

const OPTIONS = {
  "secret-file": { type: "string" },
  "private-key": { type: "string" },
  expires: { type: "string" },
  backend: { type: "boolean" },
  device: { type: "string" },
  tenant: { type: "string" },
  issuer: { type: "string" },
  audience: { type: "string" },
  json: { type: "boolean" },
  "new-secret": { type: "string" },
  "new-key": { type: "string" },
  "new-webhook-secret": { type: "string" },
} as const;
type Values = ReturnType<typeof readArguments<typeof OPTIONS>>["values"];

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments(args, OPTIONS);
  const { values } = parsed;
  const newSecret = values["new-secret"];
  const newKey = values["new-key"];
  const newWebhookSecret = values["new-webhook-secret"];
  if (newSecret === undefined && newKey === undefined && newWebhookSecret === undefined) {
    const [userId = ""] = readPositionals(parsed, ["USER"]);
    return printToken(userId, values, io);
  }
  readPositionals(parsed, []);
  if (Object.keys(values).length > 1) throw new UsageError("a key is made alone, without options");
  if (newSecret !== undefined) makeSecret(newSecret, io);
  if (newKey !== undefined) await makeKeyPair(newKey, io);
  if (newWebhookSecret !== undefined) makeWebhookSecret(newWebhookSecret, io);
  return EXIT.done;
}

async function printToken(userId: string, values: Values, io: CommandIo): Promise<number> {
  const { device, tenant, expires = "1h", backend: isBackend } = values;
  if (isBackend && device !== undefined) throw new UsageError("--device: a backend has none");
  checkName({ key: "USER", name: userId, pattern: USER_ID_PATTERN });
  checkName({ key: "--device", name: device, pattern: DEVICE_ID_PATTERN });
  checkName({ key: "--tenant", name: tenant, pattern: TENANT_PATTERN });
  const goodForMs = durationMs(expires) ?? 0;
  if (goodForMs < 1000 || goodForMs > EXPIRES_MS_MAX) {
    throw new UsageError(`--expires: "${expires}" is no time such as 90m, 12h or 30d`);
  }
  const issuedAtMs = Date.now();
  const expiresAtMs = issuedAtMs + goodForMs;
  const text = await signToken(signingKey(values, io.env), {
    userId,
    isBackend,
    deviceId: device,
    tenant,
    issuer: values.issuer ?? (io.env[ISSUER_VARIABLE] || undefined),
    audience: values.audience ?? (io.env[AUDIENCE_VARIABLE] || undefined),
    issuedAtMs,
    expiresAtMs,
  });
  const whose = isBackend ? { backend: userId } : { userId };
  const line = values.json ? JSON.stringify({ token: text, ...whose, expiresAtMs }) : text;
  io.stdout.write(`${line}\n`);
  return EXIT.done;
}

const EXPIRES_MS_MAX = 100 * 366 * 86_400_000;

interface GivenName {
  readonly key: string;
  readonly name: string | undefined;
  readonly pattern: RegExp;
}

function checkName({ key, name, pattern }: GivenName): void {
  if (name === undefined || pattern.test(name)) return;
  throw new UsageError(`${key}: ${JSON.stringify(name)} does not match ${pattern.source}`);
}

function signingKey(values: Values, env: CommandIo["env"]): TokenKey {
  const privateKey = values["private-key"];
  const secret = values["secret-file"];
  if (privateKey !== undefined && secret !== undefined) {
    throw new UsageError("--secret-file and --private-key are two ways to sign; take one");
  }
  if (privateKey !== undefined)
    return signingKeyFrom(keyFile({ key: "--private-key", path: privateKey }));
  if (secret !== undefined) return secretFrom(keyFile({ key: "--secret-file", path: secret }));
  const configured = env[SECRET_VARIABLE];
  if (configured) return secretFrom(keyFile({ key: SECRET_VARIABLE, path: configured }));
  throw new UsageError("needs --secret-file or --private-key; --new-secret FILE makes a secret");
}

function keyFile({ key, path }: { readonly key: string; readonly path: string }): KeySource {
  return { key, bytes: readNamed({ key, path, readFile: (name) => readFileSync(name) }) };
}

function makeSecret(path: string, io: CommandIo): void {
  writeNew({ key: "--new-secret", path, mode: SECRET_MODE }, newSecretText());
  io.stdout.write(
    `${path} holds the secret. Check tokens with it: --auth-hmac-secret-file ${path}\n`,
  );
}

function makeWebhookSecret(path: string, io: CommandIo): void {
  const secret = newWebhookSecretText();
  writeNew({ key: "--new-webhook-secret", path, mode: SECRET_MODE }, `${secret}\n`);
  io.stdout.write(
    `${path} holds the secret. Name it in secretFiles of a webhook, and give it to the receiver.\n`,
  );
}

async function makeKeyPair(path: string, io: CommandIo): Promise<void> {
  const publicPath = `${path}.pub`;
  const { privateText, publicText } = await newKeyTexts(/\.(jwk|json)$/.test(path) ? "jwk" : "pem");
  writeNew({ key: "--new-key", path, mode: SECRET_MODE }, privateText);
  try {
    writeNew({ key: "--new-key", path: publicPath, mode: PUBLIC_MODE }, publicText);
  } catch (error) {
    unlinkSync(path);
    throw error;
  }
  io.stdout.write(`${path} holds the private key. Sign with it: --private-key ${path}
${publicPath} holds the public key. Check tokens with it: --auth-public-key-files ${publicPath}
`);
}

const SECRET_MODE = 0o600;
const PUBLIC_MODE = 0o644;

/** Never over another file: it may be the key of every token in use. */
function writeNew(
  { key, path, mode }: { readonly key: string; readonly path: string; readonly mode: number },
  text: string,
): void {
  try {
    writeFileSync(path, text, { mode, flag: "wx" });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      code === "EEXIST" ? "exists, and is not written over" : `cannot be written (${code})`;
    throw new ConfigError({ key, problem: `${path} ${why}`, cause });
  }
}
