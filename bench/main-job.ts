import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dialer } from "../client/dialer.ts";
import { dialersOf } from "../client/node.ts";
import type { JobOptions } from "./job.ts";
import { bareConnectionBytes, commitLimit, echoLimit, wait } from "./limits.ts";
import { ageMs, LoadDevice, operationTo } from "./load.ts";
import { LoadGroup, makeGroup } from "./load-group.ts";
import { NodeProcess, UNLIMITED } from "./node-process.ts";

const PAIRS = 50;
const WINDOW = 64;
const KINDS = ["tcp", "ws", "http"] as const;
type Kind = (typeof KINDS)[number];

/** Measures the main job: durable, delivered, acknowledged; beside the machine's bare limits. */
export async function core({ measureMs, idleCount, report }: JobOptions): Promise<void> {
  const echo = {
    tcp: await echoLimit("tcp", measureMs),
    ws: await echoLimit("websocket", measureMs),
  };
  const commits = await commitLimit(measureMs);
  report({ name: "limit: TCP echo, coalesced", value: echo.tcp, unit: "frames/s" });
  report({ name: "limit: ws echo, coalesced", value: echo.ws, unit: "frames/s" });
  report({ name: "limit: LMDB group commit alone", value: commits, unit: "puts/s" });
  const limit = { name: "LMDB group commit alone", value: commits };
  for (const kind of KINDS) {
    const rate = await pairsRate(kind, measureMs);
    const ratio = rate / commits;
    report({ name: `1:1 ${kind}`, value: rate, unit: "messages/s", limit: { ...limit, ratio } });
    const { p50, p99 } = await latency(kind, { rate: rate / 3, measureMs });
    report({ name: `1:1 ${kind} at a third of that, p50`, value: p50, unit: "ms" });
    report({ name: `1:1 ${kind} at a third of that, p99`, value: p99, unit: "ms" });
  }
  for (const kind of ["tcp", "ws"] as const) {
    const value = await fanOutRate(kind, measureMs);
    const name = kind === "tcp" ? "TCP echo, coalesced" : "ws echo, coalesced";
    const fan = { name, value: echo[kind], ratio: value / echo[kind] };
    report({ name: `fan-out to 1,000, ${kind}`, value, unit: "deliveries/s", limit: fan });
  }
  for (const kind of ["tcp", "ws"] as const) {
    const bare = await bareConnectionBytes(kind === "tcp" ? "tcp" : "websocket", idleCount);
    const value = await idleBytes(kind, idleCount);
    const bareLimit = { name: `bare ${kind} connection`, value: bare, ratio: value / bare };
    report({ name: `idle session, ${kind}`, value, unit: "bytes RSS", limit: bareLimit });
  }
}

async function withServer<T>(
  body: (server: NodeProcess) => Promise<T>,
  more: readonly string[] = [],
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-bench-"));
  const main = join(import.meta.dirname, "..", "cli", "main.ts");
  const flags = ["--port", "0", "--data", join(folder, "data"), "--log-level", "error", ...more];
  const server = await NodeProcess.start(
    [main, "serve", ...UNLIMITED, ...flags],
    /tcp:\/\/127\.0\.0\.1:(\d+)/,
  );
  try {
    return await body(server);
  } finally {
    await server.stop();
    await rm(folder, { recursive: true });
  }
}

function dialer(kind: Kind, server: NodeProcess): Dialer {
  return dialersOf(`${kind}://127.0.0.1:${server.port}`)[0] as Dialer;
}

async function attachPairs(kind: Kind, server: NodeProcess): Promise<[LoadDevice, LoadDevice][]> {
  return await Promise.all(
    Array.from({ length: PAIRS }, async (_, index) => {
      const sender = new LoadDevice(`sender${index}`, "d");
      const receiver = new LoadDevice(`receiver${index}`, "d");
      await Promise.all([
        sender.attach(dialer(kind, server)),
        receiver.attach(dialer(kind, server)),
      ]);
      return [sender, receiver] satisfies [LoadDevice, LoadDevice];
    }),
  );
}

/**
 * Messages a second between 50 pairs, each sender with 64 under way, counted where they are
 * delivered.
 */
function pairsRate(kind: Kind, measureMs: number): Promise<number> {
  return withServer(async (server) => {
    const pairs = await attachPairs(kind, server);
    let delivered = 0;
    for (const [sender, receiver] of pairs) {
      const more = (count: number) => {
        for (let index = 0; index < count; index += 1) {
          sender.submit(operationTo(receiver.userId));
        }
      };
      receiver.onDelivered = () => {
        delivered += 1;
      };
      sender.onSettled = more;
      more(WINDOW);
      sender.pump();
    }
    await wait(1_000);
    const before = delivered;
    await wait(measureMs);
    const rate = ((delivered - before) * 1000) / measureMs;
    for (const device of pairs.flat()) device.close();
    return rate;
  });
}

/** From send to delivery at a steady rate. */
function latency(kind: Kind, load: { readonly rate: number; readonly measureMs: number }) {
  return withServer(async (server) => {
    const pairs = await attachPairs(kind, server);
    const ages: number[] = [];
    for (const [, receiver] of pairs) receiver.onDelivered = (event) => ages.push(ageMs(event));
    const startedMs = performance.now();
    let sent = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const elapsedMs = performance.now() - startedMs;
        for (const due = (load.rate * elapsedMs) / 1000; sent < due; sent += 1) {
          const [sender, receiver] = pairs[sent % PAIRS] as [LoadDevice, LoadDevice];
          sender.submit(operationTo(receiver.userId));
        }
        for (const [sender] of pairs) sender.pump();
        if (elapsedMs < load.measureMs) return;
        clearInterval(timer);
        resolve();
      }, 1);
    });
    await wait(300);
    for (const device of pairs.flat()) device.close();
    ages.sort((a, b) => a - b);
    const at = (share: number) => ages[Math.floor(ages.length * share)] ?? Number.NaN;
    return { p50: at(0.5), p99: at(0.99) };
  });
}

/** One sender, window 8, to a group of 1,000. */
function fanOutRate(kind: Kind, measureMs: number): Promise<number> {
  return withServer(
    async (server) => {
      const members = Array.from({ length: 1_000 }, (_, index) => new LoadDevice(`m${index}`, "d"));
      for (let at = 0; at < members.length; at += 100) {
        const some = members.slice(at, at + 100);
        await Promise.all(some.map((device) => device.attach(dialer(kind, server))));
      }
      const group = new LoadGroup(members, await makeGroup(members), {
        fanOut: "timelines",
        window: 8,
      });
      group.start();
      await wait(1_000);
      const before = group.deliveredCount;
      await wait(measureMs);
      const rate = ((group.deliveredCount - before) * 1000) / measureMs;
      for (const device of members) device.close();
      return rate;
    },
    ["--conversations-fan-out-members-max", "1000"],
  );
}

/** What the server's memory grows by for each attached, idle session. */
function idleBytes(kind: Kind, count: number): Promise<number> {
  return withServer(async (server) => {
    const before = server.rssBytes;
    const devices: LoadDevice[] = [];
    while (devices.length < count) {
      const some = Array.from({ length: Math.min(200, count - devices.length) }, (_, index) => {
        return new LoadDevice(`idle${devices.length + index}`, "d");
      });
      await Promise.all(some.map((device) => device.attach(dialer(kind, server))));
      devices.push(...some);
    }
    await wait(2_000);
    const bytes = (server.rssBytes - before) / count;
    for (const device of devices) device.close();
    await wait(500);
    return bytes;
  });
}
