import { equal, ok } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  CLIENT_RANDOMNESS_BYTES,
  ClientEnvelope,
  type ClientEnvelopeEffect,
  type ClientEstablished,
  type Expectation,
} from "../../protocol/envelope/client.ts";
import { isAtLeast, suiteOf } from "../../protocol/envelope/suites.ts";
import type { ClientTicket } from "../../protocol/envelope/ticket.ts";
import { Choices } from "../coverage/choices.ts";
import { rsaPublicKeyOfVectors } from "../envelope/drawn.ts";
import { honestRecords } from "../envelope/honest-records.ts";
import { JudgedMachine } from "../envelope/judged-machine.ts";
import { NO_CRYPTO } from "../envelope/no-crypto.ts";

/** What a service without cryptography says, whole. */
export const HONEST: readonly Uint8Array[] = honestRecords("server");

const CODES = [
  ErrorCode.GOODBYE,
  ErrorCode.LINK_LOST,
  ErrorCode.TOO_SLOW,
  ErrorCode.SERVER_IDENTITY_CHANGED,
  ErrorCode.ENVELOPE_REFUSED,
  ErrorCode.ENVELOPE_MALFORMED,
  ErrorCode.ENVELOPE_SUITE_REFUSED,
  ErrorCode.ENVELOPE_KEY_INVALID,
  ErrorCode.ENVELOPE_SIGNATURE_INVALID,
  ErrorCode.ENVELOPE_CONFIRM_INVALID,
  ErrorCode.ENVELOPE_DOWNGRADED,
  ErrorCode.ENVELOPE_RECORD_INVALID,
  ErrorCode.ENVELOPE_RECORD_REFUSED,
  ErrorCode.ENVELOPE_LIMIT_REACHED,
  ErrorCode.ENVELOPE_TRUNCATED,
];
const OFFERS: readonly (readonly number[])[] = [[2, 3, 1], [2], [1], [3, 2]];
/** Without cryptography every identity has this one. */
const SERVER_ID = new Uint8Array(32);
const EXPECTS: readonly Expectation[] = [
  { kind: "pinned", serverIds: [SERVER_ID] },
  { kind: "pinned", serverIds: [SERVER_ID.map(() => 1)] },
  { kind: "first-use", serverIds: [] },
  { kind: "none" },
];
const TICKET: ClientTicket = {
  ticketId: new Uint8Array(16),
  psk: new Uint8Array(32),
  suite: 2,
  expiresMs: 1e12,
};

/**
 * Whatever bytes a service says in a handshake and after it, a device's half goes on as it may or
 * ends once, typed; what it takes for a link is what it asked for. [ENV-11] [ENV-13] [ENV-16]
 * [ENV-17] [ENV-20] [ENV-29] [ENV-34]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const suites = choices.pick(OFFERS);
  const expects = choices.pick(EXPECTS);
  const tickets = choices.byte() % 3;
  const minSuite = [undefined, undefined, suites[0]][choices.byte() % 3];
  const options = {
    suites,
    expects,
    randomness: new Uint8Array(CLIENT_RANDOMNESS_BYTES),
    rsaPublicKey: rsaPublicKeyOfVectors(),
    ...(minSuite === undefined ? {} : { minSuite }),
    ...(tickets === 0 ? {} : { ticket: TICKET, ticketOnly: tickets === 2 }),
  };
  const machine = new ClientEnvelope(NO_CRYPTO, options, 0);
  new JudgedMachine<ClientEnvelopeEffect>({
    side: "client",
    machine,
    honest: HONEST,
    codes: CODES,
    obey: (effect) => {
      if (effect.kind === "decrypt") machine.decrypted(new Uint8Array(32), 0);
      else if (effect.kind === "ticket") {
        const { ticketId, psk, suite } = effect.ticket;
        equal(ticketId.length, 16, "[ENV-42]");
        equal(psk.length, 32);
        ok(suiteOf(suite) !== undefined, "of the link's suite [ENV-45]");
      }
    },
    established: (link) => {
      const { suite, policy, isResumed, trust } = link as ClientEstablished;
      const isOwn = isResumed ? suite.number === TICKET.suite : suites.includes(suite.number);
      ok(isOwn, "a suite that was offered [ENV-13]");
      ok(!isResumed || tickets > 0, "a ticket that was shown [ENV-13]");
      ok(isResumed || tickets < 2, "nothing but the ticket was offered [ENV-13]");
      const promised = suiteOf(policy.minSuite);
      const isKept = promised !== undefined && isAtLeast(promised, minSuite ?? 1);
      ok(isKept, "the promise that is remembered [ENV-34]");
      ok(expects !== EXPECTS[1], "another identity than the pinned one [ENV-29]");
      const trusts = { pinned: "pinned", "first-use": "first-seen", none: "none" } as const;
      equal(trust, trusts[expects.kind], "[ENV-32]");
    },
  }).run(choices);
}
