import type { EnvelopeCase, Failure } from "./cases.ts";
import { type About, appended, clientSays } from "./lies.ts";
import { type LinkPlan, LinkVector } from "./link-builder.ts";
import { drawn, fromHex, join, NOTHING } from "./primitives.ts";
import { spkiOf } from "./rsa-builder.ts";

/** Refused by the service at ClientHello. */
function helloRefused(
  [ids, name, description]: About,
  fault: Omit<LinkPlan, "name">,
  failure: Failure = "parse",
): EnvelopeCase {
  const link = new LinkVector({ name, ...fault });
  return link.refused([ids, `hello-${name}`, description], { judge: "service", failure, at: 1 });
}

const HELLO_FORMS: readonly EnvelopeCase[] = [
  helloRefused(["ENV-12", "version-0", "Version 0."], { lies: clientSays({ version: 0 }) }),
  helloRefused(["ENV-12", "version-2", "Version 2."], { lies: clientSays({ version: 2 }) }),
  helloRefused(["ENV-12", "random-short", "31 random bytes."], {
    lies: clientSays({ clientRandom: drawn("short", 31) }),
  }),
  helloRefused(["ENV-12", "random-missing", "No random bytes."], {
    lies: clientSays({ clientRandom: NOTHING }),
  }),
  helloRefused(["ENV-12", "no-offers", "Nothing is offered."], {
    lies: clientSays({ offers: [] }),
  }),
  helloRefused(["ENV-12", "nine-offers", "Nine offers."], {
    lies: clientSays({
      offers: [2, 3, 10, 11, 12, 13, 14, 15, 16].map((suite) => ({ suite, publicKey: NOTHING })),
    }),
  }),
  helloRefused(["ENV-12", "offer-twice", "A suite is offered twice."], {
    lies: {
      clientCore: (said) => ({ ...said, offers: [...(said.offers ?? []), ...(said.offers ?? [])] }),
    },
  }),
  helloRefused(["ENV-12", "offer-0", "Suite 0 is offered."], {
    lies: clientSays({ offers: [{ suite: 0, publicKey: NOTHING }] }),
  }),
  helloRefused(["ENV-12", "offer-65536", "Suite 65,536 is offered."], {
    lies: clientSays({ offers: [{ suite: 65_536, publicKey: NOTHING }] }),
  }),
  helloRefused(["ENV-12", "pin-short", "A pin of 31 bytes."], {
    lies: clientSays({ pinnedServerId: drawn("pin", 31) }),
  }),
  helloRefused(["ENV-12", "ticket-short", "A ticket id of 15 bytes."], {
    lies: {
      ...clientSays({ ticketId: drawn("ticket", 15), resumeMode: 1 }),
      binder: () => drawn("binder", 32),
    },
  }),
  helloRefused(["ENV-12", "ticket-without-mode", "A ticket without a mode."], {
    lies: { ...clientSays({ ticketId: drawn("ticket", 16) }), binder: () => drawn("binder", 32) },
  }),
  helloRefused(["ENV-12", "ticket-without-binder", "A ticket without a binder."], {
    lies: clientSays({ ticketId: drawn("ticket", 16), resumeMode: 1 }),
  }),
  helloRefused(["ENV-12", "mode-without-ticket", "A mode without a ticket."], {
    lies: clientSays({ resumeMode: 1 }),
  }),
  helloRefused(["ENV-12", "mode-unknown", "An unknown mode."], {
    lies: {
      ...clientSays({ ticketId: drawn("ticket", 16), resumeMode: 3 }),
      binder: () => drawn("binder", 32),
    },
  }),
  helloRefused(["ENV-12", "binder-without-ticket", "A binder without a ticket."], {
    lies: { binder: () => drawn("binder", 32) },
  }),
  helloRefused(["ENV-12", "unknown-field", "A field behind core and binder."], {
    lies: { clientBody: appended("1a0161") },
  }),
  helloRefused(["ENV-12", "default-value", "An empty binder that is spelled out."], {
    lies: { clientBody: appended("1200") },
  }),
  helloRefused(["ENV-12", "core-cut", "The core ends within a field."], {
    lies: { clientCoreBytes: (bytes) => bytes.subarray(0, -1) },
  }),
  helloRefused(["ENV-12", "body-cut", "The message ends within its core."], {
    lies: { clientBody: (bytes) => bytes.subarray(0, -1) },
  }),
  helloRefused(["ENV-12", "empty", "A message of no bytes."], {
    lies: { clientBody: () => NOTHING },
  }),
  helloRefused(["ENV-12", "core-too-long", "A core of more than 8,000 bytes."], {
    lies: { clientCoreBytes: (bytes) => join(bytes, fromHex("a206a635"), new Uint8Array(6822)) },
  }),
];

const HELLO_KEYS: readonly EnvelopeCase[] = [
  helloRefused(
    ["ENV-13", "no-common-suite", "No offer is accepted."],
    { service: { suites: [1] } },
    "policy",
  ),
  helloRefused(
    ["ENV-26", "reserved-suite", "Only a reserved suite is offered."],
    { lies: clientSays({ offers: [{ suite: 0x0101, publicKey: drawn("gm", 65) }] }) },
    "policy",
  ),
  helloRefused(
    ["ENV-34", "below-min-suite", "A suite that the service has promised not to accept."],
    { device: { suites: [1] }, service: { policy: { min_suite: 2 } } },
    "policy",
  ),
  helloRefused(
    ["ENV-21", "rsa-e-3", "An RSA key with the exponent 3."],
    {
      lies: clientSays({
        offers: [{ suite: 1, publicKey: spkiOf({ modulus: 2n ** 2047n + 1n, exponent: 3n }) }],
      }),
    },
    "policy",
  ),
  helloRefused(
    ["ENV-21", "rsa-1024", "An RSA key of 1,024 bits."],
    {
      lies: clientSays({
        offers: [{ suite: 1, publicKey: spkiOf({ modulus: 2n ** 1023n + 1n }) }],
      }),
    },
    "policy",
  ),
  helloRefused(
    ["ENV-25", "xwing-short", "An X-Wing key of 1,215 bytes."],
    { lies: clientSays({ offers: [{ suite: 2, publicKey: drawn("xwing", 1215) }] }) },
    "kem",
  ),
  helloRefused(
    ["ENV-25", "xwing-low-order", "A point of low order."],
    {
      lies: {
        clientCore: (said) => {
          const key = said.offers?.[0]?.publicKey as Uint8Array;
          const publicKey = join(key.subarray(0, 1184), new Uint8Array(32));
          return { ...said, offers: [{ suite: 2, publicKey }] };
        },
      },
    },
    "kem",
  ),
  helloRefused(
    ["ENV-25", "xwing-unreduced", "An ML-KEM key that is not reduced."],
    {
      lies: {
        clientCore: (said) => {
          const key = said.offers?.[0]?.publicKey as Uint8Array;
          return {
            ...said,
            offers: [{ suite: 2, publicKey: join(fromHex("ffff"), key.subarray(2)) }],
          };
        },
      },
    },
    "kem",
  ),
];

export const REFUSED_HELLOS: readonly EnvelopeCase[] = [...HELLO_FORMS, ...HELLO_KEYS];
