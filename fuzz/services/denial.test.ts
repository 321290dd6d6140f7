import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { ACCESS_RULES } from "../../gen/posthorn/v1/access_rules.ts";
import { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  ask,
  assertUnchanged,
  codeOf,
  contentOf,
  errorOf,
  METHODS,
  NOWHERE,
  nameOf,
  ruleOf,
  saidBy,
} from "./asking.ts";
import { HTTP_WAYS, ServiceScene, WAYS } from "./scene.ts";
import { settle, type Town } from "./town.ts";

const STRANGERS = ["eve", "rem", "acme/zoe"];

let scene: ServiceScene;
let town: Town;
let contentBefore: ReadonlyMap<string, string>;
before(async () => {
  scene = await ServiceScene.open();
  town = await settle(scene);
  // A device that comes for the first time is told of: all have come before anything is refused.
  for (const way of WAYS) {
    for (const stranger of STRANGERS) {
      const transport = await way.transportOf(scene, stranger);
      await ask(transport, KeyDirectoryService.method.listDevices, NOWHERE);
    }
  }
  await scene.stop();
  contentBefore = await contentOf(scene.data);
  await scene.start();
});
after(() => scene.close());

test("[SVC-1] every method that is no link's is asked here", () => {
  const ruled = [...ACCESS_RULES].filter(([, { who }]) => who !== "link").map(([name]) => name);
  assert.deepEqual(METHODS.map(nameOf).sort(), ruled.sort());
});

for (const way of WAYS) {
  describe(`[SVC-2] [SVC-4] who may not ask, over ${way.name}`, () => {
    for (const method of METHODS) {
      test(`${nameOf(method)} by strangers`, async () => {
        const { who } = ruleOf(method);
        for (const stranger of STRANGERS) {
          const transport = await way.transportOf(scene, stranger);
          if (who === "user") {
            await ask(transport, method, town.group);
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
            assert.equal(saidBy(error), nothing, "as of one that there is not");
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
          const error = await errorOf(ask(transport, method, town.group));
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
        const error = await errorOf(ask(transport, method, town.group));
        const expected = [ErrorCode.CREDENTIALS_REQUIRED, Code.Unauthenticated];
        assert.deepEqual([codeOf(error), error.code], expected);
        assert.equal(saidBy(await errorOf(ask(transport, method, NOWHERE))), saidBy(error));
        // Who says that it is somebody is nobody where there are keys.
        const claimed = way.transportWith(scene, { "posthorn-user": "ann" });
        const said = saidBy(await errorOf(ask(claimed, method, town.group)));
        assert.equal(said, saidBy(error));
      });
    }
  });
}

test("[SVC-2] nothing that was refused has changed anything", async () => {
  await scene.stop();
  await assertUnchanged(contentBefore, scene.data);
});
