import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ConversationKind,
  ConversationRecordSchema,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { entryName, type PlanningState } from "../store/store.ts";
import { CONVERSATION_RULES, conversationRef, messageLog } from "./conversations.ts";
import { USER_RULES } from "./own-lists.ts";
import { type KnownOperation, planOperation, readsOf } from "./plan.ts";

const ANN = { tenant: "", userId: "ann", deviceId: "a1" };
const RULES = {
  contentBytes: 1_000,
  frameBytes: 262_144,
  crypto: NATIVE_CRYPTO,
  conversations: CONVERSATION_RULES,
  users: USER_RULES,
};
const HERE = `g:${"a".repeat(26)}`;
const OTHERS = Array.from({ length: 70 }, (_, index) => `user${index}`);
const content = { kind: { case: "text" as const, value: "hello" } };

function operationOf(kind: Parameters<typeof create<typeof OperationSchema>>[1]): KnownOperation {
  const { kind: known } = create(OperationSchema, kind);
  assert.ok(known.case !== undefined);
  return known;
}

/** A group of 71 in which ann has called some. */
function groupWith(called: readonly string[]): PlanningState {
  const members = ["ann", ...OTHERS].map((userId, ordinal) => ({
    userId,
    ordinal,
    role: MemberRole.MEMBER,
    visibleFrom: 1n,
  }));
  const record = create(ConversationRecordSchema, { kind: ConversationKind.GROUP, members });
  const bytes = toBinary(ConversationRecordSchema, record);
  const value = {
    conversationId: HERE,
    senderUserId: "ann",
    senderDeviceId: "a1",
    content,
    mentions: { userIds: [...called] },
  };
  const event = create(EventSchema, { kind: { case: "message", value } });
  const entry = entryName({ log: messageLog("", HERE), seq: 1 });
  return {
    knownUsers: new Set(),
    documents: new Map([[conversationRef("", HERE), { revision: 1, bytes }]]),
    entries: new Map([[entry, { committedMs: 1, event: toBinary(EventSchema, event) }]]),
    heads: new Map([[messageLog("", HERE), 1]]),
    nowMs: 1,
  };
}

test("[CNV-20] edits call no more users than one message may", () => {
  const edit = (called: number, before = 54) => {
    const userIds = OTHERS.slice(0, called);
    const value = { conversationId: HERE, conversationSeq: 1n, content, mentions: { userIds } };
    const operation = operationOf({ kind: { case: "editMessage", value } });
    const state = groupWith(OTHERS.slice(10, 10 + before));
    const plan = planOperation({ kind: "operation", operation }, ANN, state, RULES);
    return plan.kind === "refuse" ? plan.code : ErrorCode.UNSPECIFIED;
  };
  assert.equal(edit(10), ErrorCode.UNSPECIFIED);
  assert.equal(edit(64), ErrorCode.UNSPECIFIED);
  assert.equal(edit(11, 58), ErrorCode.MEMBER_UNKNOWN);
});

test("[CNV-4] nothing is looked for by a name that a device has made up", () => {
  const named = { conversationId: `g:${"b".repeat(3_000)}\0`, conversationSeq: 1n };
  const operations = [
    { case: "sendMessage", value: { ...named, content, reference: { conversationSeq: 1n } } },
    { case: "editMessage", value: { ...named, content } },
    { case: "recallMessage", value: named },
    { case: "react", value: { ...named, reaction: "ok" } },
    { case: "mark", value: { ...named, deliveredThrough: 1n } },
    { case: "changeMembers", value: { ...named, removeUserIds: ["ben"] } },
    { case: "joinConversation", value: named },
    { case: "leaveConversation", value: named },
    { case: "changeConversation", value: named },
  ] as const;
  for (const kind of operations) {
    const operation = operationOf({ kind } as never);
    const {
      users,
      documents = [],
      entries,
      heads,
    } = readsOf([{ kind: "operation", operation }], ANN, RULES);
    const names = [...users, ...documents].filter((name) => name.includes("bbb"));
    assert.deepEqual([names, entries, heads], [[], [], []], kind.case);
    const state = { ...groupWith([]), documents: new Map() };
    const plan = planOperation({ kind: "operation", operation }, ANN, state, RULES);
    const requires = plan.requires ?? [];
    assert.ok(
      requires.every(({ ref }) => !ref.includes("bbb")),
      kind.case,
    );
    assert.equal(plan.kind === "refuse" && plan.code, ErrorCode.CONVERSATION_UNKNOWN);
  }
});
