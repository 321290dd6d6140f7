import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openIdentities } from "../../server/envelope/identity-file.ts";
import type { SeededRandom } from "../random.ts";
import { ServerProcess } from "../server-process.ts";
import { demoTexts } from "../texts.ts";
import { DemoDevice } from "./device.ts";
import { type Fault, planFaults } from "./faults.ts";
import { judgeTranscripts } from "./transcripts.ts";

export interface PairOptions {
  readonly random: SeededRandom;
  readonly messageCount: number;
  readonly envelope: string;
  readonly file: string | undefined;
}

/**
 * Two users with two devices each talk over all three transports at once, through proxies that cut
 * their links at random bytes, while the server is killed and devices move between transports. At
 * the end every transcript is compared with what was sent.
 */
export async function pairDemo(options: PairOptions) {
  const { random, messageCount, envelope, file } = options;
  const folder = await mkdtemp(join(tmpdir(), "posthorn-demo-"));
  const data = join(folder, "data");
  const isSealed = envelope === "required";
  const server = await ServerProcess.start(data, envelope);
  const pin = isSealed ? openIdentities(data).present.serverId : undefined;
  const devices = await startDevices({ serverPort: server.port, folder, pin });
  try {
    const startedMs = performance.now();
    const counts = { submitted: 0, started: 0, durable: 0, switches: 0, allowed: 0 };
    const run: Run = { server, devices, total: messageCount, ...counts };
    const texts = numberedTexts(messageCount, file);
    const faults = injectFaults(run, planFaults(random, devices.length));
    const progress = setInterval(() => showProgress(run), 200);
    await Promise.all(
      devices.map((device, index) => {
        const own = texts.filter((_, at) => at % devices.length === index);
        run.submitted += own.length;
        return device.sendAll(own, {
          mayStart: () => mayStart(run),
          onDurable: () => {
            run.durable += 1;
          },
        });
      }),
    );
    await faults;
    await allShown(devices);
    clearInterval(progress);
    showDevices(run);
    const ms = Math.round(performance.now() - startedMs);
    return { ...verdictOf(run), envelope, ms };
  } finally {
    await Promise.all(devices.map((device) => device.close()));
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Run {
  readonly server: ServerProcess;
  readonly devices: readonly DemoDevice[];
  readonly total: number;
  submitted: number;
  started: number;
  durable: number;
  /** How many messages may be started before the next fault has happened. */
  allowed: number;
  switches: number;
}

async function startDevices(shared: {
  readonly serverPort: number;
  readonly folder: string;
  readonly pin: Uint8Array | undefined;
}): Promise<DemoDevice[]> {
  const people = [
    ["alice", "bob", "phone", 0],
    ["alice", "bob", "laptop", 1],
    ["bob", "alice", "tablet", 2],
    ["bob", "alice", "desktop", 0],
  ] as const;
  const devices = await Promise.all(
    people.map(([userId, peerId, name, turn]) =>
      DemoDevice.start({ name, userId, peerId, turn, ...shared }),
    ),
  );
  await Promise.all(devices.map((device) => device.attached()));
  return devices;
}

/**
 * Every text in turn until there are enough, each with a number that makes it unlike all others.
 */
function numberedTexts(count: number, file: string | undefined): string[] {
  const texts = demoTexts(file);
  return Array.from({ length: count }, (_, index) => {
    const text = texts[index % texts.length] as string;
    return text === "" ? "" : `${index} ${text}`;
  });
}

/** How far sending may run ahead of the faults: they are to happen in the middle of things. */
const AHEAD = 200;

async function mayStart(run: Run): Promise<void> {
  while (run.started >= run.allowed) await turn();
  run.started += 1;
}

/** Lets each fault happen when its share of the messages is durable. */
async function injectFaults(run: Run, faults: readonly Fault[]): Promise<void> {
  for (const fault of faults) {
    run.allowed = Math.ceil(fault.at * run.total) + AHEAD;
    while (run.durable < fault.at * run.total) await turn();
    if (fault.kind === "kill") {
      await run.server.killAndRestart();
      continue;
    }
    const device = run.devices[fault.device] as DemoDevice;
    if (fault.kind === "cut") {
      await cutLink(device, fault.bytes);
    } else {
      await device.moveLink(fault.turn).then(
        () => {
          run.switches += 1;
        },
        () => {},
      );
    }
  }
  run.allowed = run.total;
}

/**
 * How long a cut waits for its byte: sending does not run ahead of the faults, so that a link may
 * fall quiet.
 */
const CUT_WAIT_MS = 150;

async function cutLink({ proxy }: DemoDevice, bytes: number): Promise<void> {
  const before = proxy.cutCount;
  const quietMs = performance.now() + CUT_WAIT_MS;
  proxy.cutAfter(bytes);
  while (proxy.cutCount === before) {
    await turn();
    if (performance.now() > quietMs) proxy.cutNow();
  }
}

async function allShown(devices: readonly DemoDevice[]): Promise<void> {
  const wanted = devices.reduce((sum, device) => sum + device.accepted.length, 0);
  const deadlineMs = performance.now() + 20_000;
  while (devices.some((device) => device.transcript.length < wanted)) {
    if (performance.now() > deadlineMs) return;
    await turn();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

function cutCount({ devices }: Run): number {
  return devices.reduce((sum, device) => sum + device.proxy.cutCount, 0);
}

function showProgress(run: Run): void {
  if (!process.stderr.isTTY) return;
  const links = run.devices.map(({ name, status }) => `${name}:${status.link ?? "-"}`).join(" ");
  const faults = `${run.server.killCount} kills ${cutCount(run)} cuts ${run.switches} switches`;
  process.stderr.write(`\r\x1b[2K${run.durable}/${run.total} durable  ${faults}  ${links}`);
}

function showDevices({ devices }: Run): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K");
  for (const { userId, name, accepted, refusedCount, transcript, proxy } of devices) {
    const who = `${userId}/${name}`.padEnd(14);
    const sent = `sent ${accepted.length}, refused as empty ${refusedCount}`;
    const seen = `shown ${transcript.length}, link cut ${proxy.cutCount} times`;
    process.stdout.write(`${who} ${sent}, ${seen}\n`);
  }
}

function verdictOf(run: Run) {
  return {
    submitted: run.submitted,
    ...judgeTranscripts(run.devices),
    kills: run.server.killCount,
    cuts: cutCount(run),
    switches: run.switches,
  };
}
