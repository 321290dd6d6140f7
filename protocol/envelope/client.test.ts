import assert from "node:assert/strict";
import { test } from "node:test";
import { identityOf, Pair, type PairOptions, POLICY } from "../../fuzz/envelope/pair.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "./noble.ts";
import { equalBytes } from "./octets.ts";
import { clearRecord, encodeHeader } from "./records.ts";
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

/** A link over which a ticket came, and one record of the device that it has not sent yet. */
function withTicket() {
  const pair = pairOf({});
  pair.server.issueTicket("alice phone", new Uint8Array(16).fill(1), pair.nowMs);
  pair.settle();
  const [ticket] = pair.tickets;
  assert.ok(ticket !== undefined && pair.book.find(ticket.ticketId, pair.nowMs) !== undefined);
  return { pair, ticket };
}

const BREAKS: Readonly<Record<string, (record: Uint8Array) => Uint8Array>> = {
  "a type that is none": (record) => withByte(record, 0, 9),
  "another version": (record) => withByte(record, 1, 2),
  "no epoch": (record) => withByte(record, 3, 0),
  "a length that is none": (record) => withByte(record, 13, 0xff),
  "another number": (record) => withByte(record, 11, 99),
  "a changed text": (record) => withByte(record, 20, (record[20] as number) ^ 1),
  "a clear record": (record) => clearRecord("clientFinished", record.subarray(16)),
};

function withByte(record: Uint8Array, at: number, byte: number): Uint8Array {
  const copy = Uint8Array.from(record);
  copy[at] = byte;
  return copy;
}

for (const [what, bend] of Object.entries(BREAKS)) {
  for (const to of ["client", "server"] as const) {
    test(`[ENV-47] [ENV-76] tickets do not outlive a broken link: ${what} for the ${to}`, () => {
      const { pair, ticket } = withTicket();
      const from = to === "server" ? "client" : "server";
      pair[from].write(Uint8Array.of(1));
      const [write] = pair[from].effects();
      assert.ok(write?.kind === "write");
      pair.inject(to, bend(write.bytes));
      const dropped: Uint8Array[] = [];
      for (const effect of pair[to].effects()) {
        if (effect.kind === "revoke-ticket") pair.book.revoke(effect.ticketId);
        if (effect.kind === "drop-ticket") dropped.push(effect.ticketId);
        // The alert does not arrive: each side has to know by itself.
      }
      const isKept = pair.book.find(ticket.ticketId, pair.nowMs) !== undefined;
      assert.equal(isKept, to === "client");
      assert.deepEqual(dropped, to === "client" ? [ticket.ticketId] : []);
    });
  }
}

test("[ENV-47] [ENV-76] who is told by an alert drops the tickets too", () => {
  for (const to of ["client", "server"] as const) {
    const { pair, ticket } = withTicket();
    pair.inject(to, new Uint8Array(16).fill(9));
    pair.settle();
    assert.equal(pair.at[to === "client" ? "server" : "client"].ends.length, 1, "it was told");
    assert.deepEqual(pair.dropped, [ticket.ticketId]);
    assert.equal(pair.book.count, 0);
  }
});

test("[ENV-47] [ENV-76] a link that was cut, closed or too slow leaves its tickets", () => {
  const ends: readonly ((pair: Pair) => void)[] = [
    (pair) => {
      pair.client.ended();
      pair.server.ended();
    },
    (pair) => pair.client.close(),
    (pair) => pair.server.close(),
    (pair) => {
      pair.inject("server", Uint8Array.of(4, 1));
      pair.server.elapsed(pair.nowMs + 30_000);
    },
  ];
  for (const end of ends) {
    const { pair, ticket } = withTicket();
    end(pair);
    pair.settle();
    assert.ok(pair.client.closed && pair.server.closed);
    assert.deepEqual(pair.dropped, []);
    assert.ok(pair.book.find(ticket.ticketId, pair.nowMs));
  }
});

test("[LNK-6] [ENV-60] a record that does not end in its time ends the link, in order", () => {
  for (const to of ["client", "server"] as const) {
    const pair = pairOf({ server: { recordMs: 5_000 } });
    const recordMs = to === "server" ? 5_000 : 30_000;
    const other = to === "server" ? "client" : "server";
    pair[other].write(new Uint8Array(100));
    const [write] = pair[other].effects();
    assert.ok(write?.kind === "write");
    const idleMs = pair[to].deadlineMs();
    pair[to].received(write.bytes.subarray(0, 1), pair.nowMs + 1_000);
    const deadlineMs = pair.nowMs + 1_000 + recordMs;
    assert.equal(pair[to].deadlineMs(), deadlineMs);
    // More of it gives it no more time.
    pair[to].received(write.bytes.subarray(1, 50), deadlineMs - 1);
    pair[to].elapsed(deadlineMs - 1);
    assert.ok(!pair[to].closed);
    if (to === "client") {
      pair[to].received(write.bytes.subarray(50), deadlineMs - 1);
      assert.equal(pair[to].deadlineMs(), idleMs, "it has ended");
      continue;
    }
    pair[to].elapsed(deadlineMs);
    pair.settle();
    const [end] = pair.at[to].ends;
    assert.equal(end?.because.code, ErrorCode.TOO_SLOW);
    assert.equal(end?.because.requirement, "ENV-60");
    assert.equal(pair.at[other].ends[0]?.because.code, ErrorCode.GOODBYE);
  }
});

test("[ENV-60] each record has its own time", () => {
  const pair = pairOf({});
  const records = [1, 2].map((byte) => {
    pair.client.write(new Uint8Array(100).fill(byte));
    const [write] = pair.client.effects();
    assert.ok(write?.kind === "write");
    return write.bytes;
  });
  const [first, second] = records as [Uint8Array, Uint8Array];
  const { nowMs } = pair;
  pair.server.received(first.subarray(0, 9), nowMs);
  const joined = Buffer.concat([first.subarray(9), second.subarray(0, 9)]);
  pair.server.received(joined, nowMs + 29_000);
  assert.equal(pair.server.deadlineMs(), nowMs + 29_000 + 30_000);
});

test("randomness of another length, and a ticket that is not there, are mistakes of the caller", () => {
  assert.throws(() => pairOf({ client: { randomness: new Uint8Array(95) } }), RangeError);
  assert.throws(() => pairOf({ server: { randomness: new Uint8Array(111) } }), RangeError);
  assert.throws(() => pairOf({ client: { ticketOnly: true } }), RangeError);
});
