import assert from "node:assert/strict";
import { test } from "node:test";
import "fake-indexeddb/auto";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { indexedDbJournal } from "./indexeddb-journal.ts";
import { journalContract } from "./journal-contract.ts";

// The contract on an IndexedDB in memory; demo/browser.test.ts resumes in a real one.

let count = 0;
const newName = () => {
  count += 1;
  return `device-${count}`;
};

journalContract(
  "IndexedDB",
  async () => {
    const name = newName();
    return {
      open: () => indexedDbJournal(name),
      dispose: async () => {
        indexedDB.deleteDatabase(`posthorn-${name}`);
      },
    };
  },
  { numRuns: 60 },
);

test("[OPS-2] a database of a later version is DATA_NEWER", async () => {
  const name = newName();
  (await opened(indexedDB.open(`posthorn-${name}`, 9))).close();
  await assert.rejects(indexedDbJournal(name), { code: ErrorCode.DATA_NEWER });
});

test("[OPS-2] what is stored in the wrong shape is DATA_DAMAGED, never a fresh journal", async () => {
  const damage = async (key: IDBValidKey, value: unknown) => {
    const name = newName();
    const journal = await indexedDbJournal(name);
    await journal.append({ seq: 1, operation: Uint8Array.of(1) });
    await journal.close();
    const database = await opened(indexedDB.open(`posthorn-${name}`));
    const transaction = database.transaction("journal", "readwrite");
    transaction.objectStore("journal").put(value, key);
    await new Promise((resolve) => {
      transaction.oncomplete = resolve;
    });
    database.close();
    const load = async () => (await indexedDbJournal(name)).load();
    await assert.rejects(load, { code: ErrorCode.DATA_DAMAGED }, JSON.stringify(value));
  };
  await damage("state", { outboxEpoch: "1" });
  await damage("state", null);
  await damage(1, "text");
  await damage(7, Uint8Array.of(7));
});

function opened(request: IDBOpenDBRequest): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onupgradeneeded = () => request.result.createObjectStore("journal");
    request.onerror = () => reject(request.error);
  });
}
