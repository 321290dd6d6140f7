import type { DeviceCertificate } from "../../gen/posthorn/v1/secure_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { Plain } from "../../protocol/plain.ts";
import type { OwnDevice } from "../../protocol/secure/handshake.ts";
import {
  type CertifiedDevice,
  certify,
  deviceFingerprint,
  encodeDevice,
  SecureSigner,
} from "../../protocol/secure/identity.ts";
import type { Continuity, DirectoryAnswer } from "../../protocol/secure/peer.ts";
import { drawn } from "../envelope/drawn.ts";

/** A composite key that is the same for the same name. */
export function signerOf(name: string): SecureSigner {
  return new SecureSigner(
    NATIVE_CRYPTO.ed25519Key(drawn(`${name} ed25519`, 32)),
    NATIVE_CRYPTO.mlDsa65Key(drawn(`${name} ml-dsa-65`, 32)),
  );
}

/** A user's account key, and what it vouches for. */
export class TestAccount {
  readonly userId: string;
  key: SecureSigner;
  readonly devices: Plain<DeviceCertificate>[] = [];
  continuity: Continuity = "known";

  constructor(userId: string, keyName = `${userId} account`) {
    this.userId = userId;
    this.key = signerOf(keyName);
  }

  /** A device that the directory lists. */
  add(deviceId: string, nowMs: number, expiresMs = 0): OwnDevice {
    const { userId } = this;
    const signer = signerOf(`${userId} ${deviceId}`);
    const device = { userId, deviceId, keys: signer.keys };
    const input = { device, createdMs: nowMs, expiresMs };
    this.devices.push(certify(NATIVE_CRYPTO, this.key, input));
    const fingerprint = deviceFingerprint(NATIVE_CRYPTO, encodeDevice(device));
    return { userId, deviceId, signer, fingerprint };
  }

  get answer(): DirectoryAnswer {
    const { continuity, devices } = this;
    return { accountKey: this.key.keys, devices, continuity };
  }
}

/** A device as its peers know it. */
export function certified(own: OwnDevice): CertifiedDevice {
  const { userId, deviceId, fingerprint, signer } = own;
  return { userId, deviceId, fingerprint, keys: signer.keys, createdMs: 1, expiresMs: 0 };
}
