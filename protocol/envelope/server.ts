import {
  EnvelopeTicketSchema,
  ResumeMode,
  ServerHelloCoreSchema,
  ServerHelloSchema,
} from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { encodePlain } from "../plain.ts";
import { assert, type Violation, violation } from "../violation.ts";
import { type Established, type Policy, trafficOf } from "./established.ts";
import { type ReadClientHello, readClientFinished, readClientHello } from "./hello.ts";
import type { ServerIdentity } from "./identity.ts";
import {
  binderOf,
  type LinkSecrets,
  linkSecrets,
  serverSignedText,
  ticketSecret,
} from "./key-schedule.ts";
import {
  ENVELOPE_VERSION,
  HANDSHAKE_MS,
  LIFETIME_S_MAX,
  LINK_ID_BYTES,
  RANDOM_BYTES,
  TICKET_ID_BYTES,
} from "./limits.ts";
import { copyOf, equalBytes, NO_BYTES } from "./octets.ts";
import { type CryptoProvider, HASH_BYTES, XWING_PUBLIC_KEY_BYTES } from "./provider.ts";
import { rsaModulusBytes } from "./rsa-key.ts";
import { isAtLeast, SUITE_TICKET_ONLY, type Suite, suiteOf } from "./suites.ts";
import type { ServerTicket } from "./ticket.ts";
import { outOfPlace, Wire, type WireEffect } from "./wire.ts";

export interface ServerEnvelopeOptions {
  /** The first one unless a device has pinned another one of them. [ENV-33] */
  readonly identities: readonly [ServerIdentity, ...ServerIdentity[]];
  /** Suites that are accepted, by number; at least as strong as `policy.minSuite`. */
  readonly suites: readonly number[];
  /** Whether a ticket alone is enough. [ENV-46] */
  readonly allowsTicketOnly: boolean;
  readonly policy: Policy;
  /** From a record's first byte to its last; {@link RECORD_MS} where it is absent. [ENV-60] */
  readonly recordMs?: number;
  /** SERVER_RANDOMNESS_BYTES, from the system's generator, never twice the same. */
  readonly randomness: Uint8Array;
}

/** Hello, link id, and the key agreement's. */
export const SERVER_RANDOMNESS_BYTES = 112;

/** What a service knows once the handshake is over. */
export interface ServerEstablished extends Established {
  /** Whose the ticket in force was: another one's login ends the link. [ENV-45] */
  readonly subject: string | undefined;
}

/** What the driver has to do, in order. */
export type ServerEnvelopeEffect =
  | Exclude<WireEffect, { readonly kind: "ticket-content" }>
  /** Look the ticket up, then call `ticketFound`. */
  | { readonly kind: "find-ticket"; readonly ticketId: Uint8Array }
  /** Delete it, atomically on all nodes, then call `ticketTaken`. [ENV-44] */
  | { readonly kind: "take-ticket"; readonly ticketId: Uint8Array }
  /** Count a wrong binder against it. [ENV-44] */
  | { readonly kind: "fail-ticket"; readonly ticketId: Uint8Array }
  | { readonly kind: "keep-ticket"; readonly ticket: ServerTicket }
  /** The link went wrong: forget what it issued. [ENV-47] */
  | { readonly kind: "revoke-ticket"; readonly ticketId: Uint8Array }
  /** Encrypt with RSAES-OAEP, SHA-256 both, then call `encrypted`. [ENV-22] */
  | { readonly kind: "encrypt"; readonly publicKey: Uint8Array; readonly secret: Uint8Array }
  | { readonly kind: "established"; readonly link: ServerEstablished };

type Phase = "helloAwaited" | "ticketSought" | "encrypting" | "finishedAwaited" | "open";

/** What is known between ClientHello and ServerHello. */
interface Question {
  readonly hello: ReadClientHello;
  readonly ticket: ServerTicket | undefined;
  readonly suite?: Suite;
}

/** What is known between ServerHello and ClientFinished. */
interface Choice {
  readonly suite: Suite;
  readonly identity: ServerIdentity;
  readonly ticket: ServerTicket | undefined;
  readonly secrets: LinkSecrets;
}

/**
 * The service's half of a sealed link. Sans-I/O: give it facts, obey its effects. Lives as long as
 * its link and is never stored or copied. [ENV-7] [ENV-13]
 */
export class ServerEnvelope {
  readonly #crypto: CryptoProvider;
  readonly #options: ServerEnvelopeOptions;
  readonly #wire: Wire;
  #phase: Phase = "helloAwaited";
  #question: Question | undefined;
  #choice: Choice | undefined;
  #agreedMs = 0;
  #issued: Uint8Array[] = [];
  #deadlineMs: number;
  #nowMs: number;
  #pending: ServerEnvelopeEffect[] = [];

  /** @param openedMs when the link opened; its first bytes may come later. [ENV-61] */
  constructor(crypto: CryptoProvider, options: ServerEnvelopeOptions, openedMs: number) {
    if (options.randomness.length !== SERVER_RANDOMNESS_BYTES) {
      throw new RangeError(`randomness of ${options.randomness.length} bytes`);
    }
    this.#crypto = crypto;
    this.#options = options;
    this.#wire = new Wire({ takesTickets: false, recordMs: options.recordMs });
    this.#nowMs = openedMs;
    this.#deadlineMs = openedMs + HANDSHAKE_MS;
  }

  get closed(): boolean {
    return this.#wire.closed;
  }

  /** Bytes from the link, cut anywhere. Never throws, whatever they are. */
  received(bytes: Uint8Array, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#wire.received(bytes, nowMs, ({ type, body }) => {
      if (type === "clientHello" && this.#phase === "helloAwaited") this.#asked(body);
      else if (type === "clientFinished" && this.#phase === "finishedAwaited") this.#finished(body);
      else this.#wire.fail(outOfPlace(type));
    });
    this.#afterWire();
  }

  /** The answer to effect `find-ticket`; undefined when there is none. [ENV-46] */
  ticketFound(ticket: ServerTicket | undefined, nowMs: number): void {
    if (this.#wire.closed) return;
    assert(this.#phase === "ticketSought" && this.#question !== undefined, "one ticket is sought");
    this.#nowMs = nowMs;
    const { hello } = this.#question;
    const { ticketId } = hello.core;
    if (ticket === undefined || nowMs >= ticket.expiresMs) return this.#choose(undefined);
    if (!equalBytes(binderOf(this.#crypto, ticket.psk, hello.coreBytes), hello.binder)) {
      this.#pending.push({ kind: "fail-ticket", ticketId });
      return this.#choose(undefined);
    }
    this.#question = { hello, ticket };
    this.#pending.push({ kind: "take-ticket", ticketId });
  }

  /** The answer to effect `take-ticket`: false when somebody was faster. [ENV-44] */
  ticketTaken(isTaken: boolean, nowMs: number): void {
    if (this.#wire.closed) return;
    assert(this.#phase === "ticketSought", "one ticket is taken");
    this.#nowMs = nowMs;
    this.#choose(isTaken ? this.#question?.ticket : undefined);
  }

  /** The answer to effect `encrypt`; undefined when the key turned out to be none. */
  encrypted(ciphertext: Uint8Array | undefined, nowMs: number): void {
    if (this.#wire.closed) return;
    assert(this.#phase === "encrypting", "one secret is encrypted");
    this.#nowMs = nowMs;
    if (ciphertext === undefined) return this.#fail(keyInvalid("ENV-21", "RSA key"));
    this.#answer(ciphertext, copyOf(this.#kemRandomness, 0, HASH_BYTES));
  }

  /** Frames, sealed at the next {@link effects} with all others of this turn. */
  write(bytes: Uint8Array): void {
    this.#wire.writeFrames(bytes);
  }

  /**
   * Gives the device a ticket, once it is known whose it is. [ENV-42] [ENV-45]
   *
   * @param ticketId 16 random bytes
   */
  issueTicket(subject: string, ticketId: Uint8Array, nowMs: number): void {
    if (this.#phase !== "open" || this.#wire.closed || this.#choice === undefined) return;
    if (ticketId.length !== TICKET_ID_BYTES) throw new RangeError("a ticket id has 16 bytes");
    const agreedMs = this.#agreedMs;
    const lifetimeS = Math.floor((agreedMs + LIFETIME_S_MAX * 1000 - nowMs) / 1000);
    if (lifetimeS < 1) return;
    const psk = ticketSecret(this.#crypto, this.#choice.secrets.resumption, ticketId);
    const suite = this.#choice.suite.number;
    const expiresMs = nowMs + lifetimeS * 1000;
    const ticket = { ticketId, psk, suite, expiresMs, subject, agreedMs };
    this.#issued.push(ticketId);
    this.#pending.push({ kind: "keep-ticket", ticket });
    const content = encodePlain(EnvelopeTicketSchema, { ticketId, lifetimeS });
    this.#wire.writeContent("ticket", content);
  }

  /** Asks for fresh keys in both directions. [ENV-39] */
  updateKeys(): void {
    if (this.#phase === "open") this.#wire.updateKey(true);
  }

  /** Ends the link in order. [ENV-51] */
  close(): void {
    this.#wire.close(violation(ErrorCode.GOODBYE, "", "closed by the service"));
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
      this.#fail(violation(ErrorCode.TOO_SLOW, "ENV-19", "the handshake is not over in time"));
    }
    this.#afterWire();
  }

  /** When to call {@link elapsed}; Infinity when never. */
  deadlineMs(): number {
    if (this.#wire.closed) return Number.POSITIVE_INFINITY;
    return Math.min(this.#deadlineMs, this.#wire.recordDeadlineMs);
  }

  /** What to do now, in order; empties the list. */
  effects(): ServerEnvelopeEffect[] {
    this.#afterWire();
    const effects = this.#pending;
    this.#pending = [];
    return effects;
  }

  #asked(body: Uint8Array): void {
    const hello = readClientHello(body);
    if ("code" in hello) return this.#fail(hello);
    this.#question = { hello, ticket: undefined };
    const { ticketId } = hello.core;
    if (ticketId.length === 0) return this.#choose(undefined);
    this.#phase = "ticketSought";
    this.#pending.push({ kind: "find-ticket", ticketId });
  }

  /** Chooses a suite: the device's first that is accepted here. [ENV-13] */
  #choose(ticket: ServerTicket | undefined): void {
    assert(this.#question !== undefined, "there was a ClientHello");
    const { hello } = this.#question;
    const { offers, resumeMode } = hello.core;
    const isAlone = resumeMode === ResumeMode.PSK_ONLY && this.#options.allowsTicketOnly;
    const kept = ticket && this.#accepted(ticket.suite);
    if (isAlone && ticket !== undefined && kept !== undefined) {
      this.#question = { hello, ticket, suite: kept };
      return this.#answer(NO_BYTES, undefined);
    }
    for (const { suite: number, publicKey } of offers) {
      const suite = this.#accepted(number);
      if (suite === undefined) continue;
      // A ticket is good for its own suite only. [ENV-45]
      const isForThis = resumeMode === ResumeMode.PSK_KEM && ticket?.suite === number;
      this.#question = { hello, ticket: isForThis ? ticket : undefined, suite };
      return this.#agree(suite, publicKey);
    }
    const detail = `none of ${offers.map(({ suite }) => suite).join(", ")} is accepted`;
    this.#fail(violation(ErrorCode.ENVELOPE_SUITE_REFUSED, "ENV-13", detail));
  }

  #accepted(number: number): Suite | undefined {
    const { suites, policy } = this.#options;
    const suite = suites.includes(number) ? suiteOf(number) : undefined;
    return suite !== undefined && isAtLeast(suite, policy.minSuite) ? suite : undefined;
  }

  #agree({ kem }: Suite, publicKey: Uint8Array): void {
    if (kem === "rsa-oaep") {
      // Judged by its bytes alone: nothing is computed with a key that is refused. [ENV-21]
      if (rsaModulusBytes(publicKey) === undefined) {
        return this.#fail(keyInvalid("ENV-21", "RSA key"));
      }
      this.#phase = "encrypting";
      const secret = copyOf(this.#kemRandomness, 0, HASH_BYTES);
      this.#pending.push({ kind: "encrypt", publicKey, secret });
      return;
    }
    const isWhole = publicKey.length === XWING_PUBLIC_KEY_BYTES;
    const agreed = isWhole
      ? this.#crypto.xwingEncapsulate(publicKey, this.#kemRandomness)
      : undefined;
    if (agreed === undefined) return this.#fail(keyInvalid("ENV-25", "X-Wing key"));
    this.#answer(agreed.ciphertext, agreed.secret);
  }

  get #kemRandomness(): Uint8Array {
    return this.#options.randomness.subarray(RANDOM_BYTES + LINK_ID_BYTES);
  }

  /** Says ServerHello, signed with and without a ticket. [ENV-14] */
  #answer(kemCiphertext: Uint8Array, kemSecret: Uint8Array | undefined): void {
    assert(this.#question?.suite !== undefined, "a suite is chosen");
    const crypto = this.#crypto;
    const { hello, ticket, suite } = this.#question;
    const { randomness } = this.#options;
    const identity = this.#identityFor(hello);
    const serverCore = encodePlain(ServerHelloCoreSchema, {
      version: ENVELOPE_VERSION,
      serverRandom: copyOf(randomness, 0, RANDOM_BYTES),
      linkId: copyOf(randomness, RANDOM_BYTES, RANDOM_BYTES + LINK_ID_BYTES),
      suite: kemSecret === undefined ? SUITE_TICKET_ONLY : suite.number,
      kemCiphertext,
      serverKeys: identity.keys,
      ticketAccepted: ticket !== undefined,
      policy: this.#policyOf(identity),
    });
    const hellos = { clientCore: hello.coreBytes, binder: hello.binder, serverCore };
    const signature = identity.sign(serverSignedText(crypto, hellos));
    const secrets = linkSecrets(crypto, { ...hellos, signature, psk: ticket?.psk, kemSecret });
    const { signatureAlgorithm } = identity;
    const { serverConfirm } = secrets;
    const answer = { core: serverCore, signatureAlgorithm, signature, serverConfirm };
    this.#wire.writeClear("serverHello", encodePlain(ServerHelloSchema, answer));
    this.#agreedMs =
      kemSecret === undefined && ticket !== undefined ? ticket.agreedMs : this.#nowMs;
    this.#question = undefined;
    this.#choice = { suite, identity, ticket, secrets };
    this.#phase = "finishedAwaited";
  }

  /** The identity that the device has pinned, if it is one of ours. [ENV-33] */
  #identityFor({ core }: ReadClientHello): ServerIdentity {
    const { identities } = this.#options;
    const pinned = identities.find(({ serverId }) => equalBytes(serverId, core.pinnedServerId));
    return pinned ?? identities[0];
  }

  /** A former identity announces the present one, to whoever has missed that. [ENV-71] */
  #policyOf(identity: ServerIdentity): Policy {
    const { identities, policy } = this.#options;
    const [present] = identities;
    return identity === present ? policy : { ...policy, nextServerId: present.serverId };
  }

  /** The device has the keys too, or the link ends here: no key is used before. [ENV-18] */
  #finished(body: Uint8Array): void {
    assert(this.#choice !== undefined, "ServerHello was said");
    const confirm = readClientFinished(body);
    if ("code" in confirm) return this.#fail(confirm);
    const { suite, identity, ticket, secrets } = this.#choice;
    if (!equalBytes(secrets.clientConfirm, confirm)) {
      const detail = "the device does not have the link's keys";
      return this.#fail(violation(ErrorCode.ENVELOPE_CONFIRM_INVALID, "ENV-18", detail));
    }
    const { randomness } = this.#options;
    const policy = this.#policyOf(identity);
    this.#wire.seal(trafficOf(this.#crypto, "server", { suite, policy, secrets }));
    this.#phase = "open";
    this.#deadlineMs = this.#nowMs + policy.lifetimeS * 1000;
    const link = {
      linkId: copyOf(randomness, RANDOM_BYTES, RANDOM_BYTES + LINK_ID_BYTES),
      suite,
      channelBinding: secrets.channelBinding,
      serverId: identity.serverId,
      policy,
      isResumed: ticket !== undefined,
      subject: ticket?.subject,
    };
    this.#pending.push({ kind: "established", link });
  }

  #fail(because: Violation): void {
    this.#wire.fail(because);
  }

  /** Takes over what the wire wants done. */
  #afterWire(): void {
    for (const effect of this.#wire.effects()) {
      // The wire of a service takes no tickets.
      if (effect.kind === "ticket-content") continue;
      if (effect.kind === "close") this.#closed();
      this.#pending.push(effect);
    }
  }

  /** A link that somebody broke takes its tickets along; one that was cut does not. [ENV-47] */
  #closed(): void {
    if (this.#wire.broken) {
      for (const ticketId of this.#issued) this.#pending.push({ kind: "revoke-ticket", ticketId });
    }
    this.#issued = [];
    this.#choice?.secrets.resumption.fill(0);
    this.#choice = undefined;
  }
}

function keyInvalid(requirement: string, detail: string): Violation {
  return violation(ErrorCode.ENVELOPE_KEY_INVALID, requirement, detail);
}
