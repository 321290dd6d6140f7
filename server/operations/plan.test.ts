import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { userRefOf } from "../store/store.ts";
import { CONVERSATION_RULES } from "./conversations.ts";
import { USER_RULES } from "./own-lists.ts";
import { decodeOperation, planOperation, readsOf } from "./plan.ts";

const SENDER = { tenant: "", userId: "alice", deviceId: "phone" };
const LIMITS = {
  contentBytes: 1_000,
  frameBytes: 262_144,
  crypto: NATIVE_CRYPTO,
  conversations: CONVERSATION_RULES,
  users: USER_RULES,
};
const KNOWN = {
  knownUsers: new Set([userRefOf("", "alice"), userRefOf("", "bob")]),
  documents: new Map(),
  entries: new Map(),
  heads: new Map(),
  nowMs: 1_800_000_000_000,
};

function operationOf(toUserId: string, text: string): Uint8Array {
  const content = { kind: { case: "text" as const, value: text } };
  return toBinary(
    OperationSchema,
    create(OperationSchema, { kind: { case: "sendDirect", value: { toUserId, content } } }),
  );
}

function planned(operation: Uint8Array) {
  const decoded = decodeOperation(operation);
  readsOf([decoded], SENDER, LIMITS);
  return planOperation(decoded, SENDER, KNOWN, LIMITS);
}

test("[SEQ-14] the sender of an event is who authenticated, whatever the bytes claim (P26)", () => {
  // A whole event that names another sender, appended as fields that an operation does not have.
  const forged = toBinary(
    EventSchema,
    create(EventSchema, {
      kind: {
        case: "message",
        value: { senderUserId: "mallory", senderDeviceId: "x", conversationId: "d:mallory:bob" },
      },
    }),
  );
  const honest = operationOf("bob", "hello");
  const field = Uint8Array.of(0xfa, 0x01, forged.length, ...forged);
  const plan = planned(Uint8Array.of(...honest, ...field));
  assert.ok(plan.kind === "append");
  const { kind } = fromBinary(EventSchema, plan.event);
  assert.ok(kind.case === "message");
  assert.equal(kind.value.senderUserId, "alice");
  assert.equal(kind.value.senderDeviceId, "phone");
  assert.equal(kind.value.conversationId, "d:alice:bob");
  assert.deepEqual(plan.timelines, [userRefOf("", "alice"), userRefOf("", "bob")]);
  assert.ok(!Buffer.from(plan.event).includes("mallory"));
});

test("[SEQ-6] what cannot be done is refused with its code, and consumes a number", () => {
  const refusal = (operation: Uint8Array) => {
    const plan = planned(operation);
    return plan.kind === "refuse" ? plan.code : undefined;
  };
  assert.equal(refusal(Uint8Array.of(1, 2, 3)), ErrorCode.OPERATION_MALFORMED);
  assert.equal(refusal(operationOf("nobody", "x")), ErrorCode.USER_UNKNOWN);
  assert.equal(refusal(operationOf("not a user", "x")), ErrorCode.USER_ID_INVALID);
  assert.equal(refusal(operationOf("bob", "")), ErrorCode.MESSAGE_EMPTY);
  assert.equal(refusal(operationOf("bob", "x".repeat(1_001))), ErrorCode.MESSAGE_TOO_LARGE);
  assert.equal(refusal(operationOf("bob", "x")), undefined);
});
