import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { isLoginOf, loginAnswer } from "../../protocol/envelope/login.ts";
import { type CryptoProvider, HASH_BYTES } from "../../protocol/envelope/provider.ts";
import type { SealedFacts } from "../../protocol/link.ts";
import type { AttachClaim } from "../../protocol/session/hello.ts";
import { type Identity, type Principal, principalOf } from "../auth/authenticate.ts";
import { type DeviceLogin, type Store, userRefOf } from "../store/store.ts";

interface LoginsOptions {
  readonly store: Pick<Store, "loadLogin">;
  readonly crypto: CryptoProvider;
  readonly nowMs: () => number;
  /** How long a registration is good for. [AUT-7] */
  readonly lifetimeMs: number;
}

/**
 * Logins that are bound to their link: what stands in for a token where none may leave. [ENV-35]
 * [ENV-57]
 */
export class Logins {
  readonly #options: LoginsOptions;

  constructor(options: LoginsOptions) {
    this.#options = options;
  }

  /** What is to be kept for a device that registers with a token. [ENV-56] */
  registrationOf({ registration }: AttachClaim): DeviceLogin | undefined {
    if (registration === undefined) return undefined;
    const { loginKey: publicKey, registrationSecret } = registration;
    return { publicKey, registrationSecret, registeredMs: this.#options.nowMs() };
  }

  /**
   * Whose the proof of a Hello is. Every fault is refused alike, and after the same work, so that
   * nobody learns which devices there are. [ENV-57]
   */
  async authenticate(claim: AttachClaim, sealed: SealedFacts | undefined): Promise<Identity> {
    const { crypto } = this.#options;
    const { loginProof, deviceId, userId } = claim;
    const principal = loginProof && principalOf(loginProof.account);
    if (loginProof === undefined || principal === undefined) return LOGIN_INVALID;
    // On a link that is not sealed the work is done all the same, for an answer that is known.
    const channelBinding = sealed?.channelBinding ?? NO_BINDING;
    const login = await this.#loginOf(principal, deviceId);
    const { publicKey, registrationSecret } = login ?? NOBODY;
    const { account, signature } = loginProof;
    const isOwn = isLoginOf(crypto, publicKey, { channelBinding, account, deviceId, signature });
    const isMeant = loginProof.deviceId === deviceId && ["", principal.userId].includes(userId);
    const isOfLink = sealed !== undefined && isOwn;
    if (login === undefined || !isOfLink || !isMeant) return LOGIN_INVALID;
    if (registrationSecret.length === 0) return DEVICE_ENDED;
    const answer = loginAnswer(crypto, { registrationSecret, channelBinding });
    return { kind: "authenticated", principal, loginAnswer: answer };
  }

  /** What a device has registered, unless it is too old. [AUT-7] */
  async #loginOf(
    { tenant, userId }: Principal,
    deviceId: string,
  ): Promise<DeviceLogin | undefined> {
    const { store, nowMs, lifetimeMs } = this.#options;
    const login = await store.loadLogin({ user: userRefOf(tenant, userId), deviceId });
    const isGood = login !== undefined && nowMs() < login.registeredMs + lifetimeMs;
    return isGood ? login : undefined;
  }
}

/** Stands in for a device that nobody knows: what its key has signed is refused as well. */
const NOBODY = {
  publicKey: Uint8Array.of(0x58, ...new Array(31).fill(0x66)),
  registrationSecret: new Uint8Array(32),
};

/** No sealed link has this one. [ENV-15] */
const NO_BINDING = new Uint8Array(HASH_BYTES);

/** Only who holds the key of a device that was ended is told so. [DEV-6] */
const DEVICE_ENDED = {
  kind: "refused",
  code: ErrorCode.DEVICE_ENDED,
  requirement: "DEV-6",
  detail: "the user has ended the device",
} as const;

/** What every fault of a login is answered with. [ENV-57] */
export const LOGIN_INVALID = {
  kind: "refused",
  code: ErrorCode.LOGIN_PROOF_INVALID,
  requirement: "ENV-57",
  detail: "no login proof of a device registered here, on this link",
} as const;
