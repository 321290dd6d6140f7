import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { equalBytes } from "../../protocol/envelope/octets.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import {
  accountFingerprint,
  areSecureKeys,
  type CertifiedDevice,
  type SecureKeys,
  sameKeys,
} from "../../protocol/secure/identity.ts";
import type { JudgedCertificates } from "../../protocol/secure/judged-certificates.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";
import type { Client } from "../client.ts";
import { RefusedError } from "../results.ts";
import { type Sleep, sleep } from "../sleep.ts";
import type { SecureIdentity } from "./identity.ts";

/** As the directory carries it. */
export interface SecureCertificate {
  readonly core: Uint8Array;
  readonly signature: Uint8Array;
}

/** What a service says of somebody's devices: nothing of it is verified. */
export interface ListedDevices {
  readonly userId: string;
  readonly revision: number;
  readonly account: SecureKeys;
  /** AFP. */
  readonly fingerprint: Uint8Array;
  /** As they came. */
  readonly certificates: readonly SecureCertificate[];
}

/** What a service says of somebody's devices, as far as it is true by its own signatures. */
export interface PeerDevices extends ListedDevices {
  /** Those whose certificates hold; without repeats. */
  readonly devices: readonly CertifiedDevice[];
}

/** Changes of the own directory that came in between, after which publishing gives up. */
const ATTEMPTS_MAX = 5;
/** A service that is busy takes one more certificate after so long. [SEC-100] */
const BUSY_WAIT_MS = 10_000;
/** How often that is waited for; other devices of the user may be quicker. */
const BUSY_WAITS_MAX = 12;

/** Asks for somebody's devices; undefined: nothing is published. */
export async function lookUp(
  client: Client,
  crypto: CryptoProvider,
  { userId, signal }: { readonly userId: string; readonly signal?: AbortSignal | undefined },
): Promise<ListedDevices | undefined> {
  const { listDevices } = KeyDirectoryService.method;
  const options = signal === undefined ? {} : { signal };
  const listed = await client.call(listDevices, { userId }, options);
  const { revision, accountKey, devices } = listed;
  if (accountKey === undefined || !areSecureKeys(accountKey)) return undefined;
  const account = { ed25519: accountKey.ed25519, mlDsa65: accountKey.mlDsa65 };
  return {
    userId,
    revision: Number(revision),
    account,
    fingerprint: accountFingerprint(crypto, account),
    certificates: devices.map(({ core, signature }) => ({ core, signature })),
  };
}

/** Verifies every certificate of a list, which takes its time. [SEC-9] */
export function verified(
  listed: ListedDevices,
  judged: JudgedCertificates,
  nowMs: number,
): PeerDevices {
  const { account, userId, certificates } = listed;
  const devices = new Map<string, CertifiedDevice>();
  for (const certificate of certificates) {
    const device = judged.read(certificate, { account, userId, nowMs });
    if (!("code" in device)) devices.set(device.deviceId, device);
  }
  return { ...listed, devices: [...devices.values()] };
}

/**
 * Puts this device into its user's directory, unless it is there. A service that is busy is asked
 * again, for two minutes. [SEC-100]
 *
 * @param how `replaceAccount`: where the directory has another account key, put this one in its
 *   place. All other devices fall out, and every peer is told that the account is another one.
 * @throws RefusedError PEER_IDENTITY_CHANGED where the directory has another account key;
 *   CERTIFICATE_INVALID where another device has to vouch for this one first; DIRECTORY_BUSY where
 *   the user's devices publish all the time. The signal's reason when it is aborted
 */
export async function publish(
  client: Client,
  crypto: CryptoProvider,
  { identity, nowMs, replaceAccount, signal, pause }: Publishing,
): Promise<void> {
  const certificate = await identity.certificate(nowMs);
  const { accountKey } = identity;
  if (certificate === undefined || accountKey === undefined) {
    throw new RefusedError(ErrorCode.CERTIFICATE_INVALID);
  }
  const { userId } = identity.device;
  await change(client, crypto, { userId, signal, pause }, (listed) => {
    const isSame = listed !== undefined && sameKeys(listed.account, accountKey);
    if (listed !== undefined && !isSame && !replaceAccount) {
      throw new RefusedError(ErrorCode.PEER_IDENTITY_CHANGED);
    }
    // The very certificate: one that was renewed takes the place of the one before.
    const isListed = listed?.certificates.some(({ core }) => equalBytes(core, certificate.core));
    if (isSame && isListed) return undefined;
    const revision = BigInt(listed?.revision ?? 0);
    return { case: "publishDevice", value: { revision, accountKey, certificate } };
  });
}

export interface Publishing {
  readonly identity: SecureIdentity;
  readonly nowMs: number;
  readonly replaceAccount: boolean;
  /** Gives up. */
  readonly signal?: AbortSignal;
  readonly pause?: Sleep;
}

/**
 * Takes a device out of its user's directory.
 *
 * @throws RefusedError DEVICE_UNKNOWN when it is not in it
 */
export async function revoke(
  client: Client,
  crypto: CryptoProvider,
  { userId, deviceId }: DeviceAddress,
): Promise<void> {
  await change(client, crypto, { userId }, (listed) => {
    const revision = BigInt(listed?.revision ?? 0);
    return { case: "revokeDevice", value: { revision, deviceId } };
  });
}

interface Changing {
  readonly userId: string;
  readonly signal?: AbortSignal | undefined;
  readonly pause?: Sleep | undefined;
}

type DirectoryChange = Exclude<MessageInitShape<typeof OperationSchema>["kind"], undefined>;

/** Makes a change for the directory as it is: read again when somebody else was quicker. */
async function change(
  client: Client,
  crypto: CryptoProvider,
  { signal = new AbortController().signal, pause = sleep, userId }: Changing,
  changeFor: (listed: ListedDevices | undefined) => DirectoryChange | undefined,
): Promise<void> {
  let busyCount = 0;
  for (let attempt = 1; ; ) {
    signal.throwIfAborted();
    const kind = changeFor(await lookUp(client, crypto, { userId, signal }));
    if (kind === undefined) return;
    try {
      await client.submit(toBinary(OperationSchema, create(OperationSchema, { kind })));
      return;
    } catch (error) {
      const code = error instanceof RefusedError ? error.code : undefined;
      if (code === ErrorCode.DIRECTORY_BUSY && busyCount < BUSY_WAITS_MAX) {
        busyCount += 1;
        await pause(BUSY_WAIT_MS, signal);
      } else if (code === ErrorCode.DIRECTORY_CHANGED && attempt < ATTEMPTS_MAX) attempt += 1;
      else throw error;
    }
  }
}
