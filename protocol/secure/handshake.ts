import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  type SecureAcceptCore,
  SecureAcceptCoreSchema,
  type SecureConfirmCore,
  SecureConfirmCoreSchema,
  type SecureOfferCore,
  SecureOfferCoreSchema,
  type SecurePacket,
  SecurePacketSchema,
} from "../../gen/posthorn/v1/secure_pb.ts";
import { copyOf, equalBytes } from "../envelope/octets.ts";
import { XWING_CIPHERTEXT_BYTES, XWING_PUBLIC_KEY_BYTES } from "../envelope/provider.ts";
import { decodePlain, encodePlain, type Plain } from "../plain.ts";
import { unreachable, type Violation, violation } from "../violation.ts";
import type { SecureParametersPlain } from "./established.ts";
import {
  CLOCK_SKEW_MS,
  FINGERPRINT_BYTES,
  SECURE_SIGNATURE_BYTES,
  type SecureSigner,
} from "./identity.ts";
import { SESSION_ID_BYTES } from "./message.ts";
import { SECURE_TAG_BYTES } from "./schedule.ts";

// The packets of a secure chat, read strictly: what is not exactly one is none.

export const SECURE_VERSION = 1;
/** X-Wing, Ed25519 and ML-DSA-65, SHA-512, AES-256-GCM. */
export const SECURE_SUITE = 1;
/** Of either side's random number. */
export const HANDSHAKE_NONCE_BYTES = 32;
/** Of the seed of an X-Wing key. */
export const RATCHET_SEED_BYTES = 32;
/** Of a packet, whatever its kind. [SEC-14] */
export const PACKET_BYTES_MAX = 73_728;
/** Of a core. [SEC-14] */
export const SECURE_CORE_BYTES_MAX = 4_096;
/** Of an offer. */
export const OFFER_TTL_S_MAX = 86_400;
/** The most that can be agreed on. */
export const PARAMETERS_MAX: SecureParametersPlain = {
  rekeyMessages: 128,
  rekeyS: 86_400,
  lifetimeS: 604_800,
  franking: true,
};

/** What no device may refuse: so many messages between new keys, or more. [SEC-103] */
export const REKEY_MESSAGES_MIN_MAX = 8;

/** This device, which signs. */
export interface OwnDevice {
  readonly userId: string;
  readonly deviceId: string;
  readonly signer: SecureSigner;
  /** DFP. */
  readonly fingerprint: Uint8Array;
}

/** When something happens, and randomness for it that nothing else has seen. */
export interface Moment {
  readonly nowMs: number;
  readonly entropy: Uint8Array;
}

type WithParameters<Core> = Core & { readonly parameters: SecureParametersPlain };
export interface ReadOffer {
  readonly kind: "offer";
  readonly core: WithParameters<Plain<SecureOfferCore>>;
  /** As carried: what is hashed and signed. [SEC-1] */
  readonly coreBytes: Uint8Array;
  readonly signature: Uint8Array;
}
export interface ReadAccept {
  readonly kind: "accept";
  readonly core: WithParameters<Plain<SecureAcceptCore>>;
  readonly coreBytes: Uint8Array;
  readonly signature: Uint8Array;
  readonly tag: Uint8Array;
}
export interface ReadConfirm {
  readonly kind: "confirm";
  readonly core: Plain<SecureConfirmCore>;
  readonly coreBytes: Uint8Array;
  readonly tag: Uint8Array;
}
export interface ReadMessage {
  readonly kind: "message";
  readonly message: Uint8Array;
}
export type ReadPacket = ReadOffer | ReadAccept | ReadConfirm | ReadMessage;

/** A packet's bytes, in their one form. [SEC-14] */
export function encodePacket(kind: Plain<SecurePacket>["kind"]): Uint8Array {
  return encodePlain(SecurePacketSchema, { kind });
}

/** Reads a packet into bytes of its own; never throws, whatever the bytes. [SEC-14] */
export function readPacket(packet: Uint8Array): ReadPacket | Violation {
  if (packet.length > PACKET_BYTES_MAX) return malformed("a packet that is too long");
  const bytes = copyOf(packet);
  const read = decodePlain(SecurePacketSchema, bytes);
  // Outside of every hash nothing can hide, and there is one form, as in [ENV-12].
  if (typeof read === "string" || !equalBytes(encodePlain(SecurePacketSchema, read), bytes)) {
    return malformed("not a packet in its one form");
  }
  const { kind } = read;
  switch (kind.case) {
    case "offer":
      return readOffer(kind.value);
    case "accept":
      return readAccept(kind.value);
    case "confirm":
      return readConfirm(kind.value);
    case "message":
      return { kind: "message", message: kind.value };
    case undefined:
      return malformed("a packet without a kind");
    default:
      return unreachable(kind);
  }
}

function readOffer({ core: coreBytes, signature }: Outer): ReadOffer | Violation {
  const core = readCore(SecureOfferCoreSchema, coreBytes);
  if (core === undefined) return malformed("not an offer's core");
  const { parameters, ttlS, createdMs, ...rest } = core;
  const fault = headFault(core) ?? partyFault(rest) ?? parametersFault(parameters);
  if (fault !== undefined || parameters === undefined) return malformed(fault ?? "no parameters");
  if (!isWithin(ttlS, OFFER_TTL_S_MAX) || createdMs === 0) return malformed("an offer's time");
  if (signature.length !== SECURE_SIGNATURE_BYTES) return malformed("a signature's length");
  return { kind: "offer", core: { ...core, parameters }, coreBytes, signature };
}

function readAccept({ core: coreBytes, signature, tag }: Tagged<Outer>): ReadAccept | Violation {
  const core = readCore(SecureAcceptCoreSchema, coreBytes);
  if (core === undefined) return malformed("not an accept's core");
  const { parameters } = core;
  const fault = headFault(core) ?? partyFault(core) ?? parametersFault(parameters);
  if (fault !== undefined || parameters === undefined) return malformed(fault ?? "no parameters");
  if (core.ciphertext.length !== XWING_CIPHERTEXT_BYTES) return malformed("a ciphertext's length");
  if (signature.length !== SECURE_SIGNATURE_BYTES) return malformed("a signature's length");
  if (tag.length !== SECURE_TAG_BYTES) return malformed("a tag's length");
  return { kind: "accept", core: { ...core, parameters }, coreBytes, signature, tag };
}

function readConfirm({ core: coreBytes, tag }: Tagged<object>): ReadConfirm | Violation {
  const core = readCore(SecureConfirmCoreSchema, coreBytes);
  if (core === undefined) return malformed("not a confirm's core");
  const fault = headFault({ ...core, suite: SECURE_SUITE });
  if (fault !== undefined) return malformed(fault);
  if (core.ciphertext.length !== XWING_CIPHERTEXT_BYTES) return malformed("a ciphertext's length");
  if (tag.length !== SECURE_TAG_BYTES) return malformed("a tag's length");
  return { kind: "confirm", core, coreBytes, tag };
}

interface Outer {
  readonly core: Uint8Array;
  readonly signature: Uint8Array;
}
type Tagged<Base> = Base & { readonly core: Uint8Array; readonly tag: Uint8Array };

/** Unknown fields of a core are passed over, and hashed with it. [SEC-14] */
function readCore<Desc extends DescMessage>(
  desc: Desc,
  bytes: Uint8Array,
): Plain<MessageShape<Desc>> | undefined {
  if (bytes.length > SECURE_CORE_BYTES_MAX) return undefined;
  const read = decodePlain(desc, bytes);
  return typeof read === "string" ? undefined : read;
}

function headFault(core: {
  readonly version: number;
  readonly suite: number;
  readonly sessionId: Uint8Array;
}): string | undefined {
  if (core.version !== SECURE_VERSION) return `version ${core.version}`;
  if (core.suite !== SECURE_SUITE) return `suite ${core.suite}`;
  return core.sessionId.length === SESSION_ID_BYTES ? undefined : "a session id's length";
}

function partyFault(core: {
  readonly fromDevice: Uint8Array;
  readonly toDevice: Uint8Array;
  readonly ratchetKey: Uint8Array;
  readonly nonce: Uint8Array;
}): string | undefined {
  if (core.fromDevice.length !== FINGERPRINT_BYTES) return "from_device's length";
  if (core.toDevice.length !== FINGERPRINT_BYTES) return "to_device's length";
  if (core.ratchetKey.length !== XWING_PUBLIC_KEY_BYTES) return "a ratchet key's length";
  return core.nonce.length === HANDSHAKE_NONCE_BYTES ? undefined : "a nonce's length";
}

/** What is wrong with parameters, wherever they come from. [SEC-14] */
export function parametersFault(parameters: SecureParametersPlain | undefined): string | undefined {
  if (parameters === undefined) return "no parameters";
  const { rekeyMessages, rekeyS, lifetimeS } = parameters;
  if (!isWithin(rekeyMessages, PARAMETERS_MAX.rekeyMessages)) return "rekey_messages";
  if (!isWithin(rekeyS, PARAMETERS_MAX.rekeyS)) return "rekey_s";
  return isWithin(lifetimeS, PARAMETERS_MAX.lifetimeS) ? undefined : "lifetime_s";
}

function isWithin(value: number, most: number): boolean {
  return value >= 1 && value <= most;
}

/** Both sides' parameters: of each the lesser. [SEC-18] */
export function agreedParameters(
  a: SecureParametersPlain,
  b: SecureParametersPlain,
): SecureParametersPlain {
  return {
    rekeyMessages: Math.min(a.rekeyMessages, b.rekeyMessages),
    rekeyS: Math.min(a.rekeyS, b.rekeyS),
    lifetimeS: Math.min(a.lifetimeS, b.lifetimeS),
    franking: a.franking && b.franking,
  };
}

/** Whether an answer stays within its offer. [SEC-18] */
export function areNoMoreThan(
  answered: SecureParametersPlain,
  offered: SecureParametersPlain,
): boolean {
  const { rekeyMessages, rekeyS, lifetimeS, franking } = agreedParameters(answered, offered);
  return (
    answered.rekeyMessages === rekeyMessages &&
    answered.rekeyS === rekeyS &&
    answered.lifetimeS === lifetimeS &&
    answered.franking === franking
  );
}

/**
 * Whether others have us make new keys more often than we put up with. Who wants that himself puts
 * up with it. [SEC-103]
 *
 * @param own what this device wants at most
 * @param rekeyMessagesMin messages between new keys, at least
 */
export function rekeysTooOften(
  { rekeyMessages }: SecureParametersPlain,
  own: SecureParametersPlain,
  rekeyMessagesMin: number,
): boolean {
  return rekeyMessages < Math.min(rekeyMessagesMin, own.rekeyMessages);
}

/** Until when the receiver of an offer has to do with it, by its own clock. [SEC-22] */
export function offerExpiryMs({ core }: ReadOffer): number {
  return core.createdMs + core.ttlS * 1000 + CLOCK_SKEW_MS;
}

function malformed(detail: string): Violation {
  return violation(ErrorCode.SECURE_MALFORMED, "SEC-14", detail);
}
