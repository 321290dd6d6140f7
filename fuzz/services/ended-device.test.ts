import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Code, type Transport } from "@connectrpc/connect";
import { endDevice } from "../../client/operations.ts";
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
import { HTTP_WAYS, SESSION_WAYS, ServiceScene, WAYS } from "./scene.ts";
import { settle, type Town } from "./town.ts";

/** The device of ann's that is lost, of each way one. */
const lostBy = (name: string) => `lost-${WAYS.findIndex((way) => way.name === name)}`;

let scene: ServiceScene;
let town: Town;
let contentBefore: ReadonlyMap<string, string>;
/** Of sessions that were open when their device was ended. */
const cut = new Map<string, Transport>();
before(async () => {
  scene = await ServiceScene.open();
  town = await settle(scene);
  for (const { name } of HTTP_WAYS) await scene.deviceOf("ann", lostBy(name), { scheme: "tcp" });
  for (const { name, deviceTransportOf } of SESSION_WAYS) {
    cut.set(name, await deviceTransportOf(scene, "ann", lostBy(name)));
  }
});
after(() => scene.close());

/** What a user's device may ask at all. */
const OF_USERS = METHODS.filter((method) => ruleOf(method).who !== "backend");

for (const way of WAYS) {
  test(`[DEV-12] before its end a device is answered over ${way.name}`, async () => {
    const open = cut.get(way.name);
    const transport = open ?? (await way.deviceTransportOf(scene, "ann", lostBy(way.name)));
    for (const method of OF_USERS) await ask(transport, method, town.group);
  });
}

test("[DEV-2] every one of them is ended by another device", async () => {
  const client = await scene.clientOf("ann");
  for (const { name } of WAYS) await client.submit(endDevice(lostBy(name)));
});

async function assertRefused(transport: Transport): Promise<void> {
  const said = new Set<string>();
  for (const method of METHODS) {
    for (const conversationId of [town.group, town.direct, NOWHERE, ""]) {
      const error = await errorOf(ask(transport, method, conversationId));
      const expected = [ErrorCode.DEVICE_ENDED, Code.PermissionDenied];
      assert.deepEqual([codeOf(error), error.code], expected, nameOf(method));
      said.add(saidBy(error));
    }
  }
  assert.equal(said.size, 1, "the same, whatever was asked");
}

for (const { name } of SESSION_WAYS) {
  test(`[DEV-5] nothing is answered any more over ${name} that was open`, async () => {
    await assertRefused(cut.get(name) ?? assert.fail("no transport"));
  });
}

describe("from then on", () => {
  before(async () => {
    await scene.stop();
    contentBefore = await contentOf(scene.data);
    await scene.start();
  });

  for (const way of WAYS) {
    test(`[DEV-6] [DEV-12] every method is refused an ended device over ${way.name}`, async () => {
      await assertRefused(await way.deviceTransportOf(scene, "ann", lostBy(way.name)));
    });
  }

  for (const way of HTTP_WAYS) {
    const bearer = async (deviceId?: string) => {
      return { authorization: `Bearer ${await scene.tokenOf("ann", 60_000, deviceId)}` };
    };
    test(`[DEV-12] also where only the request names it, over ${way.name}`, async () => {
      const named = { ...(await bearer()), "posthorn-device": lostBy(way.name) };
      await assertRefused(way.transportWith(scene, named));
    });

    test(`[AUT-3] [DEV-12] its token is of no use without its name over ${way.name}`, async () => {
      for (const other of [{}, { "posthorn-device": "tcp-clear" }]) {
        const headers = { ...(await bearer(lostBy(way.name))), ...other };
        const transport = way.transportWith(scene, headers);
        for (const method of METHODS) {
          const error = await errorOf(ask(transport, method, town.group));
          assert.equal(codeOf(error), ErrorCode.TOKEN_FOREIGN, nameOf(method));
          saidBy(error);
        }
      }
    });

    test(`[DEV-12] the user's other devices are answered over ${way.name}`, async () => {
      for (const deviceId of ["tcp-clear", "another"]) {
        const headers = { ...(await bearer(deviceId)), "posthorn-device": deviceId };
        for (const method of OF_USERS) {
          await ask(way.transportWith(scene, headers), method, town.group);
        }
      }
      // The device of the same name of somebody else.
      const token = await scene.tokenOf("bob", 60_000, lostBy(way.name));
      const bobs = { authorization: `Bearer ${token}`, "posthorn-device": lostBy(way.name) };
      const method = METHODS.find(({ name }) => name === "GetConversation");
      assert.ok(method !== undefined);
      await ask(way.transportWith(scene, bobs), method, town.group);
    });
  }

  test("[SVC-2] nothing that was refused has changed anything", async () => {
    await scene.stop();
    await assertUnchanged(contentBefore, scene.data);
  });
});
