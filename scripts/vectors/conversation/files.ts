import type { ConversationCase } from "./cases.ts";
import { EVENTS } from "./events.ts";
import { IDS } from "./ids.ts";
import { INDEXES } from "./indexes.ts";
import { NUMBER_SETS } from "./number-sets.ts";
import { READ_BITMAPS } from "./read-bitmaps.ts";
import { UNREAD } from "./unread.ts";
import { USERS } from "./users.ts";

/** The files of spec/vectors/conversation/. */
export const CONVERSATION_FILES: Readonly<
  Record<string, { readonly about: string; readonly cases: readonly ConversationCase[] }>
> = {
  "ids.json": { about: "Which conversation it is.", cases: IDS },
  "number-sets.json": {
    about: "What was read: sets, marks, and how they merge.",
    cases: NUMBER_SETS,
  },
  "read-bitmaps.json": { about: "Who has read a message.", cases: READ_BITMAPS },
  "indexes.json": { about: "What a device is told after a long absence.", cases: INDEXES },
  "events.json": {
    about: "What timelines say of conversations and users, and what follows from it.",
    cases: [...EVENTS, ...USERS, ...UNREAD],
  },
};
