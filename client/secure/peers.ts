import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { JudgedCertificates } from "../../protocol/secure/judged-certificates.ts";
import type { SecurePeer } from "../../protocol/secure/peer.ts";
import {
  judgeSafetyCode,
  type SafetyVerdict,
  safetyCode,
  safetyNumber,
} from "../../protocol/secure/safety-number.ts";
import type { Client } from "../client.ts";
import { RefusedError } from "../results.ts";
import type { SteadyClock } from "../steady-clock.ts";
import { type ListedDevices, lookUp, type PeerDevices, verified } from "./directory.ts";
import type { SecureIdentity } from "./identity.ts";
import { continuityOf, judgePeer, type PeerMemory, type PeerTrust } from "./known-peers.ts";
import type { LookedUp } from "./lookups.ts";

/** What two people compare; {@link SecurePeers.verify} takes what was shown, and nothing else. */
export interface SafetyNumber {
  readonly userId: string;
  /** AFP of the account that it was computed for. */
  readonly fingerprint: Uint8Array;
  /** Sixty, in groups of five; the same on both sides. [SEC-12] */
  readonly digits: string;
  /** What the other side scans, as a QR code; see {@link SecurePeers.judgeCode}. [SEC-13] */
  readonly code: Uint8Array;
  readonly trust: PeerTrust;
}

export interface SecurePeersOptions {
  readonly client: Client;
  readonly crypto: CryptoProvider;
  readonly identity: SecureIdentity;
  readonly memory: PeerMemory;
  readonly clock: SteadyClock;
}

/** Other people: what the directory says of them, and what this device remembers. [SEC-11] */
export class SecurePeers {
  readonly #options: SecurePeersOptions;
  readonly #judged: JudgedCertificates;

  constructor(options: SecurePeersOptions) {
    this.#options = options;
    this.#judged = new JudgedCertificates(options.crypto);
  }

  /** Somebody's devices, and how far their account is known; undefined where there are none. */
  async devicesOf(userId: string): Promise<(PeerDevices & { trust: PeerTrust }) | undefined> {
    const found = await this.#listed(userId);
    if (found === undefined) return undefined;
    const { trust, ...listed } = found;
    return { ...verified(listed, this.#judged, this.#options.clock.nowMs()), trust };
  }

  /**
   * For the machine of the chats, which verifies of all certificates the one that it needs.
   * [SEC-102]
   *
   * @throws when nobody could be asked
   */
  async lookedUp(userId: string, signal: AbortSignal): Promise<LookedUp> {
    const found = await this.#listed(userId, signal);
    if (found === undefined) return { revision: Number.POSITIVE_INFINITY, answer: undefined };
    const { revision, account, certificates, trust } = found;
    const continuity = continuityOf(trust);
    return { revision, answer: { accountKey: account, devices: certificates, continuity } };
  }

  async #listed(
    userId: string,
    signal?: AbortSignal,
  ): Promise<(ListedDevices & { trust: PeerTrust }) | undefined> {
    const { client, crypto, memory } = this.#options;
    const found = await lookUp(client, crypto, { userId, signal });
    if (found === undefined) return undefined;
    return { ...found, trust: await judgePeer(memory, userId, found.fingerprint) };
  }

  async trustIn({ userId, accountFingerprint }: SecurePeer): Promise<PeerTrust> {
    return await judgePeer(this.#options.memory, userId, accountFingerprint);
  }

  /** A chat is open: who was not known is, from now on. How far it was known before. */
  async met(peer: SecurePeer): Promise<PeerTrust> {
    const { userId, accountFingerprint: fingerprint } = peer;
    const { memory, clock } = this.#options;
    const trust = await this.trustIn(peer);
    if (trust !== "first-seen") return trust;
    await memory.save(userId, { fingerprint, verified: false, firstSeenMs: clock.nowMs() });
    return trust;
  }

  /** Of the account that the directory shows now, a changed one too: look at its `trust`. */
  async safetyNumber(userId: string): Promise<SafetyNumber> {
    const { crypto } = this.#options;
    const { own, peer, fingerprint, trust } = await this.#accounts(userId);
    const digits = safetyNumber(crypto, own, peer);
    return { userId, fingerprint, digits, code: safetyCode(crypto, own, peer), trust };
  }

  /** What a code says that was scanned from the other side's screen. */
  async judgeCode(userId: string, scanned: Uint8Array): Promise<SafetyVerdict> {
    const { own, peer } = await this.#accounts(userId);
    return judgeSafetyCode(this.#options.crypto, scanned, { own, peer });
  }

  /**
   * What was shown was compared: it, and nothing that the directory says by now, is somebody's.
   *
   * @throws RefusedError PEER_IDENTITY_CHANGED when another account is known
   */
  async verify({ userId, fingerprint }: SafetyNumber): Promise<void> {
    const { memory, clock } = this.#options;
    if ((await judgePeer(memory, userId, fingerprint)) === "changed") {
      throw new RefusedError(ErrorCode.PEER_IDENTITY_CHANGED);
    }
    const firstSeenMs = (await memory.load(userId))?.firstSeenMs ?? clock.nowMs();
    await memory.save(userId, { fingerprint, verified: true, firstSeenMs });
  }

  /** What was shown takes the place of what was known; the same one stays as it was. */
  async trust({ userId, fingerprint }: SafetyNumber): Promise<void> {
    const { memory, clock } = this.#options;
    const trust = await judgePeer(memory, userId, fingerprint);
    if (trust === "verified" || trust === "seen-before") return;
    await memory.save(userId, { fingerprint, verified: false, firstSeenMs: clock.nowMs() });
  }

  async #accounts(userId: string) {
    const { device, accountKey } = this.#options.identity;
    const found = await this.#listed(userId);
    if (found === undefined) throw new RefusedError(ErrorCode.SECURE_PEER_UNKNOWN);
    if (accountKey === undefined) throw new RefusedError(ErrorCode.CERTIFICATE_INVALID);
    const own = { userId: device.userId, keys: accountKey };
    const { account, fingerprint, trust } = found;
    return { own, peer: { userId, keys: account }, fingerprint, trust };
  }
}
