import assert from "node:assert/strict";
import { test } from "node:test";
import "fake-indexeddb/auto";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { indexedDbVault } from "./indexeddb-vault.ts";

let count = 0;
const newName = () => {
  count += 1;
  return `device-${count}`;
};
const LOCKED = { code: ErrorCode.DATA_LOCKED };

test("[SEC-69] a vault in IndexedDB is there for the next page, under the same key", async () => {
  const name = newName();
  const first = await (await indexedDbVault(name)).take();
  assert.equal(first.state, undefined);
  await first.keep(Uint8Array.of(1, 2, 3));
  const second = await (await indexedDbVault(name)).take();
  assert.deepEqual(second.state, Uint8Array.of(1, 2, 3));
});

test("[SEC-71] of tabs that take a vault at once, one goes on with it", async () => {
  const name = newName();
  await (await (await indexedDbVault(name)).take()).keep(Uint8Array.of(0));
  const vaults = await Promise.all([1, 2, 3, 4].map(() => indexedDbVault(name)));
  const lives = await Promise.all(vaults.map((vault) => vault.take()));
  const kept = await Promise.allSettled(lives.map(({ keep }, index) => keep(Uint8Array.of(index))));
  const winners = kept.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
  assert.equal(winners.length, 1);
  for (const one of kept) {
    if (one.status === "rejected") assert.equal(one.reason.code, ErrorCode.DATA_LOCKED);
  }
  const { state } = await (await indexedDbVault(name)).take();
  assert.deepEqual(state, Uint8Array.of(winners[0] ?? -1));
});

test("[SEC-71] a tab whose vault was taken keeps nothing, whenever it comes to it", async () => {
  const vault = await indexedDbVault(newName());
  const first = await vault.take();
  await first.keep(Uint8Array.of(1));
  const second = await vault.take();
  await assert.rejects(first.keep(Uint8Array.of(2)), LOCKED);
  await second.keep(Uint8Array.of(3));
  await assert.rejects(first.keep(Uint8Array.of(4)), LOCKED);
  assert.deepEqual((await vault.take()).state, Uint8Array.of(3));
});
