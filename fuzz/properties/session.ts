import fc from "fast-check";
import { Delimiter } from "../../protocol/delimit.ts";
import { encodeFrame, type FrameOf } from "../../protocol/frames.ts";
import { CLIENT_TRANSITIONS, SERVER_TRANSITIONS } from "../../protocol/session/phases.ts";
import { assert } from "../../protocol/violation.ts";
import { property, type Seen } from "../property.ts";
import { COMMANDS, DRAWN_MAX, drawn } from "../sim/commands.ts";
import type { SimDevice, Snapshot } from "../sim/device.ts";
import { frameIn } from "../sim/frame-reader.ts";
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
/** Everything that happens in a schedule, but for the words of a Close. */
async function happenings(schedule: readonly number[], rewrite?: Watcher["rewrite"]) {
  const lines: string[] = [];
  const line = (from: string, to: string, what: string) => {
    lines.push(`${from} ${to} ${what.startsWith("Close") ? what.split(" ")[1] : what}`);
  };
  const seen = () => {};
  await play(schedule, { seen, rest, line, ...(rewrite === undefined ? {} : { rewrite }) });
  return lines.join("\n");
}

/** Each Close says the same code in other words, as long as the real ones: no byte moves. */
function withNoise(bytes: Uint8Array): Uint8Array {
  const frames: Uint8Array[] = [];
  new Delimiter(1 << 20).push(bytes, (from, at, end) => {
    const frame = frameIn(from, { at, end }, "server");
    frames.push(encodeFrame(frame.kind === "close" ? noisy(frame) : frame));
    return true;
  });
  return Buffer.concat(frames);
}

function noisy({ kind, value }: FrameOf<"close">): FrameOf<"close"> {
  const [detail, requirement] = [value.detail, value.requirement].map((text) =>
    text.replace(/./gs, "?"),
  ) as [string, string];
  return { kind, value: { ...value, detail, requirement } };
}

const transitionNames = (side: string, table: Readonly<Record<string, object>>) =>
  Object.entries(table).flatMap(([fact, from]) =>
    Object.keys(from).map((phase) => `${side}: ${phase} ${fact}`),
  );

/** The whole promise, on the machines, the session host and the operations as they are shipped. */
export const session = property<number[]>({
  name: "session",
  title:
    "[SEQ-1] [SEQ-2] [SEQ-3] [SEQ-4] [SEQ-6] [SEQ-7] [SEQ-8] [SEQ-9] [SEQ-10] [SEQ-11] [SEQ-13] " +
    "[SEQ-14] [SEQ-15] [SEQ-16] [SES-6] [SES-7] [SES-8] [SES-16] [SES-18] [RES-1] [RES-4] " +
    "[RES-5] [RES-9] [RES-10] [RES-11] [RES-12] [RES-14] [RES-15] [LNK-8] [LNK-12] [LIM-3] " +
    "[CAT-1] [CAT-2] [CAT-7] [CAT-8] [CAT-10] exactly " +
    "once and in order, whatever is cut, lost, repeated, crashes or jumps, on any node " +
    "(P1, P2, P4, P5, P6, P9, P11, P12, P13, P14, P15, P17, P19, P20, P24, P33, P34)",
  smokeRuns: 400,
  turns: 8,
  kinds: [
    ...COMMANDS.map(({ name }) => name),
    ...transitionNames("device", CLIENT_TRANSITIONS),
    ...transitionNames("node", SERVER_TRANSITIONS),
    "crash between commit and reply",
    "too often",
    "index: with events",
    "index: without events",
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

/** Codes decide, words are for people. */
export const words = property<number[]>({
  name: "words",
  title: "[ERR-2] the same happens, whatever the words of an error are (P29)",
  smokeRuns: 40,
  arbitrary: fc.array(fc.nat(DRAWN_MAX), { minLength: 20, maxLength: 60, size: "max" }),
  start: () => ({
    check: async (schedule) => {
      const [plain, noisy] = [await happenings(schedule), await happenings(schedule, withNoise)];
      assert(plain === noisy, "other words, other behaviour");
    },
  }),
});
