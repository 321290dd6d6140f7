import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import type { WelcomePlain } from "../../protocol/session/client-effects.ts";
import type { Client } from "../client.ts";
import { type ClientEvent, EventQueue } from "../events.ts";
import { Conversations } from "./conversations.ts";
import { listedDrafts, unreadTotals } from "./lookups.ts";
import { type DraftContent, MUTED_FOR_EVER } from "./personal.ts";
import { ConversationView } from "./view.ts";

const ID = "g:a";
const TEXT = { kind: { case: "text" as const, value: "hel" } };

/** What a client hands out for an event. */
async function handedOut(given: { case: string; value: object }): Promise<ClientEvent> {
  const queue = new EventQueue("laptop", () => {});
  const resume = { cursor: 0, outcome: { case: "resumed", value: {} } };
  const timeline = { epoch: 1, head: 1, floor: 1 };
  const welcome = { timeline, resume, userId: "bob" } as WelcomePlain;
  queue.installed({ welcome, cursorMoved: false });
  const kind = given as NonNullable<MessageInitShape<typeof EventSchema>["kind"]>;
  const event = toBinary(EventSchema, create(EventSchema, { kind }));
  queue.push([{ seq: 4, committedMs: 5, conversationSeq: 0, event }]);
  const { value } = await queue.iterate(undefined).next();
  return value;
}

test("[CNV-70] a draft is what it says, or that it is gone", async () => {
  const of = { kind: "draft", seq: 4, conversationId: ID, savedMs: 7, deviceId: "phone" };
  const draft = { conversationId: ID, savedMs: 7n, deviceId: "phone" };
  const told = (more: object) =>
    handedOut({ case: "draftChanged", value: { draft: { ...draft, ...more } } });
  const nothing = { content: "hel", reference: undefined, mentions: undefined };
  assert.deepEqual(await told({ content: TEXT }), { ...of, draft: nothing });
  assert.deepEqual(await told({}), { ...of, draft: undefined });
  const reference = { kind: 1, conversationSeq: 2n };
  const whole = await told({ content: TEXT, reference, mentions: { userIds: ["ann"] } });
  assert.ok(whole.kind === "draft");
  assert.deepEqual(whole.draft?.reference, { kind: "reply", conversationSeq: 2 });
  assert.deepEqual(whole.draft?.mentions?.userIds, ["ann"]);
  const later = await told({ content: TEXT, reference: { kind: 99, conversationSeq: 2n } });
  assert.equal(later.kind, "unknown");
});

test("[CNV-76] [CNV-81] mutes and marks are what they say", async () => {
  const muted = { conversationId: ID, untilMs: 2n ** 53n - 1n };
  const mute = await handedOut({ case: "muteChanged", value: muted });
  const until = { kind: "mute", seq: 4, conversationId: ID, mutedUntilMs: MUTED_FOR_EVER };
  assert.deepEqual(mute, until);
  const marked = (state: number, conversationSeq = 3n) => {
    const todo = { state, byUserId: "ann", setMs: 9n };
    return handedOut({
      case: "todoChanged",
      value: { conversationId: ID, conversationSeq, todo },
    });
  };
  const of = { kind: "todo", seq: 4, committedMs: 5, conversationId: ID, conversationSeq: 3 };
  const todo = { state: "done", byUserId: "ann", setMs: 9 };
  assert.deepEqual(await marked(2), { ...of, todo, byUserId: "ann" });
  assert.deepEqual(await marked(0), { ...of, todo: undefined, byUserId: "ann" });
  assert.equal((await marked(3)).kind, "unknown");
  assert.equal((await marked(1, 2n ** 53n)).kind, "unknown");
});

test("[CNV-74] [CNV-76] [CNV-82] a view knows the last of each, in whatever order they come", () => {
  const draftOf = (content: string): DraftContent => ({ content });
  const drafted = (seq: number, draft: DraftContent | undefined): ClientEvent => {
    return { kind: "draft", seq, conversationId: ID, draft, savedMs: 1, deviceId: "phone" };
  };
  const muted = (seq: number, mutedUntilMs: number): ClientEvent => {
    return { kind: "mute", seq, conversationId: ID, mutedUntilMs };
  };
  const marked = (seq: number, state?: "open" | "done"): ClientEvent => {
    const todo = state && { state, byUserId: "ann", setMs: seq };
    const of = { kind: "todo", seq, committedMs: seq, conversationId: ID } as const;
    return { ...of, conversationSeq: 1, todo, byUserId: "ann" };
  };
  const said = { conversationId: ID, conversationSeq: 1, senderUserId: "ann", own: false };
  const sent = { seq: 1, committedMs: 1, senderDeviceId: "phone" };
  const rest = { content: "x", editCount: 0, editedMs: undefined } as const;
  const refers = { reference: undefined, mentions: undefined, expiresMs: undefined } as const;
  const message: ClientEvent = { kind: "message", ...sent, ...said, ...rest, ...refers };
  const events = [
    message,
    drafted(2, draftOf("a")),
    // The same entry, as it is later.
    drafted(2, draftOf("b")),
    drafted(5, draftOf("b")),
    muted(3, 10),
    muted(6, 0),
    marked(4, "open"),
    marked(7, "done"),
  ];
  for (const order of [events, events.toReversed(), [...events, ...events]]) {
    const view = new ConversationView("bob");
    for (const event of order) view.apply(event);
    const seen = view.conversation(ID);
    assert.deepEqual([seen.draft?.content, seen.mutedUntilMs], ["b", 0]);
    assert.equal(seen.todo(1)?.state, "done");
    view.apply(drafted(8, undefined));
    view.apply({ kind: "recalled", ...sent, ...said, recalledByUserId: "ann" });
    assert.deepEqual([seen.draft, seen.todo(1)], [undefined, undefined]);
  }
});

test("[CNV-75] a draft is saved, taken away, and goes behind the message that it became", async () => {
  const submitted: string[] = [];
  const client = {
    submit: async (bytes: Uint8Array) => {
      const { kind } = fromBinary(OperationSchema, bytes);
      const { case: name, value } = kind;
      submitted.push(`${name} ${JSON.stringify(value, (_, one) => plain(one))}`);
      return { conversationSeq: 1, committedMs: 2 };
    },
  };
  const conversations = new Conversations(client as unknown as Client);
  const reference = { kind: "reply", conversationSeq: 2 } as const;
  await conversations.saveDraft(ID, { content: "hel", reference });
  await conversations.saveDraft(ID, undefined);
  await conversations.send(ID, "hello", { clearsDraft: true });
  await conversations.send(ID, "more");
  await conversations.mute(ID, MUTED_FOR_EVER);
  await conversations.markTodo(ID, 3, "done");
  await conversations.markTodo(ID, 3, undefined);
  const names = submitted.map((line) => line.split(" ")[0]);
  const marks = ["muteConversation", "markTodo", "markTodo"];
  const sends = ["sendMessage", "saveDraft", "sendMessage"];
  assert.deepEqual(names, ["saveDraft", "saveDraft", ...sends, ...marks]);
  assert.match(submitted[0] ?? "", /"value":"hel".*"reference".*"kind":1,"conversationSeq":"2"/);
  for (const gone of [submitted[1], submitted[3]]) assert.doesNotMatch(gone ?? "", /content/);
  assert.match(submitted[5] ?? "", /"untilMs":"9007199254740991"/);
  assert.match(submitted[6] ?? "", /"conversationSeq":"3","state":2/);
  assert.match(submitted[7] ?? "", /"state":0/);
});

function plain(value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

test("[CNV-74] [CNV-77] drafts and totals are asked for page by page", async () => {
  const draft = { conversationId: ID, content: TEXT, savedMs: 7n, deviceId: "phone" };
  const totals = { conversationCount: 1, unreadCount: 2n, mentionCount: 1n };
  const asked: string[] = [];
  const client = {
    call: async (method: { readonly name: string }, { afterConversationId }: typeof NEXT) => {
      asked.push(`${method.name} ${afterConversationId}`);
      const nextAfter = afterConversationId === "" ? ID : "";
      return { drafts: [draft], all: totals, notMuted: totals, nextAfter };
    },
  } as unknown as Client;
  const drafts = await listedDrafts(client);
  assert.deepEqual(
    drafts.map(({ content, savedMs }) => [content, savedMs]),
    [
      ["hel", 7],
      ["hel", 7],
    ],
  );
  const { all, notMuted } = await unreadTotals(client);
  assert.deepEqual(all, { conversationCount: 2, unreadCount: 4, mentionCount: 2 });
  assert.deepEqual(notMuted, all);
  const calls = ["ListDrafts", "GetTotals"].flatMap((name) => [`${name} `, `${name} ${ID}`]);
  assert.deepEqual(asked, calls);
});

const NEXT = { afterConversationId: "" };
