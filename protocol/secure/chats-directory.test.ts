import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ChatNet,
  type ChatNode,
  type Packet,
  START_MS,
  toldOf,
} from "../../fuzz/secure/chat-net.ts";
import { TestAccount } from "../../fuzz/secure/devices.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { JUDGED_MAX, JudgedCertificates } from "./judged-certificates.ts";

function pair(net = new ChatNet()) {
  const [alice, bob] = [net.add("alice", "phone"), net.add("bob", "laptop")];
  return { net, alice, bob };
}

const causesOf = (node: ChatNode) => toldOf(node, "closed").map(({ because }) => because);

/** A directory answers with what the net's account is made into. */
function answerAnew(account: TestAccount | undefined, by: TestAccount): void {
  assert.ok(account !== undefined);
  account.key = by.key;
  account.devices.splice(0, account.devices.length, ...by.devices);
}

test("[SEC-11] [SEC-35] a chat with one account does not live on under another one", () => {
  const { net, alice, bob } = pair();
  const account = net.accounts.get("bob");
  const sessionId = net.offer(alice, bob);
  net.settle();
  const pending = net.offer(alice, bob);
  // The account behind it is another one, for the same device; "known" may be said of that one.
  const other = new TestAccount("bob", "another account");
  other.add("laptop", START_MS);
  answerAnew(account, other);
  net.resolve(alice, "bob");
  for (const id of [sessionId, pending]) assert.equal(alice.chats.stateOf(id), "none");
  const changed = ErrorCode.PEER_IDENTITY_CHANGED;
  assert.deepEqual(
    causesOf(alice).map(({ code }) => code),
    [changed, changed],
  );
});

test("[SEC-35] only a certificate that holds keeps a device listed", () => {
  const ended = (bend: (account: TestAccount, net: ChatNet) => void) => {
    const { net, alice, bob } = pair();
    const ids = [net.offer(alice, bob)];
    net.settle();
    ids.push(net.offer(alice, bob));
    const account = net.accounts.get("bob") as TestAccount;
    bend(account, net);
    net.resolve(alice, "bob");
    for (const id of ids) assert.equal(alice.chats.stateOf(id), "none");
    assert.deepEqual(
      causesOf(alice).map(({ requirement }) => requirement),
      ["SEC-35", "SEC-35"],
    );
  };
  // The same device, by another account's hand.
  ended((account) => {
    const other = new TestAccount("bob", "another account");
    other.add("laptop", START_MS);
    account.devices.splice(0, 1, ...other.devices);
  });
  ended((account, net) => {
    account.devices.splice(0);
    account.add("laptop", START_MS, START_MS + 1_000);
    net.nowMs += 301_001;
  });
});

/** Counts how many signatures are verified: ML-DSA's, the dear half of each. */
function counting() {
  const seen = { count: 0 };
  const mlDsa65Verify: typeof NATIVE_CRYPTO.mlDsa65Verify = (...input) => {
    seen.count += 1;
    return NATIVE_CRYPTO.mlDsa65Verify(...input);
  };
  return { seen, crypto: { ...NATIVE_CRYPTO, mlDsa65Verify } };
}

test("[SEC-102] of a directory, one certificate is verified, and once", () => {
  const { seen, crypto } = counting();
  const { net, alice, bob } = pair(new ChatNet(crypto));
  for (let index = 0; index < 20; index += 1) net.add("alice", `other${index}`);
  net.accounts.get("alice")?.devices.reverse();
  net.offer(alice, bob);
  seen.count = 0;
  net.arrive(net.packets.shift() as Packet);
  assert.equal(seen.count, 2, "the certificate of the device that is named, and its offer");
  net.settle();
  net.offer(alice, bob);
  seen.count = 0;
  net.arrive(net.packets.shift() as Packet);
  assert.equal(seen.count, 1, "the offer");
  net.settle();
  seen.count = 0;
  net.resolve(bob, "alice");
  assert.equal(seen.count, 0, "nothing is new");
});

test("[SEC-9] [SEC-102] a certificate that was good is looked at again when it has ended", () => {
  const { net, alice, bob } = pair();
  const account = net.accounts.get("bob") as TestAccount;
  account.devices.splice(0);
  account.add("laptop", START_MS, START_MS + 1_000);
  const sessionId = net.offer(alice, bob);
  net.settle();
  assert.equal(alice.chats.stateOf(sessionId), "open");
  net.resolve(alice, "bob");
  assert.equal(alice.chats.stateOf(sessionId), "open");
  net.nowMs += 301_001;
  net.resolve(alice, "bob");
  assert.equal(alice.chats.stateOf(sessionId), "none");
});

test("[SEC-8] [SEC-102] what is remembered is of these bytes and this account, and bounded", () => {
  const { seen, crypto } = counting();
  const judged = new JudgedCertificates(crypto);
  const account = new TestAccount("bob");
  const [phone, laptop] = ["phone", "laptop"].map((deviceId) => {
    account.add(deviceId, START_MS);
    return account.devices.at(-1);
  });
  assert.ok(phone && laptop);
  const expected = { account: account.key.keys, userId: "bob", nowMs: START_MS };
  const isGood = (one: typeof phone, change: Partial<typeof expected> = {}) =>
    !("code" in judged.read(one, { ...expected, ...change }));
  assert.deepEqual([isGood(phone), isGood(phone), seen.count], [true, true, 1]);
  const forged = { core: laptop.core, signature: phone.signature };
  assert.deepEqual([isGood(forged), isGood(forged)], [false, false]);
  assert.equal(isGood(laptop), true);
  assert.equal(isGood(phone, { account: new TestAccount("bob", "other").key.keys }), false);
  assert.equal(isGood(phone, { userId: "carol" }), false);
  // So many others, signed by nobody, that the first is forgotten.
  for (let index = 0; index < JUDGED_MAX; index += 1) {
    const signature = Uint8Array.from(phone.signature);
    new DataView(signature.buffer).setUint32(0, index);
    judged.read({ core: phone.core, signature }, expected);
  }
  seen.count = 0;
  assert.deepEqual([isGood(phone), seen.count], [true, 1]);
});
