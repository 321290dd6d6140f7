import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ChatNet,
  type ChatNode,
  PARAMETERS,
  type Packet,
  START_MS,
  TERMS,
  textsOf,
  toldOf,
} from "../../fuzz/secure/chat-net.ts";
import { TestAccount } from "../../fuzz/secure/devices.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../envelope/noble.ts";
import { SecureChats } from "./chats.ts";

function pair(net = new ChatNet()) {
  const [alice, bob] = [net.add("alice", "phone"), net.add("bob", "laptop")];
  return { net, alice, bob };
}

const codesOf = (node: ChatNode, kind: "refused" | "closed") =>
  toldOf(node, kind).map(({ because }) => because.code);
const requirementsOf = (node: ChatNode, kind: "refused" | "closed") =>
  toldOf(node, kind).map(({ because }) => because.requirement);

for (const crypto of [NATIVE_CRYPTO, NOBLE_CRYPTO]) {
  test(`[SEC-15] [SEC-16] two devices find each other and talk, by ${crypto.name}`, () => {
    const { net, alice, bob } = pair(new ChatNet(crypto));
    const sessionId = net.offer(alice, bob);
    net.settle();
    for (const [node, other] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const [open, ...more] = toldOf(node, "open");
      assert.deepEqual(open?.sessionId, sessionId);
      assert.deepEqual(open?.peer.fingerprint, other.own.fingerprint);
      assert.equal(open?.peer.userId, other.own.userId);
      assert.equal(more.length, 0);
    }
    net.say(alice, sessionId, "good morning");
    net.settle();
    net.say(bob, sessionId, "good evening");
    net.settle();
    assert.deepEqual([textsOf(alice), textsOf(bob)], [["good evening"], ["good morning"]]);
    net.close(alice, sessionId);
    net.settle();
    assert.deepEqual(
      [codesOf(alice, "closed"), codesOf(bob, "closed")],
      [[ErrorCode.GOODBYE], [ErrorCode.GOODBYE]],
    );
    assert.equal(alice.chats.deadlineMs(), Number.POSITIVE_INFINITY);
    assert.equal(bob.chats.stateOf(sessionId), "none");
  });
}

test("[SEC-18] what is in force is the lesser of both, and franking only if both want it", () => {
  const net = new ChatNet();
  const alice = net.add("alice", "phone");
  const bob = net.add("bob", "laptop", { ...PARAMETERS, rekeyMessages: 8, franking: true });
  net.offer(alice, bob, { ...TERMS, parameters: { ...PARAMETERS, lifetimeS: 60 } });
  net.settle();
  const expected = { ...PARAMETERS, rekeyMessages: 8, lifetimeS: 60 };
  assert.deepEqual(toldOf(alice, "open")[0]?.parameters, expected);
  assert.deepEqual(toldOf(bob, "open")[0]?.parameters, expected);
});

test("[SEC-24] nobody sends or delivers before the handshake is over on its side", () => {
  const { net, alice, bob } = pair();
  const sessionId = net.offer(alice, bob);
  const content = { sentMs: 1, lifetimeS: 0, kind: { case: "text", value: "x" } } as const;
  const refused = (node: ChatNode) => node.chats.send(sessionId, content, net.at(node));
  assert.equal(refused(alice).kind, "refused");
  net.arrive(net.packets.shift() as Packet);
  assert.equal(bob.chats.stateOf(sessionId), "half-open");
  assert.equal(refused(bob).kind, "refused");
  net.arrive(net.packets.shift() as Packet);
  net.say(alice, sessionId, "too early");
  const [confirm, message] = net.packets as [Packet, Packet];
  net.packets = [];
  net.arrive(message);
  assert.deepEqual(codesOf(bob, "refused"), [ErrorCode.SECURE_NOT_OPEN]);
  net.arrive(confirm);
  assert.equal(bob.chats.stateOf(sessionId), "open");
  net.arrive(message);
  assert.deepEqual(textsOf(bob), ["too early"]);
});

test("[SEC-28] [SEC-30] nothing of a handshake works a second time", () => {
  const { net, alice, bob } = pair();
  const sessionId = net.offer(alice, bob);
  net.settle();
  const heard = () => [alice, bob].map((node) => toldOf(node, "open").length);
  const again = () => {
    for (const packet of [...net.log]) net.arrive(packet);
    assert.deepEqual(heard(), [1, 1]);
    assert.equal(net.packets.length, 0, "nothing is answered");
  };
  again();
  assert.deepEqual(codesOf(alice, "refused"), [ErrorCode.SECURE_REPLAYED]);
  assert.deepEqual(codesOf(bob, "refused"), [ErrorCode.SECURE_REPLAYED, ErrorCode.SECURE_REPLAYED]);
  net.say(alice, sessionId, "still there");
  net.settle();
  assert.deepEqual(textsOf(bob), ["still there"]);
  net.close(bob, sessionId);
  net.settle();
  again();
  net.elapse(4_000_000);
  again();
  assert.equal(codesOf(bob, "refused").at(-3), ErrorCode.SECURE_EXPIRED);
});

test("[SEC-26] a changed packet opens nothing, and the right one still does", () => {
  const { net, alice, bob } = pair();
  const sessionId = net.offer(alice, bob);
  while (net.packets.length > 0) {
    const packet = net.packets.shift() as Packet;
    const step = Math.ceil(packet.bytes.length / 48);
    for (let at = 0; at < packet.bytes.length; at += step) {
      const bytes = Uint8Array.from(packet.bytes);
      bytes[at] = (bytes[at] as number) ^ 0x10;
      net.arrive({ ...packet, bytes });
      net.arrive({ ...packet, bytes: packet.bytes.subarray(0, at) });
      assert.equal(net.packets.length, 0, `byte ${at}: nothing is answered`);
    }
    net.arrive(packet);
  }
  assert.deepEqual(
    [alice, bob].map(({ chats }) => chats.stateOf(sessionId)),
    ["open", "open"],
  );
  assert.equal(toldOf(bob, "accepted").length, 1);
});

test("[SEC-31] a packet of somebody else is not taken, whatever it says", () => {
  const { net, alice, bob } = pair();
  const eve = net.add("eve", "laptop");
  const { userId, deviceId } = eve.own;
  const sessionId = net.offer(alice, bob);
  while (net.packets.length > 0) {
    const packet = net.packets.shift() as Packet;
    const opened = () => [alice, bob].map((node) => toldOf(node, "open").length);
    const before = opened();
    net.arrive({ ...packet, from: { userId, deviceId } });
    assert.equal(net.packets.length, 0);
    assert.deepEqual(opened(), before);
    net.arrive(packet);
  }
  net.say(bob, sessionId, "to alice");
  const packet = net.packets.shift() as Packet;
  net.arrive({ ...packet, from: { userId, deviceId } });
  net.arrive({ ...packet, to: eve.own });
  assert.deepEqual([textsOf(alice), textsOf(eve)], [[], []]);
  net.arrive(packet);
  assert.deepEqual(textsOf(alice), ["to alice"]);
});

test("[SEC-29] of two offers that cross one stands, in every order", () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ] as const) {
    const { net, alice, bob } = pair();
    const offered = [net.offer(alice, bob), net.offer(bob, alice)] as const;
    const packets = net.packets;
    net.packets = [];
    for (const index of order) net.arrive(packets[index] as Packet);
    net.settle();
    const first = Buffer.compare(alice.own.fingerprint, bob.own.fingerprint) < 0 ? 0 : 1;
    for (const node of [alice, bob]) {
      assert.deepEqual(
        toldOf(node, "open").map(({ sessionId }) => sessionId),
        [offered[first]],
      );
    }
    assert.deepEqual(requirementsOf([bob, alice][first] as ChatNode, "closed"), ["SEC-29"]);
  }
});

test("[SEC-29] an offer that nobody signed does not end ours", () => {
  const { net, alice, bob } = pair();
  net.offer(alice, bob);
  net.offer(bob, alice);
  const forged = net.packets.map((packet) => {
    const bytes = Uint8Array.from(packet.bytes);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    return { ...packet, bytes };
  });
  net.packets = [];
  for (const packet of forged) net.arrive(packet);
  assert.deepEqual([codesOf(alice, "closed"), codesOf(bob, "closed")], [[], []]);
  assert.deepEqual(
    [toldOf(alice, "refused"), toldOf(bob, "refused")].map(({ length }) => length),
    [1, 1],
  );
});

test("[SEC-27] few handshakes are half open, of a device and of all", () => {
  const net = new ChatNet();
  const bob = net.add("bob", "laptop");
  const others = ["a", "b", "c", "d", "e"].map((name) => net.add(name, "phone"));
  for (const node of others) for (let count = 0; count < 2; count += 1) net.offer(node, bob);
  const [first] = others as [ChatNode];
  assert.equal(first.chats.offer(bob.own, TERMS, net.at(first)).kind, "refused");
  const offers = net.packets;
  net.packets = [];
  for (const packet of offers) net.arrive(packet);
  const half = toldOf(bob, "accepted").filter(
    ({ sessionId }) => bob.chats.stateOf(sessionId) === "half-open",
  );
  assert.deepEqual(half.map(({ peer }) => peer.userId).sort(), [..."abccddee"]);
  assert.deepEqual(requirementsOf(bob, "closed"), ["SEC-27", "SEC-27"]);
  net.elapse(TERMS.ttlS * 1000 + 300_000);
  assert.equal(codesOf(bob, "closed").length, 10);
  assert.equal(bob.chats.deadlineMs(), Number.POSITIVE_INFINITY);
});

test("[SEC-27] a device that begins anew is not kept out by what it began before", () => {
  const net = new ChatNet();
  let alice = net.add("alice", "phone");
  const bob = net.add("bob", "laptop");
  for (let count = 0; count < 5; count += 1) {
    net.offer(alice, bob);
    net.arrive(net.packets.pop() as Packet);
    if (count < 4) alice = net.restart(alice);
  }
  net.settle();
  assert.equal(toldOf(alice, "open").length, 1);
  assert.equal(toldOf(bob, "open").length, 1);
  assert.deepEqual(requirementsOf(bob, "closed"), ["SEC-27", "SEC-27", "SEC-27"]);
});

test("[SEC-29] the offer that stands is sent again to a device that begins anew", () => {
  const both = pair();
  const { net } = both;
  const isAlice = Buffer.compare(both.alice.own.fingerprint, both.bob.own.fingerprint) < 0;
  const [first, second] = isAlice ? [both.alice, both.bob] : [both.bob, both.alice];
  net.offer(first, second);
  // It took the offer, and knows nothing of it any more.
  net.packets = [];
  const again = net.restart(second);
  net.offer(again, first);
  net.settle();
  assert.deepEqual(requirementsOf(first, "refused"), ["SEC-29"]);
  assert.equal(toldOf(first, "open").length, 1);
  assert.equal(toldOf(again, "open").length, 1);
});

test("[SEC-29] an offer is not sent again without end", () => {
  const both = pair();
  const { net } = both;
  const isAlice = Buffer.compare(both.alice.own.fingerprint, both.bob.own.fingerprint) < 0;
  const [first, second] = isAlice ? [both.alice, both.bob] : [both.bob, both.alice];
  net.offer(first, second);
  const [offer] = net.packets as [Packet];
  let other = second;
  for (let count = 0; count < 20; count += 1) {
    net.packets = [];
    other = net.restart(other);
    net.offer(other, first);
    net.arrive(net.packets.splice(0)[0] as Packet);
  }
  const repeats = net.log.filter(({ bytes }) => Buffer.compare(bytes, offer.bytes) === 0);
  assert.equal(repeats.length, 1 + 3);
});

test("[SEC-22] offers hold for their time, and clocks may differ by five minutes", () => {
  const opens = (skewMs: number, laterMs: number) => {
    const { net, alice, bob } = pair();
    net.offer(alice, bob, { ...TERMS, ttlS: 60 });
    bob.skewMs = skewMs;
    net.nowMs += laterMs;
    net.settle();
    return toldOf(bob, "open").length === 1;
  };
  assert.ok(opens(0, 0));
  assert.ok(opens(-300_000, 0));
  assert.ok(!opens(-300_001, 0));
  assert.ok(opens(300_000, 59_999));
  assert.ok(!opens(300_000, 60_000));
  assert.ok(!opens(0, 60_000), "by the offering device's own clock");
});

test("[SEC-22] a confirm that comes too late opens nothing", () => {
  const { net, alice, bob } = pair();
  const sessionId = net.offer(alice, bob, { ...TERMS, ttlS: 60 });
  net.arrive(net.packets.shift() as Packet);
  net.arrive(net.packets.shift() as Packet);
  net.elapse(360_000);
  assert.deepEqual(codesOf(bob, "closed"), [ErrorCode.SECURE_EXPIRED]);
  net.settle();
  assert.equal(toldOf(bob, "open").length, 0);
  assert.equal(alice.chats.stateOf(sessionId), "open", "which it cannot know");
});

test("[SEC-11] another account key than before stops everything with its user", () => {
  const { net, alice, bob } = pair();
  const sessionId = net.offer(alice, bob);
  net.settle();
  const account = net.accounts.get("bob") as TestAccount;
  account.continuity = "changed";
  net.offer(alice, bob);
  assert.deepEqual(codesOf(alice, "closed"), [
    ErrorCode.PEER_IDENTITY_CHANGED,
    ErrorCode.PEER_IDENTITY_CHANGED,
  ]);
  assert.equal(alice.chats.stateOf(sessionId), "none");
  net.packets = [];
  net.offer(bob, alice);
  net.settle();
  assert.deepEqual(codesOf(alice, "refused"), [ErrorCode.PEER_IDENTITY_CHANGED]);
});

test("[SEC-32] a directory that lies, or says nothing, gets no chat", () => {
  const closes = (bend: (net: ChatNet) => void) => {
    const { net, alice, bob } = pair();
    bend(net);
    net.offer(alice, bob);
    net.offer(bob, alice);
    net.settle();
    assert.equal(toldOf(alice, "open").length, 0);
    return [...codesOf(alice, "closed"), ...codesOf(alice, "refused")];
  };
  const bobs = (net: ChatNet) => net.accounts.get("bob") as TestAccount;
  assert.deepEqual(
    closes((net) => bobs(net).devices.pop()),
    [ErrorCode.SECURE_PEER_UNKNOWN, ErrorCode.SECURE_PEER_UNKNOWN],
  );
  const unsigned = [ErrorCode.CERTIFICATE_INVALID, ErrorCode.CERTIFICATE_INVALID];
  const resigned = new TestAccount("bob", "somebody's account");
  resigned.add("laptop", START_MS);
  assert.deepEqual(
    closes((net) => bobs(net).devices.splice(0, 1, ...resigned.devices)),
    unsigned,
  );
  const elsewhere = new TestAccount("carol", "bob account");
  elsewhere.add("laptop", START_MS);
  const [first] = closes((net) => bobs(net).devices.splice(0, 1, ...elsewhere.devices));
  assert.equal(first, ErrorCode.CERTIFICATE_INVALID, "of the same account key, but another user");
});

test("[SEC-32] who waits for the directory does not wait for ever", () => {
  const { net, alice, bob } = pair();
  const sessionId = net.offer(bob, alice);
  net.answers = false;
  net.settle();
  net.offer(alice, bob);
  assert.equal(toldOf(alice, "look-up").length, 1, "one question for both");
  net.elapse(60_000);
  assert.deepEqual(requirementsOf(alice, "closed"), ["SEC-32"]);
  assert.deepEqual(requirementsOf(alice, "refused"), ["SEC-32"]);
  net.answers = true;
  for (const packet of net.log) net.arrive(packet);
  net.settle();
  assert.equal(alice.chats.stateOf(sessionId), "open", "and it was no replay");
});

test("[SEC-34] a device that begins again and again has few sessions", () => {
  const { net, alice, bob } = pair();
  const all = [0, 1, 2, 3, 4].map(() => {
    const sessionId = net.offer(alice, bob);
    net.settle();
    return sessionId;
  });
  for (const node of [alice, bob]) {
    const states = all.map((sessionId) => node.chats.stateOf(sessionId));
    assert.deepEqual(states, ["none", "open", "open", "open", "open"]);
  }
});

test("[SEC-35] a device that is taken out of its directory is closed at its peers", () => {
  const { net, alice, bob } = pair();
  const sessionId = net.offer(alice, bob);
  net.settle();
  net.resolve(alice, "bob");
  assert.equal(alice.chats.stateOf(sessionId), "open");
  net.accounts.get("bob")?.devices.pop();
  net.resolve(alice, "bob");
  assert.equal(alice.chats.stateOf(sessionId), "none");
  assert.deepEqual(requirementsOf(alice, "closed"), ["SEC-35"]);
});

test("[SEC-23] what comes with an input is zero afterwards", () => {
  const { net, alice, bob } = pair();
  const at = net.at(alice);
  alice.chats.offer(bob.own, TERMS, at);
  assert.ok(at.entropy.every((byte) => byte === 0));
});

test("[SEC-17] a device has no chat with itself, and what only a bug asks for throws", () => {
  const { net, alice, bob } = pair();
  assert.equal(alice.chats.offer(alice.own, TERMS, net.at(alice)).kind, "refused");
  const ask = (terms: typeof TERMS) => () => alice.chats.offer(bob.own, terms, net.at(alice));
  assert.throws(ask({ ...TERMS, ttlS: 86_401 }), RangeError);
  assert.throws(ask({ ...TERMS, parameters: { ...PARAMETERS, rekeyMessages: 129 } }), RangeError);
  const { userId, deviceId, signer } = alice.own;
  const parameters = { ...PARAMETERS, lifetimeS: 0 };
  const options = { userId, deviceId, signer, parameters };
  assert.throws(() => new SecureChats(NATIVE_CRYPTO, options), RangeError);
});

test("[SEC-33] what names no session of ours is dropped", () => {
  const { net, alice, bob } = pair();
  const sessionId = net.offer(alice, bob);
  net.settle();
  net.say(alice, sessionId, "for a device that has forgotten everything");
  const strangers = net.log.filter(({ to }) => to.userId === "bob").slice(1);
  assert.equal(strangers.length, 2);
  const later = pair();
  for (const packet of strangers) later.net.arrive(packet);
  const unknown = ErrorCode.SECURE_SESSION_UNKNOWN;
  assert.deepEqual(codesOf(later.bob, "refused"), [unknown, unknown]);
  const { userId, deviceId } = alice.own;
  for (const bytes of [new Uint8Array(0), Uint8Array.of(0x22, 0), new Uint8Array(90_000)]) {
    later.net.arrive({ from: { userId, deviceId }, to: bob.own, bytes });
  }
  assert.ok(
    codesOf(later.bob, "refused")
      .slice(2)
      .every((code) => code === ErrorCode.SECURE_MALFORMED),
  );
  assert.equal(later.net.packets.length, 0);
});

test("[SEC-31] two devices of one user have a chat as others have", () => {
  const net = new ChatNet();
  const [phone, laptop] = [net.add("alice", "phone"), net.add("alice", "laptop")];
  const sessionId = net.offer(phone, laptop);
  net.settle();
  net.say(laptop, sessionId, "from the other desk");
  net.settle();
  assert.deepEqual(textsOf(phone), ["from the other desk"]);
});

test("[SEC-29] offers cross while the directory is asked, too", () => {
  for (const swapped of [false, true]) {
    const both = pair();
    const { net } = both;
    const [one, other] = swapped ? [both.bob, both.alice] : [both.alice, both.bob];
    const theirs = net.offer(other, one);
    net.answers = false;
    const ours = net.offer(one, other);
    net.settle();
    net.answers = true;
    net.resolve(one, other.own.userId);
    const isOurs = Buffer.compare(one.own.fingerprint, other.own.fingerprint) < 0;
    assert.equal(toldOf(one, "offered").length, isOurs ? 1 : 0);
    assert.deepEqual(requirementsOf(one, isOurs ? "refused" : "closed"), ["SEC-29"]);
    net.settle();
    for (const node of [one, other]) {
      const opened = toldOf(node, "open").map(({ sessionId }) => sessionId);
      assert.deepEqual(opened, [isOurs ? ours : theirs]);
    }
  }
});
