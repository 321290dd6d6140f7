import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { SecureConfirmCoreSchema, SecureOfferCoreSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { copyOf, equalBytes } from "../envelope/octets.ts";
import { type CryptoProvider, XWING_RANDOMNESS_BYTES } from "../envelope/provider.ts";
import { encodePlain } from "../plain.ts";
import { assert, type Violation, violation } from "../violation.ts";
import type { EstablishedSecure, SecureParametersPlain } from "./established.ts";
import {
  areNoMoreThan,
  encodePacket,
  HANDSHAKE_NONCE_BYTES,
  type Moment,
  OFFER_TTL_S_MAX,
  type OwnDevice,
  parametersFault,
  RATCHET_SEED_BYTES,
  type ReadAccept,
  rekeysTooOften,
  SECURE_SUITE,
  SECURE_VERSION,
} from "./handshake.ts";
import { type CertifiedDevice, isComposite } from "./identity.ts";
import { SESSION_ID_BYTES } from "./message.ts";
import { confirmTag, handshakeRoot, SECURE_LABEL, secureHash, sessionRoot } from "./schedule.ts";

/** The seed of the ratchet key, then the nonce. */
export const OFFER_ENTROPY_BYTES: number = RATCHET_SEED_BYTES + HANDSHAKE_NONCE_BYTES;
/** For X-Wing. */
export const CONFIRM_ENTROPY_BYTES: number = XWING_RANDOMNESS_BYTES;

/** How often the same offer is sent again, before it yields to one that crosses it. [SEC-29] */
export const OFFER_REPEATS_MAX = 3;

/** What is offered to whom. */
export interface OfferInput {
  /** Random, SESSION_ID_BYTES. */
  readonly sessionId: Uint8Array;
  readonly peer: CertifiedDevice;
  readonly parameters: SecureParametersPlain;
  /** Of an answer, unless the parameters want less. [SEC-103] */
  readonly rekeyMessagesMin?: number;
  /** How long the offer holds. */
  readonly ttlS: number;
}

/** The offering side of a handshake, until it is accepted or past its time. */
export class Offering {
  readonly sessionId: Uint8Array;
  readonly peer: CertifiedDevice;
  /** The offer, to be sent. */
  readonly packet: Uint8Array;
  /** By this device's clock. [SEC-22] */
  readonly expiresMs: number;
  readonly #crypto: CryptoProvider;
  readonly #own: OwnDevice;
  readonly #parameters: SecureParametersPlain;
  readonly #rekeyMessagesMin: number;
  readonly #core: Uint8Array;
  readonly #signature: Uint8Array;
  #seed: Uint8Array | undefined;
  #repeatCount = 0;

  /** Erases the entropy, OFFER_ENTROPY_BYTES: it holds a key. [SEC-16] */
  constructor(crypto: CryptoProvider, own: OwnDevice, input: OfferInput, at: Moment) {
    const { sessionId, peer, parameters, rekeyMessagesMin = 1, ttlS } = input;
    const fault = parametersFault(parameters);
    if (fault !== undefined) throw new RangeError(`parameters: ${fault}`);
    if (!(ttlS >= 1 && ttlS <= OFFER_TTL_S_MAX)) throw new RangeError(`ttlS ${ttlS}`);
    assert(sessionId.length === SESSION_ID_BYTES, "a session id has 16 bytes");
    assert(at.entropy.length === OFFER_ENTROPY_BYTES, "entropy of an offer");
    this.#crypto = crypto;
    this.#own = own;
    this.#parameters = parameters;
    this.#rekeyMessagesMin = rekeyMessagesMin;
    this.sessionId = copyOf(sessionId);
    this.peer = peer;
    this.expiresMs = at.nowMs + ttlS * 1000;
    this.#seed = copyOf(at.entropy, 0, RATCHET_SEED_BYTES);
    this.#core = encodePlain(SecureOfferCoreSchema, {
      version: SECURE_VERSION,
      suite: SECURE_SUITE,
      sessionId,
      fromDevice: own.fingerprint,
      toDevice: peer.fingerprint,
      ratchetKey: crypto.xwingPublicKey(this.#seed),
      nonce: copyOf(at.entropy, RATCHET_SEED_BYTES),
      createdMs: at.nowMs,
      ttlS,
      parameters,
    });
    at.entropy.fill(0);
    const th1 = secureHash(crypto, SECURE_LABEL, [this.#core]);
    this.#signature = own.signer.sign("offer", th1);
    const value = { core: this.#core, signature: this.#signature };
    this.packet = encodePacket({ case: "offer", value });
  }

  /** Whether the offer may be sent once more, when one of the other device crosses it. [SEC-29] */
  repeats(): boolean {
    this.#repeatCount += 1;
    return this.#repeatCount <= OFFER_REPEATS_MAX;
  }

  /**
   * The other device agrees: once. A refusal changes nothing, so that nobody can end a handshake
   * with a wrong answer. Never throws, whatever the answer. [SEC-19] [SEC-26] [SEC-30]
   *
   * @param at CONFIRM_ENTROPY_BYTES, erased
   * @returns the confirm, to be sent before anything else, and the session
   */
  accepted(accept: ReadAccept, at: Moment): Confirmed | Violation {
    assert(at.entropy.length === CONFIRM_ENTROPY_BYTES, "entropy of a confirm");
    const fault = this.#judge(accept, at.nowMs);
    if (fault !== undefined || this.#seed === undefined) {
      return fault ?? violation(ErrorCode.SECURE_REPLAYED, "SEC-30", "accepted before");
    }
    const crypto = this.#crypto;
    const transcript = [this.#core, this.#signature, accept.coreBytes, accept.signature];
    const th2s = secureHash(crypto, SECURE_LABEL, transcript);
    const secret = crypto.xwingDecapsulate(accept.core.ciphertext, this.#seed);
    if (secret === undefined) return keyInvalid("the answer's ciphertext");
    const handshake = handshakeRoot(crypto, th2s, secret);
    secret.fill(0);
    const expected = confirmTag(crypto, { root: handshake, role: "responder", transcript: th2s });
    if (!equalBytes(expected, accept.tag)) {
      handshake.fill(0);
      return violation(ErrorCode.SECURE_TAG_INVALID, "SEC-19", "the answer's tag");
    }
    const confirmed = this.#confirm(accept, { handshake, transcript, at });
    handshake.fill(0);
    at.entropy.fill(0);
    if (!("code" in confirmed)) this.erase();
    return confirmed;
  }

  /** In the order of [SEC-19]. */
  #judge({ core, coreBytes, signature }: ReadAccept, nowMs: number): Violation | undefined {
    if (this.#seed === undefined) {
      return violation(ErrorCode.SECURE_REPLAYED, "SEC-30", "accepted before");
    }
    if (nowMs >= this.expiresMs) {
      return violation(ErrorCode.SECURE_EXPIRED, "SEC-22", "the offer is past its time");
    }
    const isOurs =
      equalBytes(core.sessionId, this.sessionId) &&
      equalBytes(core.toDevice, this.#own.fingerprint) &&
      equalBytes(core.fromDevice, this.peer.fingerprint);
    if (!isOurs) {
      return violation(ErrorCode.SECURE_PEER_UNKNOWN, "SEC-19", "between other devices");
    }
    if (!areNoMoreThan(core.parameters, this.#parameters)) {
      return violation(ErrorCode.SECURE_MALFORMED, "SEC-18", "parameters above the offer's");
    }
    if (rekeysTooOften(core.parameters, this.#parameters, this.#rekeyMessagesMin)) {
      return violation(ErrorCode.SECURE_MALFORMED, "SEC-103", "new keys too often");
    }
    const items = [this.#core, this.#signature, coreBytes];
    const meant = secureHash(this.#crypto, SECURE_LABEL, items);
    const signed = { purpose: "accept", meant, signature } as const;
    if (isComposite(this.#crypto, this.peer.keys, signed)) return undefined;
    return violation(ErrorCode.SECURE_SIGNATURE_INVALID, "SEC-19", "the answer's signature");
  }

  #confirm(accept: ReadAccept, { handshake, transcript, at }: ConfirmInput): Confirmed | Violation {
    const crypto = this.#crypto;
    const encapsulated = crypto.xwingEncapsulate(accept.core.ratchetKey, at.entropy);
    if (encapsulated === undefined) return keyInvalid("the answer's key");
    const { ciphertext, secret } = encapsulated;
    const { sessionId } = this;
    const said = { version: SECURE_VERSION, sessionId, ciphertext };
    const core = encodePlain(SecureConfirmCoreSchema, said);
    const th3 = secureHash(crypto, SECURE_LABEL, [...transcript, accept.tag, core]);
    const root = sessionRoot(crypto, { handshake, transcript: th3, secret });
    secret.fill(0);
    const tag = confirmTag(crypto, { root, role: "initiator", transcript: th3 });
    const established: EstablishedSecure = {
      sessionId,
      role: "initiator",
      root,
      own: this.#own.fingerprint,
      peer: this.peer.fingerprint,
      parameters: accept.core.parameters,
      establishedMs: at.nowMs,
    };
    return { packet: encodePacket({ case: "confirm", value: { core, tag } }), established };
  }

  /** The seed of the offered key is gone; no answer is taken any more. [SEC-23] */
  erase(): void {
    this.#seed?.fill(0);
    this.#seed = undefined;
  }
}

interface ConfirmInput {
  /** RK0. */
  readonly handshake: Uint8Array;
  /** Up to the answer's signature. */
  readonly transcript: readonly Uint8Array[];
  readonly at: Moment;
}

export interface Confirmed {
  readonly packet: Uint8Array;
  readonly established: EstablishedSecure;
}

function keyInvalid(what: string): Violation {
  return violation(ErrorCode.SECURE_KEY_INVALID, "SEC-21", what);
}
