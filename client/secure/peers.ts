import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import type { DirectoryAnswer, SecurePeer } from "../../protocol/secure/peer.ts";
import {
  judgeSafetyCode,
  type SafetyVerdict,
  safetyCode,
  safetyNumber,
} from "../../protocol/secure/safety-number.ts";
import type { Client } from "../client.ts";
import { RefusedError } from "../results.ts";
import type { SteadyClock } from "../steady-clock.ts";
import { lookUp, type PeerDevices } from "./directory.ts";
import type { SecureIdentity } from "./identity.ts";
import { continuityOf, judgePeer, type PeerMemory, type PeerTrust } from "./known-peers.ts";

/** What two people compare. */
export interface SafetyNumber {
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

  constructor(options: SecurePeersOptions) {
    this.#options = options;
  }

  /** Somebody's devices, and how far their account is known; undefined where there are none. */
  async devicesOf(userId: string): Promise<(PeerDevices & { trust: PeerTrust }) | undefined> {
    const { client, crypto, memory, clock } = this.#options;
    const found = await lookUp(client, crypto, { userId, nowMs: clock.nowMs() });
    if (found === undefined) return undefined;
    return { ...found, trust: await judgePeer(memory, userId, found.fingerprint) };
  }

  /** For the machine of the chats; undefined: nothing is published, or nobody could be asked. */
  async answerFor(userId: string): Promise<DirectoryAnswer | undefined> {
    try {
      const found = await this.devicesOf(userId);
      if (found === undefined) return undefined;
      const { account, certificates, trust } = found;
      return { accountKey: account, devices: certificates, continuity: continuityOf(trust) };
    } catch {
      return undefined;
    }
  }

  async trustIn({ userId, accountFingerprint }: SecurePeer): Promise<PeerTrust> {
    return await judgePeer(this.#options.memory, userId, accountFingerprint);
  }

  /** A chat is open: who was not known is, from now on. How far it was known before. */
  async met(peer: SecurePeer): Promise<PeerTrust> {
    const { userId, accountFingerprint: fingerprint, continuity } = peer;
    const { memory, clock } = this.#options;
    if ((await memory.load(userId)) === undefined) {
      await memory.save(userId, { fingerprint, verified: false, firstSeenMs: clock.nowMs() });
    }
    return continuity === "first-seen" ? "first-seen" : await this.trustIn(peer);
  }

  /** @throws RefusedError PEER_IDENTITY_CHANGED when the account is another one than was known */
  async safetyNumber(userId: string): Promise<SafetyNumber> {
    const { crypto } = this.#options;
    const { own, peer, trust } = await this.#accounts(userId);
    const digits = safetyNumber(crypto, own, peer);
    return { digits, code: safetyCode(crypto, own, peer), trust };
  }

  /** What a code says that was scanned from the other side's screen. @throws likewise */
  async judgeCode(userId: string, scanned: Uint8Array): Promise<SafetyVerdict> {
    const { own, peer } = await this.#accounts(userId);
    return judgeSafetyCode(this.#options.crypto, scanned, { own, peer });
  }

  async #accounts(userId: string) {
    const { device, accountKey } = this.#options.identity;
    const { account, trust } = await this.#unchanged(userId);
    if (accountKey === undefined) throw new RefusedError(ErrorCode.CERTIFICATE_INVALID);
    const own = { userId: device.userId, keys: accountKey };
    return { own, peer: { userId, keys: account }, trust };
  }

  /** The safety number was compared. @throws as {@link safetyNumber} */
  async verify(userId: string): Promise<void> {
    const { memory, clock } = this.#options;
    const { fingerprint } = await this.#unchanged(userId);
    const firstSeenMs = (await memory.load(userId))?.firstSeenMs ?? clock.nowMs();
    await memory.save(userId, { fingerprint, verified: true, firstSeenMs });
  }

  /** Another account takes the place of the one that was known; the same one stays as it was. */
  async trust(userId: string): Promise<void> {
    const { memory, clock } = this.#options;
    const { fingerprint, trust } = await this.#listed(userId);
    if (trust === "verified" || trust === "seen-before") return;
    await memory.save(userId, { fingerprint, verified: false, firstSeenMs: clock.nowMs() });
  }

  async #unchanged(userId: string) {
    const found = await this.#listed(userId);
    if (found.trust === "changed") throw new RefusedError(ErrorCode.PEER_IDENTITY_CHANGED);
    return found;
  }

  async #listed(userId: string) {
    const found = await this.devicesOf(userId);
    if (found === undefined) throw new RefusedError(ErrorCode.SECURE_PEER_UNKNOWN);
    return found;
  }
}
