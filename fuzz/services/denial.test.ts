import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { create, type DescMethodUnary, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { ACCESS_RULES, type AccessRule } from "../../gen/posthorn/v1/access_rules.ts";
import { BackendService } from "../../gen/posthorn/v1/backend_pb.ts";
import { ConversationsService } from "../../gen/posthorn/v1/conversations_pb.ts";
import { DevicesService } from "../../gen/posthorn/v1/devices_pb.ts";
import { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import { HistoryService } from "../../gen/posthorn/v1/history_pb.ts";
import { openDataFolder } from "../../platform/lmdb-folder.ts";
import { FORMAT_KEY } from "../../server/store/keys.ts";
import { FORMAT_VERSION } from "../../server/store/records.ts";
import { HTTP_WAYS, ServiceScene, WAYS } from "./scene.ts";
import { settle, type Town } from "./town.ts";

const SERVICES = [
  KeyDirectoryService,
  DevicesService,
  HistoryService,
  ConversationsService,
  BackendService,
];
const METHODS = SERVICES.flatMap(({ methods }) => methods as readonly DescMethodUnary[]);
const nameOf = (method: DescMethodUnary) => `${method.parent.typeName}/${method.name}`;
const ruleOf = (method: DescMethodUnary) => ACCESS_RULES.get(nameOf(method)) as AccessRule;
const NOWHERE = `g:${"a".repeat(26)}`;
/** What only members may ever read. */
const SECRETS = ["no. ", "edited", "hello", "news", "here and now", "another tenant", "fay", "cyd"];

let scene: ServiceScene;
let town: Town;
let contentBefore: ReadonlyMap<string, string>;
before(async () => {
  scene = await ServiceScene.open();
  town = await settle(scene);
  await scene.stop();
  contentBefore = await contentOf(scene.data);
  await scene.start();
});
after(() => scene.close());

test("[SVC-1] every method that is no link's is asked here", () => {
  const ruled = [...ACCESS_RULES].filter(([, { who }]) => who !== "link").map(([name]) => name);
  assert.deepEqual(METHODS.map(nameOf).sort(), ruled.sort());
});

/** A request that names a conversation, or another user, and is legal otherwise. */
function requestTo(
  method: DescMethodUnary,
  conversationId: string,
): MessageInitShape<DescMethodUnary["input"]> {
  const rule = ruleOf(method);
  const request = create(method.input) as unknown as Record<string, unknown> & {
    conversationSeq?: bigint;
    userId?: string;
  };
  if ("conversationField" in rule) request[rule.conversationField] = conversationId;
  if ("userField" in rule) request[rule.userField] = "ann";
  if ("conversationSeq" in request) request.conversationSeq = 1n;
  if (method.name === "ListDevices") request.userId = "ann";
  return request as unknown as MessageInitShape<DescMethodUnary["input"]>;
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return await call.then(
    () => assert.fail("was answered"),
    (reason: unknown) => ConnectError.from(reason),
  );
}

/** Everything that a refusal says. */
function saidBy(error: ConnectError): string {
  const { code, rawMessage } = error;
  const details = error.details.map((detail) => ("desc" in detail ? detail.value : detail));
  const metadata = [...error.metadata].filter(([name]) => name !== "date");
  const asText = (_: string, value: unknown) =>
    typeof value === "bigint" ? `${value}` : (value as object);
  return JSON.stringify([code, rawMessage, details, metadata], asText);
}

function codeOf(error: ConnectError): ErrorCode | undefined {
  return error.findDetails(ErrorDetailSchema)[0]?.code;
}

const ask = (transport: Transport, method: DescMethodUnary, conversationId = town.group) =>
  transport.unary(method, undefined, undefined, undefined, requestTo(method, conversationId));

for (const way of WAYS) {
  describe(`[SVC-2] [SVC-4] who may not ask, over ${way.name}`, () => {
    for (const method of METHODS) {
      test(`${nameOf(method)} by strangers`, async () => {
        const { who } = ruleOf(method);
        for (const stranger of ["eve", "rem", "acme/zoe"]) {
          const transport = await way.transportOf(scene, stranger);
          if (who === "user") {
            await ask(transport, method);
            continue;
          }
          const expected =
            who === "self" || who === "backend"
              ? [ErrorCode.NOT_PERMITTED, Code.PermissionDenied]
              : [ErrorCode.CONVERSATION_UNKNOWN, Code.NotFound];
          const nothing = saidBy(await errorOf(ask(transport, method, NOWHERE)));
          const { group, direct, channel, room, foreign } = town;
          const own = stranger === "acme/zoe" ? [] : [foreign];
          for (const conversationId of [group, direct, channel, room, ...own]) {
            const error = await errorOf(ask(transport, method, conversationId));
            assert.deepEqual([codeOf(error), error.code], expected, stranger);
            const said = saidBy(error);
            assert.equal(said, nothing, "as of one that there is not");
            for (const secret of SECRETS) assert.ok(!said.includes(secret), said);
          }
        }
      });
    }
  });
}

for (const way of HTTP_WAYS) {
  describe(`[SVC-2] [BCK-2] a backend is no user, over ${way.name}`, () => {
    for (const method of METHODS.filter((one) => ruleOf(one).who !== "backend")) {
      test(`${nameOf(method)} by a backend`, async () => {
        const expected = [ErrorCode.NOT_PERMITTED, Code.PermissionDenied];
        // Called as a member is, too: that is another name.
        for (const backend of ["desk", "ann", "acme/desk"]) {
          const transport = await way.backendTransportOf(scene, backend);
          const error = await errorOf(ask(transport, method));
          assert.deepEqual([codeOf(error), error.code], expected, backend);
          assert.equal(saidBy(await errorOf(ask(transport, method, NOWHERE))), saidBy(error));
        }
      });
    }
  });

  describe(`[SVC-2] [SVC-7] nobody, over ${way.name}`, () => {
    for (const method of METHODS) {
      test(`${nameOf(method)} without credentials`, async () => {
        const transport = way.transportWith(scene, {});
        const error = await errorOf(ask(transport, method));
        const expected = [ErrorCode.CREDENTIALS_REQUIRED, Code.Unauthenticated];
        assert.deepEqual([codeOf(error), error.code], expected);
        assert.equal(saidBy(await errorOf(ask(transport, method, NOWHERE))), saidBy(error));
        // Who says that it is somebody is nobody where there are keys.
        const claimed = way.transportWith(scene, { "posthorn-user": "ann" });
        assert.equal(saidBy(await errorOf(ask(claimed, method))), saidBy(error));
      });
    }
  });
}

test("[SVC-2] nothing that was refused has changed anything", async () => {
  await scene.stop();
  const now = await contentOf(scene.data);
  assert.deepEqual([...now.keys()], [...contentBefore.keys()]);
  for (const [key, value] of contentBefore) assert.equal(now.get(key), value, key);
});

/** Documents, logs, timelines and users: all but what a device's attaching changes. */
async function contentOf(data: string): Promise<ReadonlyMap<string, string>> {
  const format = { version: FORMAT_VERSION, key: FORMAT_KEY, mapBytes: 2 ** 30 };
  const folder = await openDataFolder(data, format);
  const content = new Map<string, string>();
  for (const { key, value } of folder.env.getRange({})) {
    const isKept = "FLTU".includes(String.fromCharCode(key[0] as number));
    if (isKept) content.set(key.toString("latin1"), Buffer.from(value).toString("hex"));
  }
  await folder.close();
  assert.ok([...content.keys()].some((key) => key.includes(`conversation:${town.group}`)));
  assert.ok([...content.keys()].some((key) => key.startsWith(`L`)));
  return content;
}
