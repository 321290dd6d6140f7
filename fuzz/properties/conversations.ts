import { rm } from "node:fs/promises";
import { Bench, benchRoot } from "../conversations/bench.ts";
import { ALL_KINDS, ALL_STEPS, drawnHistory, type History } from "../conversations/drawn.ts";
import { type Play, playHistory } from "../conversations/play.ts";
import { ServicesJudge } from "../conversations/services-judge.ts";
import { property } from "../property.ts";

const TITLE =
  "[CNV-1] [CNV-2] [CNV-4] [CNV-5] [CNV-6] [CNV-7] [CNV-10] [CNV-11] [CNV-12] [CNV-13] " +
  "[CNV-15] [CNV-16] [CNV-17] [CNV-18] [CNV-19] [CNV-20] [CNV-21] [CNV-22] [CNV-23] " +
  "[CNV-24] [CNV-25] [CNV-30] [CNV-32] [CNV-33] [CNV-34] [CNV-35] [CNV-40] [CNV-41] " +
  "[CNV-42] [CNV-43] [CNV-44] [CNV-45] [CNV-46] [CNV-47] [CNV-48] [CNV-49] ";
const HISTORY = drawnHistory({ asked: ALL_KINDS, steps: ALL_STEPS, batchMax: 3 });

/** The whole of it, on the way that operations really take. */
export const conversationsModel = property<History>({
  name: "conversations-model",
  title: `${TITLE}everybody sees what the rules say, whatever is asked, at once or again (P26)`,
  smokeRuns: 30,
  turns: 4,
  kinds: [
    "together",
    "repeat",
    "stale",
    "direct done",
    "direct USER_ID_INVALID",
    "direct USER_UNKNOWN",
    "send done",
    "send CONVERSATION_UNKNOWN",
    "send NOT_PERMITTED",
    "send MEMBER_UNKNOWN",
    "send MESSAGE_UNKNOWN",
    "send MESSAGE_EMPTY",
    "send MESSAGE_TOO_LARGE",
    "send CONTENT_INVALID",
    "edit done",
    "edit NOT_PERMITTED",
    "edit MESSAGE_UNKNOWN",
    "recall done",
    "recall NOT_PERMITTED",
    "recall RECALL_TOO_LATE",
    "react done",
    "react REACTION_REFUSED",
    "mark done",
    "mark MARK_INVALID",
    "create done",
    "create CONVERSATION_CHANGED",
    "create CONVERSATION_INVALID",
    "create CONVERSATIONS_FULL",
    "create MEMBERS_FULL",
    "change done",
    "change NOT_PERMITTED",
    "change MEMBER_UNKNOWN",
    "change LAST_OWNER",
    "change MEMBERS_FULL",
    "change CONVERSATIONS_FULL",
    "change USER_UNKNOWN",
    "join done",
    "join CONVERSATION_UNKNOWN",
    "join MEMBERS_FULL",
    "join CONVERSATIONS_FULL",
    "leave done",
    "leave LAST_OWNER",
    "leave NOT_PERMITTED",
    "settings done",
    "settings CONVERSATION_CHANGED",
    "settings CONVERSATION_INVALID",
    "preferences done",
    "raw OPERATION_MALFORMED",
  ],
  arbitrary: HISTORY,
  start: (seen) => ({
    check: async (history) => playHistory(history, await Bench.start(), { seen }),
  }),
});

export const conversationsLmdb = property<History>({
  name: "conversations-lmdb",
  title: "[CNV-14] [CNV-17] [CNV-19] [SEQ-14] the same on a disk that is opened again (P20)",
  smokeRuns: 3,
  turns: 2,
  arbitrary: HISTORY,
  start: async (seen) => {
    const root = await benchRoot();
    return {
      check: async (history) => playHistory(history, await Bench.start(root), { seen }),
      stop: () => rm(root, { recursive: true, force: true }),
    };
  },
});

/** Those who come when something was said already are the ones of whom something is kept. */
const ASKED_ABOUT = drawnHistory({
  asked: { ...ALL_KINDS, send: 20, change: 12, join: 10 },
  steps: { submit: 12, wait: 1, cross: 1 },
  batchMax: 3,
});

export const conversationsServices = property<History>({
  name: "conversations-services",
  title:
    "[SVC-2] [SVC-4] [SVC-11] [SVC-12] [SVC-13] [SVC-14] [SVC-15] [SVC-16] [SVC-17] [SVC-18] " +
    "every method answers everybody what the model says, page by page, and strangers nothing (P26)",
  smokeRuns: 10,
  kinds: ["send done", "edit done", "recall done", "mark done", "leave done", "preferences done"],
  arbitrary: ASKED_ABOUT,
  start: (seen) => ({
    check: async (history) => {
      const watch = ({ bench, model }: Play) => ({
        ended: () => new ServicesJudge(bench.store, model).judge(),
      });
      await playHistory(history, await Bench.start(), { seen, watch });
    },
  }),
});
