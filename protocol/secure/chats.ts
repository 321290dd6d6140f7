import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { copyOf } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { assert, unreachable, type Violation, violation } from "../violation.ts";
import type { HandshakeEffect, SecureChatsEffect } from "./chat-effects.ts";
import { Entropy } from "./entropy.ts";
import type { SecureContentPlain, SecureParametersPlain } from "./established.ts";
import { type Bounds, makingRoom } from "./fair-room.ts";
import {
  encodePacket,
  type Moment,
  OFFER_TTL_S_MAX,
  parametersFault,
  REKEY_MESSAGES_MIN_MAX,
  type ReadPacket,
  readPacket,
} from "./handshake.ts";
import {
  Handshakes,
  idOf,
  type NewSession,
  otherSender,
  secondsUntil,
  type Turn,
  unknownSession,
} from "./handshakes.ts";
import { deviceFingerprint, encodeDevice, type SecureSigner } from "./identity.ts";
import { JudgedCertificates } from "./judged-certificates.ts";
import { SESSION_ID_BYTES, sessionIdOf } from "./message.ts";
import { OpenChats } from "./open-chats.ts";
import {
  addressOf,
  type DeviceAddress,
  type DirectoryAnswer,
  listingJudge,
  nameOf,
  type SecurePeer,
} from "./peer.ts";
import { SESSION_ENTROPY_BYTES, SecureSession } from "./session.ts";
import { type OpenChat, restoreChat, storeChat } from "./stored-chats.ts";

/** Open with one device at a time; one more ends the oldest. [SEC-34] */
export const SESSIONS_PER_PEER_MAX = 4;
/** Open with the devices of one user; one more ends the oldest. [SEC-34] */
export const SESSIONS_PER_USER_MAX = 16;
/** Open with all devices together; beyond it offers are neither made nor answered. [SEC-34] */
export const SESSIONS_MAX = 1_024;

const SESSION_BOUNDS: Bounds = {
  perDevice: SESSIONS_PER_PEER_MAX,
  perUser: SESSIONS_PER_USER_MAX,
  all: SESSIONS_MAX,
};

/** Whose chats they are. */
export interface SecureChatsOptions {
  readonly userId: string;
  readonly deviceId: string;
  readonly signer: SecureSigner;
  /** What offers of others are agreed to at most. */
  readonly parameters: SecureParametersPlain;
  /**
   * Messages between new keys, below which nothing is agreed to: 1 to REKEY_MESSAGES_MIN_MAX, or
   * what this device itself asks for where that is less. 1 unless it is given. [SEC-103]
   */
  readonly rekeyMessagesMin?: number;
}

/** How a session is offered. */
export interface SecureOfferTerms {
  readonly parameters: SecureParametersPlain;
  /** How long the offer holds: 1 to 86,400. */
  readonly ttlS: number;
}

/** What came of asking for a chat, or of sending into one. */
export type SecureChatsResult =
  | {
      readonly kind: "done";
      readonly sessionId: Uint8Array;
      readonly effects: readonly SecureChatsEffect[];
    }
  | { readonly kind: "refused"; readonly because: Violation };

/** Where a session is. */
export type SecureChatState = "half-open" | "open" | "none";

/**
 * All secure chats of a device: handshakes, sessions, and which packet is whose. A client does what
 * the effects say, in their order, and brings what comes of it; it needs no other rule.
 *
 * What others send never makes it throw, and what it refuses changes nothing and is answered to
 * nobody. Arguments that only a bug can bring are RangeErrors. [SEC-26]
 *
 * Each input has CHATS_ENTROPY_BYTES of fresh randomness and erases them.
 */
export class SecureChats {
  readonly #crypto: CryptoProvider;
  readonly #own: DeviceAddress;
  readonly #judged: JudgedCertificates;
  readonly #handshakes: Handshakes;
  readonly #open = new OpenChats();

  constructor(crypto: CryptoProvider, options: SecureChatsOptions) {
    const { userId, deviceId, signer, parameters, rekeyMessagesMin = 1 } = options;
    assertParameters(parameters);
    if (!(rekeyMessagesMin >= 1 && rekeyMessagesMin <= REKEY_MESSAGES_MIN_MAX)) {
      throw new RangeError(`rekeyMessagesMin ${rekeyMessagesMin}`);
    }
    const device = encodeDevice({ userId, deviceId, keys: signer.keys });
    const own = { userId, deviceId, signer, fingerprint: deviceFingerprint(crypto, device) };
    this.#crypto = crypto;
    this.#own = { userId, deviceId };
    this.#judged = new JudgedCertificates(crypto);
    const terms = { parameters, rekeyMessagesMin, judged: this.#judged };
    this.#handshakes = new Handshakes(crypto, own, terms);
  }

  /**
   * Takes what {@link snapshot} gave last of a session, once, before anything else happens: a state
   * that was used before seals other messages under keys that were used. [SEC-71]
   *
   * @returns the session that goes on; undefined when it is none, and none goes on
   */
  restore(state: Uint8Array): { sessionId: Uint8Array; peer: SecurePeer } | undefined {
    const chat = restoreChat(this.#crypto, state);
    if (chat === undefined || this.#open.size >= SESSIONS_MAX) return undefined;
    const { sessionId } = chat.session;
    if (this.#open.has(idOf(sessionId))) return undefined;
    this.#open.restore(idOf(sessionId), chat);
    return { sessionId: copyOf(sessionId), peer: chat.peer };
  }

  /** Whether {@link takeChanged} has any. */
  get hasChanged(): boolean {
    return this.#open.hasChanged;
  }

  /**
   * The sessions, by {@link idOf}, that have changed since this was asked last. Their snapshots are
   * to be durable, together, before what an input's effects send leaves, and before what they
   * deliver is acknowledged. Handshakes are not among them. [SEC-69]
   */
  takeChanged(): readonly string[] {
    return this.#open.takeChanged();
  }

  /** A session as it is, full of secrets; undefined when it is over, and nothing is to be left. */
  snapshot(id: string): Uint8Array | undefined {
    const chat = this.#open.look(id);
    return chat && storeChat(chat);
  }

  /**
   * Asks a device for a chat. "offered" follows when the directory has answered, or "closed";
   * "open" when the device has agreed. [SEC-16]
   */
  offer(to: DeviceAddress, { parameters, ttlS }: SecureOfferTerms, at: Moment): SecureChatsResult {
    assertParameters(parameters);
    if (!(ttlS >= 1 && ttlS <= OFFER_TTL_S_MAX)) throw new RangeError(`ttlS ${ttlS}`);
    return this.#turn(at, ({ nowMs, entropy }) => {
      if (nameOf(to) === nameOf(this.#own)) {
        const detail = "a device has no chat with itself";
        return refusedBy(violation(ErrorCode.SECURE_PEER_UNKNOWN, "SEC-17", detail));
      }
      if (this.#open.size >= SESSIONS_MAX) return refusedBy(tooManySessions());
      const sessionId = copyOf(entropy.draw(SESSION_ID_BYTES));
      const wanted = { sessionId, to: addressOf(to), parameters, ttlS };
      const effects = this.#handshakes.offer(wanted, nowMs);
      return "code" in effects
        ? refusedBy(effects)
        : { kind: "done", sessionId: copyOf(sessionId), effects };
    });
  }

  /** A packet came; `from` is what the service says. Never throws, whatever it is. [SEC-33] */
  received(packet: Uint8Array, from: DeviceAddress, at: Moment): readonly SecureChatsEffect[] {
    return this.#turn(at, (turn) => {
      const read = readPacket(packet);
      if ("code" in read) return [{ kind: "refused", from: addressOf(from), because: read }];
      const effects = this.#dispatch(read, from, turn);
      if (!("code" in effects)) return effects;
      const refused = { kind: "refused", from: addressOf(from), because: effects } as const;
      return [{ ...refused, packet: read.kind }];
    });
  }

  #dispatch(packet: ReadPacket, from: DeviceAddress, turn: Turn): SecureChatsEffect[] | Violation {
    switch (packet.kind) {
      case "offer": {
        const id = idOf(packet.core.sessionId);
        if (this.#open.has(id)) return replayed();
        if (this.#open.size >= SESSIONS_MAX) return tooManySessions();
        return this.#handshakes.received(packet, addressOf(from), turn.nowMs);
      }
      case "accept": {
        if (this.#open.has(idOf(packet.core.sessionId))) return replayed();
        const effects = this.#handshakes.accepted(packet, from, turn);
        return "code" in effects ? effects : this.#begin(effects, turn);
      }
      case "confirm": {
        if (this.#open.has(idOf(packet.core.sessionId))) return replayed();
        const made = this.#handshakes.confirmed(packet, from, turn.nowMs);
        return "code" in made ? made : this.#begin([made], turn);
      }
      case "message":
        return this.#message(packet.message, from, turn);
      default:
        return unreachable(packet);
    }
  }

  /** A handshake is over: the confirm leaves before anything else. [SEC-24] */
  #begin(effects: (HandshakeEffect | NewSession)[], turn: Turn): SecureChatsEffect[] {
    return effects.flatMap((effect): SecureChatsEffect[] => {
      if (effect.kind !== "established") return [effect];
      const { established, peer } = effect;
      const { sessionId, role, parameters, establishedMs } = established;
      const ended = this.#makeRoom(peer, turn);
      this.#open.add(idOf(sessionId), {
        session: new SecureSession(this.#crypto, established),
        peer,
        expiresMs: establishedMs + parameters.lifetimeS * 1000,
      });
      return [...ended, { kind: "open", sessionId: copyOf(sessionId), peer, role, parameters }];
    });
  }

  /** A device that has lost its sessions begins new ones: the oldest make room. [SEC-34] */
  #makeRoom(peer: SecurePeer, turn: Turn): SecureChatsEffect[] {
    const held = this.#open.all().map(([id, chat]) => ({ id, peer: chat.peer }));
    const detail = "newer sessions take its place";
    const because = violation(ErrorCode.SECURE_EXPIRED, "SEC-34", detail);
    return makingRoom(held, peer, SESSION_BOUNDS).flatMap((id) => this.#end(id, because, turn));
  }

  #message(message: Uint8Array, from: DeviceAddress, turn: Turn): SecureChatsEffect[] | Violation {
    const sessionId = sessionIdOf(message);
    if (sessionId === undefined) {
      return violation(ErrorCode.SECURE_MALFORMED, "SEC-44", "not a message");
    }
    const id = idOf(sessionId);
    const found = this.#open.look(id);
    if (found === undefined) {
      return this.#handshakes.has(id) ? notOpen() : unknownSession();
    }
    if (nameOf(found.peer) !== nameOf(from)) return otherSender();
    const chat = this.#open.use(id) ?? found;
    const { session, peer } = chat;
    const opened = session.receive(message, momentOf(turn));
    const effects: SecureChatsEffect[] = [];
    if (opened.kind === "refused") {
      const because = violation(opened.code, opened.requirement, "a message");
      effects.push({ kind: "refused", from: addressOf(from), because, packet: "message" });
    } else {
      const { content, position, franked, reply } = opened;
      if (content.kind.case === "text" || content.kind.case === "custom") {
        const franking = franked === undefined ? {} : { franked };
        effects.push({ kind: "deliver", sessionId, peer, content, position, ...franking });
      }
      if (reply !== undefined) effects.push(this.#send(chat, reply, turn.nowMs));
    }
    return [...effects, ...this.#forgetIfOver(id)];
  }

  /** What the directory says of a user; undefined when it has no answer, or the user is blocked. */
  resolved(
    userId: string,
    answer: DirectoryAnswer | undefined,
    at: Moment,
  ): readonly SecureChatsEffect[] {
    return this.#turn(at, (turn) => {
      const judge = answer && listingJudge(this.#crypto, answer, turn.nowMs, this.#judged);
      const ended = this.#open.all().flatMap(([id, { peer }]) => {
        const because = peer.userId === userId ? judge?.(peer) : undefined;
        return because === undefined ? [] : this.#end(id, because, turn);
      });
      return [...ended, ...this.#handshakes.resolved(userId, answer, turn)];
    });
  }

  /** Seals a content for the other device; only an open session takes one. [SEC-24] */
  send(sessionId: Uint8Array, content: SecureContentPlain, at: Moment): SecureChatsResult {
    return this.#turn(at, (turn) => {
      const id = idOf(sessionId);
      const chat = this.#open.use(id);
      if (chat === undefined) return refusedBy(notOpen());
      const sent = chat.session.send(content, momentOf(turn));
      if (sent.kind === "refused") {
        return refusedBy(violation(sent.code, "", "the session does not take it"));
      }
      const effects = [this.#send(chat, sent.message, turn.nowMs), ...this.#forgetIfOver(id)];
      return { kind: "done", sessionId: copyOf(sessionId), effects };
    });
  }

  /** Ends a session, or a handshake; the other device is told if there is a session. */
  close(sessionId: Uint8Array, at: Moment): readonly SecureChatsEffect[] {
    return this.#turn(at, (turn) => this.#close(idOf(sessionId), turn));
  }

  /** Ends everything: the device is logged out, or the user wants all of it gone. */
  closeAll(at: Moment): readonly SecureChatsEffect[] {
    return this.#turn(at, (turn) =>
      [...this.#open.all().map(([id]) => id), ...this.#handshakes.ids()].flatMap((id) =>
        this.#close(id, turn),
      ),
    );
  }

  #close(id: string, turn: Turn): SecureChatsEffect[] {
    const because = violation(ErrorCode.GOODBYE, "", "closed here");
    if (this.#open.has(id)) return this.#end(id, because, turn);
    return this.#handshakes.giveUp(id, because);
  }

  /** The time of {@link deadlineMs} has come, or any other time. */
  elapsed(at: Moment): readonly SecureChatsEffect[] {
    return this.#turn(at, (turn) => {
      const effects: SecureChatsEffect[] = this.#handshakes.elapsed(turn.nowMs);
      for (const [id, { session }] of this.#open.all()) {
        const chat = turn.nowMs < session.deadlineMs() ? undefined : this.#open.use(id);
        if (chat === undefined) continue;
        for (const effect of chat.session.elapsed(momentOf(turn))) {
          if (effect.kind === "send") effects.push(this.#send(chat, effect.message, turn.nowMs));
        }
        effects.push(...this.#forgetIfOver(id));
      }
      return effects;
    });
  }

  /** When {@link elapsed} has something to do; Infinity when nothing waits. */
  deadlineMs(): number {
    const sessions = this.#open.all().map(([, { session }]) => session.deadlineMs());
    return Math.min(this.#handshakes.deadlineMs(), ...sessions);
  }

  stateOf(sessionId: Uint8Array): SecureChatState {
    const id = idOf(sessionId);
    if (this.#open.has(id)) return "open";
    return this.#handshakes.ids().includes(id) ? "half-open" : "none";
  }

  /** The other device of an open session. */
  peerOf(sessionId: Uint8Array): SecurePeer | undefined {
    return this.#open.look(idOf(sessionId))?.peer;
  }

  #turn<Result>(at: Moment, input: (turn: Turn) => Result): Result {
    const entropy = new Entropy(this.#crypto, at.entropy);
    try {
      return input({ nowMs: at.nowMs, entropy });
    } finally {
      entropy.erase();
    }
  }

  #send({ session, peer, expiresMs }: OpenChat, message: Uint8Array, nowMs: number) {
    return {
      kind: "send",
      to: addressOf(peer),
      sessionId: copyOf(session.sessionId),
      packet: encodePacket({ case: "message", value: message }),
      ttlS: secondsUntil(expiresMs, nowMs),
    } as const;
  }

  #end(id: string, because: Violation, turn: Turn): SecureChatsEffect[] {
    const chat = this.#open.use(id);
    assert(chat !== undefined, "what ends is open");
    const message = chat.session.close(momentOf(turn));
    this.#open.remove(id);
    const sent = message === undefined ? [] : [this.#send(chat, message, turn.nowMs)];
    return [...sent, closed(chat, because)];
  }

  #forgetIfOver(id: string): SecureChatsEffect[] {
    const chat = this.#open.look(id);
    const code = chat?.session.endedBy;
    if (chat === undefined || code === undefined) return [];
    this.#open.remove(id);
    return [closed(chat, violation(code, "", "the session has ended"))];
  }
}

function closed({ session, peer }: OpenChat, because: Violation): SecureChatsEffect {
  const sessionId = copyOf(session.sessionId);
  return { kind: "closed", sessionId, peer: addressOf(peer), because };
}

function momentOf({ nowMs, entropy }: Turn): Moment {
  return { nowMs, entropy: entropy.draw(SESSION_ENTROPY_BYTES) };
}

function refusedBy(because: Violation): SecureChatsResult {
  return { kind: "refused", because };
}

function assertParameters(parameters: SecureParametersPlain): void {
  const fault = parametersFault(parameters);
  if (fault !== undefined) throw new RangeError(`parameters: ${fault}`);
}

function notOpen(): Violation {
  return violation(ErrorCode.SECURE_NOT_OPEN, "SEC-24", "the handshake is not over");
}

function replayed(): Violation {
  return violation(ErrorCode.SECURE_REPLAYED, "SEC-30", "the handshake is over");
}

function tooManySessions(): Violation {
  return violation(ErrorCode.SECURE_HALF_OPEN, "SEC-34", "too many sessions are open");
}
