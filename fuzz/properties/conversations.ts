import { rm } from "node:fs/promises";
import fc from "fast-check";
import { Bench, benchRoot } from "../conversations/bench.ts";
import {
  ALL_KINDS,
  type DrawnAsked,
  drawnAsked,
  drawnStep,
  type Step,
} from "../conversations/drawn.ts";
import { Play } from "../conversations/play.ts";
import { property, type Seen } from "../property.ts";

interface History {
  /** Conversations that are there from the beginning. */
  readonly made: readonly DrawnAsked[];
  readonly steps: readonly Step[];
}

const STEPS_MIN = 10;
const STEPS_MAX = 60;
const TITLE =
  "[CNV-1] [CNV-2] [CNV-4] [CNV-5] [CNV-6] [CNV-7] [CNV-10] [CNV-12] [CNV-13] [CNV-15] [CNV-16] " +
  "[CNV-17] [CNV-18] [CNV-20] [CNV-21] [CNV-22] [CNV-23] [CNV-24] [CNV-30] [CNV-33] [CNV-34] " +
  "[CNV-35] [CNV-40] [CNV-41] [CNV-42] [CNV-43] [CNV-46] [CNV-47] [CNV-48] [CNV-49]";

async function playHistory({ made, steps }: History, bench: Bench, seen: Seen): Promise<void> {
  try {
    const play = new Play(bench, seen);
    for (const [index, one] of made.entries()) {
      await play.step({ kind: "submit", device: index * 2, asked: [one] });
    }
    for (const step of steps) await play.step(step);
    await play.end();
  } finally {
    await bench.stop();
  }
}

function histories(): fc.Arbitrary<History> {
  return fc.record({
    made: fc.array(drawnAsked({ create: 1 }), { minLength: 1, maxLength: 2 }),
    steps: fc.array(drawnStep(ALL_KINDS), {
      minLength: STEPS_MIN,
      maxLength: STEPS_MAX,
      size: "max",
    }),
  });
}

export const conversationsModel = property<History>({
  name: "conversations-model",
  title:
    `${TITLE} every member's view is what the rules say, whatever is asked, by whom, at once ` +
    "or again (P26)",
  smokeRuns: 60,
  turns: 4,
  arbitrary: histories(),
  start: (seen) => ({ check: async (history) => playHistory(history, await Bench.start(), seen) }),
});

export const conversationsLmdb = property<History>({
  name: "conversations-lmdb",
  title: "[CNV-15] [CNV-18] [SEQ-14] the same on a disk that is opened again (P20)",
  smokeRuns: 6,
  turns: 2,
  arbitrary: histories(),
  start: async (seen) => {
    const root = await benchRoot();
    return {
      check: async (history) => playHistory(history, await Bench.start(root), seen),
      stop: () => rm(root, { recursive: true, force: true }),
    };
  },
});
