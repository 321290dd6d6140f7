import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatNet, type ChatNode, textsOf, toldOf } from "../../fuzz/secure/chat-net.ts";
import { idOf } from "./handshakes.ts";

// ChatNet stores what is said to have changed, and looks after each input whether that was all.

/** Alice, with an open chat with each of some others. */
function circle(count: number) {
  const net = new ChatNet();
  const alice = net.add("alice", "phone");
  const others = Array.from({ length: count }, (_, index) => net.add(`user${index}`, "phone"));
  const ids = others.map((other) => net.offer(alice, other));
  net.settle();
  return { net, alice, others, ids };
}

/** What an input has changed at a device, beside what its store has by then. */
function changedBy({ stored }: ChatNode, input: () => void): string[] {
  const before = new Map(stored);
  input();
  const all = new Set([...before.keys(), ...stored.keys()]);
  return [...all].filter((id) => before.get(id) !== stored.get(id));
}

test("[SEC-69] what changes is told session by session", () => {
  const { net, alice, others, ids } = circle(4);
  const [first, second, third] = ids;
  assert.ok(first && second && third);
  assert.equal(alice.stored.size, 4);
  const say = () => net.say(alice, first, "hello");
  assert.deepEqual(changedBy(alice, say), [idOf(first)]);
  net.settle();
  const hear = () => {
    net.say(others[1] as ChatNode, second, "hello");
    net.settle();
  };
  assert.deepEqual(changedBy(alice, hear), [idOf(second)]);
  assert.deepEqual(textsOf(alice), ["hello"]);
  assert.deepEqual(
    changedBy(alice, () => net.close(alice, third)),
    [idOf(third)],
  );
  assert.equal(alice.stored.has(idOf(third)), false, "of what is over nothing is left");
  const offer = () => {
    net.offer(alice, others[2] as ChatNode);
  };
  assert.deepEqual(changedBy(alice, offer), [], "a handshake is not stored");
});

test("[SEC-64] [SEC-69] time that passes, and a device that is taken out, are changes too", () => {
  const { net, alice, others, ids } = circle(3);
  const [first] = ids;
  assert.ok(first);
  for (let index = 0; index < 3; index += 1) net.say(others[0] as ChatNode, first, `${index}`);
  const [, , last] = net.packets.splice(0);
  assert.ok(last);
  net.arrive(last);
  const kept = alice.stored.get(idOf(first));
  net.elapse(23 * 3_600_000);
  for (const id of ids.slice(1)) net.say(alice, id, "still here");
  net.elapse(2 * 3_600_000);
  assert.ok(!alice.stored.has(idOf(first)), "after a day of silence");
  assert.ok(kept);
  net.accounts.get("user1")?.devices.pop();
  net.resolve(alice, "user1");
  assert.equal(alice.stored.size, 1);
});

test("[SEC-70] [SEC-71] sessions go on from what is stored of each, and once", () => {
  const { net, alice, others, ids } = circle(3);
  const fresh = net.resume(alice);
  for (const [index, id] of ids.entries()) {
    net.say(fresh, id, `after ${index}`);
    net.say(others[index] as ChatNode, id, `to alice ${index}`);
  }
  net.settle();
  assert.equal(textsOf(fresh).length, 3);
  for (const [index, other] of others.entries()) {
    assert.deepEqual(textsOf(other), [`after ${index}`]);
    assert.deepEqual(toldOf(other, "refused"), []);
  }
  const [state] = fresh.stored.values();
  assert.ok(state);
  assert.equal(fresh.chats.restore(state), undefined, "which goes on already");
});

test("[SEC-70] what is cut, longer, or of another version is no session", () => {
  const { net, alice } = circle(1);
  const [state] = alice.stored.values();
  assert.ok(state);
  const { chats } = net.restart(alice);
  for (let length = 0; length < state.length; length += 7) {
    assert.equal(chats.restore(state.subarray(0, length)), undefined);
  }
  assert.equal(chats.restore(Uint8Array.from([...state, 0])), undefined);
  const other = Uint8Array.from(state);
  other[3] = 2;
  assert.equal(chats.restore(other), undefined);
  assert.equal(chats.hasChanged, false);
  assert.ok(chats.restore(state));
});
