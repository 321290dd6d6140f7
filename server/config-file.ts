import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { type Config, configFrom, ENV_PREFIX, NAMED_KEYS, type NamedKey } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import type { ConfigValue } from "./config-values.ts";

/**
 * The flag and the variable that name the configuration file; no keys themselves, as a file cannot
 * name itself.
 */
export const CONFIG_FLAG = "config";
const CONFIG_VARIABLE = `${ENV_PREFIX}CONFIG`;

export interface LoadSources {
  /** By flag name without dashes, as text. */
  readonly flags: ReadonlyMap<string, string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws what `node:fs` throws. */
  readonly readFile: (path: string) => Uint8Array;
}

/**
 * Builds the configuration from flags, environment and the JSON file that one of the two may name,
 * and makes sure that every file it names can be read: a server must not find out half-way. Paths
 * are relative to the working directory.
 *
 * @throws ConfigError for the first thing that is wrong [OPS-1]
 */
export function loadConfig({ flags, env, readFile }: LoadSources): Config {
  const { [CONFIG_VARIABLE]: fromEnv, ...keysInEnv } = env;
  const keysInFlags = new Map(flags);
  keysInFlags.delete(CONFIG_FLAG);
  const flagged = flags.get(CONFIG_FLAG);
  const key = flagged === undefined ? CONFIG_VARIABLE : `--${CONFIG_FLAG}`;
  const path = flagged ?? fromEnv;
  const file = path === undefined ? undefined : jsonFrom({ key, path, readFile });
  const config = configFrom({ flags: keysInFlags, env: keysInEnv, file });
  for (const named of NAMED_KEYS) {
    for (const path of filesOf(config, named)) readNamed({ key: named.path, path, readFile });
  }
  if (config.tls.certFile !== "") checkCertificate(config, readFile);
  return config;
}

interface NamedFile {
  /** The key or flag that names the file, for errors. */
  readonly key: string;
  readonly path: string;
  readonly readFile: LoadSources["readFile"];
}

/**
 * Reads a file that a key or flag names. Throws ConfigError saying which of them, and the system's
 * reason.
 */
export function readNamed({ key, path, readFile }: NamedFile): Uint8Array {
  try {
    return readFile(path);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? "unreadable";
    throw new ConfigError({ key, problem: `cannot read ${path} (${reason})`, cause });
  }
}

function jsonFrom(named: NamedFile): unknown {
  const text = Buffer.from(readNamed(named)).toString("utf8");
  try {
    return JSON.parse(text);
  } catch (cause) {
    const problem = `${named.path} is not JSON: ${(cause as Error).message}`;
    throw new ConfigError({ key: named.key, problem, cause });
  }
}

/** A certificate and a key that do not belong together would show only in the first handshake. */
function checkCertificate({ tls }: Config, readFile: LoadSources["readFile"]): void {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(readFile(tls.certFile));
  } catch {
    throw new ConfigError({ key: "tls.certFile", problem: "is no certificate in PEM form" });
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(Buffer.from(readFile(tls.keyFile)));
  } catch {
    // What the library says of a key that it cannot read may quote it. [AUT-5]
    throw new ConfigError({ key: "tls.keyFile", problem: "is no private key in PEM form" });
  }
  if (certificate.checkPrivateKey(key)) return;
  throw new ConfigError({ key: "tls.keyFile", problem: "is not the key of tls.certFile" });
}

function filesOf(config: Config, { path, key }: NamedKey): readonly string[] {
  if (key.type.kind !== "file" && key.type.kind !== "files") return [];
  const value = valueAt(config, path);
  return (Array.isArray(value) ? value : [value]).filter((file) => file !== "");
}

/** The value of a key by its path, such as limits.linksMax. */
export function valueAt(config: Config, path: string): ConfigValue {
  const value = path.split(".").reduce<unknown>((at, name) => (at as never)[name], config);
  return value as ConfigValue;
}
