import { type KeyObject, randomBytes } from "node:crypto";
import { LinkRsaKey, rsaEncrypt } from "../platform/native-rsa.ts";
import {
  CLIENT_RANDOMNESS_BYTES,
  ClientEnvelope,
  type ClientEnvelopeEffect,
  type ClientEnvelopeOptions,
} from "../protocol/envelope/client.ts";
import { ServerIdentity } from "../protocol/envelope/identity.ts";
import {
  REKEY_BYTES_MAX,
  REKEY_RECORDS_MAX,
  TICKET_ID_BYTES,
} from "../protocol/envelope/limits.ts";
import type { CryptoProvider } from "../protocol/envelope/provider.ts";
import {
  SERVER_RANDOMNESS_BYTES,
  ServerEnvelope,
  type ServerEnvelopeEffect,
} from "../protocol/envelope/server.ts";
import { SUITE_RSA_AES128, SUITE_TICKET_ONLY, SUITES } from "../protocol/envelope/suites.ts";
import { type ClientTicket, TicketBook } from "../protocol/envelope/ticket.ts";

/** Tickets and links live a day: within a run no time passes. */
const NOW_MS = 1_000_000;

export interface HandshakeSetup {
  readonly crypto: CryptoProvider;
  readonly identity: ServerIdentity;
  /** SUITE_TICKET_ONLY needs `ticket`. */
  readonly suite: number;
  /** Fresh for every link in earnest; here one is used again, because making it takes so long. */
  readonly rsaKey: KeyObject;
  readonly ticket?: ClientTicket;
  readonly book: TicketBook;
}

export function freshIdentity(crypto: CryptoProvider, hasMlDsa: boolean): ServerIdentity {
  const ed25519 = crypto.ed25519Key(randomBytes(32));
  if (!hasMlDsa) return new ServerIdentity(crypto, { ed25519 });
  return new ServerIdentity(crypto, { ed25519, mlDsa65: crypto.mlDsa65Key(randomBytes(32)) });
}

export function freshBook(): TicketBook {
  return new TicketBook(16);
}

/** Both machines of one link, without a link: what is left is what an envelope computes. */
export class EnvelopePair {
  /** What each machine's steps have taken, in milliseconds: they wait for nothing. */
  readonly spentMs = { client: 0, server: 0 };
  readonly #client: ClientEnvelope;
  readonly #server: ServerEnvelope;
  readonly #book: TicketBook;
  readonly #rsa: LinkRsaKey | undefined;
  #ticket: ClientTicket | undefined;
  #established = 0;

  /** Shakes hands. Throws when that fails. */
  constructor({ crypto, identity, suite, rsaKey, ticket, book }: HandshakeSetup) {
    this.#book = book;
    this.#rsa = suite === SUITE_RSA_AES128 ? new LinkRsaKey(rsaKey) : undefined;
    const serverRandomness = randomBytes(SERVER_RANDOMNESS_BYTES);
    const clientOptions: ClientEnvelopeOptions = {
      suites: suite === SUITE_TICKET_ONLY ? [] : [suite],
      expects: { kind: "pinned", serverIds: [identity.serverId] },
      randomness: randomBytes(CLIENT_RANDOMNESS_BYTES),
      ...(suite === SUITE_TICKET_ONLY && ticket !== undefined ? { ticket, ticketOnly: true } : {}),
      ...(this.#rsa === undefined ? {} : { rsaPublicKey: this.#rsa.publicKey }),
    };
    this.#client = this.#timed("client", () => new ClientEnvelope(crypto, clientOptions, NOW_MS));
    const serverOptions = {
      identities: [identity] as const,
      suites: SUITES.map(({ number }) => number),
      allowsTicketOnly: true,
      policy: {
        minSuite: SUITE_RSA_AES128,
        rekeyRecords: REKEY_RECORDS_MAX,
        rekeyBytes: REKEY_BYTES_MAX,
        lifetimeS: 86_400,
        nextServerId: new Uint8Array(0),
      },
      randomness: serverRandomness,
    };
    this.#server = this.#timed("server", () => new ServerEnvelope(crypto, serverOptions, NOW_MS));
    this.#settle();
    if (this.#established !== 2) throw new Error(`no handshake of suite ${suite}`);
  }

  /** A ticket for the next link, as a login on this one would bring it. */
  ticket(): ClientTicket {
    this.#server.issueTicket("subject", randomBytes(TICKET_ID_BYTES), NOW_MS);
    this.#settle();
    if (this.#ticket === undefined) throw new Error("no ticket came");
    return this.#ticket;
  }

  /**
   * One record with this content, from the device's write to the service's frames.
   *
   * @returns how many bytes came out
   */
  carry(content: Uint8Array): number {
    let bytes = 0;
    this.#client.write(content);
    for (const effect of this.#client.effects()) {
      if (effect.kind === "write") this.#server.received(effect.bytes, NOW_MS);
    }
    for (const effect of this.#server.effects()) {
      if (effect.kind === "frames") bytes += effect.bytes.length;
    }
    return bytes;
  }

  #settle(): void {
    for (;;) {
      const asked = this.#timed("client", () => this.#client.effects());
      for (const effect of asked) this.#obeyClient(effect);
      const answered = this.#timed("server", () => this.#server.effects());
      for (const effect of answered) this.#obeyServer(effect);
      if (asked.length + answered.length === 0) return;
    }
  }

  #obeyClient(effect: ClientEnvelopeEffect): void {
    switch (effect.kind) {
      case "write":
        return this.#timed("server", () => this.#server.received(effect.bytes, NOW_MS));
      case "decrypt":
        return this.#timed("client", () =>
          this.#client.decrypted(this.#rsa?.decrypt(effect.ciphertext), NOW_MS),
        );
      case "ticket":
        this.#ticket = effect.ticket;
        return;
      case "established":
        this.#established += 1;
        return;
      case "close":
        throw new Error(effect.because.detail);
      case "frames":
        return;
    }
  }

  #obeyServer(effect: ServerEnvelopeEffect): void {
    const server = this.#server;
    const book = this.#book;
    switch (effect.kind) {
      case "write":
        return this.#timed("client", () => this.#client.received(effect.bytes, NOW_MS));
      case "encrypt":
        return this.#timed("server", () =>
          server.encrypted(rsaEncrypt(effect.publicKey, effect.secret), NOW_MS),
        );
      case "find-ticket":
        return this.#timed("server", () =>
          server.ticketFound(book.find(effect.ticketId, NOW_MS), NOW_MS),
        );
      case "take-ticket":
        return this.#timed("server", () =>
          server.ticketTaken(book.take(effect.ticketId, NOW_MS), NOW_MS),
        );
      case "keep-ticket":
        return book.keep(effect.ticket, NOW_MS);
      case "established":
        this.#established += 1;
        return;
      case "close":
        throw new Error(effect.because.detail);
      default:
        return;
    }
  }

  #timed<Answer>(side: "client" | "server", step: () => Answer): Answer {
    const startedMs = performance.now();
    const answer = step();
    this.spentMs[side] += performance.now() - startedMs;
    return answer;
  }
}
