import fc from "fast-check";
import { CLIENT_TRANSITIONS, SERVER_TRANSITIONS } from "../../protocol/session/phases.ts";
import { property, type Seen } from "../property.ts";
import { COMMANDS, DRAWN_MAX, drawn } from "../sim/commands.ts";
import type { SimDevice, Snapshot } from "../sim/device.ts";
import { Trace } from "../sim/trace.ts";
import { type Watcher, World } from "../sim/world.ts";

const COMMANDS_MIN = 30;
const COMMANDS_MAX = 120;

/** Plays a schedule in a new world, lets everything drain, and judges what came of it. */
async function play(schedule: readonly number[], watcher: Watcher): Promise<void> {
  const world = new World(watcher);
  const snapshots = new Map<SimDevice, Snapshot>();
  world.devices.forEach((device, index) => {
    world.attach(device, "stream", index % 2);
  });
  for (const number of schedule) {
    const { command, scene } = drawn(number, world);
    watcher.line?.("", "", `${command.name}: ${scene.device.name}, node ${scene.node + 1}`);
    const done = await command.run({ ...scene, snapshots });
    if (done !== false) watcher.seen(command.name);
    await world.turn();
  }
  watcher.line?.("", "", "faults stop");
  await world.settle();
  world.judge();
}

const rest = () => new Promise<void>(setImmediate);
const transitionNames = (side: string, table: Readonly<Record<string, object>>) =>
  Object.entries(table).flatMap(([fact, from]) =>
    Object.keys(from).map((phase) => `${side}: ${phase} ${fact}`),
  );

/** The whole promise, on the machines, the session host and the operations as they are shipped. */
export const session = property<number[]>({
  name: "session",
  title:
    "[SEQ-1] [SEQ-2] [SEQ-3] [SEQ-4] [SEQ-6] [SEQ-7] [SEQ-8] [SEQ-9] [SEQ-10] [SEQ-11] [SEQ-13] " +
    "[SEQ-14] [SEQ-15] [SES-6] [RES-1] [RES-12] exactly once and in order, whatever is cut, " +
    "lost, repeated, crashes or jumps (P4, P6, P9, P11, P12, P14, P15, P17, P19, P20, P24)",
  smokeRuns: 400,
  kinds: [
    ...COMMANDS.map(({ name }) => name),
    ...transitionNames("device", CLIENT_TRANSITIONS),
    ...transitionNames("node", SERVER_TRANSITIONS),
    "crash between commit and reply",
  ],
  arbitrary: fc.array(fc.nat(DRAWN_MAX), {
    minLength: COMMANDS_MIN,
    maxLength: COMMANDS_MAX,
    size: "max",
  }),
  start: (seen: Seen) => ({ check: (schedule) => play(schedule, { seen, rest }) }),
  trace: async (schedule) => {
    const trace = new Trace();
    const watcher = { seen: () => {}, rest, line: trace.line };
    await play(schedule, watcher).catch((error: unknown) => trace.failed(error));
    return trace.text;
  },
});
