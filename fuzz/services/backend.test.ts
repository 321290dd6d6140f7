import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { connect } from "../../client/client.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import { dialersOf } from "../../client/node.ts";
import { SessionError } from "../../client/results.ts";
import { BackendService } from "../../gen/posthorn/v1/backend_pb.ts";
import { DevicesService } from "../../gen/posthorn/v1/devices_pb.ts";
import { ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import { HistoryService } from "../../gen/posthorn/v1/history_pb.ts";
import type { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { STREAM_RESULTS_KEPT } from "../../server/backend/streams.ts";
import { ConfigError } from "../../server/config-error.ts";
import { refusalOf } from "./refusal.ts";
import { HTTP_WAYS, type HttpWay, ServiceScene } from "./scene.ts";

type Operation = MessageInitShape<typeof OperationSchema>;
type Desk = Client<typeof BackendService>;
const [JSON_WAY] = HTTP_WAYS as readonly [HttpWay, ...HttpWay[]];

let scene: ServiceScene;
before(async () => {
  scene = await ServiceScene.open();
});
after(() => scene.close());

const deskOf = async (way: HttpWay, backend = "desk"): Promise<Desk> =>
  createClient(BackendService, await way.backendTransportOf(scene, backend));

function say(toUserId: string, text: string): Operation {
  const content = { kind: { case: "text" as const, value: text } };
  return { kind: { case: "sendDirect", value: { toUserId, content } } };
}

/** What users have heard of each other: texts, with whose and of which device. */
async function heard(way: HttpWay, user: string, other: string): Promise<string[]> {
  const history = createClient(HistoryService, await way.transportOf(scene, user));
  const [first, second] = [user.split("/").at(-1) as string, other].sort();
  const { entries } = await history.listMessages({ conversationId: `d:${first}:${second}` });
  return entries.map(({ message }) => {
    const { senderUserId, senderDeviceId, content } = message ?? assert.fail("no message");
    return `${senderUserId}/${senderDeviceId}: ${content?.kind.value}`;
  });
}

/** The number that a refusal says is next. */
async function gapOf(call: Promise<unknown>): Promise<bigint> {
  const error = await call.then(
    () => assert.fail("was answered"),
    (reason: unknown) => ConnectError.from(reason),
  );
  const [detail] = error.findDetails(ErrorDetailSchema);
  assert.equal(detail?.code, ErrorCode.STREAM_GAP);
  assert.equal(error.code, Code.InvalidArgument);
  return detail.nextSeq;
}

for (const [index, way] of HTTP_WAYS.entries()) {
  describe(`backends over ${way.name}`, () => {
    const bot = `bot${index}`;
    const guest = `guest${index}`;
    const stream = `s${index}`;

    test("[BCK-4] make users, once each, in their own tenant", async () => {
      const desk = await deskOf(way);
      for (const userId of [bot, guest]) {
        assert.deepEqual((await desk.ensureUser({ userId })).created, true);
        assert.deepEqual((await desk.ensureUser({ userId })).created, false);
      }
      const elsewhere = await deskOf(way, "acme/desk");
      assert.equal((await elsewhere.ensureUser({ userId: bot })).created, true);
      const invalid = { code: ErrorCode.USER_ID_INVALID, status: Code.InvalidArgument };
      for (const userId of ["", "a/b", "backend:desk", ".a"]) {
        assert.deepEqual(await refusalOf(desk.ensureUser({ userId })), invalid, userId);
      }
      const devices = createClient(DevicesService, await way.transportOf(scene, bot));
      assert.deepEqual((await devices.list({})).devices, [], "a bot has no device");
    });

    test("[BCK-5] [BCK-6] [BCK-11] send as users, once, however often they ask", async () => {
      const desk = await deskOf(way);
      const first = { stream, seq: 1n, asUserId: bot, operation: say(guest, "hello") };
      const once = await desk.submitAs(first);
      assert.deepEqual([once.code, once.conversationSeq], [ErrorCode.UNSPECIFIED, 1n]);
      assert.ok(once.committedMs > 1_700_000_000_000n);
      assert.deepEqual(await desk.submitAs(first), once);
      const together = [2n, 2n, 2n].map((seq) => {
        return desk.submitAs({ stream, seq, asUserId: guest, operation: say(bot, "thanks") });
      });
      const [second, ...repeats] = await Promise.all(together);
      for (const repeat of repeats) assert.deepEqual(repeat, second);
      assert.deepEqual(await desk.submitAs(first), once, "in any order");
      // Whoever was asked in another form is asked the same.
      assert.deepEqual(await (await deskOf(JSON_WAY)).submitAs(first), once);
      const expected = [`${bot}/: hello`, `${guest}/: thanks`];
      assert.deepEqual(await heard(way, bot, guest), expected);
      assert.deepEqual(await heard(way, guest, bot), expected);
    });

    test("[BCK-6] a number with other content is a conflict", async () => {
      const desk = await deskOf(way);
      const conflict = { code: ErrorCode.SUBMIT_CONFLICT, status: Code.InvalidArgument };
      const first = { stream, seq: 1n, asUserId: bot, operation: say(guest, "hello") };
      const others = [
        { ...first, operation: say(guest, "hallo") },
        { ...first, asUserId: guest },
        { stream, seq: 1n, asUserId: bot },
      ];
      for (const other of others) assert.deepEqual(await refusalOf(desk.submitAs(other)), conflict);
      assert.equal((await desk.submitAs(first)).conversationSeq, 1n);
    });

    test("[BCK-7] a number too far is told the next one", async () => {
      const desk = await deskOf(way);
      const far = { stream, seq: 4n, asUserId: bot, operation: say(guest, "too far") };
      assert.equal(await gapOf(desk.submitAs(far)), 3n);
      assert.equal(await gapOf(desk.submitAs({ ...far, seq: 2n ** 53n - 1n })), 3n);
      assert.equal(await gapOf(desk.submitAs({ ...far, stream: "new", seq: 2n })), 1n);
      assert.equal((await desk.getStream({ stream })).nextSeq, 3n);
      assert.equal((await desk.getStream({ stream: "new" })).nextSeq, 1n);
      const other = await deskOf(way, "other");
      assert.equal((await other.getStream({ stream })).nextSeq, 1n, "another backend's");
      const outside = { code: ErrorCode.COUNTER_OUT_OF_RANGE, status: Code.InvalidArgument };
      for (const seq of [0n, 2n ** 53n, 2n ** 64n - 1n]) {
        assert.deepEqual(await refusalOf(desk.submitAs({ ...far, seq })), outside);
      }
      const malformed = { code: ErrorCode.CALL_MALFORMED, status: Code.InvalidArgument };
      for (const illegal of ["", "a/b", "a\0", "x".repeat(65)]) {
        assert.deepEqual(await refusalOf(desk.submitAs({ ...far, stream: illegal })), malformed);
        assert.deepEqual(await refusalOf(desk.getStream({ stream: illegal })), malformed);
      }
    });

    test("[BCK-8] [BCK-10] what cannot be done consumes its number", async () => {
      const desk = await deskOf(way);
      const nobody = { stream, asUserId: "nobody", operation: say(guest, "hello") };
      const refused = await desk.submitAs({ ...nobody, seq: 3n });
      assert.equal(refused.code, ErrorCode.USER_UNKNOWN);
      assert.deepEqual(await desk.submitAs({ ...nobody, seq: 3n }), refused);
      const ofDevices: Operation[] = [
        { kind: { case: "sendPacket", value: { toUserId: guest, toDeviceId: "d", ttlS: 9 } } },
        { kind: { case: "publishDevice", value: {} } },
        { kind: { case: "revokeDevice", value: { deviceId: "d" } } },
      ];
      const cases: (readonly [Operation, ErrorCode])[] = [
        [{}, ErrorCode.OPERATION_MALFORMED],
        [say("backend:desk", "hello"), ErrorCode.USER_ID_INVALID],
        [say(guest, ""), ErrorCode.MESSAGE_EMPTY],
        ...ofDevices.map((operation) => [operation, ErrorCode.NOT_PERMITTED] as const),
      ];
      let seq = 4n;
      for (const [operation, code] of cases) {
        const answer = await desk.submitAs({ stream, seq, asUserId: bot, operation });
        assert.equal(answer.code, code, JSON.stringify(operation));
        seq += 1n;
      }
      assert.equal((await desk.getStream({ stream })).nextSeq, seq);
      assert.equal((await heard(way, bot, guest)).length, 2);
    });
  });
}

test("[BCK-5] a result outlives the node", async () => {
  const desk = await deskOf(JSON_WAY);
  await desk.ensureUser({ userId: "eva" });
  const first = { stream: "kept", seq: 1n, asUserId: "eva", operation: say("eva", "note") };
  const once = await desk.submitAs(first);
  await scene.stop();
  await scene.start();
  const again = await deskOf(JSON_WAY);
  assert.deepEqual(await again.submitAs(first), once);
  assert.deepEqual(await heard(JSON_WAY, "eva", "eva"), ["eva/: note"]);
});

test("[BCK-9] old results are forgotten, and what they are of is not done again", async () => {
  const desk = await deskOf(JSON_WAY);
  await desk.ensureUser({ userId: "eva" });
  const stream = "long";
  const note = (seq: bigint) =>
    desk.submitAs({ stream, seq, asUserId: "eva", operation: say("eva", `note ${seq}`) });
  const count = BigInt(STREAM_RESULTS_KEPT) + 5n;
  for (let seq = 1n; seq <= count; seq += 1n) await note(seq);
  const forgotten = { code: ErrorCode.RESULT_FORGOTTEN, status: Code.InvalidArgument };
  assert.deepEqual(await refusalOf(note(1n)), forgotten);
  const kept = await note(count - BigInt(STREAM_RESULTS_KEPT) + 1n);
  assert.equal(kept.code, ErrorCode.UNSPECIFIED);
  assert.equal((await desk.getStream({ stream })).nextSeq, count + 1n);
});

test("[BCK-12] a backend has no more streams than a user has devices", async () => {
  const small = await ServiceScene.open({ limits: { devicesMax: 2 } });
  const crowd = createClient(BackendService, await JSON_WAY.backendTransportOf(small, "desk"));
  await crowd.ensureUser({ userId: "eva" });
  const on = (stream: string) =>
    crowd.submitAs({ stream, seq: 1n, asUserId: "eva", operation: say("eva", "note") });
  await on("a");
  await on("b");
  const full = { code: ErrorCode.DEVICES_FULL, status: Code.InvalidArgument };
  assert.deepEqual(await refusalOf(on("c")), full);
  await on("a");
  assert.equal((await crowd.getStream({ stream: "c" })).nextSeq, 1n);
  await small.close();
});

test("[SVC-10] a backend sends what a device may, in more than a question's bytes", async () => {
  for (const way of HTTP_WAYS) {
    const desk = await deskOf(way, "large");
    await desk.ensureUser({ userId: "eva" });
    const { nextSeq: seq } = await desk.getStream({ stream: "l" });
    const operation = say("eva", "x".repeat(200 * 1024));
    const { code } = await desk.submitAs({ stream: "l", seq, asUserId: "eva", operation });
    assert.equal(code, ErrorCode.UNSPECIFIED, way.name);
    const large = { code: ErrorCode.MESSAGE_TOO_LARGE, status: Code.InvalidArgument };
    const larger = say("eva", "x".repeat(520 * 1024));
    const refused = desk.submitAs({ stream: "l", seq, asUserId: "eva", operation: larger });
    assert.deepEqual(await refusalOf(refused), large, way.name);
  }
});

test("[BCK-13] a service does not start with webhooks that are wrong", async () => {
  const webhooksFile = join(scene.folder, "webhooks.json");
  const url = "http://192.0.2.1/0a1b";
  const webhook = { name: "hook", user: "bot", url, secretFiles: ["none"] };
  await writeFile(webhooksFile, JSON.stringify({ webhooks: [webhook] }));
  await assert.rejects(ServiceScene.open({ backend: { webhooksFile } }), (error: unknown) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, /^backend\.webhooksFile: .*https/);
    return !error.message.includes("0a1b");
  });
});

test("[BCK-2] a backend's token attaches no device, over any link", async () => {
  for (const scheme of ["tcp", "ws", "http"]) {
    const client = await connect({
      dialers: dialersOf(`${scheme}://127.0.0.1:${scene.port}`),
      deviceId: "phone",
      token: await scene.backendTokenOf("desk"),
      journal: memoryJournal(),
      upgradeMs: 0,
    });
    const refused = await client.submit(new Uint8Array(0)).then(
      () => assert.fail("attached"),
      (reason: unknown) => reason,
    );
    assert.ok(refused instanceof SessionError, String(refused));
    assert.equal(refused.code, ErrorCode.TOKEN_FOREIGN);
    await client.close().catch(() => {});
  }
});

test("[BCK-2] [BCK-3] headers do not make a backend of a user, nor a user of a backend", async () => {
  const list = (headers: Readonly<Record<string, string>>) =>
    createClient(BackendService, JSON_WAY.transportWith(scene, headers)).getStream({ stream: "s" });
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const user = bearer(await scene.tokenOf("ann"));
  const desk = bearer(await scene.backendTokenOf("desk"));
  const { CREDENTIALS_REQUIRED, TOKEN_FOREIGN, NOT_PERMITTED } = ErrorCode;
  const cases: readonly (readonly [Readonly<Record<string, string>>, ErrorCode])[] = [
    [{ "posthorn-backend": "desk" }, CREDENTIALS_REQUIRED],
    [user, NOT_PERMITTED],
    [{ ...user, "posthorn-backend": "desk" }, TOKEN_FOREIGN],
    [{ ...desk, "posthorn-backend": "other" }, TOKEN_FOREIGN],
    [{ ...desk, "posthorn-user": "ann" }, TOKEN_FOREIGN],
    [{ ...desk, "posthorn-device": "phone" }, TOKEN_FOREIGN],
    [{ ...desk, "posthorn-backend": "desk", "posthorn-user": "ann" }, CREDENTIALS_REQUIRED],
    [{ ...desk, "posthorn-backend": "desk", "posthorn-device": "p" }, CREDENTIALS_REQUIRED],
  ];
  for (const [headers, code] of cases) {
    assert.equal((await refusalOf(list(headers))).code, code, JSON.stringify(headers));
  }
  assert.equal((await list(desk)).nextSeq, 1n);
  assert.equal((await list({ ...desk, "posthorn-backend": "desk" })).nextSeq, 1n);
});

test("[BCK-10] [BCK-11] a backend ends a device of a user, whose session hears it", async () => {
  const client = await scene.clientOf("lea");
  await assert.rejects(client.submit(new Uint8Array(0)), /OPERATION_MALFORMED/);
  const desk = await deskOf(JSON_WAY);
  const say1 = say("lea", "from your bank");
  await desk.submitAs({ stream: "end", seq: 1n, asUserId: "lea", operation: say1 });
  assert.deepEqual(await heard(JSON_WAY, "lea", "lea"), ["lea/: from your bank"]);
  const endDevice = { kind: { case: "endDevice" as const, value: { deviceId: "tcp-clear" } } };
  const ended = new Promise<ErrorCode | undefined>((resolve) => {
    client.onStatus(({ state, error }) => state === "closed" && resolve(error));
  });
  await desk.submitAs({ stream: "end", seq: 2n, asUserId: "lea", operation: endDevice });
  assert.equal(await ended, ErrorCode.DEVICE_ENDED);
});
