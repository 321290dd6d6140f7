import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { timersHold } from "../protocol/session/timers.ts";
import { CONFIG_KEYS, type ConfigKey, type ConfigKind } from "./config-keys.ts";

type Widen<T> = T extends number
  ? number
  : T extends boolean
    ? boolean
    : T extends string
      ? string
      : T extends readonly unknown[]
        ? readonly string[]
        : T;
type ValuesOf<Keys> = {
  readonly [Name in keyof Keys]: Keys[Name] extends { readonly type: ConfigKind }
    ? Keys[Name] extends { readonly value: infer Value }
      ? Widen<Value>
      : never
    : ValuesOf<Keys[Name]>;
};

/** The server's configuration: deeply readonly, complete and checked. */
export type Config = ValuesOf<typeof CONFIG_KEYS>;

/** A key is unknown, or a value is illegal, insecure or contradicts another. [OPS-1] */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = ErrorCode.CONFIG_INVALID;
}

/** Where values come from, the strongest first: flags, environment, file, defaults. */
export interface ConfigSources {
  /** By flag name without dashes, as text. */
  readonly flags: ReadonlyMap<string, string>;
  /** Only names that begin with POSTHORN_ are looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The parsed JSON file; undefined without one. */
  readonly file: unknown;
}

/** One key with its names. */
export interface NamedKey {
  /** In the file, such as limits.linksMax. */
  readonly path: readonly string[];
  /** On the command line, such as limits-links-max. */
  readonly flag: string;
  /** In the environment, such as POSTHORN_LIMITS_LINKS_MAX. */
  readonly env: string;
  readonly key: ConfigKey;
}

export const NAMED_KEYS: readonly NamedKey[] = namedKeys(CONFIG_KEYS, []);

/** Builds the configuration. Throws ConfigError for the first thing that is wrong. */
export function configFrom(sources: ConfigSources): Config {
  const values = new Map<NamedKey, unknown>(NAMED_KEYS.map((named) => [named, named.key.value]));
  if (sources.file !== undefined) readFile(sources.file, [], values);
  readEnv(sources.env, values);
  for (const [flag, value] of sources.flags) {
    const named = find(NAMED_KEYS, flag, (candidate) => candidate.flag, "flag --");
    values.set(named, fromText(named, value, `--${flag}`));
  }
  const config = nested(values) as Config;
  crossCheck(config);
  return config;
}

function namedKeys(keys: object, above: readonly string[]): NamedKey[] {
  return Object.entries(keys).flatMap(([name, entry]): NamedKey[] => {
    const path = [...above, name];
    if (!("type" in entry)) return namedKeys(entry, path);
    const flag = path.join("-").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const env = `POSTHORN_${flag.toUpperCase().replaceAll("-", "_")}`;
    return [{ path, flag, env, key: entry as ConfigKey }];
  });
}

function readFile(file: unknown, above: readonly string[], values: Map<NamedKey, unknown>): void {
  if (typeof file !== "object" || file === null || Array.isArray(file)) {
    throw new ConfigError(`${above.join(".") || "the configuration file"} must be an object`);
  }
  for (const [name, value] of Object.entries(file)) {
    const path = [...above, name];
    const dotted = path.join(".");
    const inside = NAMED_KEYS.some((named) => named.path.join(".").startsWith(`${dotted}.`));
    if (inside) {
      readFile(value, path, values);
      continue;
    }
    const named = find(NAMED_KEYS, dotted, (candidate) => candidate.path.join("."), "key ");
    values.set(named, fromJson(named, value, dotted));
  }
}

function readEnv(env: ConfigSources["env"], values: Map<NamedKey, unknown>): void {
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith("POSTHORN_") || value === undefined) continue;
    const named = find(NAMED_KEYS, name, (candidate) => candidate.env, "variable ");
    values.set(named, fromText(named, value, name));
  }
}

function find(
  keys: readonly NamedKey[],
  name: string,
  nameOf: (named: NamedKey) => string,
  what: string,
): NamedKey {
  const found = keys.find((named) => nameOf(named) === name);
  if (found !== undefined) return found;
  const hint = nearest(name, keys.map(nameOf));
  throw new ConfigError(`unknown ${what}${name}${hint ? `; did you mean ${hint}?` : ""}`);
}

function fromJson({ key }: NamedKey, value: unknown, where: string): unknown {
  const { type } = key;
  const illegal = () => new ConfigError(`${where}: ${JSON.stringify(value)} is not ${kindText(type)}`);
  if (typeof value === "string") {
    if (type.kind === "boolean" || type.kind === "integer") throw illegal();
    return parse(type, value, where);
  }
  if (type.kind === "boolean" && typeof value === "boolean") return value;
  if (type.kind === "paths" && Array.isArray(value)) {
    if (value.every((item) => typeof item === "string")) return value;
  }
  if ("min" in type && typeof value === "number") return bounded(type, value, where);
  throw illegal();
}

function fromText({ key }: NamedKey, value: string, where: string): unknown {
  return parse(key.type, value, where);
}

const UNITS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  integer: { "": 1 },
  bytes: { "": 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 },
  duration: { "": 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 },
};

function parse(type: ConfigKind, value: string, where: string): unknown {
  if (type.kind === "string" || type.kind === "path") return value;
  if (type.kind === "paths") return value === "" ? [] : value.split(",");
  if (type.kind === "boolean" && (value === "true" || value === "false")) return value === "true";
  if (type.kind === "choice" && type.of.includes(value)) return value;
  const match = /^(\d+)([A-Za-z]*)$/.exec(value);
  const unit = match && UNITS[type.kind]?.[match[2] as string];
  if (!("min" in type) || !match || unit === undefined) {
    throw new ConfigError(`${where}: ${JSON.stringify(value)} is not ${kindText(type)}`);
  }
  return bounded(type, Number(match[1]) * (unit as number), where);
}

function bounded(
  type: { readonly min: number; readonly max: number },
  value: number,
  where: string,
): number {
  if (Number.isInteger(value) && value >= type.min && value <= type.max) return value;
  throw new ConfigError(`${where}: ${value} is not from ${type.min} to ${type.max}`);
}

/** What a value must be, for messages and help. */
export function kindText(type: ConfigKind): string {
  switch (type.kind) {
    case "bytes":
      return "a size such as 256KiB";
    case "duration":
      return "a time such as 25s or 200ms";
    case "boolean":
      return "true or false";
    case "choice":
      return type.of.join(", ");
    case "paths":
      return "paths, separated by commas";
    case "integer":
      return `a whole number from ${type.min} to ${type.max}`;
    default:
      return `a ${type.kind}`;
  }
}

function nested(values: ReadonlyMap<NamedKey, unknown>): object {
  const root: Record<string, unknown> = {};
  for (const [{ path }, value] of values) {
    let at = root;
    for (const name of path.slice(0, -1)) {
      at[name] ??= {};
      at = at[name] as Record<string, unknown>;
    }
    at[path.at(-1) as string] = value;
  }
  return root;
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;

function crossCheck(config: Config): void {
  const { auth, tls, timers, longPoll, transports, limits } = config;
  const open = auth.hmacSecretFile === "" && auth.publicKeyFiles.length === 0;
  if (open && !LOOPBACK.test(config.host)) {
    // Secure by default (P27). [AUT-4]
    const how = "set auth.hmacSecretFile or auth.publicKeyFiles";
    throw new ConfigError(`host: ${config.host} without authentication is open to all: ${how}`);
  }
  if ((tls.certFile === "") !== (tls.keyFile === "")) {
    throw new ConfigError("tls: certFile and keyFile go together");
  }
  if (!transports.tcp && !transports.websocket && !transports.longPoll) {
    throw new ConfigError("transports: all are off");
  }
  for (const [name, timer] of Object.entries(timers)) {
    const { defaultMs, minMs, maxMs } = timer;
    const within = minMs <= defaultMs && defaultMs <= maxMs;
    if (!within) throw new ConfigError(`timers.${name}: not minMs <= defaultMs <= maxMs`);
  }
  const { keepalive, idle } = timers;
  // A device must be able to ping twice in every idle time, also in the shortest one granted (P28). [SES-11]
  const granted = { keepaliveMs: keepalive.minMs, idleMs: idle.minMs, ageMs: 0 };
  if (!timersHold(granted)) throw new ConfigError("timers: keepalive.minMs is not below half of idle.minMs");
  if (longPoll.holdMs >= longPoll.idleMs) {
    throw new ConfigError("longPoll: holdMs is not below idleMs");
  }
  if (longPoll.coalesceMs > longPoll.holdMs) {
    throw new ConfigError("longPoll: coalesceMs is above holdMs");
  }
  const room = limits.frameBytes - 8 * 1024;
  if (limits.contentBytes > room) {
    throw new ConfigError("limits: contentBytes leaves less than 8 KiB of frameBytes");
  }
}

/** The candidate with the fewest edits, if few enough (Levenshtein). */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  let best: { readonly candidate: string; readonly edits: number } | undefined;
  for (const candidate of candidates) {
    const edits = editDistance(name, candidate);
    if (best === undefined || edits < best.edits) best = { candidate, edits };
  }
  return best !== undefined && best.edits <= 3 ? best.candidate : undefined;
}

function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}
