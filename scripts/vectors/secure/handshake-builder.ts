import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  SecureAcceptCoreSchema,
  SecureConfirmCoreSchema,
  SecureOfferCoreSchema,
  SecurePacketSchema,
} from "../../../gen/posthorn/v1/secure_pb.ts";
import type { About } from "../envelope/lies.ts";
import { drawn } from "../envelope/primitives.ts";
import { type SecureCase, type SecureFailure, secureCase } from "./cases.ts";
import {
  CONTEXTS,
  composite,
  deviceOf,
  encapsulated,
  kemKey,
  type VectorDevice,
} from "./identity-builder.ts";
import { firstSecrets, lastSecrets, P, th512 } from "./schedule.ts";

// Whole handshakes, honest up to the one place where they are told to lie.

export type Part = "offering" | "accepting";

export interface VectorParameters {
  readonly rekey_messages: number;
  readonly rekey_s: number;
  readonly lifetime_s: number;
  readonly franking: boolean;
}

export const PARAMETERS: VectorParameters = {
  rekey_messages: 32,
  rekey_s: 600,
  lifetime_s: 604_800,
  franking: false,
};
export const CREATED_MS = 1_767_225_600_000;
export const TTL_S = 3600;

type Init<Shape> = Extract<Shape, { readonly $typeName?: never }>;
type OfferCore = Init<MessageInitShape<typeof SecureOfferCoreSchema>>;
type AcceptCore = Init<MessageInitShape<typeof SecureAcceptCoreSchema>>;
type ConfirmCore = Init<MessageInitShape<typeof SecureConfirmCoreSchema>>;
type Change = (bytes: Uint8Array) => Uint8Array;

/** Where a handshake may lie; all else follows honestly from what is said there. */
export interface HandshakeLies {
  readonly offerCore?: (core: OfferCore) => OfferCore;
  readonly offerCoreBytes?: Change;
  /** Makes the signature over the core, where it is not the honest one. */
  readonly offerSigned?: (core: Uint8Array) => Uint8Array;
  readonly offerSignature?: Change;
  readonly offerPacket?: Change;
  readonly z1?: Change;
  readonly acceptCore?: (core: AcceptCore) => AcceptCore;
  readonly acceptCoreBytes?: Change;
  readonly acceptSigned?: (hash: Uint8Array, said: readonly Uint8Array[]) => Uint8Array;
  readonly acceptSignature?: Change;
  readonly tagR?: Change;
  readonly acceptPacket?: Change;
  readonly confirmCore?: (core: ConfirmCore) => ConfirmCore;
  readonly confirmCoreBytes?: Change;
  readonly tagI?: Change;
  readonly confirmPacket?: Change;
}

export interface HandshakePlan {
  /** What everything random is drawn from. */
  readonly name?: string;
  readonly offering?: VectorDevice;
  readonly accepting?: VectorDevice;
  readonly offered?: VectorParameters;
  /** What the accepting device agrees to at most. */
  readonly agreed?: VectorParameters;
  readonly created_ms?: number;
  readonly ttl_s?: number;
  readonly lies?: HandshakeLies;
  /** Who says, in a handshake that comes about, what another implementation would not say. */
  readonly odd?: Part;
}

export const PHONE: VectorDevice = deviceOf("alice", "phone");
export const TABLET: VectorDevice = deviceOf("bob", "tablet");
export const STRANGER: VectorDevice = deviceOf("carol", "phone");

const unchanged: Change = (bytes) => bytes;

export function toSaid({ rekey_messages, rekey_s, lifetime_s, franking }: VectorParameters) {
  return { rekeyMessages: rekey_messages, rekeyS: rekey_s, lifetimeS: lifetime_s, franking };
}

function lesser(a: VectorParameters, b: VectorParameters): VectorParameters {
  return {
    rekey_messages: Math.min(a.rekey_messages, b.rekey_messages),
    rekey_s: Math.min(a.rekey_s, b.rekey_s),
    lifetime_s: Math.min(a.lifetime_s, b.lifetime_s),
    franking: a.franking && b.franking,
  };
}

type PacketInit = Init<MessageInitShape<typeof SecurePacketSchema>>;

export function packetOf(kind: NonNullable<PacketInit["kind"]>): Uint8Array {
  const init: PacketInit = { kind };
  return toBinary(SecurePacketSchema, create(SecurePacketSchema, init));
}

/** A packet that arrives, with the time by the clock of whom it is for. */
export interface Arrival {
  readonly from: Part;
  readonly at_ms: number;
  readonly packet: Uint8Array;
}

/** A handshake, made as far as it is asked for. */
export class HandshakeVector {
  readonly plan: HandshakePlan;
  readonly offering: VectorDevice;
  readonly accepting: VectorDevice;
  readonly sessionId: Uint8Array;
  readonly createdMs: number;
  readonly ttlS: number;
  readonly parameters: VectorParameters;
  #offer: ReturnType<HandshakeVector["makeOffer"]> | undefined;
  #accept: ReturnType<HandshakeVector["makeAccept"]> | undefined;
  #confirm: ReturnType<HandshakeVector["makeConfirm"]> | undefined;

  constructor(plan: HandshakePlan = {}) {
    this.plan = plan;
    this.offering = plan.offering ?? PHONE;
    this.accepting = plan.accepting ?? TABLET;
    // Of the same name in all handshakes: splices are of one session id.
    this.sessionId = drawn("secure chat session id", 16);
    this.createdMs = plan.created_ms ?? CREATED_MS;
    this.ttlS = plan.ttl_s ?? TTL_S;
    this.parameters = lesser(plan.offered ?? PARAMETERS, plan.agreed ?? PARAMETERS);
  }

  get offer() {
    this.#offer ??= this.makeOffer();
    return this.#offer;
  }

  get accept() {
    this.#accept ??= this.makeAccept();
    return this.#accept;
  }

  get confirm() {
    this.#confirm ??= this.makeConfirm();
    return this.#confirm;
  }

  drawn(what: string, length: number): Uint8Array {
    return drawn(`secure ${this.plan.name ?? "chat"} ${what}`, length);
  }

  private get lies(): HandshakeLies {
    return this.plan.lies ?? {};
  }

  private makeOffer() {
    const { lies, offering, accepting } = this;
    const said = {
      version: 1,
      suite: 1,
      sessionId: this.sessionId,
      fromDevice: offering.fingerprint,
      toDevice: accepting.fingerprint,
      ratchetKey: kemKey(this.drawn("offer seed", 32)).publicKey,
      nonce: this.drawn("offer nonce", 32),
      createdMs: BigInt(this.createdMs),
      ttlS: this.ttlS,
      parameters: toSaid(this.plan.offered ?? PARAMETERS),
    };
    const message = create(SecureOfferCoreSchema, lies.offerCore?.(said) ?? said);
    const core = (lies.offerCoreBytes ?? unchanged)(toBinary(SecureOfferCoreSchema, message));
    const sign = lies.offerSigned ?? ((o) => composite(offering, CONTEXTS.offer, th512(P, o)));
    const signature = (lies.offerSignature ?? unchanged)(sign(core));
    const packet = packetOf({ case: "offer", value: { core, signature } });
    const key = message.ratchetKey;
    return { core, signature, key, packet: (lies.offerPacket ?? unchanged)(packet) };
  }

  private makeAccept() {
    const { lies, offering, accepting, offer } = this;
    const { ciphertext, secret } = encapsulated(offer.key, this.drawn("accept randomness", 64));
    const said = {
      version: 1,
      suite: 1,
      sessionId: this.sessionId,
      fromDevice: accepting.fingerprint,
      toDevice: offering.fingerprint,
      ciphertext,
      ratchetKey: kemKey(this.drawn("accept seed", 32)).publicKey,
      nonce: this.drawn("accept nonce", 32),
      parameters: toSaid(this.parameters),
    };
    const message = create(SecureAcceptCoreSchema, lies.acceptCore?.(said) ?? said);
    const core = (lies.acceptCoreBytes ?? unchanged)(toBinary(SecureAcceptCoreSchema, message));
    const heard = [offer.core, offer.signature, core];
    const th2 = th512(P, ...heard);
    const sign = lies.acceptSigned ?? ((th) => composite(accepting, CONTEXTS.accept, th));
    const signature = (lies.acceptSignature ?? unchanged)(sign(th2, heard));
    const z1 = (lies.z1 ?? unchanged)(secret);
    const first = { offer: offer.core, offerSignature: offer.signature, accept: core };
    const secrets = firstSecrets({ ...first, acceptSignature: signature, z1 });
    const tag = (lies.tagR ?? unchanged)(secrets.tag_r);
    const packet = packetOf({ case: "accept", value: { core, signature, tag } });
    const key = message.ratchetKey;
    const made = { core, signature, tag, key, th2, secrets };
    return { ...made, packet: (lies.acceptPacket ?? unchanged)(packet) };
  }

  private makeConfirm() {
    const { lies, offer, accept } = this;
    const randomness = this.drawn("confirm randomness", 64);
    const { ciphertext, secret: z2 } = encapsulated(accept.key, randomness);
    const said = { version: 1, sessionId: this.sessionId, ciphertext };
    const message = create(SecureConfirmCoreSchema, lies.confirmCore?.(said) ?? said);
    const core = (lies.confirmCoreBytes ?? unchanged)(toBinary(SecureConfirmCoreSchema, message));
    const secrets = lastSecrets({
      offer: offer.core,
      offerSignature: offer.signature,
      accept: accept.core,
      acceptSignature: accept.signature,
      z1: accept.secrets.z1,
      rk0: accept.secrets.rk0,
      tag: accept.tag,
      confirm: core,
      z2,
    });
    const tag = (lies.tagI ?? unchanged)(secrets.tag_i);
    const packet = packetOf({ case: "confirm", value: { core, tag } });
    return { core, secrets, packet: (lies.confirmPacket ?? unchanged)(packet) };
  }

  /** Each a second after the one before, by clocks that agree. */
  arrivals(count: number): Arrival[] {
    const makes = [() => this.offer, () => this.accept, () => this.confirm];
    return makes.slice(0, count).map((make, index) => ({
      from: index === 1 ? "accepting" : "offering",
      at_ms: this.createdMs + 1000 * (index + 1),
      packet: make().packet,
    }));
  }

  /** The private inputs of both sides, and what is known of the other one. */
  given() {
    const { plan, offering, accepting } = this;
    const of = ({ ed25519_seed, ml_dsa_65_seed, device, fingerprint }: VectorDevice) => ({
      ed25519_seed,
      ml_dsa_65_seed,
      device,
      fingerprint,
    });
    return {
      odd: plan.odd,
      session_id: this.sessionId,
      created_ms: this.createdMs,
      ttl_s: this.ttlS,
      offering: {
        ...of(offering),
        xwing_seed: this.drawn("offer seed", 32),
        nonce: this.drawn("offer nonce", 32),
        kem_randomness: this.drawn("confirm randomness", 64),
        parameters: plan.offered ?? PARAMETERS,
      },
      accepting: {
        ...of(accepting),
        xwing_seed: this.drawn("accept seed", 32),
        nonce: this.drawn("accept nonce", 32),
        kem_randomness: this.drawn("accept randomness", 64),
        parameters: plan.agreed ?? PARAMETERS,
      },
    };
  }

  get secrets() {
    const { offer, accept, confirm } = this;
    const th1 = th512(P, offer.core);
    return { th1, th2: accept.th2, ...accept.secrets, ...confirm.secrets };
  }

  valid(about: About, packets: readonly Arrival[] = this.arrivals(3)): SecureCase {
    const members = { ...this.given(), packets, secrets: this.secrets };
    return secureCase(about, "chat-handshake", members);
  }

  /** The last packet is refused by whom it is for, who needs no more of devices than their keys. */
  refused(about: About, packets: readonly Arrival[], failure: SecureFailure): SecureCase {
    const given = this.given();
    const { device: _, ...offering } = given.offering;
    const { device: __, ...accepting } = given.accepting;
    const members = { ...given, offering, accepting, packets };
    return secureCase(about, "chat-handshake", members, failure);
  }
}
