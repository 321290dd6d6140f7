import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import {
  certify,
  deviceFingerprint,
  encodeDevice,
  readCertificate,
  type SecureDevice,
  type SecureKeys,
  SecureSigner,
  sameKeys,
} from "../../protocol/secure/identity.ts";
import type { SecureCertificate } from "./directory.ts";

/** What a composite key is made of: two random seeds of 32 bytes. Keep it as a password is kept. */
export interface SecureSeeds {
  readonly ed25519: Uint8Array;
  readonly mlDsa65: Uint8Array;
}

/** Who a device is in secure chats. */
export interface SecureIdentityState {
  /** Undefined before its first use. */
  readonly device: SecureSeeds | undefined;
  /** Of the user. Undefined on a device that another one vouches for. */
  readonly account: SecureSeeds | undefined;
  /** What vouches for the device, once there is one, and by which account key. */
  readonly certificate: (SecureCertificate & { readonly accountKey: SecureKeys }) | undefined;
}

/** Where that is kept, for one device of one user. Durable when it resolves. */
export interface SecureIdentityMemory {
  load(): Promise<SecureIdentityState>;
  save(state: SecureIdentityState): Promise<void>;
}

/** As long as its process lives, or as whoever gives the state keeps it. */
export function memorySecureIdentity(state: SecureIdentityState = NOBODY): SecureIdentityMemory {
  let kept = state;
  return {
    load: async () => kept,
    save: async (fresh) => {
      kept = fresh;
    },
  };
}

const NOBODY = { device: undefined, account: undefined, certificate: undefined };

export const SEED_BYTES = 32;
/** How long a certificate holds: it is renewed by then, or the device falls out of use. */
const CERTIFICATE_DAYS = 365;
const DAY_MS = 86_400_000;

/** A device's keys, and the account's where it has them. [SEC-6] [SEC-8] */
export class SecureIdentity {
  readonly device: SecureDevice;
  /** DFP: 32 bytes. [SEC-4] */
  readonly fingerprint: Uint8Array;
  readonly signer: SecureSigner;
  readonly #crypto: CryptoProvider;
  readonly #memory: SecureIdentityMemory;
  #certificate: SecureIdentityState["certificate"];
  readonly #seeds: SecureSeeds;
  /** Undefined on a device that another one vouches for. */
  #account: { readonly seeds: SecureSeeds; readonly signer: SecureSigner } | undefined;

  /**
   * Loads a device's identity, or makes one with an account key of its own and keeps it.
   *
   * @throws what the memory throws
   */
  static async open(
    crypto: CryptoProvider,
    memory: SecureIdentityMemory,
    name: { readonly userId: string; readonly deviceId: string },
  ): Promise<SecureIdentity> {
    const { device, account, certificate } = await memory.load();
    if (device !== undefined) {
      const state = { device, account, certificate };
      return new SecureIdentity(crypto, memory, { state, ...name });
    }
    const drawn = { device: drawSeeds(), account: account ?? drawSeeds(), certificate };
    await memory.save(drawn);
    // Another device of the user may have made the account meanwhile.
    const kept = await memory.load();
    const state = { ...drawn, account: kept.account ?? drawn.account };
    return new SecureIdentity(crypto, memory, { state, ...name });
  }

  private constructor(crypto: CryptoProvider, memory: SecureIdentityMemory, of: Opened) {
    const { device, account, certificate } = of.state;
    this.#crypto = crypto;
    this.#memory = memory;
    this.#seeds = device;
    this.#certificate = certificate;
    const signer = account && signerOf(crypto, account);
    // Devices of one user may share a file, and not all of them its account.
    const isOurs = certificate === undefined || sameAccount(signer, certificate.accountKey);
    if (account !== undefined && signer !== undefined && isOurs) {
      this.#account = { seeds: account, signer };
    }
    this.signer = signerOf(crypto, device);
    this.device = { userId: of.userId, deviceId: of.deviceId, keys: this.signer.keys };
    this.fingerprint = deviceFingerprint(crypto, encodeDevice(this.device));
  }

  /** The account's public keys; undefined before the device belongs to an account. */
  get accountKey(): SecureKeys | undefined {
    return this.#certificate?.accountKey ?? this.#account?.signer.keys;
  }

  /** Whether this device can vouch for others of its user. */
  get certifies(): boolean {
    return this.#account !== undefined;
  }

  /**
   * The certificate of this device, made where there is none that holds.
   *
   * @returns undefined where only another device can make it
   */
  async certificate(nowMs: number): Promise<SecureCertificate | undefined> {
    const kept = this.#certificate;
    if (kept !== undefined && this.#holds(kept, nowMs)) {
      return { core: kept.core, signature: kept.signature };
    }
    if (this.#account === undefined) return undefined;
    const fresh = this.certify(this.device, nowMs);
    await this.#keep({ ...fresh, accountKey: this.#account.signer.keys });
    return fresh;
  }

  /**
   * Vouches for a device of the same user. Only after its user has compared its fingerprint: who is
   * let in here reads what is sent from then on.
   *
   * @throws TypeError without the account's key; RangeError for what is no device of this user
   */
  certify(device: SecureDevice, nowMs: number): SecureCertificate {
    if (this.#account === undefined) throw new TypeError("the account's key is on another device");
    if (device.userId !== this.device.userId) throw new RangeError("device: of another user");
    const expiresMs = nowMs + CERTIFICATE_DAYS * DAY_MS;
    const input = { device, createdMs: nowMs, expiresMs };
    return certify(this.#crypto, this.#account.signer, input);
  }

  /**
   * Takes what another device of the user has made for this one. The account key that this device
   * had is not used any more.
   *
   * @throws RangeError when it does not vouch for this device
   */
  async adopt(
    certificate: SecureCertificate,
    accountKey: SecureKeys,
    nowMs: number,
  ): Promise<void> {
    const adopted = { ...certificate, accountKey };
    if (!this.#holds(adopted, nowMs)) throw new RangeError("certificate: not for this device");
    if (!sameAccount(this.#account?.signer, accountKey)) this.#account = undefined;
    await this.#keep(adopted);
  }

  #holds(certificate: SecureCertificate & { accountKey: SecureKeys }, nowMs: number): boolean {
    const { userId, deviceId } = this.device;
    const expected = { account: certificate.accountKey, userId, nowMs };
    const read = readCertificate(this.#crypto, certificate, expected);
    if ("code" in read || read.deviceId !== deviceId) return false;
    const ends = read.expiresMs === 0 ? Number.POSITIVE_INFINITY : read.expiresMs;
    const isOurs = sameKeys(read.keys, this.device.keys);
    // Renewed early: a device must not fall out of its chats for a day's delay.
    return isOurs && ends - nowMs > (CERTIFICATE_DAYS / 12) * DAY_MS;
  }

  async #keep(certificate: NonNullable<SecureIdentityState["certificate"]>): Promise<void> {
    const account = this.#account?.seeds;
    await this.#memory.save({ device: this.#seeds, account, certificate });
    this.#certificate = certificate;
  }
}

interface Opened {
  readonly state: SecureIdentityState & { readonly device: SecureSeeds };
  readonly userId: string;
  readonly deviceId: string;
}

function sameAccount(signer: SecureSigner | undefined, keys: SecureKeys): boolean {
  return signer !== undefined && sameKeys(signer.keys, keys);
}

function signerOf(crypto: CryptoProvider, { ed25519, mlDsa65 }: SecureSeeds): SecureSigner {
  return new SecureSigner(crypto.ed25519Key(ed25519), crypto.mlDsa65Key(mlDsa65));
}

/** Two seeds from the platform's generator. */
export function drawSeeds(): SecureSeeds {
  const drawn = () => globalThis.crypto.getRandomValues(new Uint8Array(SEED_BYTES));
  return { ed25519: drawn(), mlDsa65: drawn() };
}
