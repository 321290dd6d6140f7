import { checkTogether } from "./config-checks.ts";
import { ConfigError } from "./config-error.ts";
import { CONFIG_KEYS, type ConfigKey, type ConfigKind } from "./config-keys.ts";
import { type ConfigValue, valueFromJson, valueFromText } from "./config-values.ts";
import { nearest } from "./nearest.ts";

type Widen<Value> = Value extends number
  ? number
  : Value extends boolean
    ? boolean
    : Value extends string
      ? string
      : readonly string[];
type ValuesOf<Keys> = {
  readonly [Name in keyof Keys]: Keys[Name] extends {
    readonly type: { readonly kind: "choice"; readonly of: readonly (infer Choice)[] };
  }
    ? Choice
    : Keys[Name] extends { readonly type: ConfigKind; readonly value: infer Value }
      ? Widen<Value>
      : ValuesOf<Keys[Name]>;
};

/**
 * The server's configuration: deeply readonly, complete and checked. Holds paths of secrets, never
 * secrets.
 */
export type Config = ValuesOf<typeof CONFIG_KEYS>;

/** Where values come from, the strongest first: flags, environment, file, defaults. */
export interface ConfigSources {
  /** By flag name without dashes, as text. */
  readonly flags?: ReadonlyMap<string, string>;
  /** Only names that begin with POSTHORN_ are looked at. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What the file holds, parsed from JSON; undefined without one. */
  readonly file?: unknown;
}

/** One key with its names. */
export interface NamedKey {
  /** In the file: limits.linksMax stands for `{"limits": {"linksMax": …}}`. */
  readonly path: string;
  /** On the command line, without dashes: limits-links-max. */
  readonly flag: string;
  /** In the environment: POSTHORN_LIMITS_LINKS_MAX. */
  readonly env: string;
  readonly key: ConfigKey;
}

/** What all names in the environment begin with. */
export const ENV_PREFIX = "POSTHORN_";

/** Every key, in the order of the table. */
export const NAMED_KEYS: readonly NamedKey[] = namedKeys(CONFIG_KEYS, "");

/**
 * Builds the configuration. Pure: reads no file and no environment of its own.
 *
 * @throws ConfigError for the first key that is unknown, illegal or contradicts another [OPS-1]
 */
export function configFrom({ flags, env, file }: ConfigSources): Config {
  const values = new Map<NamedKey, ConfigValue>(
    NAMED_KEYS.map((named) => [named, named.key.value]),
  );
  if (file !== undefined) takeFile(file, "", values);
  for (const [name, text] of Object.entries(env ?? {})) {
    if (!name.startsWith(ENV_PREFIX) || text === undefined) continue;
    const named = known("env", name);
    values.set(named, valueFromText(name, named.key.type, text));
  }
  for (const [flag, text] of flags ?? []) {
    const named = known("flag", flag);
    values.set(named, valueFromText(`--${flag}`, named.key.type, text));
  }
  const config = nested(values) as Config;
  checkTogether(config);
  return config;
}

function namedKeys(keys: object, above: string): NamedKey[] {
  return Object.entries(keys).flatMap(([name, entry]): NamedKey[] => {
    const path = `${above}${name}`;
    if (!("type" in entry)) return namedKeys(entry, `${path}.`);
    const flag = path
      .replaceAll(".", "-")
      .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const env = `${ENV_PREFIX}${flag.toUpperCase().replaceAll("-", "_")}`;
    return [{ path, flag, env, key: entry as ConfigKey }];
  });
}

function takeFile(file: unknown, above: string, values: Map<NamedKey, ConfigValue>): void {
  if (typeof file !== "object" || file === null || Array.isArray(file)) {
    const key = above === "" ? "the configuration file" : above.slice(0, -1);
    throw new ConfigError({ key, problem: "must be an object" });
  }
  for (const [name, value] of Object.entries(file)) {
    const path = `${above}${name}`;
    if (NAMED_KEYS.some((named) => named.path.startsWith(`${path}.`))) {
      takeFile(value, `${path}.`, values);
      continue;
    }
    const named = known("path", path);
    values.set(named, valueFromJson(path, named.key.type, value));
  }
}

function known(kind: "path" | "flag" | "env", name: string): NamedKey {
  const found = NAMED_KEYS.find((named) => named[kind] === name);
  if (found !== undefined) return found;
  const start = PREFIXES[kind];
  const bare = (text: string) => (text.startsWith(start) ? text.slice(start.length) : text);
  const names = NAMED_KEYS.map((named) => bare(named[kind]));
  const meant = nearest(bare(name), kind === "path" ? [...names, ...GROUPS] : names);
  const hint = meant === undefined ? "" : `; did you mean ${start}${meant}?`;
  throw new ConfigError({ key: `${start}${bare(name)}`, problem: `unknown${hint}` });
}

/** The objects of the file: limits, timers.keepalive and so on. */
const GROUPS = new Set(NAMED_KEYS.map(({ path }) => path.slice(0, path.lastIndexOf("."))));

/** What every name of a kind begins with: no part of what somebody may have misspelt. */
const PREFIXES = { path: "", flag: "--", env: ENV_PREFIX } as const;

function nested(values: ReadonlyMap<NamedKey, ConfigValue>): object {
  const root: Record<string, unknown> = {};
  for (const [{ path }, value] of values) {
    const names = path.split(".");
    let at = root;
    for (const name of names.slice(0, -1)) {
      at[name] ??= {};
      at = at[name] as Record<string, unknown>;
    }
    at[names.at(-1) as string] = value;
  }
  return root;
}
