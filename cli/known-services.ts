import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { KnownService, ServiceMemory } from "../client/service-envelope.ts";
import { parsePin, pinText } from "../protocol/envelope/identity.ts";
import { UsageError } from "./command.ts";

interface Entry {
  readonly pins: readonly string[];
  readonly minSuite?: number;
}

/**
 * The services that this user's programs have met, in one file: by address their pins, and what
 * they promised. [ENV-32] [ENV-34]
 *
 * @param address host and port
 */
export function knownService(path: string, address: string): ServiceMemory {
  return {
    load: () => {
      const entry = read(path)[address];
      if (entry === undefined) return undefined;
      const serverIds = entry.pins.map((text) => {
        const pin = parsePin(text);
        if ("code" in pin) throw illegible(path);
        return pin;
      });
      return { serverIds, minSuite: entry.minSuite };
    },
    save: ({ serverIds, minSuite }: KnownService) => {
      const pins = serverIds.map(pinText);
      const entry = minSuite === undefined ? { pins } : { pins, minSuite };
      write(path, { ...read(path), [address]: entry });
    },
  };
}

function read(path: string): Readonly<Record<string, Entry>> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return {};
    throw error;
  }
  try {
    const known = JSON.parse(text) as Record<string, Entry>;
    const isSound = Object.values(known).every(({ pins, minSuite }) => {
      return Array.isArray(pins) && (minSuite === undefined || Number.isSafeInteger(minSuite));
    });
    if (isSound) return known;
  } catch {
    // Told below: what was remembered must not be forgotten silently.
  }
  throw illegible(path);
}

/** Whole or not at all. */
function write(path: string, known: Readonly<Record<string, Entry>>): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, `${JSON.stringify(known, undefined, 2)}\n`, { mode: 0o600 });
  chmodSync(fresh, 0o600);
  renameSync(fresh, path);
}

function illegible(path: string): UsageError {
  return new UsageError(`${path} is illegible: it says whom to trust; mend or remove it`);
}
