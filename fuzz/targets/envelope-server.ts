import { equal, ok } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { ServerIdentity } from "../../protocol/envelope/identity.ts";
import { rsaModulusBytes } from "../../protocol/envelope/rsa-key.ts";
import {
  SERVER_RANDOMNESS_BYTES,
  ServerEnvelope,
  type ServerEnvelopeEffect,
  type ServerEstablished,
} from "../../protocol/envelope/server.ts";
import { isAtLeast, suiteOf } from "../../protocol/envelope/suites.ts";
import type { ServerTicket } from "../../protocol/envelope/ticket.ts";
import { Choices } from "../coverage/choices.ts";
import { honestRecords } from "../envelope/honest-records.ts";
import { JudgedMachine, type RoleEffect } from "../envelope/judged-machine.ts";
import { NO_CRYPTO } from "../envelope/no-crypto.ts";
import { ALL_SUITES, POLICY } from "../envelope/pair.ts";

/** What devices without cryptography say, whole. */
export const HONEST: readonly Uint8Array[] = honestRecords("client");

const CODES = [
  ErrorCode.GOODBYE,
  ErrorCode.LINK_LOST,
  ErrorCode.TOO_SLOW,
  ErrorCode.ENVELOPE_REFUSED,
  ErrorCode.ENVELOPE_MALFORMED,
  ErrorCode.ENVELOPE_SUITE_REFUSED,
  ErrorCode.ENVELOPE_KEY_INVALID,
  ErrorCode.ENVELOPE_CONFIRM_INVALID,
  ErrorCode.ENVELOPE_RECORD_INVALID,
  ErrorCode.ENVELOPE_RECORD_REFUSED,
  ErrorCode.ENVELOPE_LIMIT_REACHED,
  ErrorCode.ENVELOPE_TRUNCATED,
];
const IDENTITY = new ServerIdentity(NO_CRYPTO, {
  ed25519: NO_CRYPTO.ed25519Key(new Uint8Array(32)),
});
const SUBJECT = "alice phone";
const MIN_SUITES = [1, 1, 2] as const;

/** What becomes of the one ticket that there is, as a store would have it. */
class Tickets {
  readonly #isKnown: boolean;
  #askedCount = 0;
  #takenCount = 0;

  constructor(isKnown: boolean) {
    this.#isKnown = isKnown;
  }

  get isTaken(): boolean {
    return this.#takenCount > 0;
  }

  answer(machine: ServerEnvelope, effect: RoleEffect<ServerEnvelopeEffect>): void {
    switch (effect.kind) {
      case "find-ticket": {
        this.#askedCount += 1;
        equal(this.#askedCount, 1, "one ticket is looked for");
        equal(effect.ticketId.length, 16, "[ENV-12]");
        const ticket: ServerTicket = {
          ticketId: effect.ticketId,
          psk: new Uint8Array(32),
          suite: 2,
          expiresMs: 1e12,
          subject: SUBJECT,
          agreedMs: 0,
        };
        return machine.ticketFound(this.#isKnown ? ticket : undefined, 0);
      }
      case "take-ticket":
        ok(this.#isKnown && this.#askedCount === 1, "found before it is taken [ENV-44]");
        this.#takenCount += 1;
        equal(this.#takenCount, 1, "once [ENV-44]");
        return machine.ticketTaken(true, 0);
      case "encrypt": {
        const modulusBytes = rsaModulusBytes(effect.publicKey);
        ok(modulusBytes !== undefined, "nothing is encrypted with what is no key [ENV-21]");
        equal(effect.secret.length, 32, "[ENV-22]");
        return machine.encrypted(new Uint8Array(modulusBytes), 0);
      }
      case "fail-ticket":
        return ok(this.#isKnown && !this.isTaken, "a wrong binder of a known ticket [ENV-44]");
      default:
        // Issued by nobody here: neither kept nor revoked.
        throw new Error(effect.kind);
    }
  }
}

/**
 * Whatever bytes a device says in a handshake and after it, a service's half goes on as it may or
 * ends once, typed; it answers no other suite than it accepts, and takes a ticket once. [ENV-11]
 * [ENV-12] [ENV-13] [ENV-18] [ENV-20] [ENV-21] [ENV-44] [ENV-58]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const minSuite = choices.pick(MIN_SUITES);
  const tickets = new Tickets(choices.byte() % 4 > 0);
  const allowsTicketOnly = choices.byte() % 4 > 0;
  const options = {
    identities: [IDENTITY],
    suites: ALL_SUITES,
    allowsTicketOnly,
    policy: { ...POLICY, minSuite, rekeyRecords: 2 },
    randomness: new Uint8Array(SERVER_RANDOMNESS_BYTES),
  } as const;
  const machine = new ServerEnvelope(NO_CRYPTO, options, 0);
  new JudgedMachine<ServerEnvelopeEffect>({
    side: "server",
    machine,
    honest: HONEST,
    codes: CODES,
    obey: (effect) => tickets.answer(machine, effect),
    established: (link) => {
      const { suite, isResumed, subject } = link as ServerEstablished;
      equal(suiteOf(suite.number), suite);
      ok(isAtLeast(suite, minSuite), "a suite that it accepts [ENV-58]");
      equal(subject, isResumed ? SUBJECT : undefined, "whose the ticket is [ENV-45]");
      ok(!isResumed || (tickets.isTaken && suite.number === 2), "the ticket's suite [ENV-45]");
    },
  }).run(choices);
}
