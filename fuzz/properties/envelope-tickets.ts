import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { SUITE_XWING_AES256, SUITE_XWING_CHACHA20 } from "../../protocol/envelope/suites.ts";
import { type ClientTicket, TicketBook } from "../../protocol/envelope/ticket.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { identityOf, Pair } from "../envelope/pair.ts";
import { property, type Seen } from "../property.ts";

const CRYPTO = { client: NATIVE_CRYPTO, server: NATIVE_CRYPTO };
const IDENTITY = identityOf(NATIVE_CRYPTO, "service");
const START_MS = 1_000_000;
const DAY_MS = 86_400_000;
const SUBJECT = "alice phone";

/** One attempt with the one ticket that there is. */
interface Attempt {
  readonly isAlone: boolean;
  readonly secret: "right" | "wrong";
  readonly ticketId: "right" | "unknown";
  readonly suite: number;
  /** The attempt's ServerHello is lost, or its link is bent afterwards. */
  readonly afterMs: number;
  readonly allowsTicketOnly: boolean;
}

interface History {
  readonly attempts: readonly Attempt[];
  /** What happens to the link that the ticket came over. */
  readonly bent: Bent;
}

/** Not at all, or in a byte of the header or of the text. */
type Bent = "no" | number;

function pairAt(name: string, book: TicketBook, more: Partial<Attempt> & { nowMs: number }): Pair {
  return new Pair({
    name,
    crypto: CRYPTO,
    book,
    nowMs: more.nowMs,
    client: {
      suites: [more.suite ?? SUITE_XWING_AES256],
      expects: { kind: "pinned", serverIds: [IDENTITY.serverId] },
    },
    server: { identities: [IDENTITY] },
  });
}

function issue(book: TicketBook, at: Bent): ClientTicket {
  const pair = pairAt("first", book, { nowMs: START_MS });
  pair.settle();
  pair.server.issueTicket(SUBJECT, drawn("ticket", 16), START_MS);
  pair.settle();
  const [ticket] = pair.tickets;
  assert(ticket !== undefined && book.count === 1, "a ticket came and is kept [ENV-42]");
  assert(ticket.expiresMs <= START_MS + DAY_MS, "for a day at most [ENV-45]");
  if (at !== "no") {
    pair.client.write(Uint8Array.of(1));
    const [write] = pair.client.effects();
    assert(write?.kind === "write", "a record");
    const bent = Uint8Array.from(write.bytes);
    bent[at] = (bent[at] as number) ^ 0x80;
    pair.inject("server", bent);
    pair.settle();
    const kept = book.find(ticket.ticketId, START_MS);
    assert(kept === undefined, "the link went wrong: its ticket is gone [ENV-47]");
    assert(pair.dropped.length === 1, "the device was told, and drops it too [ENV-76]");
  }
  return ticket;
}

function play({ attempts, bent }: History, seen: Seen): void {
  const book = new TicketBook(4);
  const ticket = issue(book, bent);
  let isGone = bent !== "no";
  let failures = 0;
  let nowMs = START_MS;
  for (const [index, attempt] of attempts.entries()) {
    nowMs += attempt.afterMs;
    const isExpired = nowMs >= ticket.expiresMs;
    const isKnown = attempt.ticketId === "right" && !isGone && !isExpired;
    const isProven = isKnown && attempt.secret === "right";
    if (isKnown && !isProven) failures += 1;
    const isUsable = attempt.isAlone ? attempt.allowsTicketOnly : attempt.suite === ticket.suite;
    const resumed = resume(attempt, { ticket, book, nowMs, name: `attempt ${index}` });
    seen(resumed.isAccepted ? "resumed" : "not resumed");
    assert(resumed.isAccepted === (isProven && isUsable), `attempt ${index} [ENV-44] [ENV-45]`);
    if (isProven || failures >= 3) isGone = true;
    if (isExpired) seen("expired");
    if (failures >= 3) seen("three failures");
  }
}

interface Resumption {
  readonly ticket: ClientTicket;
  readonly book: TicketBook;
  readonly nowMs: number;
  readonly name: string;
}

function resume(attempt: Attempt, { ticket, book, nowMs, name }: Resumption) {
  const { secret, ticketId, isAlone, suite, allowsTicketOnly } = attempt;
  const shown: ClientTicket = {
    ...ticket,
    psk: secret === "right" ? ticket.psk : drawn("guess", 32),
    ticketId: ticketId === "right" ? ticket.ticketId : drawn("unknown", 16),
  };
  const pair = new Pair({
    name,
    crypto: CRYPTO,
    book,
    nowMs,
    client: {
      suites: [suite],
      expects: { kind: "pinned", serverIds: [IDENTITY.serverId] },
      ticket: shown,
      ticketOnly: isAlone,
    },
    server: { identities: [IDENTITY], allowsTicketOnly },
  });
  pair.client.write(Uint8Array.of(7));
  pair.settle();
  const { link, ends } = pair.at.server;
  const isAccepted = link?.isResumed === true;
  if (isAccepted) {
    assert(pair.at.client.link?.isResumed === true, "both know");
    assert(link.subject === SUBJECT, "and whose it is [ENV-45]");
    assert(link.suite.number === ticket.suite, "with the ticket's suite [ENV-45]");
    judgeHeir(pair, isAlone, ticket);
  } else if (isAlone) {
    // Nothing else was offered: the device hears 40, whatever was wrong. [ENV-46]
    assert(ends[0]?.because.code === ErrorCode.ENVELOPE_SUITE_REFUSED, "no way in [ENV-46]");
    assert(pair.at.server.records.length === 1, "one alert");
  } else {
    assert(link !== undefined && link.subject === undefined, "a full handshake [ENV-46]");
  }
  return { isAccepted };
}

/** A ticket of a link without a key agreement lives no longer than the one before. [ENV-45] */
function judgeHeir(pair: Pair, isAlone: boolean, ticket: ClientTicket): void {
  pair.server.issueTicket(SUBJECT, drawn(`heir ${pair.nowMs}`, 16), pair.nowMs);
  pair.settle();
  const [heir] = pair.tickets;
  const latestMs = isAlone ? ticket.expiresMs : pair.nowMs + DAY_MS;
  assert(heir === undefined || heir.expiresMs <= latestMs, "a day after the agreement [ENV-45]");
}

/** Tickets, shown again and again, right and wrong. */
export const envelopeTickets = property<History>({
  name: "envelope-tickets",
  title:
    "[ENV-42] [ENV-43] [ENV-44] [ENV-45] [ENV-46] [ENV-47] a ticket works once, for a day, for " +
    "its suite, and guesses use it up (P25)",
  smokeRuns: 60,
  kinds: ["resumed", "not resumed", "expired", "three failures"],
  arbitrary: fc.record({
    attempts: fc.array(
      fc.record({
        isAlone: fc.boolean(),
        secret: fc.constantFrom("right", "wrong", "wrong"),
        ticketId: fc.constantFrom("right", "right", "right", "unknown"),
        suite: fc.constantFrom(SUITE_XWING_AES256, SUITE_XWING_AES256, SUITE_XWING_CHACHA20),
        afterMs: fc.constantFrom(0, 1000, 1000, DAY_MS - 2000, DAY_MS),
        allowsTicketOnly: fc.constantFrom(true, true, false),
      }),
      { minLength: 1, maxLength: 6 },
    ),
    // Bytes of type, version, epoch, number, length and text.
    bent: fc.oneof(
      { weight: 3, arbitrary: fc.constant<Bent>("no") },
      fc.constantFrom<Bent[]>(0, 1, 2, 3, 4, 11, 12, 20, 40),
    ),
  }),
  start: (seen) => ({ check: (history) => play(history, seen) }),
});
