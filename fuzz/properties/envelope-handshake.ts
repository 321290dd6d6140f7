import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { ServerIdentity } from "../../protocol/envelope/identity.ts";
import { NOBLE_CRYPTO } from "../../protocol/envelope/noble.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { assert } from "../../protocol/violation.ts";
import { ALL_SUITES, type Carrier, identityOf, Pair, type Side } from "../envelope/pair.ts";
import { hex, WatchedCrypto } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";

const PROVIDERS: Record<string, CryptoProvider> = { node: NATIVE_CRYPTO, noble: NOBLE_CRYPTO };
const IDENTITIES: readonly [ServerIdentity, ServerIdentity] = [
  identityOf(NATIVE_CRYPTO, "service"),
  identityOf(NATIVE_CRYPTO, "lasting", true),
];
/** Their signing keys belong to a platform; both sides only see what was signed. */
const identityIndex = fc.nat(IDENTITIES.length - 1);
const offers = fc.shuffledSubarray([...ALL_SUITES], { minLength: 1 });

interface Meeting {
  readonly name: string;
  readonly client: string;
  readonly server: string;
  readonly offers: readonly number[];
  readonly accepted: readonly number[];
  readonly identity: number;
}

function pairOf(meeting: Meeting, carry?: Carrier): Pair {
  const { name, offers: suites, accepted } = meeting;
  const identity = IDENTITIES[meeting.identity] as ServerIdentity;
  return new Pair({
    name,
    crypto: {
      client: PROVIDERS[meeting.client] as CryptoProvider,
      server: PROVIDERS[meeting.server] as CryptoProvider,
    },
    client: { suites, expects: { kind: "pinned", serverIds: [identity.serverId] } },
    server: { identities: [identity], suites: accepted },
    ...(carry === undefined ? {} : { carry }),
  });
}

function agree(meeting: Meeting, seen: Seen): void {
  const pair = pairOf(meeting);
  pair.client.write(Buffer.from("up"));
  pair.settle();
  pair.server.write(Buffer.from("down"));
  pair.settle();
  const { client, server } = pair.at;
  const chosen = meeting.offers.find((suite) => meeting.accepted.includes(suite));
  if (chosen === undefined) {
    assert(server.ends[0]?.because.code === ErrorCode.ENVELOPE_SUITE_REFUSED, "no suite [ENV-13]");
    assert(client.ends[0]?.because.code === ErrorCode.ENVELOPE_REFUSED, "and it is not said why");
    seen("no suite");
    return;
  }
  seen(`suite ${chosen}`);
  assert(client.link !== undefined && server.link !== undefined, "both are through");
  assert(client.link.suite.number === chosen, "the device's first that is accepted [ENV-13]");
  for (const part of ["linkId", "channelBinding", "serverId"] as const) {
    assert(hex(client.link[part]) === hex(server.link[part]), `${part} is the same [ENV-15]`);
  }
  assert(Buffer.concat(server.frames).toString() === "up", "up comes");
  assert(Buffer.concat(client.frames).toString() === "down", "down comes");
  const [up] = client.records.slice(2);
  const [down] = server.records.slice(1);
  assert(up !== undefined && down !== undefined, "both were sealed");
  reflected(meeting, up, "client");
  // Another link of the same parties shares nothing with this one.
  const other = pairOf({ ...meeting, name: `${meeting.name} again` });
  other.settle();
  const bindings = [client.link.channelBinding, other.at.client.link?.channelBinding];
  assert(hex(bindings[0] as Uint8Array) !== hex(bindings[1] as Uint8Array), "bindings differ");
  other.inject("server", up);
  other.settle();
  assert(other.at.server.frames.length === 0, "a record of another link does not open");
}

/** A record that comes back to its sender does not open: directions have keys of their own. */
function reflected(meeting: Meeting, up: Uint8Array, to: Side): void {
  const pair = pairOf(meeting);
  pair.settle();
  pair.inject(to, up);
  pair.settle();
  const code = pair.at[to].ends[0]?.because.code;
  assert(code === ErrorCode.ENVELOPE_RECORD_INVALID, `reflected: ${code} [ENV-6]`);
}

const meeting = fc.record({
  name: fc.string(),
  client: fc.constantFrom("node", "node", "noble"),
  server: fc.constantFrom("node", "node", "noble"),
  offers,
  accepted: offers,
  identity: identityIndex,
});

/** Honest links of all suites, identities and providers. */
export const envelopeAgree = property<Meeting>({
  name: "envelope-agree",
  title:
    "[ENV-13] [ENV-15] [ENV-30] both sides come to the same keys, which no other link or " +
    "direction has (P22)",
  smokeRuns: 30,
  kinds: ["no suite", ...ALL_SUITES.map((suite) => `suite ${suite}`)],
  arbitrary: meeting,
  start: (seen) => ({ check: (input) => agree(input, seen) }),
});

interface Tampering extends Meeting {
  readonly message: "hello" | "answer" | "finished";
  /** Of the record, header included. */
  readonly bit: number;
}

const CODES: Readonly<Record<number, string>> = {
  [ErrorCode.ENVELOPE_MALFORMED]: "malformed",
  [ErrorCode.ENVELOPE_SUITE_REFUSED]: "suite",
  [ErrorCode.ENVELOPE_KEY_INVALID]: "key",
  [ErrorCode.ENVELOPE_SIGNATURE_INVALID]: "signature",
  [ErrorCode.ENVELOPE_CONFIRM_INVALID]: "confirm",
  [ErrorCode.SERVER_IDENTITY_CHANGED]: "identity",
};

function tamper(tampering: Tampering, seen: Seen): void {
  const watched = {
    client: new WatchedCrypto(NATIVE_CRYPTO),
    server: new WatchedCrypto(NATIVE_CRYPTO),
  };
  const identity = IDENTITIES[tampering.identity] as ServerIdentity;
  const place = { hello: "client 0", answer: "server 0", finished: "client 1" }[tampering.message];
  let isFlipped = false;
  const pair = new Pair({
    name: tampering.name,
    crypto: { client: watched.client.provider, server: watched.server.provider },
    client: {
      suites: tampering.offers,
      expects: { kind: "pinned", serverIds: [identity.serverId] },
    },
    server: { identities: [identity], suites: ALL_SUITES },
    carry: (record, from, index) => {
      if (`${from} ${index}` !== place) return [record];
      const bit = tampering.bit % (record.length * 8);
      const flipped = Uint8Array.from(record);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      isFlipped = true;
      return [flipped];
    },
  });
  pair.client.write(Buffer.from("secret"));
  pair.settle();
  assert(isFlipped, "the message was sent");
  const { client, server } = pair.at;
  assert(server.link === undefined && server.frames.length === 0, "the service is not through");
  assert(watched.server.uses === 0, "no key is used before its confirm [ENV-18]");
  if (tampering.message !== "finished") {
    assert(client.link === undefined, "the device is not through [ENV-17]");
    assert(watched.client.uses === 0, "no key is used before its confirm [ENV-17]");
  }
  // A length that grew leaves one side waiting for more, until its time is over. [ENV-19]
  for (const side of ["client", "server"] as const) pair[side].elapsed(pair.nowMs + 10_000);
  pair.settle();
  judgeAlerts(pair, seen);
}

/** One side found the fault and said 40, once; the other one learned no more. [ENV-20] */
function judgeAlerts(pair: Pair, seen: Seen): void {
  const finders = (["client", "server"] as const).filter((side) => {
    const [first] = pair.at[side].ends;
    return first?.by === "us";
  });
  assert(finders.length >= 1, "somebody found it");
  for (const side of ["client", "server"] as const) {
    assert(pair.at[side].ends.length === 1, `${side} ended once`);
    const alerts = pair.at[side].records.filter(([type]) => type === 5).map(hex);
    const isFinder = finders.includes(side) && pair.at[side].link === undefined;
    assert(alerts.length === (isFinder ? 1 : 0), `${side} sent ${alerts.length} alerts [ENV-20]`);
    for (const alert of alerts) assert(alert === ALERT, `${alert} is no alert 40 [ENV-20]`);
    const code = pair.at[side].ends[0]?.because.code ?? 0;
    if (isFinder) seen(CODES[code] ?? "late");
  }
}

/** Type 5, version 1, no epoch, no number, two bytes: code 40. */
const ALERT = "05010000000000000000000000000002" + "0828";

/** Every bit of the handshake matters. */
export const envelopeTamper = property<Tampering>({
  name: "envelope-tamper",
  title:
    "[ENV-3] [ENV-12] [ENV-14] [ENV-16] [ENV-17] [ENV-18] [ENV-19] [ENV-20] [ENV-49] whatever " +
    "bit of a handshake is flipped, no key is used and one alert says nothing (P23, P35)",
  smokeRuns: 120,
  kinds: ["malformed", "key", "signature", "confirm", "identity", "late"],
  arbitrary: fc.record({
    name: fc.string(),
    client: fc.constant("node"),
    server: fc.constant("node"),
    offers,
    accepted: offers,
    identity: identityIndex,
    message: fc.constantFrom("hello", "answer", "finished"),
    // Signature and confirm stand at the end: bits are counted from both sides.
    bit: fc.oneof(fc.nat(400), fc.nat(70_000)),
  }),
  start: (seen) => ({ check: (input) => tamper(input, seen) }),
});
