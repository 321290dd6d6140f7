import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  type DeviceCertificate,
  type DeviceCertificateCore,
  DeviceCertificateCoreSchema,
  type SecurePublicKeys,
} from "../../gen/posthorn/v1/secure_pb.ts";
import {
  ED25519_PUBLIC_KEY_BYTES,
  ED25519_SIGNATURE_BYTES,
  isSoundEd25519Key,
} from "../envelope/ed25519-form.ts";
import {
  isEd25519Signed,
  ML_DSA_65_PUBLIC_KEY_BYTES,
  ML_DSA_65_SIGNATURE_BYTES,
} from "../envelope/identity.ts";
import { ascii, concat, copyOf, equalBytes, lv8 } from "../envelope/octets.ts";
import type { CryptoProvider, SigningKey } from "../envelope/provider.ts";
import { signedText } from "../envelope/transcript.ts";
import { DEVICE_ID_PATTERN, USER_ID_PATTERN } from "../limits.ts";
import { decodePlain, encodePlain, type Plain } from "../plain.ts";
import { type Violation, violation } from "../violation.ts";
import { SECURE_LABEL, secureHash } from "./schedule.ts";

/** Of an account or a device: both public keys. */
export type SecureKeys = Plain<SecurePublicKeys>;

/** Of device and account fingerprints. [SEC-4] [SEC-5] */
export const FINGERPRINT_BYTES = 32;
/** Ed25519, then ML-DSA-65. [SEC-6] */
export const SECURE_SIGNATURE_BYTES: number = ED25519_SIGNATURE_BYTES + ML_DSA_65_SIGNATURE_BYTES;
/** Clocks of two devices, and of the service, differ by at most this. [SEC-22] */
export const CLOCK_SKEW_MS = 300_000;

const DEVICE_LAYOUT = 1;

/** What signatures are for; none verifies in another's place. [SEC-7] */
const CONTEXTS = {
  certificate: "Posthorn device certificate v1",
  offer: "Posthorn secure chat v1 offer",
  accept: "Posthorn secure chat v1 accept",
} as const;
export type SignedPurpose = keyof typeof CONTEXTS;

/** The private half of a composite key, of a device or of an account. [SEC-6] */
export class SecureSigner {
  readonly keys: SecureKeys;
  readonly #ed25519: SigningKey;
  readonly #mlDsa65: SigningKey;

  constructor(ed25519: SigningKey, mlDsa65: SigningKey) {
    this.#ed25519 = ed25519;
    this.#mlDsa65 = mlDsa65;
    this.keys = { ed25519: copyOf(ed25519.publicKey), mlDsa65: copyOf(mlDsa65.publicKey) };
  }

  /** Both signatures over the same text. [SEC-6] */
  sign(purpose: SignedPurpose, meant: Uint8Array): Uint8Array {
    const text = signedText(CONTEXTS[purpose], meant);
    return concat([this.#ed25519.sign(text), this.#mlDsa65.sign(text)]);
  }
}

/** Whether both halves are right: one of them alone proves nothing. [SEC-6] */
export function isComposite(
  crypto: CryptoProvider,
  keys: SecureKeys,
  { purpose, meant, signature }: CompositeSigned,
): boolean {
  if (signature.length !== SECURE_SIGNATURE_BYTES || !areSecureKeys(keys)) return false;
  const text = signedText(CONTEXTS[purpose], meant);
  const first = signature.subarray(0, ED25519_SIGNATURE_BYTES);
  const second = signature.subarray(ED25519_SIGNATURE_BYTES);
  return (
    isEd25519Signed(crypto, { publicKey: keys.ed25519, text, signature: first }) &&
    crypto.mlDsa65Verify(keys.mlDsa65, text, second)
  );
}

export interface CompositeSigned {
  readonly purpose: SignedPurpose;
  readonly meant: Uint8Array;
  readonly signature: Uint8Array;
}

/** Whether keys have the form of somebody's who signs; both are there. [SEC-6] [ENV-31] */
export function areSecureKeys({ ed25519, mlDsa65 }: SecureKeys): boolean {
  return isSoundEd25519Key(ed25519) && mlDsa65.length === ML_DSA_65_PUBLIC_KEY_BYTES;
}

/** A device: whose it is, what it is called, and what it signs with. */
export interface SecureDevice {
  readonly userId: string;
  readonly deviceId: string;
  readonly keys: SecureKeys;
}

/** The layout D: everything that a device is. Throws RangeError for what is none. [SEC-3] */
export function encodeDevice({ userId, deviceId, keys }: SecureDevice): Uint8Array {
  if (!isNamed(userId, deviceId) || !areSecureKeys(keys)) throw new RangeError("not a device");
  return concat([
    Uint8Array.of(DEVICE_LAYOUT),
    lv8(ascii(userId)),
    lv8(ascii(deviceId)),
    keys.ed25519,
    keys.mlDsa65,
  ]);
}

/** Reads the layout D, which has one form; never throws. [SEC-3] */
export function decodeDevice(bytes: Uint8Array): SecureDevice | undefined {
  if (bytes[0] !== DEVICE_LAYOUT) return undefined;
  const userId = readName(bytes, 1);
  const deviceId = readName(bytes, 2 + userId.length);
  const at = 3 + userId.length + deviceId.length;
  const end = at + ED25519_PUBLIC_KEY_BYTES;
  if (bytes.length !== end + ML_DSA_65_PUBLIC_KEY_BYTES) return undefined;
  const keys = { ed25519: copyOf(bytes, at, end), mlDsa65: copyOf(bytes, end) };
  if (!isNamed(userId, deviceId) || !areSecureKeys(keys)) return undefined;
  return { userId, deviceId, keys };
}

function readName(bytes: Uint8Array, at: number): string {
  const length = bytes[at] ?? 0;
  return String.fromCharCode(...bytes.subarray(at + 1, at + 1 + length));
}

function isNamed(userId: string, deviceId: string): boolean {
  return USER_ID_PATTERN.test(userId) && DEVICE_ID_PATTERN.test(deviceId);
}

/** DFP: what a device is called inside of a handshake. [SEC-4] */
export function deviceFingerprint(crypto: CryptoProvider, device: Uint8Array): Uint8Array {
  return fingerprint(crypto, "device", [device]);
}

/** AFP: what is remembered of an account. [SEC-5] */
export function accountFingerprint(crypto: CryptoProvider, keys: SecureKeys): Uint8Array {
  return fingerprint(crypto, "account", [keys.ed25519, keys.mlDsa65]);
}

function fingerprint(crypto: CryptoProvider, of: string, items: readonly Uint8Array[]): Uint8Array {
  return copyOf(secureHash(crypto, `${SECURE_LABEL} ${of}`, items), 0, FINGERPRINT_BYTES);
}

/** What a certificate is made for. */
export interface CertificateInput {
  readonly device: SecureDevice;
  readonly createdMs: number;
  /** 0: until it is revoked. */
  readonly expiresMs: number;
}

/** The account's word that a device is its own. Throws RangeError for what is none. [SEC-8] */
export function certify(
  crypto: CryptoProvider,
  account: SecureSigner,
  { device, createdMs, expiresMs }: CertificateInput,
): Plain<DeviceCertificate> {
  const said = { device: encodeDevice(device), createdMs, expiresMs };
  if (!isLasting(said)) throw new RangeError("a certificate ends after it begins");
  const core = encodePlain(DeviceCertificateCoreSchema, said);
  return { core, signature: account.sign("certificate", certificateHash(crypto, core)) };
}

/** A device that its account vouches for. */
export interface CertifiedDevice extends SecureDevice {
  /** DFP. */
  readonly fingerprint: Uint8Array;
  readonly createdMs: number;
  /** 0: until it is revoked. */
  readonly expiresMs: number;
}

/** Whether an account vouches for a device now; never throws. [SEC-8] [SEC-9] */
export function readCertificate(
  crypto: CryptoProvider,
  certificate: Plain<DeviceCertificate>,
  { account, userId, nowMs, isSigned }: CertificateExpectation,
): CertifiedDevice | Violation {
  const named = nameOfCertificate(crypto, certificate);
  if (named === undefined) return invalid("SEC-8", "not a certificate");
  if (named.userId !== userId) return invalid("SEC-9", "a device of somebody else");
  if (named.createdMs > nowMs + CLOCK_SKEW_MS) return invalid("SEC-9", "not in force yet");
  if (named.expiresMs !== 0 && named.expiresMs + CLOCK_SKEW_MS < nowMs) {
    return violation(ErrorCode.SECURE_EXPIRED, "SEC-9", "the certificate has expired");
  }
  const isRight = isSigned?.(account) ?? isCertificateSigned(crypto, certificate, account);
  return isRight ? named : invalid("SEC-8", "not signed by this account");
}

export interface CertificateExpectation {
  readonly account: SecureKeys;
  readonly userId: string;
  readonly nowMs: number;
  /** Says what {@link isCertificateSigned} has said before. */
  readonly isSigned?: (account: SecureKeys) => boolean;
}

/** Whether an account has signed a certificate, whatever it says. [SEC-8] */
export function isCertificateSigned(
  crypto: CryptoProvider,
  { core, signature }: Plain<DeviceCertificate>,
  account: SecureKeys,
): boolean {
  const meant = certificateHash(crypto, core);
  return isComposite(crypto, account, { purpose: "certificate", meant, signature });
}

/** What a certificate says, whoever signed it: to find the one whose signature is worth a look. */
export function nameOfCertificate(
  crypto: CryptoProvider,
  { core }: Pick<Plain<DeviceCertificate>, "core">,
): CertifiedDevice | undefined {
  const said = decodePlain(DeviceCertificateCoreSchema, core);
  if (typeof said === "string" || !isLasting(said)) return undefined;
  const device = decodeDevice(said.device);
  if (device === undefined) return undefined;
  const { createdMs, expiresMs } = said;
  return { ...device, fingerprint: deviceFingerprint(crypto, said.device), createdMs, expiresMs };
}

/** Whether two public keys are the same. */
export function sameKeys(a: SecureKeys, b: SecureKeys): boolean {
  return equalBytes(a.ed25519, b.ed25519) && equalBytes(a.mlDsa65, b.mlDsa65);
}

function isLasting({ createdMs, expiresMs }: Plain<DeviceCertificateCore>): boolean {
  return createdMs > 0 && (expiresMs === 0 || expiresMs > createdMs);
}

function certificateHash(crypto: CryptoProvider, core: Uint8Array): Uint8Array {
  return secureHash(crypto, SECURE_LABEL, [core]);
}

function invalid(requirement: string, detail: string): Violation {
  return violation(ErrorCode.CERTIFICATE_INVALID, requirement, detail);
}
