import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  FindMessageByDateRequestSchema,
  type HistoryEntry,
  ListMessagesAroundRequestSchema,
  ListMessagesRequestSchema,
} from "../../gen/posthorn/v1/history_pb.ts";
import { SMALL_RULES, Town } from "../operations/testdata/town.ts";
import type { Store } from "../store/store.ts";
import { viewOf } from "./conversation-view.ts";
import { history } from "./history.ts";
import { CallRefused } from "./service.ts";

const { MEMBER } = MemberRole;
const ANN = { tenant: "acme", userId: "ann", deviceId: "phone" };
/** Leaves 900 bytes to a page. */
const LIMITS = { frameBytes: 32 * 1024 + 900 };

const numbers = (entries: readonly { readonly conversationSeq?: bigint }[] = []) =>
  entries.map(({ conversationSeq }) => Number(conversationSeq));

const lettingIn = (conversationId: string) => {
  const set = [{ userId: "bob", role: MEMBER }];
  return { case: "changeMembers", value: { conversationId, set } } as const;
};

/** ann and bob, and a group in which something was said at times. */
async function said(texts: readonly string[], times: readonly number[] = []) {
  const town = await Town.of(["ann", "bob", "cyd"]);
  const id = await town.makes("ann", { bob: MEMBER });
  for (const [index, text] of texts.entries()) {
    town.nowMs = times[index] ?? town.nowMs + 1;
    assert.equal(await town.says("ann", id, text), index + 1);
  }
  return { town, id };
}

const listed = (
  town: Town,
  value: object,
  store: Pick<Store, "loadForPlanning" | "loadLog"> = town.store,
) => history(store, LIMITS).listMessages(create(ListMessagesRequestSchema, value), ANN);

test("[SVC-12] a page has what a frame has room for, and one message however large", async () => {
  const { town, id } = await said(["x".repeat(300), "y".repeat(300), "z".repeat(980), "w"]);
  const pages: number[][] = [];
  let before = 5n;
  while (before > 0n) {
    const position = { case: "before" as const, value: before };
    const page = await listed(town, { conversationId: id, position, bytesMax: 1_000_000 });
    pages.push(numbers(page.entries));
    before = page.next as bigint;
  }
  assert.deepEqual(pages, [[4], [3], [1, 2]]);
  const three = await listed(town, { conversationId: id, countMax: 4_000_000_000, bytesMax: 700 });
  assert.deepEqual([numbers(three.entries), three.next], [[4], 4n]);
});

test("[SVC-12] however small the pages, each message is on one of them", async () => {
  const { town, id } = await said(
    Array.from({ length: 30 }, (_, index) => "x".repeat(1 + index * 9)),
  );
  for (const way of ["before", "after"] as const) {
    for (const countMax of [1, 7, 0]) {
      const seen: number[] = [];
      let value = way === "before" ? 31n : 0n;
      do {
        const page = await listed(town, {
          conversationId: id,
          countMax,
          position: { case: way, value },
        });
        const found = numbers(page.entries);
        if (way === "before") seen.unshift(...found);
        else seen.push(...found);
        value = page.next as bigint;
      } while (value > 0n);
      assert.deepEqual(
        seen,
        Array.from({ length: 30 }, (_, index) => index + 1),
      );
    }
  }
});

test("[SVC-13] what is around a message leaves room for it", async () => {
  const large = "x".repeat(600);
  const { town, id } = await said(["a", large, "b", large, "c", large, "d"]);
  const around = async (seq: number) => {
    const asked = { conversationId: id, conversationSeq: BigInt(seq) };
    const request = create(ListMessagesAroundRequestSchema, asked);
    return await history(town.store, LIMITS).listMessagesAround(request, ANN);
  };
  const small = await around(5);
  assert.deepEqual(numbers(small.entries), [5, 6, 7]);
  assert.deepEqual([small.nextBefore, small.nextAfter], [5n, 0n]);
  const own = await around(4);
  assert.deepEqual(numbers(own.entries), [4, 5]);
  assert.deepEqual([own.nextBefore, own.nextAfter], [4n, 5n]);
  const first = await around(1);
  assert.deepEqual([numbers(first.entries), first.nextBefore], [[1, 2, 3], 0n]);
});

test("[SVC-14] the first message of a time is found in any log", async () => {
  const times = Array.from({ length: 40 }, (_, index) => 1_000_000 + Math.floor(index / 3) * 100);
  const { town, id } = await said(
    times.map((time) => `at ${time}`),
    times,
  );
  const find = async (fromMs: number): Promise<number | undefined> => {
    const asked = { conversationId: id, fromMs: BigInt(fromMs) };
    const request = create(FindMessageByDateRequestSchema, asked);
    const { entry } = await history(town.store, LIMITS).findMessageByDate(request, ANN);
    return entry && Number((entry as HistoryEntry).conversationSeq);
  };
  for (let fromMs = 999_950; fromMs < 1_001_500; fromMs += 50) {
    const place = times.findIndex((time) => time >= fromMs);
    assert.equal(await find(fromMs), place < 0 ? undefined : place + 1, `${fromMs}`);
  }
  assert.equal(await find(2 ** 60), undefined);
  town.nowMs = 1_000_050;
  await town.says("ann", id, "by a clock that was set back");
  assert.ok([1, 4, 41].includes((await find(1_000_040)) as number));
});

test("[SVC-11] what is committed after the caller has left is in no answer", async () => {
  const { town, id } = await said(["one", "two"]);
  const bob = { ...ANN, userId: "bob" };
  let isComing = false;
  /** Bob is put out, and perhaps let in again, between the two reads of an answer. */
  const leaving: Pick<Store, "loadForPlanning" | "loadLog"> = {
    loadForPlanning: (reads) => town.store.loadForPlanning(reads),
    loadLog: async (...asked) => {
      const value = { conversationId: id, set: [], removeUserIds: ["bob"] };
      await town.does("ann", { case: "changeMembers", value });
      const content = { kind: { case: "text" as const, value: "edited now that bob is gone" } };
      const edit = { conversationId: id, conversationSeq: 1n, content };
      await town.does("ann", { case: "editMessage", value: edit });
      await town.says("ann", id, "now that bob is gone");
      if (isComing) await town.does("ann", lettingIn(id));
      return await town.store.loadLog(...asked);
    },
  };
  const asked = { conversationId: id, conversationSeq: 1n, fromMs: 0n };
  const late = history(leaving, LIMITS);
  const answers = [
    () => late.listMessages(create(ListMessagesRequestSchema, asked), bob),
    () => late.listMessagesAround(create(ListMessagesAroundRequestSchema, asked), bob),
    () => late.findMessageByDate(create(FindMessageByDateRequestSchema, asked), bob),
    () => viewOf(leaving, bob, id, LIMITS.frameBytes),
  ];
  const refused = new CallRefused(ErrorCode.CONVERSATION_UNKNOWN);
  for (isComing of [false, true]) {
    for (const answer of answers) {
      await town.does("ann", lettingIn(id));
      await assert.rejects(answer, refused);
    }
  }
  const others: Pick<Store, "loadForPlanning" | "loadLog"> = {
    loadForPlanning: (reads) => town.store.loadForPlanning(reads),
    loadLog: async (...range) => {
      const value = { conversationId: id, set: [{ userId: "ann", role: MemberRole.OWNER }] };
      assert.equal(await town.does("ann", { case: "changeMembers", value }), 0);
      return await town.store.loadLog(...range);
    },
  };
  const request = create(ListMessagesRequestSchema, asked);
  const page = await history(others, LIMITS).listMessages(request, bob);
  assert.ok(numbers(page.entries).length > 0, "whoever stays is answered");
  assert.ok(SMALL_RULES.frameBytes > LIMITS.frameBytes);
});
