import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { DeviceCertificate } from "../../gen/posthorn/v1/secure_pb.ts";
import { equalBytes } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import type { Plain } from "../plain.ts";
import { type Violation, violation } from "../violation.ts";
import {
  accountFingerprint,
  type CertifiedDevice,
  nameOfCertificate,
  readCertificate,
  type SecureKeys,
} from "./identity.ts";

/** A device as the service addresses it. */
export interface DeviceAddress {
  readonly userId: string;
  readonly deviceId: string;
}

/** Whether an account's key is the one that this user's devices have seen before. [SEC-11] */
export type Continuity = "known" | "first-seen" | "changed";

/** What the directory says of a user, and what the application thinks of that. */
export interface DirectoryAnswer {
  readonly accountKey: SecureKeys;
  readonly devices: readonly Plain<DeviceCertificate>[];
  readonly continuity: Continuity;
}

/** The other device of a chat. */
export interface SecurePeer extends CertifiedDevice {
  readonly accountFingerprint: Uint8Array;
  readonly continuity: Exclude<Continuity, "changed">;
}

/** By what a device is looked for. */
export interface PeerQuery extends DeviceAddress {
  /** DFP, where an offer has named it. */
  readonly fingerprint?: Uint8Array;
  readonly nowMs: number;
}

/** The device that was asked for, if its account vouches for it; never throws. [SEC-31] [SEC-32] */
export function findPeer(
  crypto: CryptoProvider,
  { accountKey, devices, continuity }: DirectoryAnswer,
  { userId, deviceId, fingerprint, nowMs }: PeerQuery,
): SecurePeer | Violation {
  if (continuity === "changed") return changedIdentity();
  for (const certificate of devices) {
    const named = nameOfCertificate(crypto, certificate);
    if (named?.deviceId !== deviceId) continue;
    if (fingerprint !== undefined && !equalBytes(named.fingerprint, fingerprint)) continue;
    const certified = readCertificate(crypto, certificate, { account: accountKey, userId, nowMs });
    if ("code" in certified) return certified;
    const ofAccount = accountFingerprint(crypto, accountKey);
    return { ...certified, accountFingerprint: ofAccount, continuity };
  }
  return violation(ErrorCode.SECURE_PEER_UNKNOWN, "SEC-32", "the directory lists no such device");
}

/** The fingerprints of the devices that an answer lists. */
export function listedDevices(
  crypto: CryptoProvider,
  { devices }: DirectoryAnswer,
): readonly Uint8Array[] {
  return devices.flatMap((certificate) => {
    const named = nameOfCertificate(crypto, certificate);
    return named === undefined ? [] : [named.fingerprint];
  });
}

export function changedIdentity(): Violation {
  return violation(ErrorCode.PEER_IDENTITY_CHANGED, "SEC-11", "another account key than before");
}
