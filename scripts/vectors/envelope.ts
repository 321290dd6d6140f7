import { hexOf, type Named, named } from "./builder.ts";
import {
  type Built,
  build,
  drawn,
  identity,
  innerOf,
  type Plan,
  recordOf,
  sealInner,
  withOtherSignature,
} from "./envelope-builder.ts";

/** A handshake and what follows it, as one side of it sees them. */
export interface EnvelopeVector extends Named {
  /** Who is checked: it sends what is its own, and judges what is not. */
  readonly side: "device" | "service";
  /** What the device offers, best first; empty with a ticket alone. */
  readonly suites: readonly number[];
  /** 32 bytes of client_random, the X-Wing seed, 32 that stand in for RSA. */
  readonly client_randomness_hex: string;
  /** server_random, link_id, and 64 bytes for X-Wing. */
  readonly server_randomness_hex: string;
  readonly server_id_hex: string;
  readonly psk_hex?: string;
  readonly ticket_suite?: number;
  readonly min_suite?: number;
  readonly client_hello_hex: string;
  readonly server_hello_hex?: string;
  readonly client_finished_hex?: string;
  readonly channel_binding_hex?: string;
  readonly records?: readonly SealedVector[];
  /** The code that the side ends the link with. */
  readonly expect: "valid" | { readonly fails: string };
}

interface SealedVector {
  readonly from: "device" | "service";
  /** Of frames: what is opened. */
  readonly frames_hex?: string;
  readonly record_hex: string;
}

const XWING: Plan = { name: "x-wing", suites: [2], suite: 2 };
const PSK = drawn("psk", 32);
const TEXT = Buffer.from("any frames, cut anywhere");

function given({ plan, identity: known, clientHello }: Built) {
  const { name, suites, psk, suite } = plan;
  return {
    suites,
    client_randomness_hex: hexOf(drawn(`${name} client`, 96)),
    server_randomness_hex: hexOf(drawn(`${name} server`, 112)),
    server_id_hex: hexOf(known.serverId),
    ...(psk === undefined ? {} : { psk_hex: hexOf(psk), ticket_suite: suite === 0 ? 2 : suite }),
    client_hello_hex: hexOf(clientHello),
  };
}

/** Both directions, a key update and the end. */
function traffic({ plan, clientTraffic, serverTraffic }: Built): SealedVector[] {
  const suite = plan.suite === 0 ? 2 : plan.suite;
  const frames = innerOf(1, TEXT);
  const up = { from: "device", frames_hex: hexOf(TEXT) } as const;
  const down = { from: "service", frames_hex: hexOf(TEXT) } as const;
  const none = new Uint8Array(0);
  return [
    { ...up, record_hex: hexOf(sealInner(clientTraffic, frames, { suite })) },
    { ...down, record_hex: hexOf(sealInner(serverTraffic, frames, { suite })) },
    {
      from: "service",
      record_hex: hexOf(sealInner(serverTraffic, innerOf(2, none), { suite, seq: 1 })),
    },
    { ...down, record_hex: hexOf(sealInner(serverTraffic, frames, { suite, epoch: 2 })) },
    {
      from: "service",
      record_hex: hexOf(sealInner(serverTraffic, innerOf(5, none), { suite, epoch: 2, seq: 1 })),
    },
  ];
}

function whole(plan: Plan, ids: string, description: string): EnvelopeVector {
  const built = build(plan);
  return {
    ...named(ids, plan.name, description),
    side: "device",
    ...given(built),
    server_hello_hex: hexOf(built.serverHello),
    client_finished_hex: hexOf(built.clientFinished),
    channel_binding_hex: hexOf(built.channelBinding),
    records: traffic(built),
    expect: "valid",
  };
}

const HONEST = build(XWING);

/** A ServerHello with one fault. */
function refusedAnswer(
  [name, ids, fails]: readonly [string, string, string],
  serverHello: Uint8Array,
  { built = HONEST, minSuite }: { readonly built?: Built; readonly minSuite?: number } = {},
): EnvelopeVector {
  return {
    ...named(ids, name, `ServerHello: ${name.replaceAll("-", " ")}.`),
    side: "device",
    ...given(built),
    ...(minSuite === undefined ? {} : { min_suite: minSuite }),
    server_hello_hex: hexOf(serverHello),
    expect: { fails },
  };
}

/** A ServerHello whose core has a fault, signed and confirmed as if it had none. */
function refusedCore(what: readonly [string, string, string], plan: Partial<Plan>): EnvelopeVector {
  const built = build({ ...XWING, ...plan });
  return refusedAnswer(what, built.serverHello, { built });
}

/** A ClientHello with one fault. */
function refusedHello(
  [name, ids, fails]: readonly [string, string, string],
  client: Plan["client"] | Uint8Array,
): EnvelopeVector {
  const built = client instanceof Uint8Array ? HONEST : build({ ...XWING, client: client ?? {} });
  const hello = client instanceof Uint8Array ? client : built.clientHello;
  return {
    ...named(ids, name, `ClientHello: ${name.replaceAll("-", " ")}.`),
    side: "service",
    ...given(built),
    client_hello_hex: hexOf(hello),
    expect: { fails },
  };
}

/** A sealed record with one fault, after a handshake without. */
function refusedRecord(
  [name, ids, fails]: readonly [string, string, string],
  record: Uint8Array,
): EnvelopeVector {
  return {
    ...named(ids, name, `The first record from the service: ${name.replaceAll("-", " ")}.`),
    side: "device",
    ...given(HONEST),
    server_hello_hex: hexOf(HONEST.serverHello),
    client_finished_hex: hexOf(HONEST.clientFinished),
    channel_binding_hex: hexOf(HONEST.channelBinding),
    records: [{ from: "service", record_hex: hexOf(record) }],
    expect: { fails },
  };
}

function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  const place = at < 0 ? copy.length + at : at;
  copy[place] = (copy[place] as number) ^ 1;
  return copy;
}

const MALFORMED = "ENVELOPE_MALFORMED";
const RECORD = "ENVELOPE_RECORD_INVALID";
const KEY = Buffer.alloc(1216, 1);
const down = HONEST.serverTraffic;
const frames = innerOf(1, TEXT);
const unknownField = Buffer.concat([HONEST.serverHello.subarray(16), Uint8Array.of(0x50, 1)]);
const honestOffer = { suite: 2, publicKey: KEY };

export const ENVELOPE: readonly EnvelopeVector[] = [
  whole(XWING, "ENV-5 ENV-8 ENV-9 ENV-14 ENV-15 ENV-25 ENV-39", "X-Wing with AES-256-GCM."),
  whole(
    { name: "x-wing-chacha20", suites: [3, 2], suite: 3 },
    "ENV-5 ENV-13 ENV-15",
    "X-Wing with ChaCha20-Poly1305, which the device prefers.",
  ),
  whole(
    { ...XWING, name: "lasting-identity", isLasting: true },
    "ENV-27 ENV-30",
    "An identity of two keys.",
  ),
  whole(
    { ...XWING, name: "resumed", psk: PSK },
    "ENV-15 ENV-43",
    "A ticket and a fresh key agreement.",
  ),
  whole(
    { name: "resumed-alone", suites: [], suite: 0, psk: PSK },
    "ENV-15 ENV-43",
    "A ticket of suite 2 alone.",
  ),
  refusedAnswer(
    ["signature-changed", "ENV-14", "ENVELOPE_SIGNATURE_INVALID"],
    withOtherSignature(HONEST),
  ),
  refusedAnswer(
    ["confirm-changed", "ENV-17", "ENVELOPE_CONFIRM_INVALID"],
    flipped(HONEST.serverHello, -1),
  ),
  refusedAnswer(["outer-field-unknown", "ENV-12", MALFORMED], recordOf(2, unknownField)),
  refusedAnswer(
    ["answer-is-a-finished", "ENV-11", MALFORMED],
    recordOf(3, HONEST.clientFinished.subarray(16)),
  ),
  refusedAnswer(["version-of-record", "ENV-3", MALFORMED], flipped(HONEST.serverHello, 1)),
  refusedCore(["identity-of-another", "ENV-29", "SERVER_IDENTITY_CHANGED"], {
    signer: identity("another", false),
  }),
  refusedCore(["suite-not-offered", "ENV-13", "ENVELOPE_SUITE_REFUSED"], { suite: 3 }),
  refusedCore(["ticket-not-shown", "ENV-13", "ENVELOPE_SUITE_REFUSED"], {
    server: { ticketAccepted: true },
  }),
  refusedCore(["link-id-short", "ENV-16", MALFORMED], { server: { linkId: drawn("id", 15) } }),
  refusedCore(["policy-too-long", "ENV-16", MALFORMED], {
    server: {
      policy: { minSuite: 1, rekeyRecords: 2, rekeyBytes: 2_097_152, lifetimeS: 86_401 },
    },
  }),
  refusedCore(["promise-of-an-unknown-suite", "ENV-34", "ENVELOPE_DOWNGRADED"], {
    minSuite: 0x7777,
  }),
  refusedAnswer(["promise-taken-back", "ENV-34", "ENVELOPE_DOWNGRADED"], HONEST.serverHello, {
    minSuite: 2,
  }),
  refusedCore(["ciphertext-of-low-order", "ENV-25", "ENVELOPE_KEY_INVALID"], {
    server: { kemCiphertext: Buffer.concat([drawn("ml-kem", 1088), Buffer.alloc(32)]) },
  }),
  refusedCore(["ciphertext-short", "ENV-25", "ENVELOPE_KEY_INVALID"], {
    server: { kemCiphertext: drawn("short", 1119) },
  }),
  refusedHello(["hello-version", "ENV-12", MALFORMED], { version: 2 }),
  refusedHello(["random-short", "ENV-12", MALFORMED], { clientRandom: drawn("short", 31) }),
  refusedHello(["nothing-offered", "ENV-12", MALFORMED], { offers: [] }),
  refusedHello(["offered-twice", "ENV-12", MALFORMED], { offers: [honestOffer, honestOffer] }),
  refusedHello(["mode-without-ticket", "ENV-12", MALFORMED], { resumeMode: 1 }),
  refusedHello(["ticket-without-binder", "ENV-12", MALFORMED], {
    ticketId: drawn("ticket", 16),
    resumeMode: 1,
  }),
  refusedHello(["reserved-suite", "ENV-26", "ENVELOPE_SUITE_REFUSED"], {
    offers: [{ suite: 0x0101, publicKey: KEY }],
  }),
  refusedHello(["key-not-reduced", "ENV-25", "ENVELOPE_KEY_INVALID"], {
    offers: [{ suite: 2, publicKey: Buffer.alloc(1216, 0xff) }],
  }),
  refusedHello(["rsa-key-that-is-none", "ENV-21", "ENVELOPE_KEY_INVALID"], {
    offers: [{ suite: 1, publicKey: KEY }],
  }),
  refusedHello(["hello-too-long", "ENV-4", MALFORMED], recordOf(1, new Uint8Array(8193))),
  refusedRecord(
    ["tag-changed", "ENV-5", RECORD],
    flipped(sealInner(down, frames, { suite: 2 }), -1),
  ),
  refusedRecord(["number-skipped", "ENV-6", RECORD], sealInner(down, frames, { suite: 2, seq: 1 })),
  refusedRecord(
    ["epoch-skipped", "ENV-6", RECORD],
    sealInner(down, frames, { suite: 2, epoch: 2 }),
  ),
  refusedRecord(["no-type", "ENV-8", RECORD], sealInner(down, Buffer.alloc(64), { suite: 2 })),
  refusedRecord(["unknown-type", "ENV-8", RECORD], sealInner(down, innerOf(6, TEXT), { suite: 2 })),
  refusedRecord(
    ["own-record-comes-back", "ENV-6", RECORD],
    sealInner(HONEST.clientTraffic, frames, { suite: 2 }),
  ),
  refusedRecord(["tag-cut", "ENV-5", RECORD], recordOf(4, drawn("tag", 15), { epoch: 1 })),
];
