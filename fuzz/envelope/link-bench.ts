import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import { ServerHelloCoreSchema, ServerHelloSchema } from "../../gen/posthorn/v1/envelope_pb.ts";
import { LinkRsaKey } from "../../platform/native-rsa.ts";
import { ClientEnvelope, type ClientEnvelopeEffect } from "../../protocol/envelope/client.ts";
import { ServerIdentity } from "../../protocol/envelope/identity.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { HEADER_BYTES } from "../../protocol/envelope/records.ts";
import { ServerEnvelope, type ServerEnvelopeEffect } from "../../protocol/envelope/server.ts";
import type { ServerTicket } from "../../protocol/envelope/ticket.ts";
import type { Violation } from "../../protocol/violation.ts";
import { drawn } from "./drawn.ts";
import { recordsOf } from "./pair.ts";

export type VectorSide = "device" | "service";

interface GivenTicket {
  readonly ticket_id_hex: string;
  readonly psk_hex: string;
  readonly suite: number;
}

/** A whole link, as spec/vectors/envelope/ has it. */
export interface LinkVector {
  readonly device: {
    readonly suites: readonly number[];
    readonly pins_hex?: readonly string[];
    readonly min_suite?: number;
    readonly ticket?: GivenTicket;
    readonly ticket_only?: true;
    readonly client_random_hex: string;
    readonly xwing_seed_hex: string;
    readonly rsa_private_key_hex?: string;
  };
  readonly service: {
    readonly suites: readonly number[];
    readonly allows_ticket_only: boolean;
    readonly tickets: readonly GivenTicket[];
    readonly ed25519_seed_hex: string;
    readonly ml_dsa_65_seed_hex?: string;
    readonly server_random_hex: string;
    readonly link_id_hex: string;
    readonly kem_randomness_hex: string;
    readonly policy: {
      readonly min_suite: number;
      readonly rekey_records: number;
      readonly rekey_bytes: number;
      readonly lifetime_s: number;
      readonly next_server_id_hex: string;
    };
  };
  readonly odd?: VectorSide;
  readonly records: readonly {
    readonly from: VectorSide;
    readonly record_hex: string;
    readonly opens?: { readonly type: string; readonly content_hex: string };
  }[];
  readonly secrets?: Readonly<Record<string, string>>;
  readonly judge?: VectorSide;
}

const NOW_MS = 1_000_000;

/** One side of a vector's link: the real machine, and what it did. */
export interface LinkRun {
  /** What it wrote, record by record, in hexadecimal. */
  readonly written: readonly string[];
  /** The frames that it was told, piece by piece, in hexadecimal. */
  readonly frames: readonly string[];
  readonly channelBinding: string | undefined;
  readonly ends: readonly Violation[];
}

/** Drives the machine of one side through a link, with the other side's records. */
export function runLink(vector: LinkVector, side: VectorSide, crypto: CryptoProvider): LinkRun {
  const bench = side === "device" ? deviceBench(vector, crypto) : serviceBench(vector, crypto);
  const { machine, settle } = bench;
  settle();
  for (const { from, record_hex, opens } of vector.records) {
    if (from !== side) machine.received(bytes(record_hex), NOW_MS);
    else if (opens?.type === "frames") machine.write(bytes(opens.content_hex));
    // A key update that asks for nothing is the answer to one that did.
    else if (opens?.content_hex === "0801") machine.updateKeys();
    else if (opens?.type === "close") machine.close();
    settle();
  }
  return bench.run;
}

/** Whether a service's answers hang on randomness that a native X-Wing or ML-DSA draws itself. */
export function drawsItself({ records, service }: LinkVector, side: VectorSide): boolean {
  const answer = records.find(({ from, record_hex }) => isAnswer(from, record_hex));
  if (side === "device" || answer === undefined) return false;
  const { suite } = answerOf(answer.record_hex);
  return suite > 1 || service.ml_dsa_65_seed_hex !== undefined;
}

function isAnswer(from: VectorSide, record: string): boolean {
  return from === "service" && record.startsWith("0201");
}

function answerOf(record: string) {
  const { core } = fromBinary(ServerHelloSchema, bytes(record).subarray(HEADER_BYTES));
  return fromBinary(ServerHelloCoreSchema, core);
}

interface Bench {
  readonly machine: ClientEnvelope | ServerEnvelope;
  readonly settle: () => void;
  readonly run: LinkRun;
}

interface Told {
  written: string[];
  frames: string[];
  channelBinding: string | undefined;
  ends: Violation[];
}

function told(): Told {
  return { written: [], frames: [], channelBinding: undefined, ends: [] };
}

function note(run: Told, effect: ClientEnvelopeEffect | ServerEnvelopeEffect): void {
  if (effect.kind === "write") run.written.push(...recordsOf(effect.bytes).map(hexOf));
  else if (effect.kind === "frames") run.frames.push(hexOf(effect.bytes));
  else if (effect.kind === "close") run.ends.push(effect.because);
  else if (effect.kind === "established") {
    run.channelBinding = hexOf(effect.link.channelBinding);
  }
}

function deviceBench({ device }: LinkVector, crypto: CryptoProvider): Bench {
  const { pins_hex: pins, min_suite: minSuite, ticket, rsa_private_key_hex: rsaHex } = device;
  const rsa = rsaHex === undefined ? undefined : new LinkRsaKey(privateKeyOf(rsaHex));
  const random = [device.client_random_hex, device.xwing_seed_hex].map(bytes);
  const machine = new ClientEnvelope(
    crypto,
    {
      suites: device.suites,
      expects: pins ? { kind: "pinned", serverIds: pins.map(bytes) } : { kind: "none" },
      randomness: Buffer.concat([...random, drawn("in place of a secret", 32)]),
      ticketOnly: device.ticket_only === true,
      ...(minSuite === undefined ? {} : { minSuite }),
      ...(ticket === undefined ? {} : { ticket: ticketOf(ticket) }),
      ...(rsa === undefined ? {} : { rsaPublicKey: rsa.publicKey }),
    },
    NOW_MS,
  );
  const run = told();
  const settle = () => {
    for (let effects = machine.effects(); effects.length > 0; effects = machine.effects()) {
      for (const effect of effects) {
        note(run, effect);
        if (effect.kind === "decrypt") machine.decrypted(rsa?.decrypt(effect.ciphertext), NOW_MS);
      }
    }
  };
  return { machine, settle, run };
}

function serviceBench({ service, records }: LinkVector, crypto: CryptoProvider): Bench {
  const { policy, tickets } = service;
  const random = [service.server_random_hex, service.link_id_hex, service.kem_randomness_hex];
  const machine = new ServerEnvelope(
    crypto,
    {
      identities: [identityOf(service, crypto)],
      suites: service.suites,
      allowsTicketOnly: service.allows_ticket_only,
      policy: {
        minSuite: policy.min_suite,
        rekeyRecords: policy.rekey_records,
        rekeyBytes: policy.rekey_bytes,
        lifetimeS: policy.lifetime_s,
        nextServerId: bytes(policy.next_server_id_hex),
      },
      randomness: Buffer.concat(random.map(bytes)),
    },
    NOW_MS,
  );
  const run = told();
  const obey = (effect: ServerEnvelopeEffect) => {
    note(run, effect);
    if (effect.kind === "find-ticket") {
      const found = tickets.find((ticket) => ticket.ticket_id_hex === hexOf(effect.ticketId));
      machine.ticketFound(found && ticketOf(found), NOW_MS);
    }
    if (effect.kind === "take-ticket") machine.ticketTaken(true, NOW_MS);
    if (effect.kind === "encrypt") machine.encrypted(encryptedIn(records), NOW_MS);
  };
  const settle = () => {
    for (let effects = machine.effects(); effects.length > 0; effects = machine.effects()) {
      effects.forEach(obey);
    }
  };
  return { machine, settle, run };
}

/** OAEP is random: what came of it stands in the vector. */
function encryptedIn(records: LinkVector["records"]): Uint8Array {
  const answer = records.find(({ from, record_hex }) => isAnswer(from, record_hex));
  assert.ok(answer !== undefined, "the vector has a ServerHello");
  return answerOf(answer.record_hex).kemCiphertext;
}

function identityOf(service: LinkVector["service"], crypto: CryptoProvider): ServerIdentity {
  const ed25519 = crypto.ed25519Key(bytes(service.ed25519_seed_hex));
  const { ml_dsa_65_seed_hex: seed } = service;
  if (seed === undefined) return new ServerIdentity(crypto, { ed25519 });
  return new ServerIdentity(crypto, { ed25519, mlDsa65: crypto.mlDsa65Key(bytes(seed)) });
}

function ticketOf({ ticket_id_hex, psk_hex, suite }: GivenTicket): ServerTicket {
  const expiresMs = NOW_MS + 1000;
  const ids = { ticketId: bytes(ticket_id_hex), psk: bytes(psk_hex) };
  return { ...ids, suite, expiresMs, subject: "alice phone", agreedMs: NOW_MS };
}

function privateKeyOf(hex: string) {
  return createPrivateKey({ key: Buffer.from(hex, "hex"), format: "der", type: "pkcs8" });
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

function hexOf(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}
