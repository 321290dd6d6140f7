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
  const policy = { ...POLICY, nextServerId: NEXT.serverId };
  const server = { identities: [IDENTITY, NEXT] as const, policy };
  for (const { serverId } of [IDENTITY, NEXT]) {
    const expects = { kind: "pinned" as const, serverIds: [serverId] };
    const { link } = pairOf({ client: { expects }, server }).at.client;
    assert.ok(link !== undefined && equalBytes(link.serverId, serverId));
    assert.ok(equalBytes(link.policy.nextServerId, NEXT.serverId));
  }
  const both = { kind: "pinned" as const, serverIds: [IDENTITY.serverId, NEXT.serverId] };
  const after = pairOf({ client: { expects: both }, server: { identities: [NEXT] } });
  assert.equal(after.at.client.link?.trust, "pinned");
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

test("[ENV-4] [ENV-9] [FRM-4] nobody can have more kept than a frame before Ready has", () => {
  const RECORD_BYTES_MAX = 16 + 16_656;
  const content = Buffer.alloc(300_000, 7);
  for (const [from, to] of [
    ["client", "server"],
    ["server", "client"],
  ] as const) {
    const pair = pairOf({});
    pair[from].write(content);
    pair.settle();
    assert.deepEqual(Buffer.concat(pair.at[to].frames), content);
    const longest = Math.max(...pair.at[from].records.map(({ length }) => length));
    assert.equal(longest, RECORD_BYTES_MAX);
    const header = { type: "sealed", epoch: 1, seq: 0 } as const;
    pair.inject(to, encodeHeader({ ...header, bodyBytes: RECORD_BYTES_MAX - 15 }));
    pair.settle();
    assert.equal(pair.at[to].ends[0]?.because.code, ErrorCode.ENVELOPE_MALFORMED);
    assert.equal(pair.at[to].ends[0]?.because.requirement, "ENV-4");
  }
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

test("randomness of another length, and a ticket that is not there, are mistakes of the caller", () => {
  assert.throws(() => pairOf({ client: { randomness: new Uint8Array(95) } }), RangeError);
  assert.throws(() => pairOf({ server: { randomness: new Uint8Array(111) } }), RangeError);
  assert.throws(() => pairOf({ client: { ticketOnly: true } }), RangeError);
});
