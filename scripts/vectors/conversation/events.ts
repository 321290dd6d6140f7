import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { base64, bytesField, field } from "../builder.ts";
import { ascii, drawn } from "../envelope/primitives.ts";
import {
  type ConversationCase,
  type ConversationFailure,
  conversationCase,
  type Range,
  setOf,
} from "./cases.ts";
import { bytesOf, event, GROUP, type Meaning, read, SEQ_MAX } from "./event-cases.ts";
import { PERSONAL_EVENTS } from "./personal-events.ts";

const FROM = { conversationId: GROUP, senderUserId: "alice", senderDeviceId: "phone" };
const message = (
  name: string,
  description: string,
  json: JsonObject,
  ids = "CNV-11 CNV-14",
): ConversationCase => event([ids, name, description, "message"], "message", { ...FROM, ...json });

const TEXT = { content: { text: "hello" } };

const MESSAGES: readonly ConversationCase[] = [
  message("text", "A text.", TEXT),
  event(["CNV-1 CNV-11", "direct", "A text to oneself, in four scripts.", "message"], "message", {
    ...FROM,
    conversationId: "d:alice:alice",
    content: { text: "grüß dich, 你好, שלום 📯" },
  }),
  message("custom", "Bytes of the application's own.", {
    content: { custom: base64(drawn("conversation custom", 40)) },
  }),
  message("attachment", "A film, with all that can be said of it.", {
    content: {
      attachment: {
        kind: "ATTACHMENT_KIND_VIDEO",
        uri: "https://files.example/film",
        mediaType: "video/mp4",
        name: "film.mp4",
        bytes: "5000000000",
        sha256: base64(drawn("conversation film", 32)),
        width: 1920,
        height: 1080,
        durationMs: 61_000,
        caption: "look",
      },
    },
  }),
  message("attachment-least", "A file, with no more than has to be said.", {
    content: { attachment: { kind: "ATTACHMENT_KIND_FILE", uri: "https://files.example/f" } },
  }),
  message("location", "A place.", {
    content: { location: { latitude: -33.8568, longitude: 151.2153, label: "opera" } },
  }),
  message("location-zero", "A place at the equator and the prime meridian: no field is set.", {
    content: { location: {} },
  }),
  message(
    "reply",
    "An answer to message 7.",
    { ...TEXT, reference: { kind: "REFERENCE_KIND_REPLY", conversationSeq: "7" } },
    "CNV-13",
  ),
  ...["THREAD", "QUOTE", "COMMENT"].map((kind) =>
    message(
      kind.toLowerCase(),
      "Another kind of reference, to the highest number that there can be.",
      { ...TEXT, reference: { kind: `REFERENCE_KIND_${kind}`, conversationSeq: SEQ_MAX } },
      "CNV-13",
    ),
  ),
  message(
    "mentions",
    "It calls two by name, and two roles.",
    {
      ...TEXT,
      mentions: {
        userIds: ["bob", "carol"],
        roles: ["MEMBER_ROLE_ADMIN", "MEMBER_ROLE_OWNER"],
      },
    },
    "CNV-20 CNV-21",
  ),
  message("everyone", "It calls everybody.", { ...TEXT, mentions: { everyone: true } }, "CNV-21"),
];

const EDITED = { ...FROM, content: { text: "hello!" }, editCount: 1, editedMs: "1767225600000" };
const RECALLED = { ...FROM, recalledByUserId: "bob" };
const EXPIRED = { ...FROM, expiresMs: "1767225605000" };

const CHANGED: readonly ConversationCase[] = [
  event(["CNV-17 CNV-26", "edited", "An edited text.", "message-edited"], "message", EDITED),
  event(
    [
      "CNV-17 CNV-22 CNV-26",
      "edited-again",
      "Edited 300 times; whom it called stays called.",
      "message-edited",
    ],
    "message",
    {
      ...FROM,
      content: { text: "hello!!" },
      mentions: { userIds: ["bob"] },
      editCount: 300,
      editedMs: SEQ_MAX,
    },
  ),
  event(
    [
      "CNV-19 CNV-26",
      "recalled",
      "Recalled by an admin: nothing of it is left.",
      "message-recalled",
    ],
    "message",
    RECALLED,
  ),
  event(
    ["CNV-19 CNV-26", "recalled-own", "Recalled by its sender.", "message-recalled"],
    "message",
    { ...FROM, recalledByUserId: "alice" },
  ),
  event(["CNV-91 CNV-95", "expires", "A text for some time.", "message"], "message", {
    ...FROM,
    content: { text: "hello" },
    expiresMs: "1767225605000",
  }),
  event(
    ["CNV-91", "expires-edited", "Edited: it expires when it would have.", "message-edited"],
    "message",
    { ...EDITED, expiresMs: SEQ_MAX },
  ),
  event(
    ["CNV-92 CNV-95", "expired", "Its time is over: nothing of it is left.", "message-expired"],
    "message",
    EXPIRED,
  ),
];

const REACTION = { conversationId: GROUP, conversationSeq: "7", userId: "bob", reaction: "👍🏽" };
const marks = (name: string, description: string, ranges: readonly Range[], through?: number) =>
  event(
    ["CNV-30 CNV-34", name, description, "marks"],
    "marksChanged",
    {
      conversationId: GROUP,
      userId: "bob",
      ...(ranges.length === 0 ? {} : { read: base64(setOf(...ranges)) }),
      ...(through === undefined ? {} : { deliveredThrough: String(through) }),
    },
    ranges,
  );

const CONVERSATION = {
  conversationId: GROUP,
  kind: "CONVERSATION_KIND_GROUP",
  revision: "1",
  settings: { title: "friends" },
  memberCount: 2,
};

const OTHERS: readonly ConversationCase[] = [
  event(["CNV-23", "reaction", "A reaction.", "reaction"], "reactionChanged", REACTION),
  event(["CNV-23", "reaction-removed", "Taken back.", "reaction-removed"], "reactionChanged", {
    ...REACTION,
    removed: true,
  }),
  marks(
    "marks",
    "Some read, and all has come.",
    [
      [1, 3],
      [7, 7],
      [200, 300],
    ],
    300,
  ),
  marks("marks-read", "Only what was read.", [[1, 129]]),
  marks("marks-delivered", "Only what has come.", [], 2 ** 32 + 1),
  event(
    ["CNV-40 CNV-49", "made", "A group was made, with two in it.", "conversation"],
    "conversationChanged",
    {
      conversation: CONVERSATION,
      byUserId: "alice",
      members: [
        { userId: "alice", role: "MEMBER_ROLE_OWNER", visibleFrom: "1" },
        { userId: "bob", role: "MEMBER_ROLE_READER", ordinal: 1, visibleFrom: "1" },
      ],
    },
  ),
  event(
    ["CNV-49 CNV-91", "settings", "A channel with other settings.", "conversation"],
    "conversationChanged",
    {
      conversation: {
        ...CONVERSATION,
        kind: "CONVERSATION_KIND_CHANNEL",
        revision: "12",
        settings: {
          title: "news",
          topic: "what is new",
          history: "HISTORY_VISIBILITY_ALL",
          join: "JOIN_RULE_OPEN",
          lifetimeS: 86400,
        },
        memberCount: 9000,
      },
      byUserId: "carol",
    },
  ),
  event(
    ["CNV-7 CNV-45 CNV-49", "members", "One comes in, one is out.", "conversation"],
    "conversationChanged",
    {
      conversation: { ...CONVERSATION, kind: "CONVERSATION_KIND_ROOM", revision: "3" },
      byUserId: "alice",
      members: [
        {
          userId: "dave",
          role: "MEMBER_ROLE_MEMBER",
          ordinal: 4_294_967_295,
          visibleFrom: SEQ_MAX,
        },
      ],
      leftUserIds: ["bob", "carol"],
    },
  ),
  event(["CNV-35", "preferences", "Receipts are hidden.", "preferences"], "preferencesChanged", {
    preferences: { receiptsHidden: true },
  }),
  event(
    ["CNV-35", "preferences-default", "As if nothing had ever been set.", "preferences"],
    "preferencesChanged",
    { preferences: {} },
  ),
];

const bytes = (value: string) => [...ascii(value)];
const content = [...bytesField(1, bytes("hello"))];
const FROM_BYTES = [
  ...bytesField(1, bytes(GROUP)),
  ...bytesField(2, bytes("alice")),
  ...bytesField(3, bytes("phone")),
];
const whole = (kind: number, parts: readonly number[]) => Uint8Array.from(bytesField(kind, parts));
const CALLS = {
  event: {
    message: { ...FROM, ...TEXT, mentions: { roles: ["MEMBER_ROLE_ADMIN", "MEMBER_ROLE_OWNER"] } },
  },
};

/** Protobuf in forms that its own writers do not choose. */
const FORMS: readonly ConversationCase[] = [
  read(
    ["CNV-11", "unknown-field", "Fields that a later version has are passed over.", "message"],
    { event: { message: { ...FROM, ...TEXT } } },
    whole(1, [...FROM_BYTES, ...bytesField(4, content), ...field(200, 7), ...bytesField(201, [1])]),
  ),
  read(
    ["CNV-11", "other-order", "Fields in another order.", "message"],
    { event: { message: { ...FROM, ...TEXT } } },
    whole(1, [...bytesField(4, content), ...FROM_BYTES]),
  ),
  read(
    ["CNV-11", "said-twice", "A field that is there twice: the last one counts.", "message"],
    { event: { message: { ...FROM, ...TEXT } } },
    whole(1, [...bytesField(2, bytes("mallory")), ...FROM_BYTES, ...bytesField(4, content)]),
  ),
  read(
    ["CNV-21", "roles-packed", "Roles in one field.", "message"],
    CALLS,
    whole(1, [...FROM_BYTES, ...bytesField(4, content), ...bytesField(6, bytesField(2, [3, 4]))]),
  ),
  read(
    ["CNV-21", "roles-apart", "Each role in a field of its own.", "message"],
    CALLS,
    whole(1, [
      ...FROM_BYTES,
      ...bytesField(4, content),
      ...bytesField(6, [...field(2, 3), ...field(2, 4)]),
    ]),
  ),
  read(
    [
      "CNV-14",
      "unknown-kind",
      "A kind of a later version: it is acknowledged like all others.",
      "unknown",
    ],
    { event: {} },
    whole(200, [1, 2, 3]),
  ),
  read(["CNV-14", "nothing", "No kind.", "unknown"], { event: {} }, Uint8Array.of()),
];

const misread = (
  [name, description]: readonly [string, string],
  means: Meaning,
  said: JsonValue,
  is: JsonObject,
) =>
  read(
    ["CNV-26", `mistake-${name}`, description, means],
    { event: { message: said } },
    bytesOf({ message: is }),
    "MISTAKE",
  );

const MISREAD: readonly ConversationCase[] = [
  misread(["edited", "An edited message taken for a new one."], "message", EDITED, EDITED),
  misread(
    ["recalled", "A recalled message taken for one without content."],
    "message",
    RECALLED,
    RECALLED,
  ),
  misread(
    ["expired", "An expired message taken for one that somebody has recalled."],
    "message-recalled",
    EXPIRED,
    EXPIRED,
  ),
  misread(
    ["32-bit", "A time cut to 32 bits."],
    "message-edited",
    { ...EDITED, editedMs: "1994041344" },
    EDITED,
  ),
  read(
    ["CNV-32", "mistake-marks", "What was read in a form that a service does not send.", "marks"],
    {
      event: { marksChanged: { conversationId: GROUP, userId: "bob", read: "AAAAAA==" } },
      read: [[1, 2]],
    },
    bytesOf({ marksChanged: { conversationId: GROUP, userId: "bob", read: "AAAAAA==" } }),
    "MARK_INVALID",
  ),
];

interface Delivered {
  readonly conversation_seq: number;
  readonly event: Uint8Array;
}

interface Shown {
  readonly conversation_seq: number;
  readonly means: Meaning;
  readonly text?: string;
}

/** What a device has of each number, after all of these. */
function shown(
  [name, description]: readonly [string, string],
  deliveries: readonly Delivered[],
  messages: readonly Shown[],
  failure?: ConversationFailure,
): ConversationCase {
  const about = ["CNV-26", `shown-${name}`, description] as const;
  return conversationCase(about, "shown", { deliveries, shown: messages }, failure);
}

const deliver = (conversation_seq: number, json: JsonObject): Delivered => ({
  conversation_seq,
  event: bytesOf({ message: json }),
});
const text = (value: string) => ({ ...FROM, content: { text: value } });
const DELIVERIES: readonly Delivered[] = [
  deliver(1, text("hello")),
  deliver(2, text("helo")),
  deliver(3, text("bye")),
  deliver(2, EDITED),
  deliver(1, RECALLED),
];
const SHOWN: readonly Shown[] = [
  { conversation_seq: 1, means: "message-recalled" },
  { conversation_seq: 2, means: "message-edited", text: "hello!" },
  { conversation_seq: 3, means: "message", text: "bye" },
];

const OUTCOMES: readonly ConversationCase[] = [
  shown(
    ["each", "Each was delivered once: it is what it was by then."],
    [deliver(7, text("bye")), deliver(2, EDITED), deliver(3, RECALLED)],
    [
      { conversation_seq: 2, means: "message-edited", text: "hello!" },
      { conversation_seq: 3, means: "message-recalled" },
      { conversation_seq: 7, means: "message", text: "bye" },
    ],
  ),
  shown(["now", "One was edited, one recalled: that is what they are."], DELIVERIES, SHOWN),
  shown(
    ["edited-then-recalled", "Edited, and recalled after that."],
    [deliver(1, text("helo")), deliver(1, EDITED), deliver(1, RECALLED)],
    [{ conversation_seq: 1, means: "message-recalled" }],
  ),
  shown(
    ["late", "A device that comes later is delivered each time what it is now."],
    [deliver(1, RECALLED), deliver(2, text("bye")), deliver(1, RECALLED)],
    [
      { conversation_seq: 1, means: "message-recalled" },
      { conversation_seq: 2, means: "message", text: "bye" },
    ],
  ),
  shown(
    ["mistake-kept", "What a message was is kept beside what it is."],
    DELIVERIES,
    [{ conversation_seq: 1, means: "message", text: "hello" }, ...SHOWN.slice(1)],
    "MISTAKE",
  ),
  shown(
    ["mistake-new", "An edited message is shown as another one."],
    DELIVERIES,
    [...SHOWN, { conversation_seq: 4, means: "message-edited", text: "hello!" }],
    "MISTAKE",
  ),
];

export const EVENTS: readonly ConversationCase[] = [
  ...MESSAGES,
  ...CHANGED,
  ...OTHERS,
  ...PERSONAL_EVENTS,
  ...FORMS,
  ...MISREAD,
  ...OUTCOMES,
];
