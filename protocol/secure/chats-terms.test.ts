import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ChatNet,
  type ChatNode,
  PARAMETERS,
  type Packet,
  TERMS,
  toldOf,
} from "../../fuzz/secure/chat-net.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { SecureChats } from "./chats.ts";

const wanting = (rekeyMessages: number) => ({ ...PARAMETERS, rekeyMessages });
const offering = (rekeyMessages: number) => ({ ...TERMS, parameters: wanting(rekeyMessages) });
const refusalsOf = (node: ChatNode) =>
  toldOf(node, "refused").map(({ because: { code, requirement } }) => ({ code, requirement }));
const TOO_OFTEN = { code: ErrorCode.SECURE_MALFORMED, requirement: "SEC-103" };

test("[SEC-103] an offer of new keys too often is refused, and nobody is asked about it", () => {
  const net = new ChatNet();
  const alice = net.add("alice", "phone");
  const bob = net.add("bob", "laptop", PARAMETERS, 8);
  for (const often of [1, 7]) {
    const sessionId = net.offer(alice, bob, offering(often));
    net.settle();
    assert.deepEqual(refusalsOf(bob).at(-1), TOO_OFTEN);
    net.close(alice, sessionId);
  }
  assert.deepEqual(toldOf(bob, "look-up"), []);
  const sessionId = net.offer(alice, bob, offering(8));
  net.settle();
  assert.equal(bob.chats.stateOf(sessionId), "open", "it is not remembered against anybody");
});

test("[SEC-103] an answer of new keys too often is refused, and changes nothing", () => {
  const net = new ChatNet();
  const alice = net.add("alice", "phone", PARAMETERS, 8);
  const bob = net.add("bob", "laptop", wanting(7));
  const sessionId = net.offer(alice, bob);
  net.settle();
  assert.deepEqual(refusalsOf(alice), [TOO_OFTEN]);
  assert.deepEqual(
    [alice.chats.stateOf(sessionId), bob.chats.stateOf(sessionId)],
    ["half-open", "half-open"],
  );
  const carol = net.add("carol", "desk", wanting(8));
  const other = net.offer(alice, carol);
  net.settle();
  assert.equal(alice.chats.stateOf(other), "open");
});

test("[SEC-103] who wants new keys often puts up with it, and with no more", () => {
  const net = new ChatNet();
  const alice = net.add("alice", "phone", wanting(3), 8);
  const bob = net.add("bob", "laptop", wanting(3), 8);
  const sessionId = net.offer(alice, bob, offering(3));
  net.settle();
  assert.equal(bob.chats.stateOf(sessionId), "open");
  net.offer(alice, bob, offering(2));
  net.settle();
  assert.deepEqual(refusalsOf(bob), [TOO_OFTEN]);
  // What was offered counts, not what is wanted otherwise.
  const carol = net.add("carol", "desk", PARAMETERS, 8);
  const dan = net.add("dan", "desk", wanting(2));
  const asked = net.offer(carol, dan, offering(2));
  net.settle();
  assert.equal(carol.chats.stateOf(asked), "open");
});

test("[SEC-103] it is judged before the place that it would take: one more costs nothing", () => {
  const net = new ChatNet();
  const alice = net.add("alice", "phone");
  const bob = net.add("bob", "laptop", PARAMETERS, 8);
  net.answers = false;
  net.offer(alice, bob, offering(1));
  net.answers = true;
  net.resolve(alice, "bob");
  const offer = net.packets.shift() as Packet;
  for (let count = 0; count < 20; count += 1) net.arrive(offer);
  const codes = new Set(refusalsOf(bob).map(({ code }) => code));
  assert.deepEqual([...codes], [ErrorCode.SECURE_MALFORMED]);
  const sessionId = net.offer(alice, bob);
  net.settle();
  assert.equal(bob.chats.stateOf(sessionId), "open");
});

test("[SEC-103] nobody may refuse eight", () => {
  const net = new ChatNet();
  const { userId, deviceId, signer } = net.add("alice", "phone").own;
  const options = { userId, deviceId, signer, parameters: PARAMETERS };
  for (const rekeyMessagesMin of [0, 9, Number.NaN]) {
    const make = () => new SecureChats(NATIVE_CRYPTO, { ...options, rekeyMessagesMin });
    assert.throws(make, RangeError);
  }
});
