import assert from "node:assert/strict";
import { test } from "node:test";
import { TestAccount } from "../../fuzz/secure/devices.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { Client } from "../client.ts";
import { SteadyClock } from "../steady-clock.ts";
import { memorySecureIdentity, SecureIdentity } from "./identity.ts";
import { memoryPeers } from "./known-peers.ts";
import { SecurePeers } from "./peers.ts";

test("[SEC-102] of a list that is asked for nothing is verified before it is needed", async () => {
  let count = 0;
  const mlDsa65Verify: typeof NATIVE_CRYPTO.mlDsa65Verify = (...input) => {
    count += 1;
    return NATIVE_CRYPTO.mlDsa65Verify(...input);
  };
  const account = new TestAccount("eve");
  for (let index = 0; index < 16; index += 1) account.add(`device${index}`, 1);
  const crypto = { ...NATIVE_CRYPTO, mlDsa65Verify };
  const name = { userId: "ann", deviceId: "phone" };
  const identity = await SecureIdentity.open(crypto, memorySecureIdentity(), name);
  const { accountKey, devices } = account.answer;
  const client = { call: async () => ({ revision: 3n, accountKey, devices }) };
  const peers = new SecurePeers({
    client: client as unknown as Client,
    crypto,
    identity,
    memory: memoryPeers(),
    clock: new SteadyClock(),
  });
  const { answer, revision } = await peers.lookedUp("eve", new AbortController().signal);
  assert.deepEqual([revision, answer?.devices.length, count], [3, 16, 0]);
  await peers.safetyNumber("eve");
  assert.equal(count, 0);
  // Who asks for the devices has them verified, each once.
  for (let time = 0; time < 2; time += 1) {
    assert.equal((await peers.devicesOf("eve"))?.devices.length, 16);
    assert.equal(count, 16);
  }
});
