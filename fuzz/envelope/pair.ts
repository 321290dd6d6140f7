import type { KeyObject } from "node:crypto";
import { LinkRsaKey, rsaEncrypt } from "../../platform/native-rsa.ts";
import {
  CLIENT_RANDOMNESS_BYTES,
  ClientEnvelope,
  type ClientEnvelopeEffect,
  type ClientEnvelopeOptions,
  type ClientEstablished,
} from "../../protocol/envelope/client.ts";
import type { Policy } from "../../protocol/envelope/established.ts";
import { ServerIdentity } from "../../protocol/envelope/identity.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { RecordReader } from "../../protocol/envelope/records.ts";
import {
  SERVER_RANDOMNESS_BYTES,
  ServerEnvelope,
  type ServerEnvelopeEffect,
  type ServerEnvelopeOptions,
  type ServerEstablished,
} from "../../protocol/envelope/server.ts";
import {
  SUITE_RSA_AES128,
  SUITE_XWING_AES256,
  SUITE_XWING_CHACHA20,
} from "../../protocol/envelope/suites.ts";
import { type ClientTicket, TicketBook } from "../../protocol/envelope/ticket.ts";
import type { Violation } from "../../protocol/violation.ts";
import { drawn, rsaKeyOfVectors } from "./drawn.ts";

export type Side = "client" | "server";

/** Decides what becomes of a record under way: itself, nothing, others. */
export type Carrier = (record: Uint8Array, from: Side, index: number) => readonly Uint8Array[];

export interface PairOptions {
  /** What everything random is drawn from. */
  readonly name: string;
  readonly crypto: Record<Side, CryptoProvider>;
  readonly client?: Partial<ClientEnvelopeOptions>;
  readonly server?: Partial<ServerEnvelopeOptions>;
  readonly carry?: Carrier;
  /** What the device's RSA key says instead of the truth. */
  readonly decrypt?: (ciphertext: Uint8Array) => Uint8Array | undefined;
  readonly book?: TicketBook;
  readonly nowMs?: number;
}

export const POLICY: Policy = {
  minSuite: SUITE_RSA_AES128,
  rekeyRecords: 2 ** 20,
  rekeyBytes: 2 ** 30,
  lifetimeS: 86_400,
  nextServerId: new Uint8Array(0),
};

export const ALL_SUITES: readonly number[] = [
  SUITE_RSA_AES128,
  SUITE_XWING_AES256,
  SUITE_XWING_CHACHA20,
];

let rsaKey: KeyObject | undefined;

/** An identity drawn from a name. */
export function identityOf(crypto: CryptoProvider, name: string, hasMlDsa = false): ServerIdentity {
  const ed25519 = crypto.ed25519Key(drawn(`${name} ed25519`, 32));
  if (!hasMlDsa) return new ServerIdentity(crypto, { ed25519 });
  const mlDsa65 = crypto.mlDsa65Key(drawn(`${name} ml-dsa-65`, 32));
  return new ServerIdentity(crypto, { ed25519, mlDsa65 });
}

/** What one side told its driver. */
export interface Told<Link> {
  link: Link | undefined;
  frames: Uint8Array[];
  ends: { readonly because: Violation; readonly by: "us" | "peer" }[];
  /** Every record that it sent. */
  records: Uint8Array[];
}

/** Two real machines and a wire between them that a property may bend. */
export class Pair {
  readonly client: ClientEnvelope;
  readonly server: ServerEnvelope;
  readonly identity: ServerIdentity;
  readonly book: TicketBook;
  readonly at: {
    readonly client: Told<ClientEstablished>;
    readonly server: Told<ServerEstablished>;
  };
  readonly tickets: ClientTicket[] = [];
  /** The ids of those that the device was told to drop. */
  readonly dropped: Uint8Array[] = [];
  nowMs: number;
  readonly #carry: Carrier;
  readonly #rsa: LinkRsaKey | undefined;
  readonly #decrypt: (ciphertext: Uint8Array) => Uint8Array | undefined;
  #underWay: { readonly to: Side; readonly bytes: Uint8Array }[] = [];

  constructor(options: PairOptions) {
    const { name, crypto, client = {}, server = {}, carry = (record) => [record] } = options;
    this.nowMs = options.nowMs ?? 1_000_000;
    this.book = options.book ?? new TicketBook(16);
    this.identity = server.identities?.[0] ?? identityOf(crypto.server, "service");
    this.#carry = carry;
    this.#decrypt = options.decrypt ?? ((ciphertext) => this.#rsa?.decrypt(ciphertext));
    const suites = client.suites ?? [SUITE_XWING_AES256];
    if (suites.includes(SUITE_RSA_AES128)) {
      rsaKey ??= rsaKeyOfVectors();
      this.#rsa = new LinkRsaKey(rsaKey);
    }
    this.server = new ServerEnvelope(
      crypto.server,
      {
        identities: [this.identity],
        suites: ALL_SUITES,
        allowsTicketOnly: true,
        policy: POLICY,
        randomness: drawn(`${name} server`, SERVER_RANDOMNESS_BYTES),
        ...server,
      },
      this.nowMs,
    );
    this.client = new ClientEnvelope(
      crypto.client,
      {
        suites,
        expects: { kind: "pinned", serverIds: [this.identity.serverId] },
        randomness: drawn(`${name} client`, CLIENT_RANDOMNESS_BYTES),
        ...(this.#rsa === undefined ? {} : { rsaPublicKey: this.#rsa.publicKey }),
        ...client,
      },
      this.nowMs,
    );
    this.at = { client: told(), server: told() };
  }

  /** Moves everything until nothing is left to move. */
  settle(): void {
    for (;;) {
      const asked = this.client.effects();
      for (const effect of asked) this.#obeyClient(effect);
      const answered = this.server.effects();
      for (const effect of answered) this.#obeyServer(effect);
      if (asked.length + answered.length > 0) continue;
      const [next, ...rest] = this.#underWay;
      if (next === undefined) return;
      this.#underWay = rest;
      this[next.to].received(next.bytes, this.nowMs);
    }
  }

  /** Bytes from nowhere. */
  inject(to: Side, bytes: Uint8Array): void {
    this[to].received(bytes, this.nowMs);
  }

  #obeyClient(effect: ClientEnvelopeEffect): void {
    const own = this.at.client;
    switch (effect.kind) {
      case "decrypt":
        return this.client.decrypted(this.#decrypt(effect.ciphertext), this.nowMs);
      case "ticket":
        this.tickets.push(effect.ticket);
        return;
      case "drop-ticket":
        this.dropped.push(effect.ticketId);
        return;
      case "established":
        own.link = effect.link;
        return;
      default:
        this.#obey("client", effect);
    }
  }

  #obeyServer(effect: ServerEnvelopeEffect): void {
    const { server, book, nowMs } = this;
    switch (effect.kind) {
      case "find-ticket":
        return server.ticketFound(book.find(effect.ticketId, nowMs), nowMs);
      case "take-ticket":
        return server.ticketTaken(book.take(effect.ticketId, nowMs), nowMs);
      case "fail-ticket":
        return book.failed(effect.ticketId);
      case "keep-ticket":
        return book.keep(effect.ticket, nowMs);
      case "revoke-ticket":
        return book.revoke(effect.ticketId);
      case "encrypt":
        return server.encrypted(rsaEncrypt(effect.publicKey, effect.secret), nowMs);
      case "established":
        this.at.server.link = effect.link;
        return;
      default:
        this.#obey("server", effect);
    }
  }

  #obey(
    side: Side,
    effect: Extract<ClientEnvelopeEffect, { kind: "write" | "frames" | "close" }>,
  ): void {
    const own = this.at[side];
    if (effect.kind === "frames") own.frames.push(effect.bytes);
    else if (effect.kind === "close") own.ends.push(effect);
    else {
      const to = side === "client" ? "server" : "client";
      for (const record of recordsOf(effect.bytes)) {
        const index = own.records.push(record) - 1;
        for (const bytes of this.#carry(record, side, index)) this.#underWay.push({ to, bytes });
      }
    }
  }
}

function told<Link>(): Told<Link> {
  return { link: undefined, frames: [], ends: [], records: [] };
}

/** Cuts what a machine wrote into its records. */
export function recordsOf(bytes: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = [];
  new RecordReader().push(bytes, ({ header, body }) => {
    records.push(Buffer.concat([header, body]));
    return true;
  });
  return records;
}
