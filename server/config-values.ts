import { unreachable } from "../protocol/violation.ts";
import { ConfigError } from "./config-error.ts";
import type { ConfigKind } from "./config-keys.ts";

export type ConfigValue = string | number | boolean | readonly string[];

/**
 * A value as text: a flag, a variable, or a string in the file. Throws ConfigError naming `key`.
 */
export function valueFromText(key: string, type: ConfigKind, text: string): ConfigValue {
  switch (type.kind) {
    case "string":
    case "folder":
    case "file":
      return text;
    case "files":
      return text === "" ? [] : text.split(",");
    case "boolean":
      if (text === "true" || text === "false") return text === "true";
      throw illegal(key, type, text);
    case "choice":
      if (type.of.includes(text)) return text;
      throw illegal(key, type, text);
    case "integer":
    case "bytes":
    case "duration": {
      const count = withUnit(text, UNITS[type.kind]);
      if (count === undefined) throw illegal(key, type, text);
      return bounded(key, type, count);
    }
    default:
      return unreachable(type);
  }
}

/** A value of the file. A string is read like a flag, so that "25s" and "256KiB" work there too. */
export function valueFromJson(key: string, type: ConfigKind, value: unknown): ConfigValue {
  if (typeof value === "string" && type.kind !== "boolean" && type.kind !== "integer") {
    return valueFromText(key, type, value);
  }
  if (type.kind === "boolean" && typeof value === "boolean") return value;
  if ("min" in type && typeof value === "number") return bounded(key, type, value);
  const texts = Array.isArray(value) && value.every((item) => typeof item === "string");
  if (type.kind === "files" && texts) return value;
  throw illegal(key, type, value);
}

/** Milliseconds from a time such as 25s, 200ms or 30d; undefined for anything else. */
export function durationMs(text: string): number | undefined {
  return withUnit(text, UNITS.duration);
}

/** What a value must be, for messages and help. */
export function kindText(type: ConfigKind): string {
  switch (type.kind) {
    case "bytes":
      return `a size from ${valueText(type, type.min)} to ${valueText(type, type.max)}`;
    case "duration":
      return `a time from ${valueText(type, type.min)} to ${valueText(type, type.max)}`;
    case "integer":
      return `a whole number from ${type.min} to ${type.max}`;
    case "boolean":
      return "true or false";
    case "choice":
      return `one of ${type.of.join(", ")}`;
    case "files":
      return "files, separated by commas";
    case "folder":
    case "file":
      return `a ${type.kind}`;
    case "string":
      return "a text";
    default:
      return unreachable(type);
  }
}

/** A value as one would write it: 256KiB, 25s, true. Reading it back gives the value. */
export function valueText(type: ConfigKind, value: ConfigValue): string {
  if (typeof value === "object") return value.join(",");
  if (typeof value !== "number" || value === 0) return String(value);
  if (type.kind !== "bytes" && type.kind !== "duration") return String(value);
  const units = Object.entries(UNITS[type.kind]);
  const exact = units.filter(([unit, size]) => unit !== "" && value % size === 0);
  const [unit, size] = exact.at(-1) ?? ["", 1];
  return `${value / size}${unit}`;
}

type Units = Readonly<Record<string, number>>;

/** From the smallest unit to the largest. */
const UNITS = {
  integer: { "": 1 } as Units,
  bytes: { "": 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as Units,
  duration: { "": 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as Units,
};

function withUnit(text: string, units: Units): number | undefined {
  const match = /^(\d{1,15})([A-Za-z]*)$/.exec(text);
  const name = match?.[2] ?? "";
  const size = Object.hasOwn(units, name) ? units[name] : undefined;
  return match === null || size === undefined ? undefined : Number(match[1]) * size;
}

function bounded(
  key: string,
  type: ConfigKind & { readonly min: number; readonly max: number },
  value: number,
): number {
  if (Number.isInteger(value) && value >= type.min && value <= type.max) return value;
  throw illegal(key, type, value);
}

function illegal(key: string, type: ConfigKind, value: unknown): ConfigError {
  return new ConfigError({ key, problem: `${JSON.stringify(value)} is not ${kindText(type)}` });
}
