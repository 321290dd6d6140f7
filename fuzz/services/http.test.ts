import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { endDevice } from "../../client/operations.ts";
import { ConversationsService } from "../../gen/posthorn/v1/conversations_pb.ts";
import { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { LongPollService } from "../../gen/posthorn/v1/longpoll_pb.ts";
import { configFrom } from "../../server/config.ts";
import { takesClear } from "../../server/envelope/door.ts";
import type { Log } from "../../server/observe.ts";
import { createServer, type PosthornServer } from "../../server/server.ts";
import { refusalOf } from "./refusal.ts";
import { HTTP_WAYS, type HttpWay, ServiceScene } from "./scene.ts";

const README = join(import.meta.dirname, "..", "..", "README.md");
const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const run = promisify(execFile);
const [JSON_WAY] = HTTP_WAYS as readonly [HttpWay, ...HttpWay[]];

describe("[SVC-7] tokens over HTTP", () => {
  let scene: ServiceScene;
  before(async () => {
    scene = await ServiceScene.open();
  });
  after(() => scene.close());

  const listWith = (headers: Readonly<Record<string, string>>) => {
    const client = createClient(KeyDirectoryService, JSON_WAY.transportWith(scene, headers));
    return client.listDevices({ userId: "ann" });
  };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

  test("are checked at every call", async () => {
    const expired = bearer(await scene.tokenOf("ann", -60_000));
    const status = Code.Unauthenticated;
    const { TOKEN_EXPIRED, TOKEN_FOREIGN, TOKEN_MALFORMED } = ErrorCode;
    assert.deepEqual(await refusalOf(listWith(expired)), { code: TOKEN_EXPIRED, status });
    const claims = { sub: "ann", exp: Math.floor(Date.now() / 1000) + 60 };
    const signed = `${part({ alg: "HS256" })}.${part(claims)}`;
    const other = createHmac("sha256", "another secret of some other service").update(signed);
    const foreign = bearer(`${signed}.${other.digest("base64url")}`);
    assert.deepEqual(await refusalOf(listWith(foreign)), { code: TOKEN_FOREIGN, status });
    const none = bearer(`${part({ alg: "none" })}.${part(claims)}.`);
    assert.deepEqual(await refusalOf(listWith(none)), { code: TOKEN_MALFORMED, status });
    await listWith(bearer(await scene.tokenOf("ann")));
  });

  test("[AUT-3] are one device's, where they say so", async () => {
    const token = bearer(await scene.tokenOf("ann", 60_000, "phone"));
    const foreign = { code: ErrorCode.TOKEN_FOREIGN, status: Code.Unauthenticated };
    assert.deepEqual(await refusalOf(listWith(token)), foreign);
    const tablet = { ...token, "posthorn-device": "tablet" };
    assert.deepEqual(await refusalOf(listWith(tablet)), foreign);
    await listWith({ ...token, "posthorn-device": "phone" });
  });

  test("[DEV-5] [SVC-7] do not outlive the device that they are of", async () => {
    const lost = await scene.clientOf("lea");
    const deviceId = "tcp-clear";
    const token = bearer(await scene.tokenOf("lea", 60_000, deviceId));
    const asLost = { ...token, "posthorn-device": deviceId };
    await listWith(asLost);
    // Its own end reaches it before or behind the result. [DEV-3]
    await lost.submit(endDevice(deviceId)).catch(() => {});
    const ended = { code: ErrorCode.DEVICE_ENDED, status: Code.PermissionDenied };
    for (const way of HTTP_WAYS) {
      const asked = createClient(KeyDirectoryService, way.transportWith(scene, asLost));
      assert.deepEqual(await refusalOf(asked.listDevices({ userId: "ann" })), ended, way.name);
    }
    await listWith({ ...bearer(await scene.tokenOf("lea")), "posthorn-device": "other" });
  });

  test("[RPC-8] are not overruled by what a request says besides", async () => {
    const token = bearer(await scene.tokenOf("ann"));
    const claimed = await refusalOf(listWith({ ...token, "posthorn-user": "bob" }));
    assert.equal(claimed.code, ErrorCode.CREDENTIALS_REQUIRED);
    await listWith({ ...token, "posthorn-user": "ann" });
  });

  test("[LNK-4] [SVC-6] HTTP/2 is agreed on where it is offered", async () => {
    const agreedOf = async (...ALPNProtocols: string[]) => {
      const socket = connectTls({
        port: scene.port,
        host: "127.0.0.1",
        ALPNProtocols,
        ca: scene.ca,
        servername: "localhost",
      });
      await new Promise((resolve) => socket.once("secureConnect", resolve));
      const agreed = socket.alpnProtocol;
      socket.destroy();
      return agreed;
    };
    assert.equal(await agreedOf("h2", "http/1.1"), "h2");
    assert.equal(await agreedOf("http/1.1"), "http/1.1");
    assert.equal(await agreedOf("h2", "posthorn/1"), "posthorn/1");
  });

  test("[LNK-7] [SVC-6] a long poll goes over HTTP/2 too", async () => {
    for (const baseUrl of [`http://127.0.0.1:${scene.port}`, `https://localhost:${scene.port}`]) {
      const nodeOptions = { ca: scene.ca };
      const transport = createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions });
      const client = createClient(LongPollService, transport);
      const { linkId } = await client.open({});
      assert.equal(linkId.length, 16);
      await client.close({ linkId });
    }
  });
});

describe("without keys", () => {
  let folder = "";
  let server: PosthornServer;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "posthorn-open-"));
    server = await createServer(configFrom({ file: { port: 0, data: folder } }), SILENT);
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });
  const url = () =>
    `http://127.0.0.1:${server.address.port}/posthorn.v1.ConversationsService/ListConversations`;
  const ask = (headers: Readonly<Record<string, string>>) =>
    fetch(url(), {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: "{}",
    });

  test("[SVC-6] [SVC-7] the README's call is answered", async () => {
    const readme = readFileSync(README, "utf8");
    const [command] = /^curl http[\s\S]*?(?=\n```)/m.exec(readme) ?? assert.fail("no curl");
    assert.match(command, /:4370\//);
    const here = command.replace(":4370/", `:${server.address.port}/`);
    const { stdout } = await run("sh", ["-c", `${here} -sS --fail-with-body`]);
    assert.deepEqual(JSON.parse(stdout), {});
  });

  test("[BCK-3] [BCK-5] the README's bot says something, once", async () => {
    const readme = readFileSync(README, "utf8");
    const [block] = /^backend\(\) \{[\s\S]*?(?=\n```)/m.exec(readme) ?? assert.fail("no block");
    assert.match(block, /:4370\//);
    const script = `set -e\n${block.replace(":4370/", `:${server.address.port}/`)}\n`;
    const conversation = { conversationId: "d:alice:shopbot" };
    for (let time = 0; time < 2; time += 1) {
      const { stdout } = await run("sh", ["-c", script]);
      assert.match(stdout, /"conversationSeq":"1"/);
      assert.equal(stdout.includes('"created":true'), time === 0);
    }
    const headers = { "Content-Type": "application/json", "Posthorn-User": "alice" };
    const path = "posthorn.v1.HistoryService/ListMessages";
    const answer = await fetch(`http://127.0.0.1:${server.address.port}/${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(conversation),
    });
    const { entries } = (await answer.json()) as { entries: object[] };
    assert.equal(entries.length, 1);
    assert.match(JSON.stringify(entries), /Your order is on its way\./);
  });

  test("[SVC-7] whoever says nothing is nobody", async () => {
    assert.equal((await ask({})).status, 401);
    assert.equal((await ask({ "Posthorn-User": "no body" })).status, 401);
    assert.equal((await ask({ Authorization: "Bearer x" })).status, 401);
    assert.equal((await ask({ "Posthorn-User": "ann" })).status, 200);
  });

  test("[AUT-6] [SVC-7] pages of other sites may not ask", async () => {
    const user = { "Posthorn-User": "ann" };
    const evil = await ask({ ...user, Origin: "https://evil.example" });
    assert.equal(evil.status, 403);
    assert.match(await evil.text(), /permission_denied/);
    assert.equal((await ask({ ...user, Origin: "http://localhost:8080" })).status, 200);
  });
});

test("[SVC-8] [ENV-53] where all has to be sealed nothing is asked over HTTP, over TLS neither", async () => {
  const scene = await ServiceScene.open({ envelope: "required" });
  const required = { code: ErrorCode.ENVELOPE_REQUIRED, status: Code.PermissionDenied };
  for (const way of HTTP_WAYS) {
    const client = createClient(ConversationsService, await way.transportOf(scene, "ann"));
    assert.deepEqual(await refusalOf(client.listConversations({})), required, way.name);
  }
  const session = await scene.sessionOf("ann", "tcp", true);
  await createClient(ConversationsService, session).listConversations({});
  await scene.close();
});

test("[SVC-8] [ENV-53] calls in the clear come from this machine, unless clear links are taken", () => {
  const [near, far] = ["::ffff:127.0.0.1", "192.0.2.7"];
  const taken = (envelope: "off" | "allowed" | "required", clearLinks: boolean) =>
    [near, far].flatMap((peer) =>
      [false, true].map((isTls) => takesClear({ envelope, clearLinks }, { peer, isTls })),
    );
  assert.deepEqual(taken("allowed", false), [true, true, false, true]);
  assert.deepEqual(taken("off", false), [true, true, false, true]);
  assert.deepEqual(taken("allowed", true), [true, true, true, true]);
  assert.deepEqual(taken("required", true), [false, false, false, false]);
});

test("[SVC-6] calls over HTTP can be turned off", async () => {
  const scene = await ServiceScene.open({ transports: { calls: false } });
  const headers = { authorization: `Bearer ${await scene.tokenOf("ann")}` };
  const path = "/posthorn.v1.KeyDirectoryService/ListDevices";
  const answer = await fetch(`http://127.0.0.1:${scene.port}${path}`, { method: "POST", headers });
  assert.equal(answer.status, 404);
  const session = await scene.sessionOf("ann", "tcp", false);
  await createClient(KeyDirectoryService, session).listDevices({ userId: "ann" });
  await scene.close();
});
