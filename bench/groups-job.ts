import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dialer } from "../client/dialer.ts";
import { dialersOf } from "../client/node.ts";
import type { JobOptions } from "./job.ts";
import { wait } from "./limits.ts";
import { LoadDevice } from "./load.ts";
import { LoadGroup, type LoadGroupOptions, makeGroup } from "./load-group.ts";
import { NodeProcess, UNLIMITED } from "./node-process.ts";

const SIZES = [10, 100, 1_000, 10_000] as const;
/** Messages that some member does not have yet. */
const WINDOW = 16;

/**
 * One sender, and so many members, all of them attached: what reaches them, on both sides of the
 * threshold, and what it costs the service.
 */
export async function groups({ measureMs, report }: JobOptions): Promise<void> {
  for (const size of SIZES) {
    for (const fanOut of ["timelines", "log"] as const) {
      const { perSecond, cpuMicros } = await deliveries(size, fanOut, measureMs);
      const name = `group of ${size}, ${fanOut === "log" ? "read from the log" : "timelines"}`;
      report({ name, value: perSecond, unit: "deliveries/s" });
      report({ name: `${name}, service`, value: cpuMicros, unit: "us of CPU a delivery" });
    }
  }
}

async function deliveries(size: number, fanOut: LoadGroupOptions["fanOut"], measureMs: number) {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-bench-"));
  const main = join(import.meta.dirname, "..", "cli", "main.ts");
  const threshold = fanOut === "log" ? "1" : "50000";
  const limits = ["--conversations-fan-out-members-max", threshold];
  limits.push("--conversations-members-max", "50000");
  const flags = ["--port", "0", "--data", join(folder, "data"), "--log-level", "error", ...limits];
  const server = await NodeProcess.start(
    [main, "serve", ...UNLIMITED, ...flags],
    /tcp:\/\/127\.0\.0\.1:(\d+)/,
  );
  try {
    const dialer = dialersOf(`tcp://127.0.0.1:${server.port}`)[0] as Dialer;
    const members = Array.from(
      { length: size },
      (_, index) => new LoadDevice(`member${index}`, "d"),
    );
    for (let at = 0; at < size; at += 200) {
      await Promise.all(members.slice(at, at + 200).map((member) => member.attach(dialer)));
    }
    const conversationId = await makeGroup(members);
    const group = new LoadGroup(members, conversationId, { fanOut, window: WINDOW });
    group.start();
    await wait(1_000);
    const before = { count: group.deliveredCount, cpuMs: server.cpuMs };
    await wait(measureMs);
    const count = group.deliveredCount - before.count;
    const cpuMicros = ((server.cpuMs - before.cpuMs) * 1000) / count;
    for (const member of members) member.close();
    return { perSecond: (count * 1000) / measureMs, cpuMicros };
  } finally {
    await server.stop();
    await rm(folder, { recursive: true });
  }
}
