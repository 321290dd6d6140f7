import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { readIfThere, replacePrivately } from "../platform/private-file.ts";
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
      const text = await readIfThere(path).catch((cause: unknown) => {
        throw new JournalError(ErrorCode.DATA_DAMAGED, `${path} cannot be read`, { cause });
      });
      return text === undefined ? undefined : stateFrom(path, text);
    },
    save: async (state) => {
      try {
        await replacePrivately(path, textOf(state));
      } catch (cause) {
        throw new JournalError(ErrorCode.DATA_UNWRITABLE, `${path} cannot be written`, { cause });
      }
    },
  };
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
