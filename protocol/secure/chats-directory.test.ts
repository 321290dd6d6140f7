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

test("[SEC-32] of a directory, one certificate is verified, and of an answer each once", () => {
  let count = 0;
  const mlDsa65Verify: typeof NATIVE_CRYPTO.mlDsa65Verify = (...input) => {
    count += 1;
    return NATIVE_CRYPTO.mlDsa65Verify(...input);
  };
  const { net, alice, bob } = pair(new ChatNet({ ...NATIVE_CRYPTO, mlDsa65Verify }));
  for (let index = 0; index < 20; index += 1) net.add("alice", `other${index}`);
  net.accounts.get("alice")?.devices.reverse();
  net.offer(alice, bob);
  count = 0;
  net.arrive(net.packets.shift() as Packet);
  assert.equal(count, 2, "the certificate of the device that is named, and its offer");
  net.settle();
  net.offer(alice, bob);
  net.settle();
  count = 0;
  net.resolve(bob, "alice");
  assert.equal(count, 1, "two sessions, one device");
});
