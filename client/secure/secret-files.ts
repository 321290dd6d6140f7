import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { createPrivately, readIfThere, replacePrivately } from "../../platform/private-file.ts";
import { JournalError } from "../journal.ts";
import {
  SEED_BYTES,
  type SecureIdentityMemory,
  type SecureIdentityState,
  type SecureSeeds,
} from "./identity.ts";
import type { KnownPeer, PeerMemory } from "./known-peers.ts";

/**
 * A device's identity in files, for Node: its own keys in one, its user's account key in another
 * one, so that devices of one user on one machine can share it. Nobody but their owner may read
 * them.
 *
 * @throws JournalError DATA_DAMAGED or DATA_UNWRITABLE, from both of its methods
 */
export function fileSecureIdentity(path: string, accountPath: string): SecureIdentityMemory {
  return {
    load: async () => {
      const account = seedsFrom(await membersOf(accountPath), accountPath);
      const members = await membersOf(path);
      const certificate = members && certificateFrom(members, path);
      return { device: seedsFrom(members, path), account, certificate };
    },
    save: async ({ device, account, certificate }) => {
      // Another device of the user may have been first: then its account is the user's.
      if (account !== undefined) await create(accountPath, { version: 1, ...hexOf(account) });
      const said = certificate && {
        core: hex(certificate.core),
        signature: hex(certificate.signature),
        accountKey: hexOf(certificate.accountKey),
      };
      if (device === undefined) return;
      await write(path, { version: 1, ...hexOf(device), certificate: said });
    },
  };
}

/**
 * Who was met, in a file, for Node.
 *
 * @throws JournalError DATA_DAMAGED or DATA_UNWRITABLE, from both of its methods
 */
export function filePeers(path: string): PeerMemory {
  return {
    load: async (userId) => {
      const entry = (await membersOf(path))?.[userId];
      return entry === undefined ? undefined : peerFrom(entry, path);
    },
    save: (userId, { fingerprint, verified, firstSeenMs }) => {
      const entry = { fingerprint: hex(fingerprint), verified, firstSeenMs };
      return inTurn(path, async () => {
        const known = await membersOf(path);
        await write(path, { ...known, [userId]: entry });
      });
    },
  };
}

/** By path: what is written to it last. */
const writes = new Map<string, Promise<void>>();

/** One change of a file after the other: each is of what the one before has left. */
function inTurn(path: string, change: () => Promise<void>): Promise<void> {
  const before = writes.get(path) ?? Promise.resolve();
  const changed = before.then(change, change);
  writes.set(path, changed);
  const forget = () => {
    if (writes.get(path) === changed) writes.delete(path);
  };
  changed.then(forget, forget);
  return changed;
}

type Members = Readonly<Record<string, unknown>>;

async function membersOf(path: string): Promise<Members | undefined> {
  let text: string | undefined;
  try {
    text = await readIfThere(path);
  } catch (cause) {
    throw new JournalError(ErrorCode.DATA_DAMAGED, `${path} cannot be read`, { cause });
  }
  if (text === undefined) return undefined;
  const members = parsed(text);
  if (members === undefined) throw damaged(path);
  return members;
}

/** A null prototype: a user may be called `constructor`. */
function parsed(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    return Object.assign(Object.create(null), value);
  } catch {
    return undefined;
  }
}

function seedsFrom(members: Members | undefined, path: string): SecureSeeds | undefined {
  if (members === undefined) return undefined;
  if (members.version !== 1) throw damaged(path);
  const { ed25519, mlDsa65 } = members;
  const seeds = { ed25519: bytesFrom(ed25519, path), mlDsa65: bytesFrom(mlDsa65, path) };
  if (Object.values(seeds).some((seed) => seed.length !== SEED_BYTES)) throw damaged(path);
  return seeds;
}

function certificateFrom(members: Members, path: string): SecureIdentityState["certificate"] {
  const { certificate } = members;
  if (certificate === undefined) return undefined;
  const { core, signature, accountKey } = objectFrom(certificate, path);
  const { ed25519, mlDsa65 } = objectFrom(accountKey, path);
  return {
    core: bytesFrom(core, path),
    signature: bytesFrom(signature, path),
    accountKey: { ed25519: bytesFrom(ed25519, path), mlDsa65: bytesFrom(mlDsa65, path) },
  };
}

function peerFrom(entry: unknown, path: string): KnownPeer {
  const { fingerprint, verified, firstSeenMs } = objectFrom(entry, path);
  if (typeof verified !== "boolean" || typeof firstSeenMs !== "number") throw damaged(path);
  return { fingerprint: bytesFrom(fingerprint, path), verified, firstSeenMs };
}

function objectFrom(value: unknown, path: string): Members {
  if (typeof value !== "object" || value === null) throw damaged(path);
  return { ...value };
}

function bytesFrom(value: unknown, path: string): Uint8Array {
  if (typeof value !== "string" || !/^([0-9a-f]{2})+$/.test(value)) throw damaged(path);
  return new Uint8Array(Buffer.from(value, "hex"));
}

function hexOf({ ed25519, mlDsa65 }: SecureSeeds) {
  return { ed25519: hex(ed25519), mlDsa65: hex(mlDsa65) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

async function write(path: string, members: Members): Promise<void> {
  await replacePrivately(path, textOf(members)).catch((cause: unknown) => unwritable(path, cause));
}

async function create(path: string, members: Members): Promise<void> {
  await createPrivately(path, textOf(members)).catch((cause: unknown) => unwritable(path, cause));
}

function textOf(members: Members): string {
  return `${JSON.stringify(members, undefined, 2)}\n`;
}

function unwritable(path: string, cause: unknown): never {
  throw new JournalError(ErrorCode.DATA_UNWRITABLE, `${path} cannot be written`, { cause });
}

/** What is in it is a secret, and no part of an error. */
function damaged(path: string): JournalError {
  return new JournalError(ErrorCode.DATA_DAMAGED, `${path} holds not what it should`);
}
