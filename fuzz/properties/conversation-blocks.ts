import { Bench } from "../conversations/bench.ts";
import {
  ALL_STEPS,
  type DrawnAsked,
  drawnHistory,
  type History,
  type Step,
  type Weights,
} from "../conversations/drawn.ts";
import { playHistory } from "../conversations/play.ts";
import { property } from "../property.ts";

const KINDS: Weights = {
  blocks: 9,
  direct: 4,
  send: 6,
  edit: 4,
  recall: 1,
  react: 4,
  mark: 4,
  profile: 3,
  contacts: 6,
  change: 8,
  create: 1,
};
/** Two devices each: so few that whom somebody blocks is who writes. */
const USERS_MEETING = 3;
/** What a drawn conversation is to be, in the terms of `askedOf`: direct. */
const DIRECT = 12;

const HISTORY = drawnHistory({ asked: KINDS, steps: ALL_STEPS, batchMax: 3 }).map(
  ({ made, steps }): History => ({ made, steps: steps.map(meeting) }),
);

function meeting({ kind, device, asked }: Step): Step {
  return { kind, device: device % (2 * USERS_MEETING), asked: asked.map(met) };
}

/** Mostly of those few; every third conversation is any. */
function met(drawn: DrawnAsked): DrawnAsked {
  const few = (number: number) => (number % 32 === 31 ? number : number % USERS_MEETING);
  if (drawn.kind === "blocks") return { ...drawn, a: few(drawn.a) };
  if (drawn.kind === "contacts") return { ...drawn, a: few(drawn.a) };
  if (drawn.kind === "direct") return { ...drawn, b: few(drawn.b) };
  if (drawn.kind === "change" && drawn.a % 4 > 0) {
    // Whom it names first is one of the few, and nobody else.
    return { ...drawn, a: [1, 5, 10][few(drawn.a)] ?? drawn.a, c: 0 };
  }
  if (drawn.at % 3 === 0 || drawn.kind === "change") return drawn;
  return { ...drawn, at: (few(drawn.at >> 2) % 16) * 16 + DIRECT };
}

export const conversationsBlocks = property<History>({
  name: "conversations-blocks",
  title:
    "[USR-2] [USR-4] [USR-11] [USR-12] [USR-13] [USR-20] [USR-21] [USR-22] [USR-23] [USR-24] " +
    "[USR-26] [USR-27] nothing comes from whom somebody blocks, nor goes there, whatever is " +
    "under way, and what users keep for themselves is what they have said of it",
  smokeRuns: 30,
  turns: 2,
  kinds: [
    "stale",
    "together",
    "blocks done",
    "blocks CONTENT_INVALID",
    "blocks NOT_PERMITTED",
    "blocks CONTACTS_FULL",
    "blocks USER_ID_INVALID",
    "contacts done",
    "contacts CONTENT_INVALID",
    "contacts USER_ID_INVALID",
    "contacts CONTACTS_FULL",
    "profile done",
    "profile PROFILE_INVALID",
    "direct done",
    "direct BLOCKED",
    "send BLOCKED",
    "edit done",
    "edit BLOCKED",
    "react done",
    "react BLOCKED",
    "mark done",
    "recall done",
    "change done",
    "change BLOCKED",
    "create done",
    "create BLOCKED",
  ],
  arbitrary: HISTORY,
  start: (seen) => ({
    check: async (history) => playHistory(history, await Bench.start(), { seen }),
  }),
});
