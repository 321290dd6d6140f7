import {
  ClientFinishedSchema,
  ClientHelloCoreSchema,
  ClientHelloSchema,
} from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { LinkTrust } from "../link.ts";
import { encodePlain } from "../plain.ts";
import { assert, type Violation, violation } from "../violation.ts";
import { type Established, type Policy, trafficOf } from "./established.ts";
import { type ReadServerHello, readServerHello } from "./hello.ts";
import { isSignedBy, serverIdOf } from "./identity.ts";
import {
  binderOf,
  type Hellos,
  type LinkSecrets,
  linkSecrets,
  serverSignedText,
  ticketSecret,
} from "./key-schedule.ts";
import { ENVELOPE_VERSION, HANDSHAKE_MS, LIFETIME_S_MAX, TICKET_ID_BYTES } from "./limits.ts";
import { copyOf, equalBytes, NO_BYTES } from "./octets.ts";
import { type CryptoProvider, XWING_CIPHERTEXT_BYTES } from "./provider.ts";
import { rsaModulusBytes } from "./rsa-key.ts";
import { isAtLeast, SUITE_TICKET_ONLY, type Suite, suiteOf } from "./suites.ts";
import { type ClientTicket, resumeModeOf } from "./ticket.ts";
import { outOfPlace, Wire, type WireEffect } from "./wire.ts";

/** Whom a device expects. [ENV-32] */
export type Expectation =
  /** One of these identities, which reached the device over a channel that it trusts. */
  | { readonly kind: "pinned"; readonly serverIds: readonly Uint8Array[] }
  /** The identities that were there the first time; none when this is the first time. */
  | { readonly kind: "first-use"; readonly serverIds: readonly Uint8Array[] }
  /** Anybody: safe against listeners only. */
  | { readonly kind: "none" };

export interface ClientEnvelopeOptions {
  /** Suites by number, best first; one that is weaker than `minSuite` is not offered. */
  readonly suites: readonly number[];
  readonly expects: Expectation;
  /** The weakest suite that the service has promised to accept. [ENV-34] */
  readonly minSuite?: number;
  readonly ticket?: ClientTicket;
  /** What the ticket is for; PSK_KEM unless told otherwise. */
  readonly ticketOnly?: boolean;
  /** The public half of a fresh RSA key, for suite 0x0001. [ENV-21] [ENV-23] */
  readonly rsaPublicKey?: Uint8Array;
  /** CLIENT_RANDOMNESS_BYTES, from the system's generator, never twice the same. */
  readonly randomness: Uint8Array;
}

/** Hello, seed of the X-Wing key, and what stands in for a secret that RSA did not yield. */
export const CLIENT_RANDOMNESS_BYTES = 96;

/** What a device knows once the handshake is over. */
export interface ClientEstablished extends Established {
  readonly trust: LinkTrust;
}

/** What the driver has to do, in order. */
export type ClientEnvelopeEffect =
  | Exclude<WireEffect, { readonly kind: "ticket-content" }>
  /** Decrypt with the link's RSA key, drop the key, then call `decrypted`. [ENV-23] */
  | { readonly kind: "decrypt"; readonly ciphertext: Uint8Array }
  /** The handshake is over. Remember policy and, when pinned, the next identity. [ENV-33] */
  | { readonly kind: "established"; readonly link: ClientEstablished }
  /** Keep it, in memory, for the next link. [ENV-42] */
  | { readonly kind: "ticket"; readonly ticket: ClientTicket }
  /** The link that it came over went wrong: it is not to be used. [ENV-76] */
  | { readonly kind: "drop-ticket"; readonly ticketId: Uint8Array };

/** Of how many tickets of one link a device remembers that they came over it. */
const LINK_TICKETS_MAX = 16;

type Phase = "helloSent" | "decrypting" | "open";

/** What is known between ServerHello and the confirm. */
interface Answer {
  readonly hello: ReadServerHello;
  readonly hellos: Hellos;
  readonly suite: Suite;
  readonly serverId: Uint8Array;
  readonly trust: LinkTrust;
}

/**
 * The device's half of a sealed link. Sans-I/O: give it facts, obey its effects. Lives as long as
 * its link and is never stored or copied. [ENV-7] [ENV-16]
 */
export class ClientEnvelope {
  readonly #crypto: CryptoProvider;
  readonly #options: ClientEnvelopeOptions;
  readonly #offers: readonly { readonly suite: number; readonly publicKey: Uint8Array }[];
  readonly #wire = new Wire({ takesTickets: true });
  readonly #core: Uint8Array;
  readonly #binder: Uint8Array;
  readonly #seed: Uint8Array;
  #phase: Phase = "helloSent";
  #answer: Answer | undefined;
  #secrets: LinkSecrets | undefined;
  #suite: Suite | undefined;
  /** The tickets that came over this link. */
  #ticketIds: Uint8Array[] = [];
  #deadlineMs: number;
  #nowMs: number;
  #pending: ClientEnvelopeEffect[] = [];

  /** A fresh link is usable: says hello. Throws RangeError when nothing could be offered. */
  constructor(crypto: CryptoProvider, options: ClientEnvelopeOptions, nowMs: number) {
    if (options.randomness.length !== CLIENT_RANDOMNESS_BYTES) {
      throw new RangeError(`randomness of ${options.randomness.length} bytes`);
    }
    this.#crypto = crypto;
    this.#options = options;
    this.#seed = copyOf(options.randomness, 32, 64);
    this.#offers = this.#makeOffers();
    const { expects, ticket } = options;
    this.#core = encodePlain(ClientHelloCoreSchema, {
      version: ENVELOPE_VERSION,
      clientRandom: copyOf(options.randomness, 0, 32),
      offers: this.#offers,
      pinnedServerId: (expects.kind === "pinned" && expects.serverIds[0]) || NO_BYTES,
      ticketId: ticket?.ticketId ?? NO_BYTES,
      resumeMode: resumeModeOf(options),
      clientFeatures: 0,
    });
    this.#binder = ticket === undefined ? NO_BYTES : binderOf(crypto, ticket.psk, this.#core);
    const hello = { core: this.#core, binder: this.#binder };
    this.#wire.writeClear("clientHello", encodePlain(ClientHelloSchema, hello));
    this.#nowMs = nowMs;
    this.#deadlineMs = nowMs + HANDSHAKE_MS;
  }

  get closed(): boolean {
    return this.#wire.closed;
  }

  /** Bytes from the link, cut anywhere. Never throws, whatever they are. */
  received(bytes: Uint8Array, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#wire.received(bytes, nowMs, ({ type, body }) => {
      if (type !== "serverHello" || this.#phase !== "helloSent") this.#fail(outOfPlace(type));
      else this.#answered(body);
    });
    this.#afterWire();
  }

  /**
   * The answer to effect `decrypt`; undefined when the ciphertext did not decrypt. That fails where
   * a wrong secret fails, and no sooner, so that nobody can ask the key questions. [ENV-24]
   */
  decrypted(secret: Uint8Array | undefined, nowMs: number): void {
    if (this.#wire.closed) return;
    assert(this.#phase === "decrypting", "there is one ciphertext on a link [ENV-23]");
    this.#nowMs = nowMs;
    const isSecret = secret?.length === 32;
    this.#confirm(isSecret ? secret : copyOf(this.#options.randomness, 64));
  }

  /** Frames, sealed at the next {@link effects} with all others of this turn. */
  write(bytes: Uint8Array): void {
    this.#wire.writeFrames(bytes);
  }

  /** Asks for fresh keys in both directions. [ENV-39] */
  updateKeys(): void {
    if (this.#phase === "open") this.#wire.updateKey(true);
  }

  /** Ends the link in order. [ENV-51] */
  close(): void {
    this.#wire.close(violation(ErrorCode.GOODBYE, "", "closed by the device"));
    this.#afterWire();
  }

  /** The transport has ended. [ENV-51] */
  ended(): void {
    this.#wire.ended();
    this.#afterWire();
  }

  /** The time of {@link deadlineMs} has come, or any other time. */
  elapsed(nowMs: number): void {
    this.#nowMs = nowMs;
    if (nowMs < this.deadlineMs()) return;
    if (nowMs >= this.#wire.recordDeadlineMs) {
      this.#wire.recordLate();
    } else if (this.#phase === "open") {
      const detail = "the link has reached the end of its life";
      this.#wire.close(violation(ErrorCode.ENVELOPE_LIMIT_REACHED, "ENV-41", detail));
    } else {
      this.#fail(violation(ErrorCode.TOO_SLOW, "ENV-19", "no ServerHello in time"));
    }
    this.#afterWire();
  }

  /** When to call {@link elapsed}; Infinity when never. */
  deadlineMs(): number {
    if (this.#wire.closed) return Number.POSITIVE_INFINITY;
    return Math.min(this.#deadlineMs, this.#wire.recordDeadlineMs);
  }

  /** What to do now, in order; empties the list. */
  effects(): ClientEnvelopeEffect[] {
    this.#afterWire();
    const effects = this.#pending;
    this.#pending = [];
    return effects;
  }

  #makeOffers(): readonly { readonly suite: number; readonly publicKey: Uint8Array }[] {
    const { suites, minSuite, rsaPublicKey, ticketOnly = false } = this.#options;
    if (ticketOnly) return [];
    const wanted = suites.flatMap((number) => suiteOf(number) ?? []);
    const strong = wanted.filter((suite) => minSuite === undefined || isAtLeast(suite, minSuite));
    if (strong.length === 0) throw new RangeError("no suite to offer");
    const xwing = strong.some(({ kem }) => kem === "x-wing")
      ? this.#crypto.xwingPublicKey(this.#seed)
      : undefined;
    return strong.map(({ number, kem }) => {
      const publicKey = kem === "x-wing" ? xwing : rsaPublicKey;
      if (publicKey === undefined) throw new RangeError(`suite ${number} needs a key`);
      return { suite: number, publicKey };
    });
  }

  /** Judges a ServerHello; the order is the specification's. [ENV-16] */
  #answered(body: Uint8Array): void {
    const hello = readServerHello(body);
    if ("code" in hello) return this.#fail(hello);
    const suite = this.#chosenSuite(hello);
    if ("code" in suite) return this.#fail(suite);
    const serverId = serverIdOf(this.#crypto, hello.keys);
    const trust = trustIn(this.#options.expects, serverId);
    if (trust === undefined) {
      const detail = "another identity than the device knows";
      return this.#fail(violation(ErrorCode.SERVER_IDENTITY_CHANGED, "ENV-29", detail));
    }
    const { coreBytes: serverCore, algorithm, signature } = hello;
    const hellos = { clientCore: this.#core, binder: this.#binder, serverCore };
    const text = serverSignedText(this.#crypto, hellos);
    if (!isSignedBy(this.#crypto, hello.keys, { text, algorithm, signature })) {
      const detail = "the signature does not fit both hellos";
      return this.#fail(violation(ErrorCode.ENVELOPE_SIGNATURE_INVALID, "ENV-14", detail));
    }
    this.#answer = { hello, hellos, suite, serverId, trust };
    this.#agree(suite, hello.core);
  }

  #chosenSuite({ core, policy }: ReadServerHello): Suite | Violation {
    const { ticket, minSuite } = this.#options;
    const { suite: number, ticketAccepted } = core;
    if (ticketAccepted && ticket === undefined) return refused("a ticket that was not shown");
    const isTicketOnly = number === SUITE_TICKET_ONLY;
    const suite = suiteOf(isTicketOnly && ticket !== undefined ? ticket.suite : number);
    const isOffered = isTicketOnly
      ? this.#options.ticketOnly === true && ticketAccepted
      : this.#offers.some((offer) => offer.suite === number);
    if (suite === undefined || !isOffered) return refused(`suite ${number} was not offered`);
    if (ticketAccepted && suite.number !== ticket?.suite) {
      return refused(`a ticket of suite ${ticket?.suite} for suite ${number}`);
    }
    if (!isAtLeast(suite, policy.minSuite) || isBelow(policy, minSuite)) {
      const detail = `suite ${number}, promise ${policy.minSuite}, remembered ${minSuite}`;
      return violation(ErrorCode.ENVELOPE_DOWNGRADED, "ENV-34", detail);
    }
    return suite;
  }

  #agree(suite: Suite, { suite: number, kemCiphertext }: ReadServerHello["core"]): void {
    const crypto = this.#crypto;
    if (number === SUITE_TICKET_ONLY) {
      if (kemCiphertext.length > 0) return this.#fail(keyInvalid("a ciphertext without a key"));
      return this.#confirm(undefined);
    }
    if (suite.kem === "rsa-oaep") {
      const offer = this.#offers.find((candidate) => candidate.suite === number);
      if (kemCiphertext.length !== rsaModulusBytes(offer?.publicKey ?? NO_BYTES)) {
        return this.#fail(keyInvalid(`RSA ciphertext of ${kemCiphertext.length} bytes`));
      }
      this.#phase = "decrypting";
      this.#pending.push({ kind: "decrypt", ciphertext: kemCiphertext });
      return;
    }
    const isWhole = kemCiphertext.length === XWING_CIPHERTEXT_BYTES;
    const secret = isWhole ? crypto.xwingDecapsulate(kemCiphertext, this.#seed) : undefined;
    this.#seed.fill(0);
    if (secret === undefined) return this.#fail(keyInvalid("X-Wing ciphertext"));
    this.#confirm(secret);
  }

  /** The service has the keys too, or the link ends here: no key is used before. [ENV-17] */
  #confirm(kemSecret: Uint8Array | undefined): void {
    assert(this.#answer !== undefined, "there was a ServerHello");
    const { hello, hellos, suite, serverId, trust } = this.#answer;
    const psk = hello.core.ticketAccepted ? this.#options.ticket?.psk : undefined;
    const input = { ...hellos, signature: hello.signature, psk, kemSecret };
    const secrets = linkSecrets(this.#crypto, input);
    if (!equalBytes(secrets.serverConfirm, hello.confirm)) {
      const detail = "the service does not have the link's keys";
      return this.#fail(violation(ErrorCode.ENVELOPE_CONFIRM_INVALID, "ENV-17", detail));
    }
    const finished = { clientConfirm: secrets.clientConfirm };
    this.#wire.writeClear("clientFinished", encodePlain(ClientFinishedSchema, finished));
    const { policy } = hello;
    this.#wire.seal(trafficOf(this.#crypto, "client", { suite, policy, secrets }));
    this.#phase = "open";
    this.#suite = suite;
    this.#secrets = secrets;
    this.#deadlineMs = this.#nowMs + policy.lifetimeS * 1000;
    const { linkId } = hello.core;
    const { channelBinding } = secrets;
    const isResumed = psk !== undefined;
    const link = { linkId, suite, channelBinding, serverId, policy, isResumed, trust };
    this.#pending.push({ kind: "established", link });
  }

  #fail(because: Violation): void {
    this.#wire.fail(because);
  }

  /** Takes over what the wire wants done; tickets are the handshake's business. */
  #afterWire(): void {
    for (const effect of this.#wire.effects()) {
      if (effect.kind === "ticket-content") {
        this.#ticketCame(effect.ticket);
        continue;
      }
      if (effect.kind === "close" && this.#wire.broken) this.#dropTickets();
      this.#pending.push(effect);
    }
    if (!this.#wire.closed) return;
    this.#seed.fill(0);
    this.#secrets?.resumption.fill(0);
    this.#secrets = undefined;
  }

  #dropTickets(): void {
    for (const ticketId of this.#ticketIds) this.#pending.push({ kind: "drop-ticket", ticketId });
    this.#ticketIds = [];
  }

  #ticketCame({ ticketId, lifetimeS }: { ticketId: Uint8Array; lifetimeS: number }): void {
    const isSound =
      ticketId.length === TICKET_ID_BYTES && lifetimeS >= 1 && lifetimeS <= LIFETIME_S_MAX;
    if (!isSound || this.#secrets === undefined || this.#suite === undefined) return;
    const psk = ticketSecret(this.#crypto, this.#secrets.resumption, ticketId);
    const expiresMs = this.#nowMs + lifetimeS * 1000;
    const ticket = { ticketId, psk, suite: this.#suite.number, expiresMs };
    this.#ticketIds = [...this.#ticketIds, ticketId].slice(-LINK_TICKETS_MAX);
    this.#pending.push({ kind: "ticket", ticket });
  }
}

/** Undefined: it is not whom the device expects. [ENV-29] */
function trustIn(expects: Expectation, serverId: Uint8Array): LinkTrust | undefined {
  switch (expects.kind) {
    case "pinned":
      return expects.serverIds.some((id) => equalBytes(id, serverId)) ? "pinned" : undefined;
    case "first-use":
      if (expects.serverIds.length === 0) return "first-seen";
      return expects.serverIds.some((id) => equalBytes(id, serverId)) ? "seen-before" : undefined;
    case "none":
      return "none";
  }
}

function isBelow({ minSuite }: Policy, remembered: number | undefined): boolean {
  if (remembered === undefined) return false;
  const promised = suiteOf(minSuite);
  return promised === undefined || !isAtLeast(promised, remembered);
}

function refused(detail: string): Violation {
  return violation(ErrorCode.ENVELOPE_SUITE_REFUSED, "ENV-13", detail);
}

function keyInvalid(detail: string): Violation {
  return violation(ErrorCode.ENVELOPE_KEY_INVALID, "ENV-25", detail);
}
