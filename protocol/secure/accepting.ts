import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { SecureAcceptCoreSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { copyOf, equalBytes } from "../envelope/octets.ts";
import { type CryptoProvider, XWING_RANDOMNESS_BYTES } from "../envelope/provider.ts";
import { encodePlain } from "../plain.ts";
import { assert, type Violation, violation } from "../violation.ts";
import type { EstablishedSecure, SecureParametersPlain } from "./established.ts";
import {
  agreedParameters,
  encodePacket,
  HANDSHAKE_NONCE_BYTES,
  type Moment,
  type OwnDevice,
  offerExpiryMs,
  parametersFault,
  RATCHET_SEED_BYTES,
  type ReadConfirm,
  type ReadOffer,
  SECURE_SUITE,
  SECURE_VERSION,
} from "./handshake.ts";
import { type CertifiedDevice, CLOCK_SKEW_MS, isComposite } from "./identity.ts";
import { confirmTag, handshakeRoot, SECURE_LABEL, secureHash, sessionRoot } from "./schedule.ts";

/** For X-Wing; then the seed of the ratchet key, then the nonce. */
export const ACCEPT_ENTROPY_BYTES: number =
  XWING_RANDOMNESS_BYTES + RATCHET_SEED_BYTES + HANDSHAKE_NONCE_BYTES;

/** How often the same answer is sent again. [SEC-28] */
export const ACCEPT_REPEATS_MAX = 8;

/** Whether an offer is for this device, and in its time: before anybody's keys are asked for. */
export function judgeOffer(offer: ReadOffer, own: OwnDevice, nowMs: number): Violation | undefined {
  const { fromDevice, toDevice, createdMs } = offer.core;
  const isToUs = equalBytes(toDevice, own.fingerprint) && !equalBytes(fromDevice, toDevice);
  if (!isToUs) return violation(ErrorCode.SECURE_PEER_UNKNOWN, "SEC-17", "for another device");
  if (createdMs > nowMs + CLOCK_SKEW_MS) {
    return violation(ErrorCode.SECURE_EXPIRED, "SEC-22", "an offer from the future");
  }
  if (nowMs < offerExpiryMs(offer)) return undefined;
  return violation(ErrorCode.SECURE_EXPIRED, "SEC-22", "the offer is past its time");
}

/** Whether the device that an offer names has signed it. [SEC-17] */
export function isOfferOf(
  crypto: CryptoProvider,
  { core, coreBytes, signature }: ReadOffer,
  peer: CertifiedDevice,
): boolean {
  const meant = secureHash(crypto, SECURE_LABEL, [coreBytes]);
  const signed = { purpose: "offer", meant, signature } as const;
  return equalBytes(core.fromDevice, peer.fingerprint) && isComposite(crypto, peer.keys, signed);
}

/** What an offer is answered with. */
export interface AcceptInput {
  readonly offer: ReadOffer;
  readonly peer: CertifiedDevice;
  /** What this device agrees to at most. */
  readonly parameters: SecureParametersPlain;
}

/**
 * Answers an offer, or does not; never throws, whatever the offer. [SEC-17] [SEC-26]
 *
 * @param at ACCEPT_ENTROPY_BYTES, erased
 */
export function acceptOffer(
  crypto: CryptoProvider,
  own: OwnDevice,
  input: AcceptInput,
  at: Moment,
): Accepting | Violation {
  const { offer, peer } = input;
  assert(at.entropy.length === ACCEPT_ENTROPY_BYTES, "entropy of an accept");
  const fault = judgeOffer(offer, own, at.nowMs);
  if (fault !== undefined) return fault;
  if (!isOfferOf(crypto, offer, peer)) {
    return violation(ErrorCode.SECURE_SIGNATURE_INVALID, "SEC-17", "the offer's signature");
  }
  const randomness = at.entropy.subarray(0, XWING_RANDOMNESS_BYTES);
  const encapsulated = crypto.xwingEncapsulate(offer.core.ratchetKey, randomness);
  if (encapsulated === undefined) {
    return violation(ErrorCode.SECURE_KEY_INVALID, "SEC-21", "the offer's key");
  }
  const accepting = new Accepting(crypto, own, { ...input, encapsulated }, at);
  encapsulated.secret.fill(0);
  at.entropy.fill(0);
  return accepting;
}

interface AnswerInput extends AcceptInput {
  readonly encapsulated: { readonly ciphertext: Uint8Array; readonly secret: Uint8Array };
}

/** The accepting side of a handshake, half open until its confirm. */
export class Accepting {
  readonly sessionId: Uint8Array;
  readonly peer: CertifiedDevice;
  /** The answer, to be sent. */
  readonly packet: Uint8Array;
  /** By this device's clock. [SEC-22] */
  readonly expiresMs: number;
  readonly #crypto: CryptoProvider;
  readonly #own: OwnDevice;
  readonly #parameters: SecureParametersPlain;
  /** Everything that was said, up to the answer's tag. */
  readonly #transcript: readonly Uint8Array[];
  #repeatCount = 0;
  #secrets: { readonly seed: Uint8Array; readonly handshake: Uint8Array } | undefined;

  /** See {@link acceptOffer}, which judges the offer. */
  constructor(crypto: CryptoProvider, own: OwnDevice, input: AnswerInput, at: Moment) {
    const { offer, peer, encapsulated } = input;
    const fault = parametersFault(input.parameters);
    if (fault !== undefined) throw new RangeError(`parameters: ${fault}`);
    this.#crypto = crypto;
    this.#own = own;
    this.peer = peer;
    this.sessionId = copyOf(offer.core.sessionId);
    this.expiresMs = offerExpiryMs(offer);
    this.#parameters = agreedParameters(offer.core.parameters, input.parameters);
    const nonceAt = XWING_RANDOMNESS_BYTES + RATCHET_SEED_BYTES;
    const seed = copyOf(at.entropy, XWING_RANDOMNESS_BYTES, nonceAt);
    const core = encodePlain(SecureAcceptCoreSchema, {
      version: SECURE_VERSION,
      suite: SECURE_SUITE,
      sessionId: this.sessionId,
      fromDevice: own.fingerprint,
      toDevice: peer.fingerprint,
      ciphertext: encapsulated.ciphertext,
      ratchetKey: crypto.xwingPublicKey(seed),
      nonce: copyOf(at.entropy, nonceAt),
      parameters: this.#parameters,
    });
    const said = [copyOf(offer.coreBytes), copyOf(offer.signature), core];
    const signature = own.signer.sign("accept", secureHash(crypto, SECURE_LABEL, said));
    const th2s = secureHash(crypto, SECURE_LABEL, [...said, signature]);
    const handshake = handshakeRoot(crypto, th2s, encapsulated.secret);
    const tag = confirmTag(crypto, { root: handshake, role: "responder", transcript: th2s });
    this.#secrets = { seed, handshake };
    this.#transcript = [...said, signature, tag];
    this.packet = encodePacket({ case: "accept", value: { core, signature, tag } });
  }

  /** Whether the answer may be sent once more, as its very offer has come again. [SEC-28] */
  answers({ coreBytes, signature }: ReadOffer): boolean {
    const [core, signed] = this.#transcript;
    if (core === undefined || !equalBytes(core, coreBytes)) return false;
    if (signed === undefined || !equalBytes(signed, signature)) return false;
    this.#repeatCount += 1;
    return this.#repeatCount <= ACCEPT_REPEATS_MAX;
  }

  /**
   * The other device has the same keys: once. A refusal changes nothing, and nothing is sent or
   * delivered before. Never throws, whatever the confirm. [SEC-20] [SEC-24] [SEC-26]
   */
  confirmed(confirm: ReadConfirm, nowMs: number): EstablishedSecure | Violation {
    if (this.#secrets === undefined) {
      return violation(ErrorCode.SECURE_REPLAYED, "SEC-30", "confirmed before");
    }
    if (nowMs >= this.expiresMs) {
      return violation(ErrorCode.SECURE_EXPIRED, "SEC-22", "the offer is past its time");
    }
    if (!equalBytes(confirm.core.sessionId, this.sessionId)) {
      return violation(ErrorCode.SECURE_SESSION_UNKNOWN, "SEC-20", "of another session");
    }
    const crypto = this.#crypto;
    const { seed, handshake } = this.#secrets;
    const secret = crypto.xwingDecapsulate(confirm.core.ciphertext, seed);
    if (secret === undefined) {
      return violation(ErrorCode.SECURE_KEY_INVALID, "SEC-21", "the confirm's ciphertext");
    }
    const th3 = secureHash(crypto, SECURE_LABEL, [...this.#transcript, confirm.coreBytes]);
    const root = sessionRoot(crypto, { handshake, transcript: th3, secret });
    secret.fill(0);
    const expected = confirmTag(crypto, { root, role: "initiator", transcript: th3 });
    if (!equalBytes(expected, confirm.tag)) {
      root.fill(0);
      return violation(ErrorCode.SECURE_TAG_INVALID, "SEC-20", "the confirm's tag");
    }
    this.erase();
    return {
      sessionId: this.sessionId,
      role: "responder",
      root,
      own: this.#own.fingerprint,
      peer: this.peer.fingerprint,
      parameters: this.#parameters,
      establishedMs: nowMs,
    };
  }

  /** The seed of the answer's key and RK0 are gone; no confirm is taken any more. [SEC-23] */
  erase(): void {
    this.#secrets?.seed.fill(0);
    this.#secrets?.handshake.fill(0);
    this.#secrets = undefined;
  }
}
