import { writeSync } from "node:fs";
import { open } from "lmdb";
import { attach, prepareRequest, sendPlan } from "../contract.ts";
import { LmdbStore } from "../lmdb.ts";
import { userRefOf } from "../store.ts";

// Commits one submit at a time and writes a mark to standard output before each commit and after
// its promise resolved: what the process asks of the kernel between the two is looked at from
// outside. With "unsynced" it writes as a store would that acknowledges before the flush.

const [folder = "", mode = ""] = process.argv.slice(2);
const COMMITS = 5;
const mark = (text: string) => writeSync(1, `${text}\n`);

async function synced(): Promise<void> {
  const limits = { mapBytes: 64 * 1024 * 1024, timelineEventsMax: 1_000_000 };
  const store = await LmdbStore.open({ folder, nowMs: () => 1_000, ...limits });
  const device = { user: userRefOf("", "alice"), deviceId: "a" };
  await attach(store, prepareRequest({ user: userRefOf("", "bob"), deviceId: "b" }));
  await attach(store, prepareRequest(device));
  for (let seq = 1; seq <= COMMITS; seq += 1) {
    mark(`COMMIT ${seq}`);
    const submits = [sendPlan(seq, `message ${seq}`)];
    await store.commit({ device, generation: 1, outboxEpoch: 1, submits });
    mark(`DURABLE ${seq}`);
  }
  await store.close();
}

async function unsynced(): Promise<void> {
  const options = { noSync: true, overlappingSync: false, noSubdir: true };
  const env = open<string, number>({ path: `${folder}/store`, ...options });
  for (let seq = 1; seq <= COMMITS; seq += 1) {
    mark(`COMMIT ${seq}`);
    await env.put(seq, `message ${seq}`);
    mark(`DURABLE ${seq}`);
  }
  await env.close();
}

await (mode === "unsynced" ? unsynced() : synced());
