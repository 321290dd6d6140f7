import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConversationInfo } from "../client/conversations/events.ts";
import { ConversationView } from "../client/conversations/view.ts";
import { UsageError } from "./command.ts";
import {
  completions,
  conversationCalled,
  firstWord,
  mentionsOf,
  messageNumber,
  roomCalled,
  secondsIn,
  userIdsIn,
} from "./typed-text.ts";

test("[CNV-20] members, roles and everybody are called by what is typed", () => {
  const members = new Set(["ann", "bob", "cyd.x", "o@b.example"]);
  const called = (text: string) => mentionsOf(text, members);
  const nobody = { userIds: [], roles: [], everyone: false };
  assert.deepEqual(called("@bob, are you there?"), { ...nobody, userIds: ["bob"] });
  assert.deepEqual(called("ask (@ann) or @bob."), { ...nobody, userIds: ["ann", "bob"] });
  assert.deepEqual(called("@cyd.x and @o@b.example."), {
    ...nobody,
    userIds: ["cyd.x", "o@b.example"],
  });
  assert.deepEqual(called("@everyone"), { ...nobody, everyone: true });
  assert.deepEqual(called("@admins!"), { ...nobody, roles: ["admin"] });
  for (const text of ["hello", "me@bob", "@nobody", "@ bob", "bob"]) {
    assert.equal(called(text), undefined, text);
  }
});

test("what is typed is completed to members after an @, and to commands at the beginning", () => {
  const known = { memberIds: ["ann", "anton", "bob"], commands: ["react", "recall", "to"] };
  assert.deepEqual(completions("hi @an", known), [["@ann ", "@anton "], "@an"]);
  assert.deepEqual(completions("/re", known), [["/react ", "/recall "], "/re"]);
  assert.deepEqual(completions("/add @b", known), [["@bob "], "@b"]);
  assert.deepEqual(completions("it is 1/re", known), [[], "1/re"]);
  assert.deepEqual(completions("hi ", known), [[], ""]);
  assert.deepEqual(completions("@ev", known), [["@everyone "], "@ev"]);
});

test("words, numbers and names are read from what is typed, or it is said what lacks", () => {
  assert.deepEqual(firstWord("  3  two words "), ["3", "two words"]);
  assert.deepEqual(firstWord(""), ["", ""]);
  assert.deepEqual(firstWord("3 a\nb"), ["3", "a\nb"]);
  assert.deepEqual([messageNumber("7"), messageNumber("[7]")], [7, 7]);
  for (const word of ["", "0", "-1", "1.5", "x"]) {
    assert.throws(() => messageNumber(word), UsageError, word);
  }
  assert.deepEqual(userIdsIn("@ann bob,@cyd"), ["ann", "bob", "cyd"]);
  assert.throws(() => userIdsIn(" "), UsageError);
  assert.throws(() => userIdsIn("@a:b"), UsageError);
});

test("a conversation is meant by its id, its title or a user", () => {
  const view = new ConversationView("bob");
  const learn = (id: string, title: string) =>
    view.learn({
      info: { conversationId: id, kind: "group", revision: 1, title } as ConversationInfo,
      role: "member",
      visibleFrom: 1,
      head: 0,
      floor: 1,
      lastMessage: undefined,
      unreadCount: 0,
      mentionCount: 0,
      mutedUntilMs: 0,
    });
  const id = `g:${"a".repeat(26)}`;
  learn(id, "Garden club");
  learn(`g:${"b".repeat(26)}`, "Twins");
  learn(`g:${"c".repeat(26)}`, "Twins");
  for (const name of [id, "garden club", "#Garden club"]) {
    assert.equal(conversationCalled(name, view).id, id, name);
  }
  assert.equal(conversationCalled("ann", view).id, "d:ann:bob");
  assert.equal(conversationCalled("@ann", view).id, "d:ann:bob");
  assert.equal(roomCalled("ann", view), undefined);
  assert.throws(() => conversationCalled("Twins", view), /several are called Twins: g:b+, g:c+/);
  assert.throws(() => conversationCalled("no such room", view), UsageError);
});

test("times are numbers with a unit", () => {
  const times = ["30s", "10m", "8h", "7d"].map(secondsIn);
  assert.deepEqual(times, [30, 600, 28_800, 604_800]);
  for (const word of ["", "30", "h", "0s", "-1s", "1.5h", "1w", "9999999999s"]) {
    assert.throws(() => secondsIn(word), UsageError, word);
  }
});
