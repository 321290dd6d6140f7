import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { HASH_BYTES } from "../protocol/envelope/provider.ts";
import type { LoginMemory, LoginState } from "./device-login.ts";
import { JournalError } from "./journal.ts";

/**
 * A login in a file, for Node, which nobody but its owner may read. The file is made when the
 * device first registers. [ENV-55]
 *
 * @throws JournalError DATA_DAMAGED or DATA_UNWRITABLE, from both of its methods
 */
export function fileLogin(path: string): LoginMemory {
  return {
    load: async () => {
      const text = await readIfThere(path);
      return text === undefined ? undefined : stateFrom(path, text);
    },
    save: async (state) => {
      try {
        await replace(path, textOf(state));
      } catch (cause) {
        throw new JournalError(ErrorCode.DATA_UNWRITABLE, `${path} cannot be written`, { cause });
      }
    },
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as { code?: unknown }).code === "ENOENT") return undefined;
    throw new JournalError(ErrorCode.DATA_DAMAGED, `${path} cannot be read`, { cause });
  }
}

/** Whole or not at all, whatever instruction the process dies at. */
async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${randomUUID()}`;
  try {
    await withFile(await open(fresh, "wx", 0o600), async (file) => {
      await file.writeFile(text);
      await file.sync();
    });
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  await withFile(await open(dirname(path), "r"), (folder) => folder.sync());
}

async function withFile(file: FileHandle, work: (file: FileHandle) => Promise<void>) {
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

function textOf({ seed, registrationSecret, account }: LoginState): string {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const stored = { version: 1, seed: hex(seed), registrationSecret: hex(registrationSecret) };
  return `${JSON.stringify({ ...stored, account }, undefined, 2)}\n`;
}

const HEX_PATTERN = new RegExp(`^[0-9a-f]{${2 * HASH_BYTES}}$`);

function stateFrom(path: string, text: string): LoginState {
  const { version, seed, registrationSecret, account } = membersOf(text);
  const isSound = [seed, registrationSecret].every(
    (hex) => typeof hex === "string" && HEX_PATTERN.test(hex),
  );
  if (version !== 1 || !isSound || typeof account !== "string") {
    // What is in it is a secret, and no part of an error.
    throw new JournalError(ErrorCode.DATA_DAMAGED, `${path} holds no login`);
  }
  const bytes = (hex: unknown) => new Uint8Array(Buffer.from(hex as string, "hex"));
  return { seed: bytes(seed), registrationSecret: bytes(registrationSecret), account };
}

function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}
