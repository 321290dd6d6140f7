import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ChatNet,
  type ChatNode,
  type Packet,
  textsOf,
  toldOf,
} from "../../fuzz/secure/chat-net.ts";
import { makingRoom } from "./fair-room.ts";

/** Two devices, that with the smaller fingerprint first. */
function ordered() {
  const net = new ChatNet();
  const [alice, bob] = [net.add("alice", "phone"), net.add("bob", "laptop")];
  const isAlice = Buffer.compare(alice.own.fingerprint, bob.own.fingerprint) < 0;
  const [small, big] = isAlice ? [alice, bob] : [bob, alice];
  return { net, small, big };
}

const causesOf = (node: ChatNode, kind: "closed" | "refused") =>
  toldOf(node, kind).map(({ because }) => because.requirement);
const lastOf = (net: ChatNet) => net.packets.splice(0).at(-1) as Packet;

function halfOpenUsers(node: ChatNode): string[] {
  return toldOf(node, "accepted")
    .filter(({ sessionId }) => node.chats.stateOf(sessionId) === "half-open")
    .map(({ peer }) => peer.userId);
}

test("[SEC-28] an answer that was lost is sent again, the same bytes, to the same offer", () => {
  const { net, small, big } = ordered();
  const sessionId = net.offer(small, big);
  const offer = lastOf(net);
  net.arrive(offer);
  const lost = lastOf(net);
  net.arrive({ ...offer, from: { userId: "eve", deviceId: "phone" } });
  assert.equal(net.packets.length, 0, "to nobody else");
  for (let count = 0; count < 20; count += 1) net.arrive(offer);
  assert.equal(net.packets.length, 8, "not without end");
  for (const { bytes } of net.packets) assert.deepEqual(bytes, lost.bytes);
  assert.equal(toldOf(big, "accepted").length, 1);
  net.settle();
  for (const node of [small, big]) {
    assert.equal(toldOf(node, "open").length, 1);
    assert.equal(node.chats.stateOf(sessionId), "open");
  }
  net.arrive(offer);
  assert.equal(net.packets.length, 0, "what is over is not answered");
});

test("[SEC-28] [SEC-29] who lost its answer gets its chat by asking for one", () => {
  const { net, small, big } = ordered();
  const sessionId = net.offer(small, big);
  net.arrive(lastOf(net));
  net.packets = [];
  net.offer(big, small);
  net.settle();
  assert.deepEqual(causesOf(big, "closed"), ["SEC-29"]);
  net.say(big, sessionId, "after all");
  net.settle();
  assert.deepEqual(textsOf(small), ["after all"]);
});

test("[SEC-28] an offer whose handshake was given up is answered anew, a few times", () => {
  const { net, small, big } = ordered();
  const sessionId = net.offer(small, big);
  const offer = lastOf(net);
  for (let count = 0; count < 20; count += 1) {
    net.arrive(offer);
    net.close(big, sessionId);
  }
  assert.equal(toldOf(big, "accepted").length, 8);
  assert.ok(causesOf(big, "refused").every((requirement) => requirement === "SEC-28"));
});

test("[SEC-28] [SEC-29] who gave its answer up gets its chat by asking for one", () => {
  const { net, small, big } = ordered();
  const sessionId = net.offer(small, big);
  net.arrive(lastOf(net));
  net.packets = [];
  net.close(big, sessionId);
  net.offer(big, small);
  net.settle();
  for (const node of [small, big]) assert.equal(node.chats.stateOf(sessionId), "open");
});

test("[SEC-28] a chat that was open does not begin again, however often it is closed", () => {
  const { net, small, big } = ordered();
  const sessionId = net.offer(small, big);
  net.settle();
  for (let count = 0; count < 2; count += 1) net.close(big, sessionId);
  net.settle();
  net.arrive(net.log[0] as Packet);
  assert.deepEqual(causesOf(big, "refused"), ["SEC-28"]);
});

test("[SEC-29] an offer that never arrives yields to the other one's after some crossings", () => {
  const { net, small, big } = ordered();
  const never = net.offer(small, big);
  net.packets = [];
  let last: Uint8Array | undefined;
  for (let count = 0; count < 4; count += 1) {
    if (last !== undefined) net.close(big, last);
    last = net.offer(big, small);
    const offer = net.packets.find(({ from }) => from.userId === big.own.userId);
    net.packets = [];
    net.arrive(offer as Packet);
  }
  net.settle();
  assert.equal(small.chats.stateOf(never), "none");
  for (const node of [small, big]) assert.equal(node.chats.stateOf(last as Uint8Array), "open");
});

test("[SEC-27] one user's devices do not keep others out, nor do many users", () => {
  const net = new ChatNet();
  const bob = net.add("bob", "laptop");
  const held = (node: ChatNode) => {
    net.offer(node, bob);
    net.arrive(lastOf(net));
    net.packets = [];
  };
  for (let index = 0; index < 4; index += 1) {
    const node = net.add("eve", `d${index}`);
    for (let count = 0; count < 2; count += 1) held(node);
  }
  assert.deepEqual(halfOpenUsers(bob), ["eve", "eve", "eve", "eve"]);
  for (let index = 0; index < 6; index += 1) held(net.add(`sybil${index}`, "phone"));
  assert.equal(halfOpenUsers(bob).filter((user) => user === "eve").length, 2);
  const ann = net.add("ann", "phone");
  const sessionId = net.offer(ann, bob);
  net.settle();
  assert.equal(ann.chats.stateOf(sessionId), "open");
  assert.equal(bob.chats.stateOf(sessionId), "open");
  assert.equal(halfOpenUsers(bob).length, 7);
  assert.equal(halfOpenUsers(bob).filter((user) => user === "eve").length, 1);
});

test("[SEC-27] an offer that nobody signed takes nobody's place", () => {
  const net = new ChatNet();
  const bob = net.add("bob", "laptop");
  const nodes = Array.from({ length: 9 }, (_, index) => net.add(`user${index}`, "phone"));
  for (const node of nodes) net.offer(node, bob);
  const offers = net.packets.splice(0);
  const forged = Uint8Array.from((offers.at(-1) as Packet).bytes);
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
  for (const packet of offers.slice(0, 8)) net.arrive(packet);
  net.arrive({ ...(offers.at(-1) as Packet), bytes: forged });
  assert.equal(halfOpenUsers(bob).length, 8);
  assert.deepEqual([causesOf(bob, "closed"), causesOf(bob, "refused")], [[], ["SEC-17"]]);
});

test("[SEC-27] few offers of one user wait for the directory", () => {
  const net = new ChatNet();
  const bob = net.add("bob", "laptop");
  const nodes = Array.from({ length: 5 }, (_, index) => net.add("eve", `d${index}`));
  const ann = net.add("ann", "phone");
  for (const node of [...nodes, ann]) net.offer(node, bob);
  net.answers = false;
  net.settle();
  assert.deepEqual(causesOf(bob, "refused"), ["SEC-27"]);
  assert.deepEqual(
    toldOf(bob, "look-up").map(({ userId }) => userId),
    ["eve", "ann"],
  );
});

test("[SEC-34] one user's devices have few sessions, and the oldest of them make room", () => {
  const net = new ChatNet();
  const bob = net.add("bob", "laptop");
  const friend = net.add("ann", "phone");
  const first = net.offer(friend, bob);
  net.settle();
  const ids = Array.from({ length: 20 }, (_, index) => {
    const id = net.offer(net.add("eve", `d${index}`), bob);
    net.settle();
    return id;
  });
  const states = ids.map((id) => bob.chats.stateOf(id));
  assert.deepEqual(
    states.map((state) => state === "open"),
    ids.map((_, index) => index >= 4),
  );
  assert.equal(bob.chats.stateOf(first), "open");
});

test("[SEC-27] [SEC-34] room is made of who has most, and who has most makes its own", () => {
  const bounds = { perDevice: 2, perUser: 3, all: 4 };
  const held = (...names: string[]) =>
    names.map((name, index) => {
      const [userId = "", deviceId = ""] = name.split("/");
      return { id: `${index}`, peer: { userId, deviceId } };
    });
  const gone = (from: string, ...names: string[]) => {
    const [device] = held(from);
    assert.ok(device !== undefined);
    return makingRoom(held(...names), device.peer, bounds);
  };
  assert.deepEqual(gone("a/1"), []);
  assert.deepEqual(gone("a/1", "a/1", "b/1", "a/1"), ["0"]);
  assert.deepEqual(gone("a/3", "b/1", "a/1", "a/1", "a/2"), ["1"]);
  assert.deepEqual(gone("c/1", "b/1", "a/1", "b/2", "a/2"), ["0"]);
  assert.deepEqual(gone("c/1", "b/1", "a/1", "a/2", "a/2"), ["1"]);
  assert.deepEqual(gone("a/3", "b/1", "a/1", "b/2", "a/2"), ["1"]);
  assert.deepEqual(gone("e/1", "a/1", "b/1", "c/1", "d/1"), ["0"]);
  assert.deepEqual(gone("d/2", "a/1", "b/1", "c/1", "d/1"), ["3"]);
  assert.deepEqual(gone("e/1", "a/1", "b/1", "c/1", "d/1", "d/1"), ["3", "0"]);
});
