import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { copyOf } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { type Violation, violation } from "../violation.ts";
import { ACCEPT_ENTROPY_BYTES, type Accepting, acceptOffer, judgeOffer } from "./accepting.ts";
import type { HandshakeEffect } from "./chat-effects.ts";
import type { Entropy } from "./entropy.ts";
import type { EstablishedSecure, SecureParametersPlain } from "./established.ts";
import { makingRoom } from "./fair-room.ts";
import {
  AnsweredOffers,
  HALF_OPEN_BOUNDS,
  HALF_OPEN_PER_USER_MAX,
  judgeHalfOpen,
  tooManyHalfOpen,
} from "./half-open.ts";
import {
  type OwnDevice,
  type ReadAccept,
  type ReadConfirm,
  type ReadOffer,
  rekeysTooOften,
} from "./handshake.ts";
import type { JudgedCertificates } from "./judged-certificates.ts";
import { CONFIRM_ENTROPY_BYTES, OFFER_ENTROPY_BYTES, Offering } from "./offering.ts";
import {
  addressOf,
  type DeviceAddress,
  type DirectoryAnswer,
  findPeer,
  listingJudge,
  nameOf,
  type PeerQuery,
  type SecurePeer,
} from "./peer.ts";

/** How long a handshake waits for the directory. [SEC-32] */
export const LOOK_UP_MS = 60_000;

/** When something happens, with randomness for all that it needs. */
export interface Turn {
  readonly nowMs: number;
  readonly entropy: Entropy;
}

/** An offer that is to be made once the directory has answered. */
interface WantedOffer {
  readonly sessionId: Uint8Array;
  readonly to: DeviceAddress;
  readonly parameters: SecureParametersPlain;
  readonly ttlS: number;
  readonly untilMs: number;
}

/** An offer that came, and waits for the keys of its sender. */
interface ReceivedOffer {
  readonly offer: ReadOffer;
  readonly from: DeviceAddress;
  readonly untilMs: number;
}

/** A handshake that waits for the other device. */
interface HalfOpen<Machine> {
  readonly machine: Machine;
  readonly peer: SecurePeer;
}

/** A handshake that is over. */
export interface NewSession {
  readonly kind: "established";
  readonly established: EstablishedSecure;
  readonly peer: SecurePeer;
}

export interface HandshakeTerms {
  readonly parameters: SecureParametersPlain;
  readonly rekeyMessagesMin: number;
  readonly judged: JudgedCertificates;
}

/** All handshakes of a device, before there are sessions. [SEC-27] to [SEC-33] */
export class Handshakes {
  readonly #crypto: CryptoProvider;
  readonly #own: OwnDevice;
  readonly #terms: HandshakeTerms;
  readonly #answered = new AnsweredOffers();
  readonly #offerings = new Map<string, HalfOpen<Offering>>();
  readonly #acceptings = new Map<string, HalfOpen<Accepting>>();
  readonly #asked = new Set<string>();
  #wanted: WantedOffer[] = [];
  #received: ReceivedOffer[] = [];

  /** @param terms `parameters`: what is agreed to at most */
  constructor(crypto: CryptoProvider, own: OwnDevice, terms: HandshakeTerms) {
    this.#crypto = crypto;
    this.#own = own;
    this.#terms = terms;
  }

  /** Whether a session id belongs to a handshake, or to one that was. */
  has(id: string): boolean {
    return this.#offerings.has(id) || this.#acceptings.has(id) || this.#answered.has(id);
  }

  /** Wants an offer made. [SEC-16] */
  offer(wanted: Omit<WantedOffer, "untilMs">, nowMs: number): HandshakeEffect[] | Violation {
    const waiting = [
      ...this.#wanted.map(({ to }) => nameOf(to)),
      ...[...this.#offerings.values()].map(({ peer }) => nameOf(peer)),
    ];
    const full = judgeHalfOpen(waiting, nameOf(wanted.to));
    if (full !== undefined) return full;
    this.#wanted.push({ ...wanted, untilMs: nowMs + LOOK_UP_MS });
    return this.#ask(wanted.to.userId);
  }

  /** An offer came: the directory is asked before anything is believed. [SEC-17] */
  received(offer: ReadOffer, from: DeviceAddress, nowMs: number): HandshakeEffect[] | Violation {
    const fault = judgeOffer(offer, this.#own, nowMs) ?? this.#judgeTerms(offer);
    if (fault !== undefined) return fault;
    const answered = this.#answerAgain(offer, from, nowMs);
    if (answered !== undefined) return answered;
    const second = this.#judgeReceived(offer, from, nowMs);
    if (second !== undefined) return second;
    this.#received.push({ offer, from, untilMs: nowMs + LOOK_UP_MS });
    return this.#ask(from.userId);
  }

  /** What we cannot agree to costs us nothing: the directory is not even asked. [SEC-103] */
  #judgeTerms({ core }: ReadOffer): Violation | undefined {
    const { parameters, rekeyMessagesMin } = this.#terms;
    if (!rekeysTooOften(core.parameters, parameters, rekeyMessagesMin)) return undefined;
    return violation(ErrorCode.SECURE_MALFORMED, "SEC-103", "new keys too often");
  }

  /** The other device may not have the answer: it has what it had, the same bytes. [SEC-28] */
  #answerAgain(
    offer: ReadOffer,
    from: DeviceAddress,
    nowMs: number,
  ): HandshakeEffect[] | undefined {
    const { machine, peer } = this.#acceptings.get(idOf(offer.core.sessionId)) ?? {};
    if (machine === undefined || peer === undefined) return undefined;
    const own = this.#offersTo(from);
    if (own.length > 0 && this.#goesBefore(peer.fingerprint)) return undefined;
    if (nameOf(peer) !== nameOf(from) || !machine.answers(offer)) return undefined;
    return [...own.flatMap((id) => this.close(id, crossing())), sending(peer, machine, nowMs)];
  }

  #judgeReceived(offer: ReadOffer, from: DeviceAddress, nowMs: number): Violation | undefined {
    const id = idOf(offer.core.sessionId);
    const isWaiting = this.#received.some(({ offer: { core } }) => idOf(core.sessionId) === id);
    const isHalf = this.#offerings.has(id) || this.#acceptings.has(id);
    if (isWaiting || isHalf || !this.#answered.isOpenTo(id)) {
      return violation(ErrorCode.SECURE_REPLAYED, "SEC-28", "an offer that was here before");
    }
    // Those that wait for a confirm make room, once an offer is known to be its device's.
    const waiting = this.#received.map((one) => one.from);
    const ofUser = waiting.filter(({ userId }) => userId === from.userId);
    if (ofUser.length >= HALF_OPEN_PER_USER_MAX) return tooManyHalfOpen();
    const full = judgeHalfOpen(waiting.map(nameOf), nameOf(from));
    if (full !== undefined || this.#answered.hasRoom(nameOf(from), nowMs)) return full;
    if (this.#answered.has(id)) return undefined;
    return violation(ErrorCode.SECURE_HALF_OPEN, "SEC-28", "too many offers to remember");
  }

  /** Of two offers that cross, that of the smaller fingerprint stands. [SEC-29] */
  #goesBefore(peer: Uint8Array): boolean {
    return idOf(this.#own.fingerprint) < idOf(peer);
  }

  #ask(userId: string): HandshakeEffect[] {
    if (this.#asked.has(userId)) return [];
    this.#asked.add(userId);
    return [{ kind: "look-up", userId }];
  }

  /** The directory has answered, or has not. [SEC-32] */
  resolved(userId: string, answer: DirectoryAnswer | undefined, turn: Turn): HandshakeEffect[] {
    const effects = answer === undefined ? [] : this.#dropUnlisted(userId, answer, turn);
    this.#asked.delete(userId);
    const received = this.#received.filter(({ from }) => from.userId === userId);
    this.#received = this.#received.filter(({ from }) => from.userId !== userId);
    for (const waiting of received) effects.push(...this.#answer(waiting, answer, turn));
    const wanted = this.#wanted.filter(({ to }) => to.userId === userId);
    this.#wanted = this.#wanted.filter(({ to }) => to.userId !== userId);
    for (const waiting of wanted) effects.push(...this.#make(waiting, answer, turn));
    return effects;
  }

  #make(wanted: WantedOffer, answer: DirectoryAnswer | undefined, turn: Turn): HandshakeEffect[] {
    const { sessionId, to, ttlS } = wanted;
    const { nowMs } = turn;
    const peer = answer ? this.#findPeer(answer, { ...to, nowMs }) : noAnswer();
    if ("code" in peer) return [{ kind: "closed", sessionId, peer: to, because: peer }];
    const entropy = turn.entropy.draw(OFFER_ENTROPY_BYTES);
    const input = { ...wanted, peer, rekeyMessagesMin: this.#terms.rekeyMessagesMin };
    const machine = new Offering(this.#crypto, this.#own, input, { nowMs, entropy });
    this.#offerings.set(idOf(sessionId), { machine, peer });
    const { packet } = machine;
    return [
      { kind: "offered", sessionId, peer },
      { kind: "send", to, sessionId, packet, ttlS },
    ];
  }

  /** Ours that are still sent again, or for the first time when the directory answers. [SEC-29] */
  #standing(own: readonly string[]): string[] {
    return own.filter((id) => this.#offerings.get(id)?.machine.repeats() ?? true);
  }

  /** The other device may not have ours any more: it has begun anew since. [SEC-29] */
  #repeat(id: string, nowMs: number): HandshakeEffect[] {
    const offering = this.#offerings.get(id);
    return offering === undefined ? [] : [sending(offering.peer, offering.machine, nowMs)];
  }

  /** Nobody keeps others out with what it has begun before. [SEC-27] */
  #makeRoom(from: DeviceAddress): HandshakeEffect[] {
    const held = [...this.#acceptings].map(([id, { peer }]) => ({ id, peer }));
    const detail = "a newer offer takes its place";
    const because = violation(ErrorCode.SECURE_HALF_OPEN, "SEC-27", detail);
    return makingRoom(held, from, HALF_OPEN_BOUNDS).flatMap((id) => this.close(id, because));
  }

  #answer(
    { offer, from }: ReceivedOffer,
    answer: DirectoryAnswer | undefined,
    { nowMs, entropy }: Turn,
  ): HandshakeEffect[] {
    const { sessionId, fromDevice: fingerprint } = offer.core;
    const query = { ...from, fingerprint, nowMs };
    const peer = answer ? this.#findPeer(answer, query) : noAnswer();
    if ("code" in peer) return [refusedOffer(from, peer)];
    const own = this.#offersTo(from);
    const standing = this.#goesBefore(fingerprint) ? this.#standing(own) : [];
    if (standing.length > 0) {
      const repeated = standing.flatMap((id) => this.#repeat(id, nowMs));
      return [refusedOffer(from, crossing()), ...repeated];
    }
    const at = { nowMs, entropy: entropy.draw(ACCEPT_ENTROPY_BYTES) };
    const input = { offer, peer, parameters: this.#terms.parameters };
    const machine = acceptOffer(this.#crypto, this.#own, input, at);
    if ("code" in machine) return [refusedOffer(from, machine)];
    // Only now: an offer that nobody signed must not end ours.
    const ended = [...own.flatMap((id) => this.close(id, crossing())), ...this.#makeRoom(from)];
    this.#answered.add(idOf(sessionId), nameOf(from), machine.expiresMs);
    this.#acceptings.set(idOf(sessionId), { machine, peer });
    return [...ended, { kind: "accepted", sessionId, peer }, sending(peer, machine, nowMs)];
  }

  #findPeer(answer: DirectoryAnswer, query: PeerQuery): SecurePeer | Violation {
    return findPeer(this.#crypto, answer, query, this.#terms.judged);
  }

  #offersTo(device: DeviceAddress): string[] {
    const name = nameOf(device);
    const wanted = this.#wanted.filter(({ to }) => nameOf(to) === name);
    const offerings = [...this.#offerings].filter(([, { peer }]) => nameOf(peer) === name);
    return [...wanted.map(({ sessionId }) => idOf(sessionId)), ...offerings.map(([id]) => id)];
  }

  /** What waits for a device that is no longer one of this user's is over. [SEC-35] */
  #dropUnlisted(userId: string, answer: DirectoryAnswer, { nowMs }: Turn): HandshakeEffect[] {
    const judge = listingJudge(this.#crypto, answer, nowMs, this.#terms.judged);
    return [...this.#offerings, ...this.#acceptings].flatMap(([id, { peer }]) => {
      const because = peer.userId === userId ? judge(peer) : undefined;
      return because === undefined ? [] : this.close(id, because);
    });
  }

  /** The other device agrees. [SEC-19] [SEC-30] */
  accepted(
    accept: ReadAccept,
    from: DeviceAddress,
    { nowMs, entropy }: Turn,
  ): (HandshakeEffect | NewSession)[] | Violation {
    const { sessionId } = accept.core;
    const half = this.#offerings.get(idOf(sessionId));
    if (half === undefined) return unknownSession();
    const { machine, peer } = half;
    if (nameOf(peer) !== nameOf(from)) return otherSender();
    const at = { nowMs, entropy: entropy.draw(CONFIRM_ENTROPY_BYTES) };
    const confirmed = machine.accepted(accept, at);
    if ("code" in confirmed) return confirmed;
    this.#offerings.delete(idOf(sessionId));
    const { packet, established } = confirmed;
    const ttlS = secondsUntil(machine.expiresMs, nowMs);
    return [
      { kind: "send", to: addressOf(peer), sessionId: copyOf(sessionId), packet, ttlS },
      { kind: "established", established, peer },
    ];
  }

  /** The other device has the same keys. [SEC-20] [SEC-30] */
  confirmed(confirm: ReadConfirm, from: DeviceAddress, nowMs: number): NewSession | Violation {
    const id = idOf(confirm.core.sessionId);
    const half = this.#acceptings.get(id);
    if (half === undefined) return unknownSession();
    const { machine, peer } = half;
    if (nameOf(peer) !== nameOf(from)) return otherSender();
    const established = machine.confirmed(confirm, nowMs);
    if ("code" in established) return established;
    this.#acceptings.delete(id);
    return { kind: "established", established, peer };
  }

  /** Somebody here gives a handshake up: its offer may be answered anew. [SEC-28] */
  giveUp(id: string, because: Violation): HandshakeEffect[] {
    if (this.#acceptings.has(id)) this.#answered.giveUp(id);
    return this.close(id, because);
  }

  /** A handshake is over; nothing if there is none of this id. */
  close(id: string, because: Violation): HandshakeEffect[] {
    const wanted = this.#wanted.find(({ sessionId }) => idOf(sessionId) === id);
    this.#wanted = this.#wanted.filter((one) => one !== wanted);
    const half = this.#offerings.get(id) ?? this.#acceptings.get(id);
    half?.machine.erase();
    this.#offerings.delete(id);
    this.#acceptings.delete(id);
    const sessionId = wanted?.sessionId ?? half?.machine.sessionId;
    const peer = wanted?.to ?? half?.peer;
    if (sessionId === undefined || peer === undefined) return [];
    return [{ kind: "closed", sessionId, peer: addressOf(peer), because }];
  }

  /** Every handshake's id. */
  ids(): string[] {
    const wanted = this.#wanted.map(({ sessionId }) => idOf(sessionId));
    return [...wanted, ...this.#offerings.keys(), ...this.#acceptings.keys()];
  }

  /** What is past its time is over. [SEC-22] */
  elapsed(nowMs: number): HandshakeEffect[] {
    const effects: HandshakeEffect[] = [];
    for (const { from, untilMs } of this.#received) {
      if (nowMs >= untilMs) effects.push({ kind: "refused", from, because: noAnswer() });
    }
    this.#received = this.#received.filter(({ untilMs }) => nowMs < untilMs);
    for (const { sessionId, untilMs } of this.#wanted) {
      if (nowMs >= untilMs) effects.push(...this.close(idOf(sessionId), noAnswer()));
    }
    for (const [id, { machine }] of [...this.#offerings, ...this.#acceptings]) {
      if (nowMs >= machine.expiresMs) effects.push(...this.close(id, pastItsTime()));
    }
    const waitedFor = new Set([
      ...this.#received.map(({ from }) => from.userId),
      ...this.#wanted.map(({ to }) => to.userId),
    ]);
    for (const userId of this.#asked) if (!waitedFor.has(userId)) this.#asked.delete(userId);
    return effects;
  }

  /** When {@link elapsed} has something to do. */
  deadlineMs(): number {
    const waiting = [...this.#received, ...this.#wanted].map(({ untilMs }) => untilMs);
    const halves = [...this.#offerings.values(), ...this.#acceptings.values()];
    return Math.min(...waiting, ...halves.map(({ machine }) => machine.expiresMs));
  }
}

/** A session id, or a fingerprint, as the key of a map; in the order of its bytes. */
export function idOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** How long the service has to keep a packet that is good until then. */
export function secondsUntil(expiresMs: number, nowMs: number): number {
  return Math.max(1, Math.min(604_800, Math.ceil((expiresMs - nowMs) / 1000)));
}

export function unknownSession(): Violation {
  return violation(ErrorCode.SECURE_SESSION_UNKNOWN, "SEC-33", "no such session");
}

export function otherSender(): Violation {
  return violation(ErrorCode.SECURE_PEER_UNKNOWN, "SEC-31", "from another device");
}

/** An offer or an answer, as long as it holds; the same bytes each time. */
function sending(
  peer: SecurePeer,
  { sessionId, packet, expiresMs }: Offering | Accepting,
  nowMs: number,
): HandshakeEffect {
  const ttlS = secondsUntil(expiresMs, nowMs);
  return { kind: "send", to: addressOf(peer), sessionId, packet, ttlS };
}

function refusedOffer(from: DeviceAddress, because: Violation): HandshakeEffect {
  return { kind: "refused", from, because, packet: "offer" };
}

function crossing(): Violation {
  return violation(ErrorCode.SECURE_HALF_OPEN, "SEC-29", "two offers cross, the other one stands");
}

function noAnswer(): Violation {
  return violation(ErrorCode.SECURE_PEER_UNKNOWN, "SEC-32", "the directory has no answer");
}

function pastItsTime(): Violation {
  return violation(ErrorCode.SECURE_EXPIRED, "SEC-22", "the handshake is past its time");
}
