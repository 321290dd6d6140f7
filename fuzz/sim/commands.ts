import { userRefOf } from "../../server/store/store.ts";
import type { SimDevice, Snapshot } from "./device.ts";
import { PollWire } from "./poll-wire.ts";
import type { World } from "./world.ts";

/** What one command works with: chosen by the number that the command is drawn as. */
export interface Scene {
  readonly world: World;
  readonly device: SimDevice;
  readonly node: number;
  readonly amount: number;
  /** Storage of devices as it once was. */
  readonly snapshots: Map<SimDevice, Snapshot>;
}

export interface Command {
  readonly name: string;
  /** Slots of {@link SLOT_COUNT}. */
  readonly weight: number;
  /** Does it; returns false when there was nothing to do it to. */
  run(scene: Scene): boolean | void | Promise<void>;
}

const HOUR_MS = 3_600_000;
const RECEIVERS = ["ann", "ben"];

/** Most of the time things flow: faults then meet sessions in the middle of something. */
export const COMMANDS: readonly Command[] = [
  { name: "flow", weight: 15, run: ({ world, amount }) => world.flow(1 + (amount % 3), 199) },
  {
    name: "submit",
    weight: 7,
    run: ({ device, amount }) => {
      for (let left = amount % 4; left >= 0; left -= 1) {
        device.submit(RECEIVERS[(amount >> 2) % 2] as string);
      }
    },
  },
  { name: "submit to nobody", weight: 1, run: ({ device }) => device.submit("nobody") },
  { name: "handle", weight: 6, run: ({ device, amount }) => device.handle(1 + (amount % 3)) },
  {
    name: "attach by stream",
    weight: 4,
    run: ({ world, device, node }) => world.attach(device, "stream", node),
  },
  {
    name: "attach by long poll",
    weight: 3,
    run: ({ world, device, node }) => world.attach(device, "poll", node),
  },
  {
    name: "carry up",
    weight: 3,
    run: ({ world, device, amount }) => world.carry(device, "up", amount),
  },
  {
    name: "carry down",
    weight: 3,
    run: ({ world, device, amount }) => world.carry(device, "down", amount),
  },
  {
    name: "journal writes",
    weight: 2,
    run: ({ device, amount }) => device.writeJournal(1 + (amount % 2)),
  },
  {
    name: "journal stalls",
    weight: 2,
    run: ({ device }) => {
      device.isJournalStalled = !device.isJournalStalled;
    },
  },
  {
    name: "store steps",
    weight: 3,
    run: ({ world, node, amount }) => world.nodes[node]?.store.step(1 + (amount % 2)),
  },
  {
    name: "time passes",
    weight: 2,
    run: ({ world, amount }) => world.elapse((amount % 64) * 25),
  },
  {
    name: "switch transport",
    weight: 2,
    run: ({ world, device, node, amount }) => {
      world.switch(device, amount % 2 === 0 ? "stream" : "poll", node);
    },
  },
  {
    name: "cut",
    weight: 1,
    run: ({ device }) => {
      const { wire } = device;
      wire?.cut();
      return wire !== undefined;
    },
  },
  {
    name: "half-open",
    weight: 1,
    run: ({ device }) => {
      const { wire } = device;
      wire?.halve();
      return wire !== undefined;
    },
  },
  {
    name: "half-open and attach",
    weight: 2,
    run: ({ world, device, node, amount }) => {
      if (device.wire === undefined) return false;
      // Sometimes with an acknowledgement under way, which then arrives long after.
      if (amount % 4 < 2) {
        device.probe();
        world.stall(device, "up");
      }
      device.wire.halve();
      world.attach(device, amount % 2 === 0 ? "stream" : "poll", node);
      return true;
    },
  },
  {
    name: "stall",
    weight: 1,
    run: ({ world, device, amount }) => world.stall(device, amount % 2 === 0 ? "up" : "down"),
  },
  { name: "crash of device", weight: 1, run: ({ device }) => device.restart() },
  {
    name: "crash of device, cut",
    weight: 1,
    run: ({ device }) => {
      device.wire?.cut();
      device.restart();
    },
  },
  { name: "crash of node", weight: 1, run: ({ world, node }) => world.crashNode(node) },
  {
    name: "store out of reach",
    weight: 1,
    run: ({ world, node }) => world.nodes[node]?.store.fail(),
  },
  {
    name: "wake-up lost",
    weight: 1,
    run: ({ world, node }) => world.nodes[node]?.store.loseHints(),
  },
  {
    name: "request lost",
    weight: 1,
    run: ({ world, device }) => pollWires(world, device).some((wire) => wire.loseRequest()),
  },
  {
    name: "answer lost",
    weight: 1,
    run: ({ world, device }) => pollWires(world, device).some((wire) => wire.loseAnswer()),
  },
  {
    name: "request repeated",
    weight: 2,
    run: ({ world, device, amount }) =>
      pollWires(world, device).some((wire) => wire.repeatRequest(amount)),
  },
  {
    name: "clock jump of device",
    weight: 1,
    run: ({ device, amount }) => {
      device.skewMs += amount % 2 === 0 ? HOUR_MS : -HOUR_MS;
      device.elapsed();
    },
  },
  {
    name: "clock jump of store",
    weight: 1,
    run: ({ world, amount }) => {
      world.service.skewMs += amount % 2 === 0 ? HOUR_MS : -HOUR_MS;
    },
  },
  {
    name: "node sleeps an hour",
    weight: 1,
    run: ({ world, node }) => world.sleep(node, HOUR_MS),
  },
  {
    name: "snapshot",
    weight: 1,
    run: ({ world, device, snapshots }) => {
      // A storage without a grant of this service cannot tell which of its submits were sent in a
      // life that it forgot: chapter 5.4 names the limit.
      const ref = { user: userRefOf("", device.userId), deviceId: device.name };
      const { outboxEpoch } = world.service.disk.device(ref) ?? { outboxEpoch: 0 };
      if (outboxEpoch === 0 || device.journal.outboxEpoch !== outboxEpoch) return false;
      snapshots.set(device, device.snapshot());
      return true;
    },
  },
  {
    name: "restore",
    weight: 2,
    run: ({ world, device, node, snapshots }) => {
      const snapshot = snapshots.get(device);
      if (snapshot === undefined) return false;
      device.restart(snapshot);
      // Numbers that a forgotten life used are given out again while its link may still bring them.
      device.submit("ben");
      world.attach(device, "stream", node);
      return true;
    },
  },
  {
    name: "store lost",
    weight: 1,
    run: ({ world, snapshots, amount }) => {
      if (amount % 8 !== 0) return false;
      snapshots.clear();
      world.loseStore();
      return true;
    },
  },
  { name: "wipe", weight: 1, run: ({ world, device }) => world.wipe(device) },
  {
    name: "retention",
    weight: 1,
    run: ({ world, device, amount }) =>
      world.service.retain(userRefOf("", device.userId), 1 + (amount % 6)),
  },
  {
    name: "timeline begins anew",
    weight: 1,
    run: ({ world, device }) => world.restartTimeline(userRefOf("", device.userId)),
  },
  { name: "drain", weight: 1, run: ({ world, node }) => world.nodes[node]?.drain() },
];

/** A command and its amount, drawn as one number: shrinks towards "flow" and 0. */
export const DRAWN_MAX: number = 2 ** 20 - 1;

const SLOTS: readonly Command[] = COMMANDS.flatMap((command) =>
  Array.from({ length: command.weight }, () => command),
);

export function drawn(
  number: number,
  world: World,
): { readonly command: Command; readonly scene: Omit<Scene, "snapshots"> } {
  const command = SLOTS[number % SLOTS.length] as Command;
  const rest = Math.floor(number / SLOTS.length);
  const device = world.devices[rest % world.devices.length] as SimDevice;
  const left = Math.floor(rest / world.devices.length);
  const node = left % world.nodes.length;
  const amount = Math.floor(left / world.nodes.length);
  return { command, scene: { world, device, node, amount } };
}

function pollWires(world: World, device: SimDevice): PollWire[] {
  return world.wires(device).filter((wire) => wire instanceof PollWire);
}
