import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import {
  ACCEPT_ENTROPY_BYTES,
  type AcceptInput,
  Accepting,
  acceptOffer,
} from "../../protocol/secure/accepting.ts";
import type {
  EstablishedSecure,
  SecureParametersPlain,
} from "../../protocol/secure/established.ts";
import { type OwnDevice, type ReadPacket, readPacket } from "../../protocol/secure/handshake.ts";
import type { CertifiedDevice } from "../../protocol/secure/identity.ts";
import {
  CONFIRM_ENTROPY_BYTES,
  type Confirmed,
  OFFER_ENTROPY_BYTES,
  Offering,
} from "../../protocol/secure/offering.ts";
import { assert, type Violation } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { START_MS } from "./chat-net.ts";
import { certified, TestAccount } from "./devices.ts";

/** Names of which some begin like others: who cuts them elsewhere mixes them up. */
const NAMES = [
  ["ann", "1"],
  ["ann", "11"],
  ["ann1", "1"],
  ["bob", "1"],
] as const;
export const PEOPLE_COUNT = NAMES.length;

const accounts = new Map<string, TestAccount>();
const people: OwnDevice[] = [];

/** A device of somebody: the same one every time, as keys take long to make. */
export function personOf(index: number): OwnDevice {
  for (let at = people.length; at <= index; at += 1) {
    const [userId, deviceId] = NAMES[at] as (typeof NAMES)[number];
    const account = accounts.get(userId) ?? new TestAccount(userId);
    accounts.set(userId, account);
    people.push(account.add(deviceId, START_MS));
  }
  return people[index] as OwnDevice;
}

export function accountOf({ userId }: OwnDevice): TestAccount {
  return accounts.get(userId) as TestAccount;
}

/** Two who want to talk. */
export interface MeetingPlan {
  readonly name: string;
  readonly from: number;
  /** How many people behind the first one: never the same. */
  readonly distance: number;
  readonly offered: SecureParametersPlain;
  readonly most: SecureParametersPlain;
  readonly ttlS: number;
}

/** What somebody may lie about, in a handshake of which everything else is right. */
export interface Lies {
  /** Says that it is this device. */
  readonly own?: Uint8Array;
  /** Says that it talks to this device. */
  readonly peer?: Uint8Array;
  readonly parameters?: SecureParametersPlain;
}

/** One handshake, step by step, with chance that repeats itself. */
export class Meeting {
  readonly plan: MeetingPlan;
  readonly from: OwnDevice;
  readonly to: OwnDevice;
  readonly offering: Offering;
  readonly #crypto: CryptoProvider;
  /** Changes every time somebody draws. */
  #drawn = 0;

  constructor(
    plan: MeetingPlan,
    options: {
      readonly crypto?: CryptoProvider;
      readonly sessionName?: string;
      readonly lies?: Lies;
      readonly entropy?: Uint8Array;
    } = {},
  ) {
    const { sessionName = plan.name, lies = {}, crypto = NATIVE_CRYPTO } = options;
    this.plan = plan;
    this.#crypto = crypto;
    this.from = personOf(plan.from);
    this.to = personOf((plan.from + plan.distance) % PEOPLE_COUNT);
    const entropy = options.entropy ?? this.#entropy("offer", OFFER_ENTROPY_BYTES);
    const input = {
      sessionId: drawn(`${sessionName} session`, 16),
      peer: withFingerprint(certified(this.to), lies.peer),
      parameters: plan.offered,
      ttlS: plan.ttlS,
    };
    const own = withFingerprint(this.from, lies.own);
    this.offering = new Offering(crypto, own, input, { nowMs: START_MS, entropy });
  }

  /** The second device answers. */
  accept(packet: Uint8Array, nowMs = START_MS): Accepting | Violation | undefined {
    const offer = readAs(packet, "offer");
    if (offer === undefined) return undefined;
    const entropy = this.#entropy("accept", ACCEPT_ENTROPY_BYTES);
    const input = { offer, peer: certified(this.from), parameters: this.plan.most };
    return acceptOffer(this.#crypto, this.to, input, { nowMs, entropy });
  }

  /** The second device answers as no honest one does. */
  acceptLying(packet: Uint8Array, lies: Lies): Accepting {
    const offer = readAs(packet, "offer");
    assert(offer !== undefined, "an honest offer");
    const entropy = this.#entropy("accept", ACCEPT_ENTROPY_BYTES);
    const randomness = entropy.subarray(0, 64);
    const encapsulated = this.#crypto.xwingEncapsulate(offer.core.ratchetKey, randomness);
    assert(encapsulated !== undefined, "an honest key");
    const { parameters = this.plan.most } = lies;
    const core = lies.parameters === undefined ? offer.core : { ...offer.core, parameters };
    const input: AcceptInput & { encapsulated: typeof encapsulated } = {
      offer: { ...offer, core },
      peer: withFingerprint(certified(this.from), lies.peer),
      parameters,
      encapsulated,
    };
    const own = withFingerprint(this.to, lies.own);
    return new Accepting(this.#crypto, own, input, { nowMs: START_MS, entropy });
  }

  /** The first device confirms. */
  confirm(packet: Uint8Array, nowMs = START_MS): Confirmed | Violation | undefined {
    const accept = readAs(packet, "accept");
    if (accept === undefined) return undefined;
    const entropy = this.#entropy("confirm", CONFIRM_ENTROPY_BYTES);
    return this.offering.accepted(accept, { nowMs, entropy });
  }

  /** Everything, as it goes between honest devices. */
  whole(): Met {
    const accepting = this.accept(this.offering.packet);
    assert(accepting instanceof Accepting, "an honest offer is answered");
    const confirmed = this.confirm(accepting.packet);
    assert(confirmed !== undefined && "packet" in confirmed, "an honest answer is confirmed");
    const responder = confirmedBy(accepting, confirmed.packet);
    assert(responder !== undefined && "root" in responder, "an honest confirm is taken");
    const packets = [this.offering.packet, accepting.packet, confirmed.packet] as const;
    return { packets, accepting, initiator: confirmed.established, responder };
  }

  #entropy(what: string, length: number): Uint8Array {
    this.#drawn += 1;
    return drawn(`${this.plan.name} ${what} ${this.#drawn}`, length);
  }
}

export interface Met {
  /** Offer, accept, confirm. */
  readonly packets: readonly [Uint8Array, Uint8Array, Uint8Array];
  readonly accepting: Accepting;
  readonly initiator: EstablishedSecure;
  readonly responder: EstablishedSecure;
}

/** What the second device says to a confirm; undefined when it is none. */
export function confirmedBy(
  accepting: Accepting,
  packet: Uint8Array,
  nowMs = START_MS,
): EstablishedSecure | Violation | undefined {
  const confirm = readAs(packet, "confirm");
  return confirm === undefined ? undefined : accepting.confirmed(confirm, nowMs);
}

/** A packet of one kind; undefined for everything else. */
export function readAs<Kind extends ReadPacket["kind"]>(
  packet: Uint8Array,
  kind: Kind,
): Extract<ReadPacket, { kind: Kind }> | undefined {
  const read = readPacket(packet);
  if ("code" in read || read.kind !== kind) return undefined;
  return read as Extract<ReadPacket, { kind: Kind }>;
}

/** A copy in which one bit is another; counted from the end when it is negative. */
export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const bitCount = bytes.length * 8;
  const at = ((bit % bitCount) + bitCount) % bitCount;
  copy[at >> 3] = (copy[at >> 3] as number) ^ (1 << (at & 7));
  return copy;
}

function withFingerprint<Device extends OwnDevice | CertifiedDevice>(
  device: Device,
  fingerprint: Uint8Array | undefined,
): Device {
  return fingerprint === undefined ? device : { ...device, fingerprint };
}
