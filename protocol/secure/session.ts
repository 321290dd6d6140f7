import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { SecureContentSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { copyOf, equalBytes, NO_BYTES } from "../envelope/octets.ts";
import { type CryptoProvider, TAG_BYTES, XWING_RANDOMNESS_BYTES } from "../envelope/provider.ts";
import { decodePlain, encodePlain } from "../plain.ts";
import { type Violation, violation } from "../violation.ts";
import type { EstablishedSecure, SecureContentPlain } from "./established.ts";
import {
  FRANKING_KEY_BYTES,
  type FrankedContent,
  frankedContent,
  frankingCommitment,
  isCommitted,
} from "./franking.ts";
import {
  encodeHeader,
  encodeMessage,
  MESSAGE_TAG_BYTES,
  parseMessage,
  SESSION_ID_BYTES,
  type SealedMessage,
  taggedText,
} from "./message.ts";
import { padded, unpadded } from "./padding.ts";
import { type Candidate, Ratchet } from "./ratchet.ts";
import { type MessageKeys, messageKeys } from "./schedule.ts";
import { StateReader, StateWriter } from "./stored-state.ts";

/** What a session takes each time: for an answer (64), an offered key (32), franking (32). */
export const SESSION_ENTROPY_BYTES = 128;
/** A session without a message for so long is over. [SEC-64] */
export const IDLE_MS = 24 * 3600 * 1000;
/** The most that a session may live, whatever was agreed. [SEC-64] */
export const LIFETIME_S_MAX = 7 * 24 * 3600;
/** Messages of a session, both ways, its close among them. [SEC-64] */
export const MESSAGES_MAX: number = 2 ** 20;

const STATE_VERSION = 1;
const FINGERPRINT_BYTES = 32;
const SEED_BYTES = 32;

/** The moment of a call. */
export interface Moment {
  readonly nowMs: number;
  /** SESSION_ENTROPY_BYTES, fresh for every call and used by nobody else. */
  readonly entropy: Uint8Array;
}

export type SecureSent =
  | { readonly kind: "sealed"; readonly message: Uint8Array }
  | { readonly kind: "refused"; readonly code: ErrorCode };

export interface SecureOpened {
  readonly kind: "opened";
  readonly content: SecureContentPlain;
  readonly position: { readonly epoch: number; readonly n: number };
  /** To be sent: the other side is owed one for the ratchet's sake. [SEC-62] */
  readonly reply?: Uint8Array;
  /** What a report takes, in a session with franking. [SEC-72] */
  readonly franked?: FrankedContent;
}

/** Nothing of it is told to the other side. [SEC-52] */
export interface SecureRefused {
  readonly kind: "refused";
  readonly code: ErrorCode;
  readonly requirement: string;
}

export type SecureReceived = SecureOpened | SecureRefused;

/** What a session wants done when time has passed. */
export type SecureEffect =
  | { readonly kind: "send"; readonly message: Uint8Array }
  | { readonly kind: "closed"; readonly code: ErrorCode };

type Established = Omit<EstablishedSecure, "root">;

/** What changes in a session beside its ratchet. */
interface Tally {
  /** Messages sealed and opened. */
  messages: number;
  /** Contents opened since we sealed anything. [SEC-62] */
  unanswered: number;
  /** When a message was sealed or opened last. */
  lastMs: number;
}

/**
 * An open session between two devices: seals, opens, moves its keys on, and ends with nothing left.
 * [SEC-51] [SEC-64]
 */
export class SecureSession {
  readonly #crypto: CryptoProvider;
  readonly #established: Established;
  readonly #ratchet: Ratchet;
  readonly #tally: Tally;
  #endedBy: ErrorCode | undefined;

  constructor(crypto: CryptoProvider, established: EstablishedSecure, stored?: StoredSession) {
    const { root, ...rest } = established;
    this.#crypto = crypto;
    this.#established = rest;
    const { establishedMs: nowMs } = rest;
    this.#ratchet = stored?.ratchet ?? Ratchet.begin(crypto, planOf(rest), { root, nowMs });
    this.#tally = stored?.tally ?? { messages: 0, unanswered: 0, lastMs: nowMs };
  }

  get open(): boolean {
    return this.#endedBy === undefined;
  }

  /** Why the session is over: GOODBYE for a close of either side; undefined while it is open. */
  get endedBy(): ErrorCode | undefined {
    return this.#endedBy;
  }

  get sessionId(): Uint8Array {
    return this.#established.sessionId;
  }

  /** The other device's fingerprint. */
  get peer(): Uint8Array {
    return this.#established.peer;
  }

  get epoch(): number {
    return this.#ratchet.epoch;
  }

  /**
   * Seals a text or custom content. What is sealed counts as sent: it is stored with the session's
   * state before it leaves, and sent again as it is. [SEC-42] [SEC-69]
   *
   * Throws RangeError for content that the schema does not allow.
   */
  send(content: SecureContentPlain, at: Moment): SecureSent {
    assertEntropy(at);
    if (!isLegal(content) || content.kind.case === "close") {
      throw new RangeError("content is a text or bytes, not empty; close() closes");
    }
    this.#endIfOver(at.nowMs);
    if (this.#endedBy !== undefined || this.#isSpent) {
      return { kind: "refused", code: ErrorCode.SECURE_NOT_OPEN };
    }
    const message = this.#seal(content, at);
    if (message === undefined) return { kind: "refused", code: ErrorCode.MESSAGE_TOO_LARGE };
    return { kind: "sealed", message };
  }

  /**
   * Opens a message. A failure leaves everything as it was and is never told to the other side,
   * unless it is a contradiction in what the other side itself has said, which ends the session.
   * Never throws for what a peer sends. [SEC-51] [SEC-52] [SEC-59]
   */
  receive(message: Uint8Array, at: Moment): SecureReceived {
    assertEntropy(at);
    this.#endIfOver(at.nowMs);
    if (this.#endedBy !== undefined || this.#isSpent) {
      return refused(violation(ErrorCode.SECURE_NOT_OPEN, "SEC-64", "the session is over"));
    }
    const parsed = this.#parse(message);
    if ("code" in parsed) return refused(parsed);
    const candidate = this.#ratchet.locate(parsed.header, at.nowMs);
    if ("code" in candidate) return refused(candidate);
    const inner = this.#open(parsed, candidate);
    if ("code" in inner) {
      this.#ratchet.discard(candidate);
      return refused(inner);
    }
    const randomness = at.entropy.subarray(0, XWING_RANDOMNESS_BYTES);
    const broken = this.#ratchet.commit(candidate, { nowMs: at.nowMs, randomness });
    if (broken !== undefined) {
      inner.whole.fill(0);
      this.#end(broken.code);
      return refused(broken);
    }
    return this.#opened(parsed, inner, at);
  }

  /** When `elapsed` has something to do; Infinity after the end. */
  deadlineMs(): number {
    if (!this.open) return Number.POSITIVE_INFINITY;
    if (this.#isSpent) return 0;
    return Math.min(this.#expiresMs, this.#ratchet.deadlineMs);
  }

  /** Time has passed: erases what is due, and says what is to be done. [SEC-53] [SEC-64] */
  elapsed(at: Moment): SecureEffect[] {
    if (!this.open) return [];
    this.#endIfOver(at.nowMs);
    if (this.#endedBy !== undefined) return [{ kind: "closed", code: this.#endedBy }];
    if (this.#isSpent) {
      const message = this.#sealClose(at);
      this.#end(ErrorCode.SECURE_EXPIRED);
      const closed = { kind: "closed", code: ErrorCode.SECURE_EXPIRED } as const;
      return message === undefined ? [closed] : [{ kind: "send", message }, closed];
    }
    this.#ratchet.elapsed(at.nowMs);
    return [];
  }

  /** Ends the session. @returns the sealed close, to be sent; undefined when it was over before */
  close(at: Moment): Uint8Array | undefined {
    assertEntropy(at);
    this.#endIfOver(at.nowMs);
    if (!this.open) return undefined;
    const message = this.#sealClose(at);
    this.#end(ErrorCode.GOODBYE);
    return message;
  }

  /**
   * Everything, for a store that encrypts it with a key that the platform keeps; full of secrets.
   * Undefined after the end. [SEC-69] [SEC-70]
   */
  snapshot(): Uint8Array | undefined {
    if (!this.open) return undefined;
    const { sessionId, role, own, peer, parameters, establishedMs } = this.#established;
    const into = new StateWriter();
    into.u32(STATE_VERSION);
    into.bytes(sessionId);
    into.flag(role === "initiator");
    into.bytes(own);
    into.bytes(peer);
    into.u32(parameters.rekeyMessages);
    into.u32(parameters.rekeyS);
    into.u32(parameters.lifetimeS);
    into.flag(parameters.franking);
    into.u64(establishedMs);
    into.u32(this.#tally.messages);
    into.u32(this.#tally.unanswered);
    into.u64(this.#tally.lastMs);
    this.#ratchet.store(into);
    return into.finish();
  }

  /**
   * A session as it was stored; undefined for another version, or what is not whole. A state that
   * is not the newest one would use keys again: on doubt there is a new session. [SEC-71]
   */
  static restore(crypto: CryptoProvider, state: Uint8Array): SecureSession | undefined {
    const from = new StateReader(state);
    if (from.u32() !== STATE_VERSION) return undefined;
    const established: EstablishedSecure = {
      sessionId: from.bytes(SESSION_ID_BYTES),
      role: from.flag() ? "initiator" : "responder",
      root: NO_BYTES,
      own: from.bytes(FINGERPRINT_BYTES),
      peer: from.bytes(FINGERPRINT_BYTES),
      parameters: {
        rekeyMessages: from.u32(),
        rekeyS: from.u32(),
        lifetimeS: from.u32(),
        franking: from.flag(),
      },
      establishedMs: from.u64(),
    };
    const tally = { messages: from.u32(), unanswered: from.u32(), lastMs: from.u64() };
    const ratchet = Ratchet.restore(crypto, planOf(established), from);
    if (ratchet === undefined) return undefined;
    if (from.isWhole) return new SecureSession(crypto, established, { ratchet, tally });
    ratchet.erase();
    return undefined;
  }

  /** Whether only the close is left of the messages that a session has. [SEC-64] */
  get #isSpent(): boolean {
    return this.#tally.messages >= MESSAGES_MAX - 1;
  }

  get #expiresMs(): number {
    const { establishedMs, parameters } = this.#established;
    const lifetimeS = Math.min(parameters.lifetimeS, LIFETIME_S_MAX);
    return Math.min(establishedMs + lifetimeS * 1000, this.#tally.lastMs + IDLE_MS);
  }

  #endIfOver(nowMs: number): void {
    if (this.open && nowMs >= this.#expiresMs) this.#end(ErrorCode.SECURE_EXPIRED);
  }

  /** Nothing secret is left afterwards, here or in what this refers to. [SEC-65] */
  #end(code: ErrorCode): void {
    this.#endedBy = code;
    this.#ratchet.erase();
  }

  #sealClose(at: Moment): Uint8Array | undefined {
    const sentMs = at.nowMs;
    return this.#seal({ sentMs, lifetimeS: 0, kind: { case: "close", value: {} } }, at);
  }

  /** @returns undefined, and nothing has changed, when the content is too long */
  #seal(content: SecureContentPlain, at: Moment): Uint8Array | undefined {
    const crypto = this.#crypto;
    const { nowMs, entropy } = at;
    const seed = entropy.subarray(XWING_RANDOMNESS_BYTES, XWING_RANDOMNESS_BYTES + SEED_BYTES);
    const { franking } = this.#established.parameters;
    const frankingKey = franking ? entropy.subarray(-FRANKING_KEY_BYTES) : NO_BYTES;
    const encoded = encodePlain(SecureContentSchema, content);
    const inner = padded(frankingKey, encoded);
    encoded.fill(0);
    if (inner === undefined) return undefined;
    const commitment = franking
      ? frankingCommitment(crypto, frankingKey, inner.subarray(FRANKING_KEY_BYTES))
      : undefined;
    const { case: kind } = content.kind;
    // Neither is repeated: they open wherever the other side is. [SEC-62] [SEC-66]
    const carriesStep = kind === "nothing" || kind === "close";
    const { header, messageKey } = this.#ratchet.next({ nowMs, seed, carriesStep });
    const headerBytes = encodeHeader({ ...header, commitment });
    const keys = messageKeys(crypto, messageKey);
    messageKey.fill(0);
    const ciphertext = new Uint8Array(inner.length + TAG_BYTES);
    crypto
      .aead("aes-256-gcm", keys.key)
      .seal({ nonce: keys.nonce, header: headerBytes, text: inner }, ciphertext);
    inner.fill(0);
    const tag = messageTag(crypto, keys, { headerBytes, ciphertext });
    eraseKeys(keys);
    this.#tally.messages += 1;
    this.#tally.unanswered = 0;
    this.#tally.lastMs = Math.max(this.#tally.lastMs, nowMs);
    return encodeMessage({ headerBytes, ciphertext, tag });
  }

  #parse(message: Uint8Array): SealedMessage | Violation {
    const parsed = parseMessage(message);
    if (parsed === undefined) return malformed("SEC-44", "no message");
    const { sessionId, commitment } = parsed.header;
    if (!equalBytes(sessionId, this.#established.sessionId)) {
      return violation(ErrorCode.SECURE_SESSION_UNKNOWN, "SEC-47", "of another session");
    }
    const isFranked = commitment !== undefined;
    if (isFranked === this.#established.parameters.franking) return parsed;
    return malformed("SEC-46", "franking is not as it was agreed");
  }

  /** TAG, then the AEAD, then padding, then the commitment: stops at the first fault. [SEC-51] */
  #open(message: SealedMessage, candidate: Candidate): Inner | Violation {
    const keys = messageKeys(this.#crypto, candidate.messageKey);
    const expected = messageTag(this.#crypto, keys, message);
    const isTagged = equalBytes(expected, message.tag);
    expected.fill(0);
    const { headerBytes: header, ciphertext: text } = message;
    const whole = isTagged
      ? this.#crypto.aead("aes-256-gcm", keys.key).open({ nonce: keys.nonce, header, text })
      : undefined;
    eraseKeys(keys);
    if (whole === undefined) {
      return violation(ErrorCode.SECURE_TAG_INVALID, "SEC-50", "the TAG does not fit");
    }
    const { commitment } = message.header;
    const begin = commitment === undefined ? 0 : FRANKING_KEY_BYTES;
    const content = unpadded(whole.subarray(begin));
    const franked = commitment === undefined ? undefined : frankedContent(whole, commitment);
    const isBound = franked === undefined || isCommitted(this.#crypto, franked);
    if (content !== undefined && isBound) return { whole, content, franked };
    whole.fill(0);
    if (content === undefined) return malformed("SEC-49", "padding is not zero");
    return malformed("SEC-73", "the commitment is to something else");
  }

  /** The message is taken; what it says is read last. [SEC-51] */
  #opened({ header }: SealedMessage, inner: Inner, at: Moment): SecureReceived {
    const { epoch, n } = header;
    this.#tally.messages += 1;
    this.#tally.lastMs = Math.max(this.#tally.lastMs, at.nowMs);
    // Decoded bytes share memory with what they are decoded from: from a copy.
    const content = decodePlain(SecureContentSchema, copyOf(inner.content));
    inner.whole.fill(0);
    if (typeof content === "string" || !isLegal(content)) {
      return refused(malformed("SEC-68", "no content"));
    }
    const { franked } = inner;
    const opened = {
      kind: "opened",
      content,
      position: { epoch, n },
      ...(franked === undefined ? {} : { franked }),
    } as const;
    if (content.kind.case === "close") {
      this.#end(ErrorCode.GOODBYE);
      return opened;
    }
    const reply = content.kind.case === "nothing" ? undefined : this.#replyDue(at);
    return reply === undefined ? opened : { ...opened, reply };
  }

  /** Who only listens still moves the keys on: one empty message for so many. [SEC-62] */
  #replyDue(at: Moment): Uint8Array | undefined {
    this.#tally.unanswered += 1;
    const isDue = this.#tally.unanswered >= this.#established.parameters.rekeyMessages;
    if (!isDue || this.#isSpent) return undefined;
    const sentMs = at.nowMs;
    return this.#seal({ sentMs, lifetimeS: 0, kind: { case: "nothing", value: {} } }, at);
  }
}

interface StoredSession {
  readonly ratchet: Ratchet;
  readonly tally: Tally;
}

interface Inner {
  /** Holds the content too; erased as soon as that is read. */
  readonly whole: Uint8Array;
  readonly content: Uint8Array;
  readonly franked: FrankedContent | undefined;
}

function planOf({ sessionId, role, parameters }: Established) {
  const { rekeyMessages, rekeyS } = parameters;
  return { sessionId, role, rekeyMessages, rekeyS };
}

/** [SEC-50] */
function messageTag(
  crypto: CryptoProvider,
  { tagKey }: MessageKeys,
  { headerBytes, ciphertext }: Pick<SealedMessage, "headerBytes" | "ciphertext">,
): Uint8Array {
  const mac = crypto.hmacSha512(tagKey, taggedText(headerBytes, ciphertext));
  const tag = copyOf(mac, 0, MESSAGE_TAG_BYTES);
  mac.fill(0);
  return tag;
}

function eraseKeys({ key, nonce, tagKey }: MessageKeys): void {
  key.fill(0);
  nonce.fill(0);
  tagKey.fill(0);
}

/** [SEC-68] */
function isLegal({ kind }: SecureContentPlain): boolean {
  switch (kind.case) {
    case "text":
    case "custom":
      return kind.value.length > 0;
    case "nothing":
    case "close":
      return true;
    default:
      return false;
  }
}

function assertEntropy({ entropy }: Moment): void {
  if (entropy.length !== SESSION_ENTROPY_BYTES) {
    throw new RangeError(`entropy of ${entropy.length} bytes`);
  }
}

function refused({ code, requirement }: Violation): SecureRefused {
  return { kind: "refused", code, requirement };
}

function malformed(requirement: string, detail: string): Violation {
  return violation(ErrorCode.SECURE_MALFORMED, requirement, detail);
}
