import { writeSync } from "node:fs";
import { ErrorCode } from "../../../gen/posthorn/v1/error_pb.ts";
import { attach, prepareRequest } from "../contract.ts";
import { LmdbStore } from "../lmdb.ts";
import { unnumberedLogRefOf, userRefOf } from "../store.ts";

// Commits texts for a device, acknowledges some and erases them, then waits to be killed. Tells
// each step once it is durable.

const [folder = "", passed = "0", ...texts] = process.argv.slice(2);
const limits = { mapBytes: 64 * 1024 * 1024, timelineEventsMax: 1_000_000 };
const store = await LmdbStore.open({ folder, nowMs: () => 1_000, ...limits });
const bob = userRefOf("", "bob");
const device = { user: bob, deviceId: "tablet" };
const { generation, outbox } = await attach(store, prepareRequest(device));
const tell = (line: string) => writeSync(1, `${line}\n`);

tell("COMMIT");
await store.commit({
  device,
  generation,
  outboxEpoch: outbox.epoch,
  submits: texts.map((text, index) => ({
    seq: index + 1,
    digest: index,
    plan: {
      kind: "append",
      log: unnumberedLogRefOf("", "user:bob"),
      event: Buffer.from("stub"),
      timelines: [bob],
      perishable: {
        device,
        event: Buffer.from(text),
        expiresMs: 100_000,
        queues: [{ name: "all", countMax: 100, bytesMax: 1_000_000 }],
        full: ErrorCode.PACKET_QUEUE_FULL,
      },
    },
  })),
});
tell("DURABLE");
const position = { device, generation, outboxEpoch: outbox.epoch };
await store.advance({ ...position, deliveredThrough: Number(passed), resultsThrough: 0 });
await store.sweep();
tell("SWEPT");
setInterval(() => {}, 1_000);
