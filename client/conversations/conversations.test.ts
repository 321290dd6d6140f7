import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { madeConversationId } from "../../protocol/conversation-id.ts";
import type { Client } from "../client.ts";
import type { ClientStatus } from "../options.ts";
import { SessionError } from "../results.ts";
import type { MessageContent } from "./content.ts";
import { Conversations } from "./conversations.ts";

const RESULT = { conversationSeq: 1, committedMs: 2 };
const ID = "g:abc";

/** Notes what is submitted. */
class Submitted {
  status: Pick<ClientStatus, "userId" | "state"> = { userId: undefined, state: "connecting" };
  readonly operations: ReturnType<typeof read>[] = [];
  readonly #listeners = new Set<(status: ClientStatus) => void>();

  async submit(bytes: Uint8Array): Promise<typeof RESULT> {
    this.operations.push(read(bytes));
    return RESULT;
  }

  onStatus(listener: (status: ClientStatus) => void) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  become(status: Submitted["status"]): void {
    this.status = status;
    for (const listener of this.#listeners) listener(status as ClientStatus);
  }

  get conversations(): Conversations {
    return new Conversations(this as unknown as Client);
  }
}

/** An operation without the names of its messages. */
function read(bytes: Uint8Array) {
  const { kind } = fromBinary(OperationSchema, bytes);
  const plain = (_: string, value: unknown) => {
    if (typeof value === "bigint") return Number(value);
    return value instanceof Uint8Array ? [...value] : value;
  };
  const { $typeName: _, ...value } = kind.value as { $typeName?: string };
  const text = JSON.stringify(value, plain).replaceAll(/"\$typeName":"[^"]*",?/g, "");
  return { case: kind.case, value: JSON.parse(text) };
}

test("messages go out with what they refer to and whom they call", async () => {
  const submitted = new Submitted();
  const { conversations } = submitted;
  const reference = { kind: "thread", conversationSeq: 7 } as const;
  const mentions = { userIds: ["bob"], roles: ["admin"], everyone: true } as const;
  assert.equal(await conversations.send(ID, "hi", { reference, mentions, lifetimeS: 60 }), RESULT);
  await conversations.edit(ID, 3, "ho", { mentions: { userIds: ["bob"] } });
  await conversations.recall(ID, 3);
  await conversations.react(ID, 3, "+1");
  await conversations.react(ID, 3, "+1", { remove: true });
  const message = { conversationId: ID, conversationSeq: 3 };
  const text = (value: string) => ({ kind: { case: "text", value } });
  assert.deepEqual(submitted.operations, [
    {
      case: "sendMessage",
      value: {
        conversationId: ID,
        content: text("hi"),
        reference: { kind: 2, conversationSeq: 7 },
        mentions: { userIds: ["bob"], roles: [3], everyone: true },
        lifetimeS: 60,
      },
    },
    {
      case: "editMessage",
      value: {
        ...message,
        content: text("ho"),
        mentions: { userIds: ["bob"], roles: [], everyone: false },
      },
    },
    { case: "recallMessage", value: message },
    { case: "react", value: { ...message, reaction: "+1", remove: false } },
    { case: "react", value: { ...message, reaction: "+1", remove: true } },
  ]);
});

test("contents of every kind go out, and come in as they went", async () => {
  const submitted = new Submitted();
  const attachment = { kind: "attachment", shownAs: "video", uri: "https://a.example/v" } as const;
  const place = { kind: "location", latitude: 47.5, longitude: -8 } as const;
  const contents: readonly MessageContent[] = [Uint8Array.of(1), attachment, place];
  for (const content of contents) await submitted.conversations.send(ID, content);
  assert.deepEqual(
    submitted.operations.map(({ value }) => value.content.kind),
    [
      { case: "custom", value: [1] },
      {
        case: "attachment",
        value: {
          kind: 3,
          uri: "https://a.example/v",
          mediaType: "",
          name: "",
          bytes: 0,
          sha256: [],
          width: 0,
          height: 0,
          durationMs: 0,
          caption: "",
        },
      },
      { case: "location", value: { latitude: 47.5, longitude: -8, label: "" } },
    ],
  );
});

test("marks are sets of numbers", async () => {
  const submitted = new Submitted();
  const { conversations } = submitted;
  await conversations.mark(ID, { read: [{ from: 2, through: 4 }] });
  await conversations.mark(ID, { deliveredThrough: 4 });
  assert.deepEqual(submitted.operations, [
    { case: "mark", value: { conversationId: ID, read: [1, 2], deliveredThrough: 0 } },
    { case: "mark", value: { conversationId: ID, read: [], deliveredThrough: 4 } },
  ]);
});

test("[CNV-2] a made conversation's id is derived from who makes it, and is there at once", async () => {
  const submitted = new Submitted();
  submitted.become({ userId: "ann", state: "open" });
  const members = [{ userId: "bob" }, { userId: "cyd", role: "admin" }] as const;
  const made = await submitted.conversations.create({ title: "Team", join: "open", members });
  const [created] = submitted.operations;
  const { nonce, ...value } = created?.value ?? {};
  assert.deepEqual(value, {
    kind: 2,
    settings: { title: "Team", topic: "", history: 0, join: 2, lifetimeS: 0 },
    members: [
      { userId: "bob", role: 2, ordinal: 0, visibleFrom: 0 },
      { userId: "cyd", role: 3, ordinal: 0, visibleFrom: 0 },
    ],
  });
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
  assert.equal(nonce.length, 16);
  assert.equal(made.conversationId, madeConversationId(sha256, "ann", Uint8Array.from(nonce)));
  assert.equal(await made.made, RESULT);
});

test("a client that was never attached makes a conversation once it is; or fails", async () => {
  const submitted = new Submitted();
  const making = submitted.conversations.create({ title: "Team", kind: "channel" });
  submitted.become({ userId: undefined, state: "waiting" });
  assert.equal(submitted.operations.length, 0);
  submitted.become({ userId: "ann", state: "open" });
  await (await making).made;
  assert.equal(submitted.operations[0]?.value.kind, 3);
  const closed = new Submitted();
  const failing = closed.conversations.create({ title: "Team" });
  closed.become({ userId: undefined, state: "closed" });
  await assert.rejects(failing, SessionError);
  await assert.rejects(closed.conversations.create({ title: "Team" }), SessionError);
});

test("members and settings are changed, joined and left", async () => {
  const submitted = new Submitted();
  const { conversations } = submitted;
  await conversations.changeMembers(ID, { set: [{ userId: "bob", role: "owner" }] });
  await conversations.changeMembers(ID, { remove: ["bob"] });
  await conversations.join(ID);
  await conversations.leave(ID);
  await conversations.change(ID, {
    revision: 4,
    title: "T",
    topic: "t",
    history: "all",
    lifetimeS: 9,
  });
  await conversations.changePreferences({ receiptsHidden: true });
  const bob = { userId: "bob", role: 4, ordinal: 0, visibleFrom: 0 };
  const settings = { title: "T", topic: "t", history: 2, join: 0, lifetimeS: 9 };
  assert.deepEqual(submitted.operations, [
    { case: "changeMembers", value: { conversationId: ID, set: [bob], removeUserIds: [] } },
    { case: "changeMembers", value: { conversationId: ID, set: [], removeUserIds: ["bob"] } },
    { case: "joinConversation", value: { conversationId: ID } },
    { case: "leaveConversation", value: { conversationId: ID } },
    { case: "changeConversation", value: { conversationId: ID, revision: 4, settings } },
    { case: "changePreferences", value: { preferences: { receiptsHidden: true } } },
  ]);
});
