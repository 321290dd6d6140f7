import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { replacePrivatelyNow } from "../../platform/private-file.ts";
import { ServerIdentity } from "../../protocol/envelope/identity.ts";
import { StoreError } from "../store/store.ts";

const FORMAT = "posthorn identity 1";
const SEED_BYTES = 32;
/** Those that gave way: devices that still pin one are answered with it. [ENV-33] */
const FORMER_MAX = 8;

/** The seeds of one identity, in base64. Secrets. */
export interface Seeds {
  readonly ed25519: string;
  /** Absent: for devices that know no ML-DSA. [ENV-30] */
  readonly mlDsa65?: string;
}

/** As it lies on disk. */
export interface IdentityFile {
  readonly format: typeof FORMAT;
  readonly present: Seeds;
  /** Announced, and not in force yet. */
  readonly next?: Seeds;
  readonly former: readonly Seeds[];
}

/** The identities of a service. */
export interface Identities {
  readonly present: ServerIdentity;
  readonly next: ServerIdentity | undefined;
  readonly former: readonly ServerIdentity[];
}

/** Where a data folder keeps the service's identity. */
export function identityPath(dataFolder: string): string {
  return join(dataFolder, "identity.json");
}

/**
 * Reads the service's identity, and makes one on the first start. [ENV-27]
 *
 * @param isClassical makes one of Ed25519 alone
 * @throws StoreError DATA_DAMAGED for a file that is none, DATA_UNWRITABLE for one that others may
 *   read or that cannot be made
 */
export function openIdentities(dataFolder: string, isClassical = false): Identities {
  const path = identityPath(dataFolder);
  const found = read(path);
  if (found !== undefined) return identitiesOf(found);
  const fresh: IdentityFile = { format: FORMAT, present: freshSeeds(isClassical), former: [] };
  write(path, fresh);
  return identitiesOf(fresh);
}

/** Announces another identity; devices that pin the present one will pin both. [ENV-33] */
export function announceNext(dataFolder: string): Identities {
  return changed(dataFolder, (file) => {
    const isClassical = file.present.mlDsa65 === undefined;
    return { ...file, next: file.next ?? freshSeeds(isClassical) };
  });
}

/**
 * Puts the announced identity into force. Devices that never heard of it will stop loudly, except
 * while the former one is still answered with. [ENV-33]
 */
export function rotate(dataFolder: string): Identities {
  return changed(dataFolder, ({ format, present, next, former }) => {
    if (next === undefined)
      throw damaged(identityPath(dataFolder), "no next identity is announced");
    return { format, present: next, former: [present, ...former].slice(0, FORMER_MAX) };
  });
}

function changed(dataFolder: string, change: (file: IdentityFile) => IdentityFile): Identities {
  openIdentities(dataFolder);
  const path = identityPath(dataFolder);
  const file = change(read(path) as IdentityFile);
  write(path, file);
  return identitiesOf(file);
}

function freshSeeds(isClassical: boolean): Seeds {
  const seed = () => randomBytes(SEED_BYTES).toString("base64");
  return isClassical ? { ed25519: seed() } : { ed25519: seed(), mlDsa65: seed() };
}

function identitiesOf({ present, next, former }: IdentityFile): Identities {
  return {
    present: identityOf(present),
    next: next && identityOf(next),
    former: former.map(identityOf),
  };
}

function identityOf(seeds: Seeds): ServerIdentity {
  const ed25519 = NATIVE_CRYPTO.ed25519Key(Buffer.from(seeds.ed25519, "base64"));
  if (seeds.mlDsa65 === undefined) return new ServerIdentity(NATIVE_CRYPTO, { ed25519 });
  const mlDsa65 = NATIVE_CRYPTO.mlDsa65Key(Buffer.from(seeds.mlDsa65, "base64"));
  return new ServerIdentity(NATIVE_CRYPTO, { ed25519, mlDsa65 });
}

function read(path: string): IdentityFile | undefined {
  let text: string;
  try {
    // A key that others can read is a key that others have.
    const isOpen = process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
    if (isOpen) throw unwritable(path, "others may read it: chmod 600");
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    if (error instanceof StoreError) throw error;
    throw unwritable(path, "it cannot be read", error);
  }
  return parseIdentityFile(text, path);
}

/**
 * What an identity file holds.
 *
 * @param path for words
 * @throws StoreError DATA_DAMAGED for a text that is none
 */
export function parseIdentityFile(text: string, path: string): IdentityFile {
  let file: Partial<IdentityFile> | null;
  try {
    file = JSON.parse(text) as Partial<IdentityFile> | null;
  } catch (cause) {
    throw damaged(path, "it is no JSON", cause);
  }
  const { format, present, next, former } = file ?? {};
  const isSound =
    format === FORMAT &&
    areSeeds(present) &&
    (next === undefined || areSeeds(next)) &&
    Array.isArray(former) &&
    former.every(areSeeds);
  if (!isSound) throw damaged(path, "it is no identity of this version");
  return file as IdentityFile;
}

function areSeeds(seeds: Partial<Seeds> | undefined): boolean {
  const { ed25519, mlDsa65 } = seeds ?? {};
  return [ed25519, ...(mlDsa65 === undefined ? [] : [mlDsa65])].every((seed) => {
    return typeof seed === "string" && Buffer.from(seed, "base64").length === SEED_BYTES;
  });
}

/** Whole or not at all, and durable: a pin that was shown must not vanish in a power cut. */
function write(path: string, file: IdentityFile): void {
  try {
    replacePrivatelyNow(path, `${JSON.stringify(file, undefined, 2)}\n`);
  } catch (error) {
    throw unwritable(path, "it cannot be written", error);
  }
}

function damaged(path: string, why: string, cause?: unknown): StoreError {
  return new StoreError(ErrorCode.DATA_DAMAGED, `${path}: ${why}`, { cause });
}

function unwritable(path: string, why: string, cause?: unknown): StoreError {
  return new StoreError(ErrorCode.DATA_UNWRITABLE, `${path}: ${why}`, { cause });
}
