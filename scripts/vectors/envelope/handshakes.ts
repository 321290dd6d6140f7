import { type EnvelopeCase, envelopeCase } from "./cases.ts";
import { type LinkPlan, LinkVector, serverIdOf, ticketOf } from "./link-builder.ts";
import { ascii, drawn, fromHex, hmac, join, NOTHING, th, xl } from "./primitives.ts";

// Links that come about.

/** KeyUpdate that asks for one in return. [ENV-39] */
const ASKING = fromHex("0801");

/** A handshake, then frames and key updates in both directions, and the end. */
function link(about: readonly [string, string, string], plan: Omit<LinkPlan, "name">) {
  return new LinkVector({ ...plan, name: about[1] })
    .seal("device", "frames", ascii("from the device"))
    .seal("service", "frames", ascii("from the service"))
    .seal("service", "frames", drawn(about[1], 2000))
    .seal("device", "key_update", ASKING)
    .seal("device", "frames", ascii("under the next key"))
    .seal("service", "key_update", NOTHING)
    .seal("service", "close", NOTHING)
    .valid(about);
}

const HANDSHAKE = "ENV-1 ENV-13 ENV-14 ENV-15 ENV-39";
const OTHER_ID = drawn("another server id", 32);

export const HANDSHAKES: readonly EnvelopeCase[] = [
  link([`${HANDSHAKE} ENV-22`, "link-suite-1", "RSA-OAEP and AES-128."], {
    device: { suites: [1] },
  }),
  link([`${HANDSHAKE} ENV-25`, "link-suite-2", "X-Wing and AES-256."], {}),
  link([`${HANDSHAKE} ENV-25`, "link-suite-3", "X-Wing and ChaCha20."], {
    device: { suites: [3] },
  }),
  link([`${HANDSHAKE} ENV-21`, "link-rsa-3072", "An RSA key of 3,072 bits."], {
    device: { suites: [1], rsaBits: 3072 },
  }),
  link([`${HANDSHAKE} ENV-21`, "link-rsa-4096", "An RSA key of 4,096 bits."], {
    device: { suites: [1], rsaBits: 4096 },
  }),
  link([`${HANDSHAKE} ENV-30`, "link-two-keys", "An identity of two keys."], {
    service: { hasMlDsa: true },
  }),
  link(["ENV-13", "link-first-offer", "The first of three offers."], {
    device: { suites: [3, 1, 2] },
  }),
  link(["ENV-13", "link-second-offer", "The second offer is the first that is accepted."], {
    device: { suites: [2, 1] },
    service: { suites: [1] },
  }),
  link(["ENV-29", "link-no-pin", "A device that expects nobody in particular."], {
    device: { pins: null },
  }),
  link(["ENV-29 ENV-33", "link-two-pins", "A device that has pinned two identities."], {
    device: { pins: [serverIdOf(), OTHER_ID] },
  }),
  link(["ENV-33 ENV-34", "link-next-server-id", "Another identity is announced."], {
    device: { min_suite: 2 },
    service: {
      policy: { min_suite: 3, next_server_id: OTHER_ID, rekey_records: 8, lifetime_s: 1 },
    },
  }),
  link(["ENV-12", "link-later-device", "ClientHello's core has a field of a later version."], {
    device: { suites: [1] },
    lies: { clientCoreBytes: (bytes) => join(bytes, fromHex("a2060161")) },
    odd: "device",
  }),
  link(["ENV-12", "link-later-service", "ServerHello's core has a field of a later version."], {
    lies: { serverCoreBytes: (bytes) => join(bytes, fromHex("a00601")) },
    odd: "service",
  }),
  link(["ENV-1 ENV-12", "link-reordered", "ClientHello's core in another order of its fields."], {
    device: { suites: [1] },
    // The version, which stands first in two bytes, goes to the end.
    lies: { clientCoreBytes: (bytes) => join(bytes.subarray(2), bytes.subarray(0, 2)) },
    odd: "device",
  }),
  link(["ENV-26", "link-unknown-offer", "An unknown suite is offered first."], {
    odd: "device",
    lies: {
      clientCore: (core) => ({
        ...core,
        offers: [{ suite: 0x7777, publicKey: ascii("a key") }, ...(core.offers ?? [])],
      }),
    },
  }),
  link(["ENV-12", "link-features", "A feature that nobody knows."], {
    odd: "device",
    lies: { clientCore: (core) => ({ ...core, clientFeatures: 0x8000_0001 }) },
  }),
];

const TICKET = ticketOf("first", 2);
const CHEAP_TICKET = ticketOf("cheap", 1);

function binder(name: string, description: string, [psk, core, shown]: Binding): EnvelopeCase {
  const right = hmac(xl(psk, "binder"), th("phorn-link-1 binder", core));
  const members = { psk, core, binder: shown ?? right };
  const about = ["ENV-43", `binder-${name}`, description] as const;
  return envelopeCase(about, "binder", members, shown === undefined ? undefined : "confirm");
}
type Binding = readonly [psk: Uint8Array, core: Uint8Array, shown?: Uint8Array];

const CORE = drawn("a core", 100);
const TICKETS: readonly EnvelopeCase[] = [
  envelopeCase(["ENV-42", "ticket-secret", "The secret that a ticket stands for."], "ticket", {
    resumption: drawn("resumption", 32),
    ticket_id: TICKET.ticket_id,
    psk: xl(drawn("resumption", 32), "ticket", TICKET.ticket_id),
  }),
  binder("right", "A binder.", [TICKET.psk, CORE]),
  binder("other-core", "Over another core.", [
    TICKET.psk,
    CORE,
    hmac(xl(TICKET.psk, "binder"), th("phorn-link-1 binder", drawn("another core", 100))),
  ]),
  binder("other-label", "Over a hash with the label of links.", [
    TICKET.psk,
    CORE,
    hmac(xl(TICKET.psk, "binder"), th("phorn-link-1", CORE)),
  ]),
  binder("bare-psk", "The ticket's secret is the key itself.", [
    TICKET.psk,
    CORE,
    hmac(TICKET.psk, th("phorn-link-1 binder", CORE)),
  ]),
];

export const RESUMPTIONS: readonly EnvelopeCase[] = [
  ...TICKETS,
  link(["ENV-42 ENV-43 ENV-15", "resume-psk-kem", "A ticket and a fresh secret."], {
    device: { ticket: TICKET },
    service: { tickets: [TICKET] },
  }),
  link(["ENV-42 ENV-43 ENV-15", "resume-psk-kem-rsa", "A ticket and a fresh secret of RSA."], {
    device: { suites: [1], ticket: CHEAP_TICKET },
    service: { tickets: [CHEAP_TICKET] },
  }),
  link(["ENV-43 ENV-15", "resume-psk-only", "A ticket alone."], {
    device: { ticket: TICKET, ticket_only: true },
    service: { tickets: [TICKET] },
  }),
  link(["ENV-43 ENV-15", "resume-psk-only-aes128", "A ticket of suite 1 alone."], {
    device: { ticket: CHEAP_TICKET, ticket_only: true },
    service: { tickets: [TICKET, CHEAP_TICKET] },
  }),
  link(["ENV-46", "resume-unknown", "An unknown ticket: a handshake without it."], {
    device: { ticket: TICKET },
  }),
  link(["ENV-46", "resume-wrong-binder", "A wrong binder: a handshake without the ticket."], {
    device: { ticket: TICKET },
    service: { tickets: [TICKET] },
    odd: "device",
    lies: { binder: (right) => right.map((byte, at) => (at === 31 ? byte ^ 1 : byte)) },
  }),
  link(["ENV-45", "resume-other-suite", "A ticket of another suite is not used."], {
    device: { suites: [2, 1], ticket: CHEAP_TICKET },
    service: { tickets: [CHEAP_TICKET] },
  }),
  new LinkVector({
    name: "resume-unknown-alone",
    device: { ticket: TICKET, ticket_only: true },
  }).refused(["ENV-46", "resume-unknown-alone", "An unknown ticket and no offer."], {
    judge: "service",
    failure: "policy",
    at: 1,
  }),
  new LinkVector({
    name: "resume-wrong-binder-alone",
    device: { ticket: TICKET, ticket_only: true },
    service: { tickets: [TICKET] },
    lies: { binder: (right) => right.map((byte, at) => (at === 0 ? byte ^ 1 : byte)) },
  }).refused(["ENV-46", "resume-wrong-binder-alone", "A wrong binder and no offer."], {
    judge: "service",
    failure: "policy",
    at: 1,
  }),
  new LinkVector({
    name: "resume-other-psk",
    device: { ticket: TICKET },
    service: { tickets: [TICKET] },
    lies: { psk: drawn("another psk", 32) },
  }).refused(["ENV-15 ENV-17", "resume-other-psk", "The service does not have the ticket."], {
    judge: "device",
    failure: "confirm",
    at: 2,
  }),
  new LinkVector({
    name: "resume-not-shown",
    lies: { ticketAccepted: true },
  }).refused(["ENV-45", "resume-not-shown", "A ticket is accepted that was not shown."], {
    judge: "device",
    failure: "policy",
    at: 2,
  }),
  new LinkVector({
    name: "resume-not-accepted-alone",
    device: { ticket: TICKET, ticket_only: true },
    service: { tickets: [TICKET] },
    lies: { ticketAccepted: false },
  }).refused(["ENV-13", "resume-not-accepted-alone", "No ticket and no suite."], {
    judge: "device",
    failure: "policy",
    at: 2,
  }),
];
