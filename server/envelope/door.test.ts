import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { CLIENT_RANDOMNESS_BYTES, ClientEnvelope } from "../../protocol/envelope/client.ts";
import { ServerIdentity } from "../../protocol/envelope/identity.ts";
import { SUITE_RSA_AES128, SUITE_XWING_AES256 } from "../../protocol/envelope/suites.ts";
import type { AcceptedLink } from "../../protocol/link.ts";
import { Alarms } from "../sessions/alarms.ts";
import { type DoorRules, type EnvelopeContext, envelopeDoor } from "./door.ts";
import { HandshakeBudget } from "./handshake-budget.ts";

const RECORD_ALERT = 5;
const identity = new ServerIdentity(NATIVE_CRYPTO, {
  ed25519: NATIVE_CRYPTO.ed25519Key(new Uint8Array(32)),
});

/** A door with a clock by hand, and what happens at it. */
function doorWith(rules: Partial<DoorRules>) {
  let nowMs = 0;
  let ring: (() => void) | undefined;
  const alarms = new Alarms({
    nowMs: () => nowMs,
    timer: (_, callback) => {
      ring = callback;
      return () => {};
    },
  });
  const refusals: ErrorCode[] = [];
  const context: EnvelopeContext = {
    identities: [identity],
    suites: [SUITE_XWING_AES256],
    policy: {
      minSuite: SUITE_RSA_AES128,
      rekeyRecords: 2 ** 20,
      rekeyBytes: 2 ** 30,
      lifetimeS: 60,
      nextServerId: new Uint8Array(0),
    },
    allowsTicketOnly: false,
    recordMs: 30_000,
    tickets: {
      keep: () => {},
      find: async () => undefined,
      take: async () => false,
      failed: () => {},
      revoke: () => {},
    },
    alarms,
    observer: {
      established: () => {},
      refused: (_, { code }) => void refusals.push(code),
      failed: (where) => assert.fail(where),
    },
  };
  const sessions: AcceptedLink[] = [];
  const all = { envelope: "allowed", clearLinks: false, handshakeMs: 1_000, ...rules } as const;
  const accept = envelopeDoor(all, context, (link) => {
    sessions.push(link);
    return { received: () => {}, drained: () => {}, closed: () => {} };
  });
  const link = (part: Partial<AcceptedLink> = {}) => {
    const written: Uint8Array[] = [];
    const closes: ErrorCode[] = [];
    const handler = accept({
      kind: "tcp",
      peer: "192.0.2.1",
      isTls: false,
      write: (bytes) => written.push(bytes) > 0,
      close: (code) => void closes.push(code),
      ...part,
    });
    return { handler, written, closes };
  };
  const elapse = (ms: number) => {
    nowMs += ms;
    ring?.();
  };
  return { link, elapse, sessions, refusals };
}

const FRAME = Uint8Array.of(2, 0x1a, 0);
const RECORD = Uint8Array.of(1, 1, 0, 0);

test("[ENV-48] the first byte alone says whether a link is sealed", () => {
  const { link, sessions } = doorWith({ clearLinks: true });
  const clear = link();
  clear.handler.received(new Uint8Array(0));
  assert.equal(sessions.length, 0, "nothing has come");
  clear.handler.received(FRAME.subarray(0, 1));
  assert.equal(sessions.length, 1);
  const sealed = link();
  sealed.handler.received(RECORD);
  sealed.handler.received(FRAME);
  assert.equal(sessions.length, 1, "it stays sealed, whatever comes");
});

test("[ENV-53] clear links are taken over TLS, from this machine, or as the operator says", () => {
  const cases = [
    [{}, {}, false],
    [{}, { isTls: true }, true],
    [{}, { peer: "127.0.0.1" }, true],
    [{}, { peer: "::ffff:127.0.0.1" }, true],
    [{ clearLinks: true }, {}, true],
    [{ envelope: "off" }, {}, false],
    [{ envelope: "off", clearLinks: true }, {}, true],
    [{ envelope: "required", clearLinks: true }, {}, false],
    [{ envelope: "required" }, { isTls: true }, false],
    [{ envelope: "required" }, { peer: "127.0.0.1" }, false],
  ] as const;
  for (const [rules, part, isTaken] of cases) {
    const { link, sessions, refusals } = doorWith(rules);
    link(part).handler.received(FRAME);
    assert.equal(sessions.length, isTaken ? 1 : 0, JSON.stringify([rules, part]));
    assert.deepEqual(refusals, isTaken ? [] : [ErrorCode.ENVELOPE_REQUIRED]);
  }
});

test("[SES-1] a link of which nothing comes is closed in time", async () => {
  const { link, elapse } = doorWith({});
  const { closes, written } = link();
  elapse(1_100);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(closes, [ErrorCode.TOO_SLOW]);
  assert.equal(written.length, 1, "in words");
});

/** How many of so many handshakes an address gets. */
const taker = (budget: HandshakeBudget) => (address: string, nowMs: number, count: number) =>
  Array.from({ length: count }, () => budget.take(address, nowMs)).filter(Boolean).length;

test("[ENV-54] an address has its share of handshakes, and others have theirs", () => {
  const taken = taker(new HandshakeBudget());
  assert.equal(taken("a", 0, 150), 100);
  assert.equal(taken("b", 0, 50), 50);
  assert.equal(taken("a", 1_000, 150), 20, "some come back each second");
  assert.equal(taken("a", 3_600_000, 150), 100, "and never more than a burst");
});

test("[ENV-54] the addresses behind one prefix of IPv6 are one", () => {
  const budget = new HandshakeBudget();
  const addresses = Array.from({ length: 5_000 }, (_, index) => `2001:db8::${index.toString(16)}`);
  assert.equal(addresses.filter((address) => budget.take(address, 0)).length, 100);
  assert.ok(budget.take("2001:db8:0:1::1", 0), "its neighbour is another one");
  assert.equal(taker(budget)("::ffff:192.0.2.1", 0, 60) + taker(budget)("192.0.2.1", 0, 60), 100);
});

test("[ENV-54] all addresses together have their share, and it comes back", () => {
  const budget = new HandshakeBudget();
  const flood = (nowMs: number) =>
    Array.from({ length: 9_000 }, (_, index) => budget.take(`x${index}`, nowMs)).filter(Boolean);
  assert.equal(flood(0).length, 2_000);
  assert.equal(flood(1_000).length, 500);
  const fresh = new HandshakeBudget();
  assert.equal(taker(fresh)("a", 0, 100_000), 100);
  for (let index = 0; index < 1_900; index += 1) {
    assert.ok(fresh.take(`x${index}`, 0), "what one was refused costs the others nothing");
  }
});

test("[ENV-54] an address that has spent its share does not get it anew by others' number", () => {
  const budget = new HandshakeBudget();
  const taken = taker(budget);
  assert.equal(taken("a", 0, 150), 100);
  for (let index = 0; index < 50_000; index += 1) budget.take(`x${index}`, 0);
  assert.ok(budget.count <= 10_000, "it remembers no more than so many");
  assert.equal(taken("a", 10, 150), 0);
  assert.ok(taken("new", 1_000, 150) > 0, "nobody is locked out by it");
  assert.ok(budget.count < 10_000, "what is full again is forgotten");
});

test("[ENV-19] [ENV-61] a sealed link's times count from its opening, not one after another", async () => {
  const { link, elapse, sessions, refusals } = doorWith({ handshakeMs: 12_000 });
  // What came before the door took nine of the ten seconds, the first byte takes half of the last.
  const openedMs = -9_000;
  const late = link({ openedMs });
  const inTime = link({ openedMs });
  elapse(500);
  const device = new ClientEnvelope(
    NATIVE_CRYPTO,
    {
      suites: [SUITE_XWING_AES256],
      expects: { kind: "none" },
      randomness: new Uint8Array(CLIENT_RANDOMNESS_BYTES),
    },
    0,
  );
  const said = () => {
    const written = device.effects().flatMap((effect) => (effect.kind === "write" ? [effect] : []));
    return Buffer.concat(written.map(({ bytes }) => bytes));
  };
  const hello = said();
  late.handler.received(hello.subarray(0, 1));
  inTime.handler.received(hello);
  for (const bytes of inTime.written) device.received(bytes, 0);
  inTime.handler.received(said());
  assert.deepEqual(
    sessions.map((session) => session.openedMs),
    [openedMs],
  );
  elapse(600);
  assert.equal(late.written[0]?.[0], RECORD_ALERT);
  late.handler.closed(ErrorCode.LINK_LOST, "");
  assert.deepEqual(refusals, [ErrorCode.TOO_SLOW]);
  // Of which nothing comes at all: the door's own time.
  const silent = link({ openedMs: -11_000 });
  elapse(100);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(silent.closes, [ErrorCode.TOO_SLOW]);
});

test("[ENV-20] [ENV-54] beyond its share a handshake is refused as by any fault of one", () => {
  const { link } = doorWith({});
  const answers = Array.from({ length: 101 }, () => {
    const { handler, written } = link();
    handler.received(RECORD);
    return written[0]?.[0];
  });
  assert.deepEqual(answers.slice(0, 100), new Array(100).fill(undefined), "they go on");
  assert.equal(answers[100], RECORD_ALERT);
});
