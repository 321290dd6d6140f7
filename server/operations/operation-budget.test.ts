import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { OperationBudget, type OperationRates } from "./operation-budget.ts";
import { type DecodedOperation, decodeOperation, type Sender } from "./plan.ts";

type OperationKind = NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>;

const PHONE: Sender = { tenant: "", userId: "ann", deviceId: "phone" };
const TABLET: Sender = { ...PHONE, deviceId: "tablet" };
const BOB: Sender = { ...PHONE, userId: "bob" };
const RATES: OperationRates = {
  operations: { atOnce: 20, perSecond: 2 },
  messagesPerDay: 0,
  conversationsPerDay: 0,
};
const DAY_MS = 86_400_000;

const message = (bytes = 1): OperationKind => {
  const content = { kind: { case: "text" as const, value: "x".repeat(bytes) } };
  return { case: "sendMessage", value: { conversationId: "g:1", content } };
};
const mark: OperationKind = { case: "mark", value: { conversationId: "g:1" } };
const made: OperationKind = { case: "createConversation", value: {} };
const ended: OperationKind = { case: "endDevice", value: { deviceId: "old" } };
const revoked: OperationKind = { case: "revokeDevice", value: { deviceId: "old" } };

/** A budget, and what it says of operations: 0, or the time of a refusal. */
function budgetOf(rates: Partial<OperationRates> = {}) {
  const refusals: string[] = [];
  const budget = new OperationBudget({ ...RATES, ...rates }, (kind) => refusals.push(kind));
  const judge = (sender: Sender, nowMs: number, ...kinds: readonly OperationKind[]) => {
    const bytes = kinds.map((kind) => toBinary(OperationSchema, create(OperationSchema, { kind })));
    const sizes = bytes.map(({ length }) => length);
    return budget.judge(bytes.map(decodeOperation), sizes, sender, nowMs);
  };
  const waits = (...asked: Parameters<typeof judge>) => judge(...asked).map(waitOf);
  /** How many of so many alike are granted. */
  const granted = (sender: Sender, nowMs: number, count: number, kind: OperationKind) =>
    waits(sender, nowMs, ...Array<OperationKind>(count).fill(kind)).filter((ms) => ms === 0).length;
  return { budget, judge, waits, granted, refusals };
}

function waitOf(item: DecodedOperation): number {
  if (item.kind === "operation") return 0;
  assert.equal(item.code, ErrorCode.TOO_OFTEN);
  return item.retryAfterMs ?? assert.fail("says no time");
}

test("[LIM-3] a user has so many operations with all of its devices, and others have theirs", () => {
  const { granted, waits, refusals } = budgetOf();
  assert.equal(granted(PHONE, 0, 15, mark), 15);
  assert.equal(granted(TABLET, 0, 15, mark), 5);
  assert.deepEqual(waits(PHONE, 0, mark), [500]);
  assert.equal(granted(BOB, 0, 30, mark), 20);
  assert.deepEqual(waits(PHONE, 499, mark), [1]);
  assert.deepEqual(waits(PHONE, 500, mark, mark), [0, 500], "what was refused took nothing");
  assert.equal(granted(PHONE, 3_600_000, 30, mark), 20);
  assert.ok(refusals.every((kind) => kind === "operations"));
});

test("[LIM-3] users of the same name in two tenants are two", () => {
  const { granted } = budgetOf();
  assert.equal(granted(PHONE, 0, 30, mark), 20);
  assert.equal(granted({ ...PHONE, tenant: "acme" }, 0, 30, mark), 20);
});

const CHANGES = [
  "changeMembers",
  "changeConversation",
  "joinConversation",
  "leaveConversation",
] as const;

test("[LIM-4] operations cost by their kind and by their bytes", () => {
  const costOf = (kind: OperationKind) => {
    const { waits, granted } = budgetOf({ operations: { atOnce: 1_000, perSecond: 1 } });
    assert.deepEqual(waits(PHONE, 0, kind), [0]);
    return 1_000 - granted(PHONE, 0, 2_000, mark);
  };
  const changed = (kind: (typeof CHANGES)[number]) => ({ case: kind, value: {} }) as OperationKind;
  assert.equal(costOf(message()), 1);
  assert.equal(costOf(message(16_000)), 1);
  assert.equal(costOf(message(16_384)), 2);
  assert.equal(costOf(message(200_000)), 13);
  assert.equal(costOf(made), 10);
  assert.equal(
    costOf({ case: "createConversation", value: { nonce: new Uint8Array(20_000) } }),
    20,
  );
  assert.equal(costOf({ case: "publishDevice", value: {} }), 10);
  assert.equal(costOf({ case: "changeProfile", value: {} }), 10);
  for (const kind of ["changeContacts", "changeBlocks"] as const) {
    assert.equal(costOf({ case: kind, value: {} }), 5, kind);
  }
  for (const kind of CHANGES) {
    assert.equal(costOf(changed(kind)), 5, kind);
  }
});

test("[LIM-4] what costs more than there ever is costs all there is", () => {
  const { waits } = budgetOf({ operations: { atOnce: 3, perSecond: 1 } });
  assert.deepEqual(waits(PHONE, 0, made, mark), [0, 1_000]);
});

test("[LIM-4] what is no operation costs one and stays what it is", () => {
  const { budget, granted } = budgetOf();
  const none = { kind: "refuse", code: ErrorCode.OPERATION_MALFORMED } as const;
  const many = Array.from({ length: 15 }, () => none);
  const sizes = many.map(() => 3);
  assert.deepEqual(budget.judge(many, sizes, PHONE, 0), many);
  assert.equal(granted(PHONE, 0, 20, mark), 5);
  assert.deepEqual(budget.judge(many, sizes, PHONE, 0), many, "also where nothing is left");
});

test("[LIM-5] messages and conversations have a measure of the day", () => {
  const { granted, waits, refusals } = budgetOf({
    operations: { atOnce: 1_000, perSecond: 1 },
    messagesPerDay: 24,
    conversationsPerDay: 2,
  });
  assert.equal(granted(PHONE, 0, 30, message()), 24);
  assert.deepEqual(waits(PHONE, 0, message()), [DAY_MS / 24]);
  assert.deepEqual(waits(PHONE, 0, mark), [0], "what is no message goes on");
  assert.equal(granted(PHONE, 0, 3, made), 2);
  assert.deepEqual(waits(PHONE, 0, made), [DAY_MS / 2]);
  assert.deepEqual(new Set(refusals), new Set(["messages", "conversations"]));
  assert.deepEqual(waits(PHONE, DAY_MS / 24, message(), message()), [0, DAY_MS / 24]);
  const large = budgetOf({ messagesPerDay: 24, operations: { atOnce: 1, perSecond: 0 } });
  assert.equal(large.granted(BOB, 0, 5, message(100_000)), 3, "by its bytes: seven messages");
  for (const kind of ["sendDirect", "editMessage", "sendPacket"] as const) {
    const one = { case: kind, value: {} } as OperationKind;
    assert.equal(budgetOf({ messagesPerDay: 7 }).granted(PHONE, 0, 10, one), 7, kind);
  }
});

test("[LIM-3] [LIM-5] what is refused for one measure takes nothing of the others", () => {
  const { granted, waits } = budgetOf({ messagesPerDay: 1 });
  assert.deepEqual(waits(PHONE, 0, message(), message(), message()), [0, DAY_MS, DAY_MS]);
  assert.equal(granted(PHONE, 0, 30, mark), 19);
});

test("[LIM-6] a device can be ended whatever its user's devices have submitted", () => {
  const { granted, waits, refusals } = budgetOf();
  assert.equal(granted(PHONE, 0, 100, mark), 20);
  assert.deepEqual(waits(PHONE, 0, ended, revoked), [0, 0]);
  assert.equal(granted(PHONE, 0, 200, ended), 98);
  assert.deepEqual(waits(PHONE, 0, revoked), [1_000]);
  assert.equal(refusals.at(-1), "endings");
  assert.equal(granted(TABLET, 0, 200, ended), 100, "each device has its own");
});

test("[LIM-3] where nothing comes back there is no limit", () => {
  const { granted } = budgetOf({ operations: { atOnce: 1, perSecond: 0 } });
  assert.equal(granted(PHONE, 0, 5_000, message(100_000)), 5_000);
  assert.equal(granted(PHONE, 0, 5_000, ended), 5_000);
});
