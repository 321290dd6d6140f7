import { attach, prepareRequest, sendPlan } from "../contract.ts";
import { LmdbStore } from "../lmdb.ts";
import { StoreError, userRefOf } from "../store.ts";

// Commits until the store refuses, then reads everything back: run under a limit on file sizes.

const [folder = "", mapBytes = ""] = process.argv.slice(2);
process.on("SIGXFSZ", () => {});
const store = await LmdbStore.open({
  folder,
  mapBytes: Number(mapBytes),
  timelineEventsMax: 1_000_000,
  nowMs: () => 1_000,
});
const bob = userRefOf("", "bob");
const device = { user: userRefOf("", "alice"), deviceId: "a" };
await attach(store, prepareRequest({ user: bob, deviceId: "b" }));
await attach(store, prepareRequest(device));
let acknowledged = 0;
let code = 0;
while (code === 0) {
  const submits = [sendPlan(acknowledged + 1, "x".repeat(100_000))];
  try {
    await store.commit({ device, generation: 1, outboxEpoch: 1, submits });
    acknowledged += 1;
  } catch (error) {
    code = error instanceof StoreError ? error.code : -1;
  }
}
const page = await store.loadTimeline(bob, 0, { count: 1_000_000, bytes: 1_000_000_000 });
await store.close();
process.stdout.write(JSON.stringify({ acknowledged, readable: page.entries.length, code }));
