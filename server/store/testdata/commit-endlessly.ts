import { once } from "node:events";
import { attach, prepareRequest, sendPlan } from "../contract.ts";
import { LmdbStore } from "../lmdb.ts";
import { userRefOf } from "../store.ts";

// Commits until it is killed, several submits under way, and prints each number whose commit was
// acknowledged.

const [folder = ""] = process.argv.slice(2);
const store = await LmdbStore.open({
  folder,
  mapBytes: 1024 ** 3,
  timelineEventsMax: 1_000_000,
  nowMs: () => 1_000,
});
const device = { user: userRefOf("", "alice"), deviceId: "a" };
await attach(store, prepareRequest({ user: userRefOf("", "bob"), deviceId: "b" }));
const outbox = { epoch: 1, resultsThrough: 0, next: 1_000_000 };
const fresh = { epoch: 0, resultsThrough: 0, next: 1 };
const known = (await store.loadForPlanning({ users: [device.user] })).knownUsers.size > 0;
const request = prepareRequest(device, { outbox: known ? outbox : fresh });
const attachment = await attach(store, request);
const { generation } = attachment;
let { through } = attachment.outbox;
process.stdout.write(`${through}\n`);
for (;;) {
  const batches = [1, 2, 3, 4].map((step) => {
    const submits = [sendPlan(through + step, `message ${through + step}`)];
    return store.commit({ device, generation, outboxEpoch: 1, submits });
  });
  for (const batch of batches) {
    const committed = await batch;
    if (committed.kind !== "committed") throw new Error(committed.kind);
    if (!process.stdout.write(`${committed.receipt.through}\n`))
      await once(process.stdout, "drain");
  }
  through += batches.length;
}
