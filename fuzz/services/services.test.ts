import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import { ServiceScene, WAYS } from "./scene.ts";

let scene: ServiceScene;
before(async () => {
  scene = await ServiceScene.open(async () => {});
});
after(() => scene.close());

/** Our code in what a transport rejects with. */
async function refusalOf(call: Promise<unknown>): Promise<{ code: ErrorCode; status: Code }> {
  const error = await call.then(
    () => assert.fail("was answered"),
    (reason: unknown) => ConnectError.from(reason),
  );
  const [detail] = error.findDetails(ErrorDetailSchema);
  assert.ok(detail, `${error} has our detail`);
  return { code: detail.code, status: error.code };
}

for (const way of WAYS) {
  describe(`[SVC-5] [SVC-6] services over ${way.name}`, () => {
    test("answer", async () => {
      const client = createClient(KeyDirectoryService, await way.transportOf(scene, "alice"));
      const answer = await client.listDevices({ userId: "nobody" });
      assert.equal(answer.revision, 0n);
      assert.deepEqual(answer.devices, []);
    });

    test("[SVC-9] refuse with a code and a status", async () => {
      const client = createClient(KeyDirectoryService, await way.transportOf(scene, "alice"));
      const refused = await refusalOf(client.listDevices({ userId: "no body" }));
      const expected = { code: ErrorCode.USER_ID_INVALID, status: Code.InvalidArgument };
      assert.deepEqual(refused, expected);
    });
  });
}
