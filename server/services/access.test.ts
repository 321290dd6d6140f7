import assert from "node:assert/strict";
import { test } from "node:test";
import { ACCESS_RULES, type AccessRule } from "../../gen/posthorn/v1/access_rules.ts";
import { MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { HistoryService } from "../../gen/posthorn/v1/history_pb.ts";
import { LongPollService } from "../../gen/posthorn/v1/longpoll_pb.ts";
import { accessRefusal, type Caller } from "./access.ts";
import type { Memberships } from "./memberships.ts";
import { Services } from "./service.ts";

const ANN: Caller = { tenant: "acme", userId: "ann", deviceId: "phone" };
const PROGRAM: Caller = { tenant: "acme", userId: "", deviceId: "", backendId: "desk" };
const { READER, MEMBER, ADMIN, OWNER } = MemberRole;

/** Says that ann is in one conversation, and that nobody else is in any. */
const withRole = (role: MemberRole | undefined): Memberships => ({
  roleIn: async (tenant, conversationId, userId) =>
    tenant === "acme" && conversationId === "there" && userId === "ann" ? role : undefined,
});

function verdict(
  rule: AccessRule,
  request: object,
  { caller = ANN, role }: { readonly caller?: Caller; readonly role?: MemberRole } = {},
): Promise<ErrorCode | undefined> {
  return accessRefusal({ rule, request, caller, memberships: withRole(role) });
}

test("[SVC-2] a user's rule lets every user in, and no program", async () => {
  assert.equal(await verdict({ who: "user" }, {}), undefined);
  assert.equal(await verdict({ who: "user" }, {}, { caller: PROGRAM }), ErrorCode.NOT_PERMITTED);
  assert.equal(await verdict({ who: "backend" }, {}), ErrorCode.NOT_PERMITTED);
  assert.equal(await verdict({ who: "backend" }, {}, { caller: PROGRAM }), undefined);
  assert.equal(await verdict({ who: "link" }, {}), ErrorCode.METHOD_UNKNOWN);
});

test("[SVC-3] self is the caller, named or not", async () => {
  const rule: AccessRule = { who: "self", userField: "userId" };
  assert.equal(await verdict(rule, { userId: "" }), undefined);
  assert.equal(await verdict(rule, { userId: "ann" }), undefined);
  for (const userId of ["bob", "Ann", "ann ", "acme/ann"]) {
    assert.equal(await verdict(rule, { userId }), ErrorCode.NOT_PERMITTED, userId);
  }
});

test("[SVC-4] members are told apart by role, all others not at all", async () => {
  const member: AccessRule = { who: "member", conversationField: "conversationId" };
  const admin: AccessRule = { ...member, who: "admin" };
  const there = { conversationId: "there" };
  for (const role of [READER, MEMBER, ADMIN, OWNER]) {
    assert.equal(await verdict(member, there, { role }), undefined);
    const expected = role >= ADMIN ? undefined : ErrorCode.NOT_PERMITTED;
    assert.equal(await verdict(admin, there, { role }), expected);
  }
  for (const rule of [member, admin]) {
    const strangers = [
      verdict(rule, there),
      verdict(rule, { conversationId: "elsewhere" }, { role: OWNER }),
      verdict(rule, { conversationId: "" }, { role: OWNER }),
      verdict(rule, there, { role: OWNER, caller: { ...ANN, userId: "bob" } }),
      verdict(rule, there, { role: OWNER, caller: { ...ANN, tenant: "" } }),
    ];
    for (const code of await Promise.all(strangers)) {
      assert.equal(code, ErrorCode.CONVERSATION_UNKNOWN);
    }
  }
});

test("[SVC-1] [SVC-2] a method is asked after its rule only, and not without one", async () => {
  let asked = 0;
  const services = new Services(withRole(undefined));
  const listDevices = async () => {
    asked += 1;
    return {};
  };
  services.add(KeyDirectoryService, { listDevices });
  const name = "posthorn.v1.KeyDirectoryService/ListDevices";
  assert.deepEqual(ACCESS_RULES.get(name), { who: "user" });
  const refused = await services.answer(name, new Uint8Array(0), PROGRAM);
  assert.deepEqual([refused.code, asked], [ErrorCode.NOT_PERMITTED, 0]);
  const answered = await services.answer(name, new Uint8Array(0), ANN);
  assert.deepEqual([answered.code, asked], [ErrorCode.UNSPECIFIED, 1]);
  const { ...method } = KeyDirectoryService.methods[0];
  const unruled = { ...KeyDirectoryService, methods: [{ ...method, name: "ListOthers" }] };
  assert.throws(() => services.add(unruled as never, { listDevices } as never), /no access rule/);
  assert.throws(() => services.add(LongPollService, {} as never), /has effects/);
});

test("[LIM-8] a caller without calls left is refused before its rule is looked at", async () => {
  let looked = 0;
  const memberships: Memberships = {
    roleIn: async () => {
      looked += 1;
      return undefined;
    },
  };
  let waitMs = 700;
  const services = new Services(memberships, () => waitMs);
  const answer = async () => ({});
  services.add(HistoryService, {
    listMessages: answer,
    listMessagesAround: answer,
    findMessageByDate: answer,
  });
  const name = "posthorn.v1.HistoryService/ListMessages";
  const refused = await services.answer(name, new Uint8Array(0), ANN);
  assert.deepEqual([refused.code, refused.retryAfterMs, looked], [ErrorCode.TOO_OFTEN, 700, 0]);
  waitMs = 0;
  const { code } = await services.answer(name, new Uint8Array(0), ANN);
  assert.deepEqual([code, looked], [ErrorCode.CONVERSATION_UNKNOWN, 1]);
});
