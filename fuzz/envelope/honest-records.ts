import { ServerIdentity } from "../../protocol/envelope/identity.ts";
import { SUITE_RSA_AES128, SUITE_XWING_AES256 } from "../../protocol/envelope/suites.ts";
import { type ClientTicket, TicketBook } from "../../protocol/envelope/ticket.ts";
import { NO_CRYPTO } from "./no-crypto.ts";
import { Pair, type PairOptions, type Side } from "./pair.ts";

const CRYPTO = { client: NO_CRYPTO, server: NO_CRYPTO };
const IDENTITY = new ServerIdentity(NO_CRYPTO, {
  ed25519: NO_CRYPTO.ed25519Key(new Uint8Array(32)),
});

/**
 * What one side says in links that go well, whole records, with no cryptography: a full handshake
 * of each kind, both resumed ones, frames, a key update, a ticket, a close. As there is none, each
 * of them fits every other link.
 */
export function honestRecords(side: Side): readonly Uint8Array[] {
  const first = lived({ suites: [SUITE_XWING_AES256] });
  const [ticket] = first.tickets;
  const pairs = [
    lived({ ticket: ticket as ClientTicket, ticketOnly: true }),
    lived({ suites: [SUITE_RSA_AES128] }),
    lived({ ticket: ticket as ClientTicket, suites: [SUITE_XWING_AES256] }),
    first,
  ];
  const records = pairs.flatMap(({ at }) => at[side].records);
  const byText = new Map(records.map((record) => [Buffer.from(record).toString("hex"), record]));
  return [...byText.values()].map((record) => Uint8Array.from(record));
}

function lived(client: NonNullable<PairOptions["client"]>): Pair {
  const book = new TicketBook(1);
  if (client.ticket !== undefined) book.keep({ ...client.ticket, subject: "", agreedMs: 0 }, 0);
  const server = { identities: [IDENTITY] } as const;
  const pair = new Pair({ name: "honest", crypto: CRYPTO, client, server, book });
  const settle = () => pair.settle();
  settle();
  pair.server.issueTicket("alice phone", new Uint8Array(16), pair.nowMs);
  for (const machine of [pair.client, pair.server]) {
    machine.write(Uint8Array.of(2, 0x1a, 0));
    settle();
    machine.updateKeys();
    settle();
    machine.write(Uint8Array.of(2, 0x1a, 0));
    settle();
  }
  pair.client.close();
  settle();
  return pair;
}
