import assert from "node:assert/strict";
import { test } from "node:test";
import { identityOf, Pair, type PairOptions, POLICY } from "../../fuzz/envelope/pair.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "./noble.ts";
import { equalBytes } from "./octets.ts";
import { encodeHeader } from "./records.ts";
import { SUITE_RSA_AES128, SUITE_XWING_AES256, SUITE_XWING_CHACHA20 } from "./suites.ts";

const CRYPTO = { client: NOBLE_CRYPTO, server: NATIVE_CRYPTO };
const IDENTITY = identityOf(NATIVE_CRYPTO, "service");
const NEXT = identityOf(NATIVE_CRYPTO, "next", true);

function pairOf(options: Partial<PairOptions>): Pair {
  const pair = new Pair({ name: "test", crypto: CRYPTO, ...options });
  pair.settle();
  return pair;
}

test("[ENV-33] a service with two identities answers with the one that is pinned", () => {
  const server = { identities: [IDENTITY, NEXT] as const };
  for (const { serverId } of [IDENTITY, NEXT]) {
    const expects = { kind: "pinned" as const, serverIds: [serverId] };
    const { link } = pairOf({ client: { expects }, server }).at.client;
    assert.ok(link !== undefined && equalBytes(link.serverId, serverId));
  }
  const both = { kind: "pinned" as const, serverIds: [IDENTITY.serverId, NEXT.serverId] };
  const after = pairOf({ client: { expects: both }, server: { identities: [NEXT] } });
  assert.equal(after.at.client.link?.trust, "pinned");
});

test("[ENV-71] under a former identity a service announces the present one", () => {
  const newest = identityOf(NATIVE_CRYPTO, "newest");
  const policy = { ...POLICY, nextServerId: newest.serverId };
  const server = { identities: [NEXT, IDENTITY] as const, policy };
  for (const [asked, announced] of [
    [IDENTITY, NEXT],
    [NEXT, newest],
  ] as const) {
    const expects = { kind: "pinned" as const, serverIds: [asked.serverId] };
    const { client, server: service } = pairOf({ client: { expects }, server }).at;
    for (const link of [client.link, service.link]) {
      assert.deepEqual(link?.policy, { ...POLICY, nextServerId: announced.serverId });
    }
  }
});

test("[ENV-34] a promise is remembered: nothing weaker is offered, nothing less is taken", () => {
  const suites = [SUITE_RSA_AES128, SUITE_XWING_AES256];
  const promised = { ...POLICY, minSuite: SUITE_XWING_AES256 };
  const kept = pairOf({
    client: { suites, minSuite: SUITE_XWING_CHACHA20 },
    server: { policy: promised },
  });
  assert.equal(kept.at.client.link?.suite.number, SUITE_XWING_AES256);
  const lowered = pairOf({ client: { suites, minSuite: SUITE_XWING_AES256 } });
  assert.equal(lowered.at.client.ends[0]?.because.code, ErrorCode.ENVELOPE_DOWNGRADED);
  const weak = { suites: [SUITE_RSA_AES128], minSuite: SUITE_XWING_AES256 };
  assert.throws(() => pairOf({ client: weak }), /no suite to offer/);
});

test("[ENV-26] suites that nobody knows are passed over, on both sides", () => {
  const suites = [0x0101, 0x7777, SUITE_XWING_CHACHA20];
  const pair = pairOf({ client: { suites }, server: { suites } });
  assert.equal(pair.at.server.link?.suite.number, SUITE_XWING_CHACHA20);
  const alone = pairOf({ server: { suites: [0x0101] } });
  assert.equal(alone.at.server.ends[0]?.because.code, ErrorCode.ENVELOPE_SUITE_REFUSED);
});

test("[ENV-41] a link ends in order when its time is over", () => {
  const pair = pairOf({ server: { policy: { ...POLICY, lifetimeS: 60 } } });
  assert.equal(pair.client.deadlineMs(), pair.nowMs + 60_000);
  pair.client.elapsed(pair.nowMs + 59_999);
  pair.settle();
  assert.ok(!pair.client.closed);
  pair.client.elapsed(pair.nowMs + 60_000);
  pair.settle();
  assert.equal(pair.at.client.ends[0]?.because.code, ErrorCode.ENVELOPE_LIMIT_REACHED);
  assert.equal(pair.at.server.ends[0]?.because.code, ErrorCode.GOODBYE);
  assert.equal(pair.server.deadlineMs(), Number.POSITIVE_INFINITY);
});

test("[ENV-52] what was written is never sent in the clear, whatever becomes of the handshake", () => {
  const secret = Buffer.from("a very secret sentence that is easy to find");
  for (const suites of [[SUITE_XWING_AES256], [0x7777]]) {
    const pair = new Pair({ name: "clear", crypto: CRYPTO, server: { suites } });
    pair.client.write(secret);
    pair.settle();
    pair.client.write(secret);
    pair.settle();
    const sent = Buffer.concat([...pair.at.client.records, ...pair.at.server.records]);
    assert.equal(sent.indexOf(secret), -1);
  }
});

test("[ENV-39] asked for a new key, the other side gives one, once", () => {
  const pair = pairOf({});
  pair.client.updateKeys();
  pair.settle();
  pair.client.write(Uint8Array.of(1));
  pair.server.write(Uint8Array.of(2));
  pair.settle();
  const epochs = [pair.at.client, pair.at.server].map(({ records }) => {
    return records.filter(([type]) => type === 4).map((record) => record[3]);
  });
  assert.deepEqual(epochs, [
    [1, 2],
    [1, 2],
  ]);
});

test("[ENV-42] a ticket comes when the service says whose the link is", () => {
  const pair = pairOf({});
  pair.server.issueTicket("alice phone", new Uint8Array(16).fill(1), pair.nowMs);
  pair.settle();
  assert.equal(pair.tickets.length, 1);
  assert.equal(pair.book.count, 1);
  assert.throws(
    () => pair.server.issueTicket("alice phone", new Uint8Array(15), pair.nowMs),
    RangeError,
  );
});

/** A link whose device has a ticket of it. */
function ticketed(): Pair {
  const pair = pairOf({});
  pair.server.issueTicket("alice phone", new Uint8Array(16).fill(1), pair.nowMs);
  pair.settle();
  return pair;
}

const FAULTS: Readonly<Record<string, (pair: Pair) => void>> = {
  "a record that does not open": (pair) => {
    const header = encodeHeader({ type: "sealed", epoch: 1, seq: 1, bodyBytes: 80 });
    pair.inject("client", Buffer.concat([header, new Uint8Array(80)]));
  },
  "a header that is none": (pair) => pair.inject("client", new Uint8Array(16).fill(9)),
  "a record that is too long": (pair) => {
    const bodyBytes = 2 ** 21;
    pair.inject("client", encodeHeader({ type: "sealed", epoch: 1, seq: 1, bodyBytes }));
  },
  "the service's sealed alert": (pair) => pair.inject("server", new Uint8Array(16).fill(9)),
};
for (const [what, happens] of Object.entries(FAULTS)) {
  test(`[ENV-76] a link's tickets go with it: ${what}`, () => {
    const pair = ticketed();
    happens(pair);
    pair.settle();
    assert.ok(pair.client.closed);
    assert.deepEqual(pair.dropped, [new Uint8Array(16).fill(1)]);
  });
}

test("[ENV-76] the tickets of a link that was cut, or ended in order, are for the next one", () => {
  for (const end of [
    (pair: Pair) => pair.client.ended(),
    (pair: Pair) => pair.client.close(),
    (pair: Pair) => pair.server.close(),
    (pair: Pair) => pair.client.elapsed(pair.client.deadlineMs()),
  ]) {
    const pair = ticketed();
    end(pair);
    pair.settle();
    assert.ok(pair.client.closed);
    assert.deepEqual(pair.dropped, []);
  }
});

test("randomness of another length, and a ticket that is not there, are mistakes of the caller", () => {
  assert.throws(() => pairOf({ client: { randomness: new Uint8Array(95) } }), RangeError);
  assert.throws(() => pairOf({ server: { randomness: new Uint8Array(111) } }), RangeError);
  assert.throws(() => pairOf({ client: { ticketOnly: true } }), RangeError);
});
