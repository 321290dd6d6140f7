import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import type { WelcomePlain } from "../../protocol/session/client-effects.ts";
import type { Client } from "../client.ts";
import { EventQueue } from "../events.ts";
import { Users } from "./users.ts";

const RESULT = { conversationSeq: 0, committedMs: 2 };

/** A service with lists that change while they are read, at the pages that are told. */
class Service {
  readonly asked: unknown[] = [];
  readonly submitted: { case: string | undefined; value: unknown }[] = [];
  /** After so many pages the list gets another one. */
  readonly changesAfter: Set<number>;
  #names = ["bob", "cyd", "dan", "eve", "fay"];
  #revision = 7n;

  constructor(...changesAfter: number[]) {
    this.changesAfter = new Set(changesAfter);
  }

  get users(): Users {
    return new Users(this as unknown as Client);
  }

  async submit(bytes: Uint8Array) {
    const { kind } = fromBinary(OperationSchema, bytes);
    this.submitted.push({ case: kind.case, value: kind.value });
    return RESULT;
  }

  async call(
    { name }: { name: string },
    request: { userIds?: string[]; afterUserId?: string },
  ): Promise<object> {
    if (name === "GetProfiles") {
      this.asked.push(request.userIds?.length);
      const profile = { displayName: "A", about: "", avatarUri: "" };
      return { profiles: request.userIds?.map((userId) => ({ userId, profile, revision: 3n })) };
    }
    const { afterUserId = "" } = request;
    this.asked.push(afterUserId);
    const following = this.#names.filter((one) => one > afterUserId);
    const page = following.slice(0, 2);
    const nextAfter = page.length === following.length ? "" : (page.at(-1) ?? "");
    const revision = this.#revision;
    if (this.changesAfter.has(this.asked.length)) {
      this.#names = [`a${this.asked.length}`, ...this.#names].sort();
      this.#revision += 1n;
    }
    const contacts = page.map((userId) => ({ userId, alias: "x", note: "" }));
    return name === "ListBlocked"
      ? { userIds: page, nextAfter, revision }
      : { contacts, nextAfter, revision };
  }
}

test("[USR-2] [USR-12] changes say what they are asked for, and no more", async () => {
  const service = new Service();
  const { users } = service;
  assert.equal(await users.changeProfile({ displayName: "Ann" }), RESULT);
  await users.changeContacts({ set: [{ userId: "bob", note: "n" }], remove: ["cyd"] });
  await users.block(["bob", "cyd"]);
  await users.unblock(["bob"]);
  const plain = (value: unknown) =>
    JSON.parse(JSON.stringify(value), (key, one) => (key === "$typeName" ? undefined : one));
  assert.deepEqual(service.submitted.map(plain), [
    {
      case: "changeProfile",
      value: { profile: { displayName: "Ann", about: "", avatarUri: "" } },
    },
    {
      case: "changeContacts",
      value: { set: [{ userId: "bob", alias: "", note: "n" }], removeUserIds: ["cyd"] },
    },
    { case: "changeBlocks", value: { blockUserIds: ["bob", "cyd"], unblockUserIds: [] } },
    { case: "changeBlocks", value: { blockUserIds: [], unblockUserIds: ["bob"] } },
  ]);
});

test("[USR-30] profiles are asked for a hundred at a time", async () => {
  const service = new Service();
  const userIds = Array.from({ length: 201 }, (_, index) => `u${index}`);
  const profiles = await service.users.profiles(userIds);
  assert.deepEqual(service.asked, [100, 100, 1]);
  assert.deepEqual(
    profiles.map(({ userId }) => userId),
    userIds,
  );
  const profile = { displayName: "A", about: "", avatarUri: "" };
  assert.deepEqual(profiles[0], { userId: "u0", profile, revision: 3 });
});

test("[USR-31] a list is read page by page, and anew when it changes between two", async () => {
  const still = new Service();
  const whole = ["bob", "cyd", "dan", "eve", "fay"];
  assert.deepEqual(await still.users.blocked(), { items: whole, revision: 7 });
  assert.deepEqual(still.asked, ["", "cyd", "eve"]);
  const changing = new Service(1, 3);
  const { items, revision } = await changing.users.contacts();
  assert.deepEqual(
    [items.map(({ userId }) => userId), revision],
    [["a1", "a3", ...whole].sort(), 9],
  );
  assert.deepEqual(items[0], { userId: "a1", alias: "x", note: "" });
});

test("[USR-31] a list that never rests is answered with a revision that its events follow", async () => {
  const service = new Service(...Array.from({ length: 40 }, (_, index) => index + 1));
  const { items, revision } = await service.users.blocked();
  assert.ok(items.includes("fay"));
  // What came after that one is an event: nothing that changed is taken for known.
  assert.ok(revision < 7 + service.asked.length);
});

test("[USR-4] [USR-13] [USR-26] what changes is an event of its own", async () => {
  const queue = new EventQueue("phone", () => {});
  const resume = { cursor: 0, outcome: { case: "resumed", value: {} } };
  const timeline = { epoch: 1, head: 3, floor: 1 };
  const welcome = { timeline, resume, userId: "bob" } as WelcomePlain;
  queue.installed({ welcome, cursorMoved: false });
  const kinds: NonNullable<MessageInitShape<typeof EventSchema>["kind"]>[] = [
    {
      case: "profileChanged",
      value: { userId: "ann", profile: { displayName: "Ann", about: "a" }, revision: 2n },
    },
    {
      case: "contactsChanged",
      value: { set: [{ userId: "bob", alias: "B" }], removedUserIds: ["cyd"], revision: 3n },
    },
    {
      case: "blocksChanged",
      value: { blockedUserIds: ["dan"], unblockedUserIds: ["eve"], revision: 4n },
    },
  ];
  const deliveries = kinds.map((kind, index) => ({
    seq: index + 1,
    conversationSeq: 0,
    committedMs: 5,
    event: toBinary(EventSchema, create(EventSchema, { kind })),
  }));
  queue.push(deliveries);
  const events = queue.iterate(undefined);
  const next = async () => (await events.next()).value;
  const profile = { displayName: "Ann", about: "a", avatarUri: "" };
  assert.deepEqual(await next(), { kind: "profile", seq: 1, userId: "ann", profile, revision: 2 });
  const set = [{ userId: "bob", alias: "B", note: "" }];
  const contacts = { kind: "contacts", seq: 2, set, removedUserIds: ["cyd"], revision: 3 };
  assert.deepEqual(await next(), contacts);
  const blocks = { blockedUserIds: ["dan"], unblockedUserIds: ["eve"], revision: 4 };
  assert.deepEqual(await next(), { kind: "blocks", seq: 3, ...blocks });
});
