import type { JsonObject } from "@bufbuild/protobuf";
import type { ConversationCase } from "./cases.ts";
import { event, GROUP, type Meaning, misreadEvent, SEQ_MAX } from "./event-cases.ts";

const SAVED = { savedMs: "1767225600000", deviceId: "laptop" };
const HERE = { conversationId: GROUP };
const AT_7 = { ...HERE, conversationSeq: "7" };
const BEGUN = { ...HERE, content: { text: "I thin" }, ...SAVED };
const GONE = { ...HERE, ...SAVED };
const OPEN = { state: "TODO_STATE_OPEN", byUserId: "bob", setMs: "1767225600000" };

const draft = (name: string, description: string, json: JsonObject, means: Meaning = "draft") =>
  event(["CNV-70 CNV-74", name, description, means], "draftChanged", { draft: json });
const mute = (name: string, description: string, json: JsonObject, means: Meaning) =>
  event(["CNV-76", name, description, means], "muteChanged", { ...HERE, ...json });
const todo = (name: string, description: string, json: JsonObject, means: Meaning) =>
  event(["CNV-80 CNV-81", name, description, means], "todoChanged", { ...AT_7, todo: json });
const device = (name: string, description: string, json: JsonObject) =>
  event(["DEV-7 DEV-13", name, description, "device"], "deviceChanged", json);

/** What section 16.10 and chapter 19 tell a user's own devices, and to-do marks. */
export const PERSONAL_EVENTS: readonly ConversationCase[] = [
  draft("draft", "What somebody has begun to write.", BEGUN),
  draft("draft-whole", "An answer that would call two, to somebody new.", {
    conversationId: "d:alice:bob",
    content: { text: "grüß dich" },
    reference: { kind: "REFERENCE_KIND_REPLY", conversationSeq: SEQ_MAX },
    mentions: { userIds: ["bob", "carol"], roles: ["MEMBER_ROLE_ADMIN"], everyone: true },
    ...SAVED,
  }),
  draft("draft-gone", "There is nothing any more.", GONE, "draft-gone"),
  mute("mute", "Until a time.", { untilMs: "1767225600000" }, "mute"),
  mute("mute-for-ever", "For ever.", { untilMs: SEQ_MAX }, "mute"),
  mute("unmute", "Not any more.", {}, "unmute"),
  todo("todo-open", "Something is to be done about message 7.", OPEN, "todo-open"),
  todo("todo-done", "It is done.", { ...OPEN, state: "TODO_STATE_DONE" }, "todo-done"),
  todo(
    "todo-removed",
    "Nothing is said of that any more.",
    { byUserId: "bob", setMs: "1767225600000" },
    "todo-removed",
  ),
  device("device-added", "A device is new.", {
    deviceId: "laptop",
    change: "DEVICE_CHANGE_ADDED",
  }),
  device("device-named", "A device has a name.", {
    deviceId: "laptop",
    change: "DEVICE_CHANGE_NAMED",
    name: "at home",
  }),
  device("device-ended", "A device was ended.", {
    deviceId: "laptop",
    change: "DEVICE_CHANGE_ENDED",
  }),
  misreadEvent(["CNV-74", "draft-gone", "A draft that is gone taken for one.", "draft"], {
    draftChanged: { draft: GONE },
  }),
  misreadEvent(
    [
      "CNV-76",
      "unmute",
      "A conversation that is not muted any more taken for one that is.",
      "mute",
    ],
    { muteChanged: HERE },
  ),
  misreadEvent(["CNV-80", "todo", "What is to be done taken for what is done.", "todo-done"], {
    todoChanged: { ...AT_7, todo: OPEN },
  }),
];
