import { readFileSync } from "node:fs";
import type { IdentityOrigin, KnownIdentity, KnownService } from "../client/known-service.ts";
import type { ServiceMemory } from "../client/service-envelope.ts";
import { replacePrivatelyNow } from "../platform/private-file.ts";
import { parsePin, pinText } from "../protocol/envelope/identity.ts";
import { UsageError } from "./command.ts";

/** One identity, as the file says it; pins are text. */
interface StoredIdentity {
  readonly pin: string;
  readonly origin: IdentityOrigin;
  readonly formers: readonly string[];
  readonly met: boolean;
  readonly minSuite?: number;
}

/** By address. */
type Services = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const ORIGINS: readonly unknown[] = ["given", "announced", "seen"] satisfies IdentityOrigin[];
const SUITE_MAX = 0xffff;

/**
 * The services that this user's programs have met, in one file: by address who they were, how that
 * came to be known, and what they promised. There is no lock: of two programs that learn something
 * at one moment one may have to learn it again. [ENV-34] [ENV-70]
 *
 * @param address host and port
 */
export function knownService(path: string, address: string): ServiceMemory {
  return {
    load: () => {
      const service = read(path)[address];
      if (service === undefined) return undefined;
      const identities = identitiesOf(service);
      if (identities === undefined) throw illegible(path);
      return { identities };
    },
    save: ({ identities }: KnownService) => {
      const known = { ...read(path), [address]: { identities: identities.map(storedOf) } };
      replacePrivatelyNow(path, `${JSON.stringify(known, undefined, 2)}\n`);
    },
  };
}

function storedOf({ serverId, origin, formers, isMet, minSuite }: KnownIdentity): StoredIdentity {
  const pins = { pin: pinText(serverId), origin, formers: formers.map(pinText), met: isMet };
  return minSuite === undefined ? pins : { ...pins, minSuite };
}

/** Undefined: it is none. */
function identitiesOf(service: Readonly<Record<string, unknown>>): KnownIdentity[] | undefined {
  const { identities, pins, minSuite } = service;
  if (Array.isArray(identities)) return all(identities.map(identityOf));
  // As it was before it said where a pin came from: from anybody who was there. [ENV-70]
  if (!Array.isArray(pins)) return undefined;
  const seen = { origin: "seen", formers: [], met: true, minSuite };
  return all(pins.map((pin: unknown) => identityOf({ ...seen, pin })));
}

function identityOf(stored: unknown): KnownIdentity | undefined {
  const { pin, origin, formers, met, minSuite } = (stored ?? {}) as Partial<StoredIdentity>;
  const serverId = idOf(pin);
  const formerIds = Array.isArray(formers) ? all(formers.map(idOf)) : undefined;
  const isPromise = minSuite === undefined || isSuiteNumber(minSuite);
  if (serverId === undefined || formerIds === undefined || !isPromise) return undefined;
  if (origin === undefined || !ORIGINS.includes(origin) || typeof met !== "boolean") {
    return undefined;
  }
  return { serverId, origin, formers: formerIds, isMet: met, minSuite };
}

function idOf(pin: unknown): Uint8Array | undefined {
  const id = typeof pin === "string" ? parsePin(pin) : undefined;
  return id === undefined || "code" in id ? undefined : id;
}

/** One that this program does not know is one all the same. [ENV-34] */
function isSuiteNumber(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= SUITE_MAX;
}

function all<Value>(values: readonly (Value | undefined)[]): Value[] | undefined {
  const sound = values.flatMap((value) => value ?? []) as Value[];
  return sound.length === values.length ? sound : undefined;
}

function read(path: string): Services {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return {};
    throw error;
  }
  try {
    const known = JSON.parse(text) as Services;
    const isSound = Object.values(known).every(
      (service) => Array.isArray(service.identities) || Array.isArray(service.pins),
    );
    if (isSound) return known;
  } catch {
    // Told below: what was remembered must not be forgotten silently.
  }
  throw illegible(path);
}

function illegible(path: string): UsageError {
  return new UsageError(`${path} is illegible: it says whom to trust; mend or remove it`);
}
