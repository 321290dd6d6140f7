import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { CLIENT_RANDOMNESS_BYTES, ClientEnvelope } from "../../protocol/envelope/client.ts";
import { readServerHello } from "../../protocol/envelope/hello.ts";
import { HEADER_BYTES } from "../../protocol/envelope/records.ts";
import {
  SERVER_RANDOMNESS_BYTES,
  ServerEnvelope,
  type ServerEnvelopeEffect,
} from "../../protocol/envelope/server.ts";
import { SUITE_XWING_AES256 } from "../../protocol/envelope/suites.ts";
import { type ServerTicket, TicketBook } from "../../protocol/envelope/ticket.ts";
import { assert } from "../../protocol/violation.ts";
import { LmdbStore } from "../../server/store/lmdb.ts";
import type { TicketStore } from "../../server/store/store.ts";
import { drawn } from "../envelope/drawn.ts";
import { ALL_SUITES, identityOf, POLICY } from "../envelope/pair.ts";
import { property, type Seen } from "../property.ts";

const NOW_MS = 1_000_000;
const IDENTITY = identityOf(NATIVE_CRYPTO, "service");

/** One link that shows the one ticket there is, while others do. */
interface Contender {
  readonly isRight: boolean;
  readonly isAlone: boolean;
}

interface Race {
  readonly store: "memory" | "lmdb";
  readonly contenders: readonly Contender[];
  /** The link that the ticket came over goes wrong meanwhile. [ENV-47] */
  readonly isRevoked: boolean;
  /** What the order of everything is drawn from: a seed, so that a case is a file. */
  readonly order: number;
}

/** Waits until the scheduler lets it go on. */
type Turn = () => Promise<void>;

/** The store in memory, asked as one that has to wait. */
function bookStore(book: TicketBook): TicketStore {
  return {
    keep: (ticket) => book.keep(ticket, NOW_MS),
    find: async (id) => book.find(id, NOW_MS),
    take: async (id) => book.take(id, NOW_MS),
    failed: (id) => book.failed(id),
    revoke: (id) => book.revoke(id),
  };
}

/** A service's half of a link, from its hello to its answer; whether the ticket is in force. */
class Link {
  readonly #machine: ServerEnvelope;
  readonly #store: TicketStore;
  readonly #turn: Turn;
  #isAccepted = false;

  constructor(name: string, store: TicketStore, turn: Turn) {
    const options = {
      identities: [IDENTITY],
      suites: ALL_SUITES,
      allowsTicketOnly: true,
      policy: POLICY,
      randomness: drawn(`${name} server`, SERVER_RANDOMNESS_BYTES),
    } as const;
    this.#machine = new ServerEnvelope(NATIVE_CRYPTO, options, NOW_MS);
    this.#store = store;
    this.#turn = turn;
  }

  async run(hello: Uint8Array): Promise<boolean> {
    this.#machine.received(hello, NOW_MS);
    for (;;) {
      const effects = this.#machine.effects();
      if (effects.length === 0) return this.#isAccepted;
      for (const effect of effects) await this.#obey(effect);
    }
  }

  async #obey(effect: ServerEnvelopeEffect): Promise<void> {
    if (effect.kind === "find-ticket") {
      await this.#turn();
      const found = await this.#store.find(effect.ticketId);
      await this.#turn();
      this.#machine.ticketFound(found, NOW_MS);
    } else if (effect.kind === "take-ticket") {
      await this.#turn();
      const isTaken = await this.#store.take(effect.ticketId);
      await this.#turn();
      this.#machine.ticketTaken(isTaken, NOW_MS);
    } else if (effect.kind === "fail-ticket") {
      await this.#turn();
      this.#store.failed(effect.ticketId);
    } else if (effect.kind === "write") {
      // An alert is no ServerHello: a ticket alone, which was not accepted.
      const answer = readServerHello(effect.bytes.subarray(HEADER_BYTES));
      this.#isAccepted = !("code" in answer) && answer.core.ticketAccepted;
    }
  }
}

function helloOf(name: string, ticket: ServerTicket, { isRight, isAlone }: Contender): Uint8Array {
  const psk = isRight ? ticket.psk : drawn(`${name} guess`, 32);
  const options = {
    suites: [SUITE_XWING_AES256],
    expects: { kind: "none" },
    ticket: { ...ticket, psk },
    ticketOnly: isAlone,
    randomness: drawn(`${name} client`, CLIENT_RANDOMNESS_BYTES),
  } as const;
  const [effect] = new ClientEnvelope(NATIVE_CRYPTO, options, NOW_MS).effects();
  assert(effect?.kind === "write", "a hello");
  return effect.bytes;
}

async function run(race: Race, { store, seen, number }: Stage): Promise<void> {
  const { contenders, isRevoked, order } = race;
  const name = `race ${number}`;
  const ticket: ServerTicket = {
    ticketId: drawn(`${name} id`, 16),
    psk: drawn(`${name} psk`, 32),
    suite: SUITE_XWING_AES256,
    expiresMs: NOW_MS + 60_000,
    subject: "alice phone",
    agreedMs: NOW_MS,
  };
  store.keep(ticket);
  // One that there is not: what was kept before is there when it is answered.
  await store.take(drawn("nobody's", 16));
  const [scheduler] = fc.sample(fc.scheduler(), { seed: order, numRuns: 1 });
  assert(scheduler !== undefined, "a scheduler");
  const turn = () => scheduler.schedule(Promise.resolve());
  const links = contenders.map((contender, index) => {
    const link = new Link(`${name} ${index}`, store, turn);
    return link.run(helloOf(`${name} ${index}`, ticket, contender));
  });
  const revoking = isRevoked ? turn().then(() => store.revoke(ticket.ticketId)) : undefined;
  const [taken] = await scheduler.waitFor(Promise.all([Promise.all(links), revoking]));
  await store.take(drawn("nobody's", 16));
  judge(race, taken, seen);
  const isLeft = (await store.find(ticket.ticketId)) !== undefined;
  const failures = contenders.filter(({ isRight }) => !isRight).length;
  const isUsed = isRevoked || taken.includes(true) || failures >= 3;
  assert(!isUsed || !isLeft, "what is used up is gone [ENV-44]");
  assert(isUsed || isLeft, "and nothing else");
}

interface Stage {
  readonly store: TicketStore;
  readonly seen: Seen;
  readonly number: number;
}

function judge({ store, contenders, isRevoked }: Race, taken: readonly boolean[], seen: Seen) {
  const winners = taken.filter(Boolean).length;
  seen(`${store}: ${winners === 1 ? "one" : "none"}`);
  assert(winners <= 1, `${winners} links took one ticket [ENV-44]`);
  const isWrong = contenders.some(({ isRight }, index) => taken[index] === true && !isRight);
  assert(!isWrong, "taken without its secret [ENV-43]");
  const failures = contenders.filter(({ isRight }) => !isRight).length;
  const rightCount = contenders.length - failures;
  if (rightCount > 1) seen("several right ones");
  if (failures >= 3) seen("three wrong binders");
  const isSafe = !isRevoked && failures < 3 && rightCount > 0;
  assert(!isSafe || winners === 1, "somebody has it [ENV-44]");
}

/** Links that show one ticket at once, in any order of what the store is asked and answers. */
export const envelopeTicketRace = property<Race>({
  name: "envelope-ticket-race",
  title:
    "[ENV-42] [ENV-43] [ENV-44] [ENV-46] [ENV-47] of all links that show a ticket at once, one " +
    "takes it, in every order, from either store (P25)",
  smokeRuns: 40,
  kinds: [
    ...["memory: one", "memory: none", "lmdb: one", "lmdb: none"],
    ...["several right ones", "three wrong binders"],
  ],
  arbitrary: fc.record({
    store: fc.constantFrom("memory", "lmdb"),
    contenders: fc.array(
      fc.record({ isRight: fc.constantFrom(true, true, false), isAlone: fc.boolean() }),
      { minLength: 1, maxLength: 6 },
    ),
    isRevoked: fc.constantFrom(false, false, false, true),
    order: fc.nat(),
  }),
  start: async (seen) => {
    const folder = await mkdtemp(join(tmpdir(), "posthorn-race-"));
    const lmdb = await LmdbStore.open({
      folder,
      mapBytes: 16 * 1024 * 1024,
      timelineEventsMax: 1_000,
      nowMs: () => NOW_MS,
    });
    const stores = { memory: bookStore(new TicketBook(1_000)), lmdb: lmdb.tickets };
    let number = 0;
    return {
      check: (race) => {
        number += 1;
        return run(race, { store: stores[race.store], seen, number });
      },
      stop: async () => {
        await lmdb.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  },
});
