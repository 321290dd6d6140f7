import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { WelcomePlain } from "../../protocol/session/client-effects.ts";
import { type ClientEvent, EventQueue } from "../events.ts";
import { mentionsUser } from "./events.ts";

const TIMED = { seq: 1, committedMs: 5 };
const SENT = { conversationId: "g:a", senderUserId: "ann", senderDeviceId: "phone" };
const NAMED = { ...TIMED, ...SENT, conversationSeq: 3 };

/** What a client hands out for an event. */
async function handedOut(
  // Also of numbers that this version does not know.
  given: { readonly case: string; readonly value: object } | undefined,
  self = { userId: "bob", deviceId: "laptop" },
): Promise<ClientEvent> {
  const kind = given as MessageInitShape<typeof EventSchema>["kind"];
  const queue = new EventQueue(self.deviceId, () => {});
  const resume = { cursor: 0, outcome: { case: "resumed", value: {} } };
  const welcome = { timeline: { epoch: 1, head: 1, floor: 1 }, resume, userId: self.userId };
  queue.installed({ welcome: welcome as WelcomePlain, cursorMoved: false });
  const event = toBinary(EventSchema, create(EventSchema, kind && { kind }));
  queue.push([{ ...TIMED, conversationSeq: 3, event }]);
  const { value } = await queue.iterate(undefined).next();
  return value;
}

function message(value: object, self?: { readonly userId: string; readonly deviceId: string }) {
  return handedOut({ case: "message", value: { ...SENT, ...value } }, self);
}

const HELLO = { content: { kind: { case: "text", value: "hello" } } };
const PLAIN = {
  kind: "message",
  ...NAMED,
  own: false,
  content: "hello",
  editCount: 0,
  editedMs: undefined,
  reference: undefined,
  mentions: undefined,
  expiresMs: undefined,
};

test("a message is what it says, what it is said to and whom it calls", async () => {
  assert.deepEqual(await message(HELLO), PLAIN);
  const own = await message(HELLO, { userId: "ann", deviceId: "phone" });
  assert.deepEqual(own, { ...PLAIN, own: true });
  const reference = { kind: 1, conversationSeq: 2n };
  const mentions = { userIds: ["bob"], roles: [3, 99] };
  const said = await message({ ...HELLO, reference, mentions, editCount: 2, editedMs: 9n });
  assert.deepEqual(said, {
    ...PLAIN,
    editCount: 2,
    editedMs: 9,
    reference: { kind: "reply", conversationSeq: 2 },
    mentions: { userIds: ["bob"], roles: ["admin"], everyone: false },
  });
});

test("a recalled message is an event of its own, so that nobody shows it", async () => {
  const recalled = await message({ recalledByUserId: "cyd" });
  const wanted = { kind: "recalled", ...NAMED, own: false, recalledByUserId: "cyd" };
  assert.deepEqual(recalled, wanted);
});

test("attachments and places have what is known of them", async () => {
  const bare = { kind: 1, uri: "https://a.example/p" };
  const full = {
    ...bare,
    mediaType: "image/png",
    name: "p.png",
    bytes: 9n,
    sha256: new Uint8Array(32),
    width: 4,
    height: 3,
    durationMs: 1,
    caption: "us",
  };
  const contentOf = async (value: object) => {
    const event = await message({ content: { kind: value } });
    return event.kind === "message" ? event.content : event.kind;
  };
  const shown = { kind: "attachment", shownAs: "image", uri: bare.uri };
  assert.deepEqual(await contentOf({ case: "attachment", value: bare }), shown);
  const { bytes, kind, ...rest } = full;
  const whole = { ...shown, ...rest, kind: "attachment", byteCount: 9 };
  assert.deepEqual(await contentOf({ case: "attachment", value: full }), whole);
  const place = { latitude: 1.5, longitude: 2, label: "here" };
  const location = await contentOf({ case: "location", value: place });
  assert.deepEqual(location, { kind: "location", ...place });
});

test("what this version does not know is handed out as unknown, and never thrown", async () => {
  const future = [
    message({}),
    message({ content: { kind: { case: "attachment", value: { kind: 77, uri: "a:b" } } } }),
    message({ ...HELLO, reference: { kind: 9, conversationSeq: 1n } }),
    message({ ...HELLO, reference: { kind: 1, conversationSeq: 2n ** 60n } }),
    handedOut(undefined),
    handedOut({ case: "marksChanged", value: { conversationId: "g:a", read: Uint8Array.of(1) } }),
    handedOut({ case: "reactionChanged", value: { conversationSeq: 2n ** 60n } }),
    handedOut({ case: "conversationChanged", value: {} }),
    handedOut({ case: "conversationChanged", value: { conversation: { kind: 9 } } }),
    handedOut({
      case: "conversationChanged",
      value: { conversation: { kind: 2 }, members: [{ userId: "bob", role: 12 }] },
    }),
  ];
  for (const event of await Promise.all(future)) assert.equal(event.kind, "unknown");
});

test("reactions, marks, changes and preferences are events of their own", async () => {
  const of = { conversationId: "g:a", userId: "ann" };
  const reaction = { ...of, conversationSeq: 3n, reaction: "+1", removed: true };
  assert.deepEqual(await handedOut({ case: "reactionChanged", value: reaction }), {
    kind: "reaction",
    ...TIMED,
    ...reaction,
    conversationSeq: 3,
  });
  const marks = { ...of, read: Uint8Array.of(1, 2), deliveredThrough: 4n };
  assert.deepEqual(await handedOut({ case: "marksChanged", value: marks }), {
    kind: "marks",
    ...TIMED,
    ...of,
    read: [{ from: 2, through: 4 }],
    deliveredThrough: 4,
  });
  const conversation = { conversationId: "g:a", kind: 3, revision: 2n, memberCount: 5 };
  const settings = { title: "News", topic: "t", history: 2, join: 2, lifetimeS: 60 };
  const members = [{ userId: "bob", role: 1, ordinal: 4, visibleFrom: 9n }];
  const left = { byUserId: "ann", leftUserIds: ["cyd"] };
  const value = { conversation: { ...conversation, settings }, members, ...left };
  assert.deepEqual(await handedOut({ case: "conversationChanged", value }), {
    kind: "conversation",
    ...TIMED,
    conversation: {
      ...conversation,
      kind: "channel",
      revision: 2,
      title: "News",
      topic: "t",
      history: "all",
      join: "open",
      lifetimeS: 60,
    },
    members: [{ userId: "bob", role: "reader", visibleFrom: 9 }],
    ...left,
  });
  const preferences = { preferences: { receiptsHidden: true } };
  assert.deepEqual(await handedOut({ case: "preferencesChanged", value: preferences }), {
    kind: "preferences",
    ...TIMED,
    receiptsHidden: true,
  });
});

test("a message calls a user by name, by role, or with everybody", () => {
  const nobody = { userIds: [], roles: [], everyone: false };
  assert.equal(mentionsUser(undefined, "bob", "owner"), false);
  assert.equal(mentionsUser(nobody, "bob", "owner"), false);
  assert.equal(mentionsUser({ ...nobody, everyone: true }, "bob", undefined), true);
  assert.equal(mentionsUser({ ...nobody, userIds: ["bob"] }, "bob", undefined), true);
  assert.equal(mentionsUser({ ...nobody, roles: ["admin"] }, "bob", "admin"), true);
  assert.equal(mentionsUser({ ...nobody, roles: ["admin"] }, "bob", "owner"), false);
});

test("[CNV-95] [CNV-105] a message says when it expires; one without content has", async () => {
  assert.deepEqual(await message({ ...HELLO, expiresMs: 99n }), { ...PLAIN, expiresMs: 99 });
  const expired = { kind: "expired", ...NAMED, own: false, expiresMs: 99 };
  assert.deepEqual(await message({ expiresMs: 99n }), expired);
  const old = await handedOut({ case: "message", value: { conversationId: "g:a" } });
  const nobody = { senderUserId: "", senderDeviceId: "", own: false, expiresMs: undefined };
  assert.deepEqual(old, { kind: "expired", ...NAMED, ...nobody }, "the service keeps it no longer");
  const recalled = await message({ expiresMs: 99n, recalledByUserId: "ann" });
  assert.equal(recalled.kind, "recalled");
});
