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
  type SecureKeys,
} from "./identity.ts";
import { JudgedCertificates } from "./judged-certificates.ts";

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

/**
 * The device that was asked for, if its account vouches for it; never throws. Of all certificates
 * its own alone is verified. [SEC-31] [SEC-32] [SEC-102]
 */
export function findPeer(
  crypto: CryptoProvider,
  { accountKey, devices, continuity }: DirectoryAnswer,
  { userId, deviceId, fingerprint, nowMs }: PeerQuery,
  judged: JudgedCertificates = new JudgedCertificates(crypto),
): SecurePeer | Violation {
  if (continuity === "changed") return changedIdentity();
  for (const certificate of devices) {
    const named = nameOfCertificate(crypto, certificate);
    if (named?.deviceId !== deviceId) continue;
    if (fingerprint !== undefined && !equalBytes(named.fingerprint, fingerprint)) continue;
    const certified = judged.read(certificate, { account: accountKey, userId, nowMs });
    if ("code" in certified) return certified;
    const ofAccount = accountFingerprint(crypto, accountKey);
    return { ...certified, accountFingerprint: ofAccount, continuity };
  }
  return violation(ErrorCode.SECURE_PEER_UNKNOWN, "SEC-32", "the directory lists no such device");
}

/**
 * Why a device is not to be talked to any more; undefined while the account that it was met with
 * lists it, by a certificate that holds. One judge for an answer: a signature is looked at once,
 * however much is open with its device. Never throws. [SEC-35]
 */
export function listingJudge(
  crypto: CryptoProvider,
  answer: DirectoryAnswer,
  nowMs: number,
  judged: JudgedCertificates = new JudgedCertificates(crypto),
): (peer: SecurePeer) => Violation | undefined {
  const ofAccount = accountFingerprint(crypto, answer.accountKey);
  const listed = new Map<string, boolean>();
  return (peer) => {
    if (answer.continuity === "changed" || !equalBytes(ofAccount, peer.accountFingerprint)) {
      return changedIdentity();
    }
    const { userId, deviceId, fingerprint } = peer;
    const key = `${nameOf(peer)} ${fingerprint.join()}`;
    const isListed =
      listed.get(key) ??
      !("code" in findPeer(crypto, answer, { userId, deviceId, fingerprint, nowMs }, judged));
    listed.set(key, isListed);
    if (isListed) return undefined;
    return violation(ErrorCode.SECURE_PEER_UNKNOWN, "SEC-35", "the device was taken out");
  };
}

/** A device's name, which no other device has. */
export function nameOf({ userId, deviceId }: DeviceAddress): string {
  return `${userId}/${deviceId}`;
}

export function addressOf({ userId, deviceId }: DeviceAddress): DeviceAddress {
  return { userId, deviceId };
}

export function changedIdentity(): Violation {
  return violation(ErrorCode.PEER_IDENTITY_CHANGED, "SEC-11", "another account key than before");
}
