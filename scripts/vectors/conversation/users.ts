import type { ConversationCase } from "./cases.ts";
import { event, SEQ_MAX } from "./event-cases.ts";

const PROFILE = { displayName: "Zoë 🐝", about: "two\nlines", avatarUri: "https://a.example/zoe" };
/** What timelines say of users: profiles, contacts and blocks. */
export const USERS: readonly ConversationCase[] = [
  event(
    ["USR-3 USR-4", "profile", "All that a user can say of itself.", "profile"],
    "profileChanged",
    {
      userId: "zoe",
      profile: PROFILE,
      revision: "3",
    },
  ),
  event(
    ["USR-2 USR-4", "profile-none", "A user says nothing of itself any more.", "profile"],
    "profileChanged",
    { userId: "zoe", profile: {}, revision: SEQ_MAX },
  ),
  event(
    [
      "USR-12 USR-13",
      "contacts",
      "Two on the list, one of them with a name; one off it.",
      "contacts",
    ],
    "contactsChanged",
    {
      set: [{ userId: "bob", alias: "Bob, upstairs", note: "has a key" }, { userId: "never-here" }],
      removedUserIds: ["carol"],
      revision: "300",
    },
  ),
  event(["USR-26", "blocks", "Two are blocked.", "blocks"], "blocksChanged", {
    blockedUserIds: ["mallory", "eve"],
    revision: "1",
  }),
  event(
    ["USR-26", "blocks-exchanged", "One is blocked, another one not any more.", "blocks"],
    "blocksChanged",
    { blockedUserIds: ["trudy"], unblockedUserIds: ["eve"], revision: "2" },
  ),
];
