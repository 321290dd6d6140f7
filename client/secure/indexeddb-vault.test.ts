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
const one = (byte: number) => new Map([["a", Uint8Array.of(byte)]]);
const LOCKED = { code: ErrorCode.DATA_LOCKED };

test("[SEC-69] a vault in IndexedDB is there for the next page, under the same key", async () => {
  const name = newName();
  const first = await (await indexedDbVault(name)).take();
  assert.equal(first.records.size, 0);
  await first.keep(new Map([...one(1), ["b", Uint8Array.of(2)], ["c", Uint8Array.of(3)]]));
  // Of some records; the others stay as they are.
  await first.keep(new Map([...one(4), ["c", undefined], ["never", undefined]]));
  const second = await (await indexedDbVault(name)).take();
  assert.deepEqual(second.records, new Map([...one(4), ["b", Uint8Array.of(2)]]));
});

test("[SEC-69] a write to IndexedDB that fails changes none of its records", async (t) => {
  const vault = await indexedDbVault(newName());
  const life = await vault.take();
  await life.keep(new Map([...one(1), ["b", Uint8Array.of(2)]]));
  const { put } = IDBObjectStore.prototype;
  let puts = 0;
  t.mock.method(IDBObjectStore.prototype, "put", function (this: IDBObjectStore, ...input: never) {
    puts += 1;
    if (puts === 2) throw new DOMException("no room", "QuotaExceededError");
    return put.apply(this, input);
  });
  const changes = new Map([...one(3), ["b", Uint8Array.of(4)]]);
  await assert.rejects(life.keep(changes), { code: ErrorCode.DATA_UNWRITABLE });
  t.mock.restoreAll();
  assert.deepEqual((await vault.take()).records, new Map([...one(1), ["b", Uint8Array.of(2)]]));
});

test("[SEC-71] of tabs that take a vault at once, one goes on with it", async () => {
  const name = newName();
  await (await (await indexedDbVault(name)).take()).keep(one(0));
  const vaults = await Promise.all([1, 2, 3, 4].map(() => indexedDbVault(name)));
  const lives = await Promise.all(vaults.map((vault) => vault.take()));
  const kept = await Promise.allSettled(lives.map(({ keep }, index) => keep(one(index))));
  const winners = kept.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
  assert.equal(winners.length, 1);
  for (const one of kept) {
    if (one.status === "rejected") assert.equal(one.reason.code, ErrorCode.DATA_LOCKED);
  }
  const { records } = await (await indexedDbVault(name)).take();
  assert.deepEqual(records, one(winners[0] ?? -1));
});

test("[SEC-71] a tab whose vault was taken keeps nothing, whenever it comes to it", async () => {
  const vault = await indexedDbVault(newName());
  const first = await vault.take();
  await first.keep(one(1));
  const second = await vault.take();
  await assert.rejects(first.keep(one(2)), LOCKED);
  await second.keep(one(3));
  await assert.rejects(first.keep(one(4)), LOCKED);
  assert.deepEqual((await vault.take()).records, one(3));
});
