import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DeskNode, type OperationInit, sayTo } from "../../fuzz/backend/desk.ts";
import { Receiver, seqsOf, toldBy } from "../../fuzz/backend/receiver.ts";
import { MemoryStore } from "../store/memory.ts";
import { userRefOf } from "../store/store.ts";
import { WEBHOOK_BATCH, Webhook, type WebhookContext, type WebhookObserver } from "./webhook.ts";
import { WebhookCursor } from "./webhook-cursor.ts";
import type { WebhookSettings } from "./webhook-file.ts";

const TESTDATA = join(import.meta.dirname, "..", "testdata");
const cert = readFileSync(join(TESTDATA, "localhost-cert.pem"), "utf8");
const key = readFileSync(join(TESTDATA, "localhost-key.pem"), "utf8");
const NOW_MS = 1_800_000_000_000;

/** What becomes of a webhook, as an awaited list. */
class Heard implements WebhookObserver {
  readonly lines: string[] = [];
  behindCount = 0;
  #more: () => void = () => {};

  delivered({ count, through }: Parameters<WebhookObserver["delivered"]>[0]): void {
    this.#add(`delivered ${count} through ${through}`);
  }
  failed({ reason }: Parameters<WebhookObserver["failed"]>[0]): void {
    this.#add(`failed ${reason}`);
  }
  disabled(): void {
    this.#add("disabled");
  }
  behind(_: string, count: number): void {
    this.behindCount = count;
  }
  lost({ from, through }: Parameters<WebhookObserver["lost"]>[0]): void {
    this.#add(`lost ${from} to ${through}`);
  }
  failedInside(error: unknown): void {
    this.#add(`broken ${error}`);
  }

  async count(count: number): Promise<readonly string[]> {
    while (this.lines.length < count) {
      await new Promise<void>((resolve) => {
        this.#more = resolve;
      });
    }
    return this.lines;
  }

  #add(line: string): void {
    this.lines.push(line);
    this.#more();
  }
}

interface Scene {
  readonly desk: DeskNode;
  readonly receiver: Receiver;
  readonly heard: Heard;
  says(count: number, text?: string): Promise<void>;
  /** As ann, who says everything. */
  does(operation: OperationInit): Promise<void>;
  begin(settings?: Partial<WebhookSettings>, context?: Partial<WebhookContext>): Webhook;
}

async function sceneOf(t: TestContext, tls = false, keptMax?: number): Promise<Scene> {
  const desk = new DeskNode(undefined, undefined, keptMax);
  const receiver = await Receiver.open(tls ? { cert, key } : undefined);
  const heard = new Heard();
  let seq = 0;
  const does = async (operation: OperationInit) => {
    seq += 1;
    await desk.submit({ stream: "s", seq: BigInt(seq), asUserId: "ann", operation });
  };
  const scene: Scene = {
    does,
    desk,
    receiver,
    heard,
    says: async (count, text = "hello") => {
      for (let one = 0; one < count; one += 1) await does(sayTo("bot", text));
    },
    begin: (settings = {}, context = {}) => {
      const webhook = new Webhook(
        {
          name: "hook",
          tenant: "",
          userId: "bot",
          url: new URL(`http${tls ? "s" : ""}://localhost:${receiver.port}/`),
          secrets: [Buffer.alloc(32, 1)],
          ca: undefined,
          ...settings,
        },
        {
          store: desk.store,
          // Nothing is waited for here: whatever is due rings never.
          deadlines: { nowMs: () => NOW_MS, schedule: () => () => {} },
          nowMs: () => NOW_MS,
          random: () => 0,
          retry: { minMs: 1_000, maxMs: 2_000 },
          timeoutMs: 1_000,
          observer: heard,
          ...context,
        },
      );
      t.after(() => webhook.stop());
      return webhook;
    },
  };
  t.after(() => receiver.close());
  for (const user of ["ann", "bot"]) await desk.store.ensureUser(userRefOf("", user));
  return scene;
}

test("[BCK-23] [BCK-24] a new webhook tells from the beginning, whole", async (t) => {
  const { says, begin, heard, receiver } = await sceneOf(t);
  await says(2);
  begin();
  assert.deepEqual(await heard.count(1), ["delivered 2 through 2"]);
  assert.equal(heard.behindCount, 2);
  const [request] = receiver.requests;
  assert.ok(request);
  assert.deepEqual(JSON.parse(request.body).events[1], {
    seq: "2",
    conversationSeq: "2",
    committedMs: String(NOW_MS),
    event: {
      message: { conversationId: "d:ann:bot", senderUserId: "ann", content: { text: "hello" } },
    },
  });
  const { events: _, ...head } = toldBy(request);
  assert.deepEqual(head, {
    type: "posthorn.events",
    timestamp: new Date(NOW_MS).toISOString(),
    webhook: "hook",
    userId: "bot",
    timelineEpoch: "2",
  });
  await says(1);
  assert.deepEqual(await heard.count(2), ["delivered 2 through 2", "delivered 1 through 3"]);
});

test("[BCK-23] a webhook's user is made, and is told of its first event", async (t) => {
  const { says, begin, heard, desk } = await sceneOf(t);
  begin({ name: "new", userId: "newbot" });
  const user = userRefOf("", "newbot");
  const isThere = async () => {
    return (await desk.store.loadForPlanning({ users: [user] })).knownUsers.has(user);
  };
  while (!(await isThere()));
  await says(1);
  const submit = { stream: "t", seq: 1n, asUserId: "ann" };
  await desk.submit({ ...submit, operation: sayTo("newbot", "hello") });
  assert.deepEqual(await heard.count(1), ["delivered 1 through 1"]);
  assert.deepEqual(await desk.store.loadDevices(user), [], "and has no device");
});

test("[BCK-20] what is told at once is bounded by number and by bytes", async (t) => {
  const { says, begin, heard, receiver } = await sceneOf(t);
  const { count, bytes } = WEBHOOK_BATCH;
  await says(count + 3);
  const long = "x".repeat(60_000);
  const fitting = Math.floor(bytes / 60_100);
  await says(2 * fitting + 1, long);
  begin();
  await heard.count(4);
  const counts = receiver.requests.map((request) => seqsOf(request).length);
  assert.deepEqual(counts, [count, 3 + fitting, fitting, 1]);
});

test("[BCK-15] [BCK-20] what was sent before goes again whole, though it has grown", async (t) => {
  const { says, begin, heard, receiver, does } = await sceneOf(t);
  receiver.manner = () => (receiver.requests.length === 0 ? "refuses" : "takes");
  await says(4);
  const first = begin();
  await heard.count(1);
  await first.stop();
  for (const conversationSeq of [1n, 2n, 3n, 4n]) {
    const content = { kind: { case: "text" as const, value: "x".repeat(90_000) } };
    const value = { conversationId: "d:ann:bot", conversationSeq, content };
    await does({ kind: { case: "editMessage", value } });
  }
  begin();
  await heard.count(2);
  const [before, again] = receiver.requests;
  assert.equal(again?.id, before?.id);
  assert.deepEqual(again && seqsOf(again), [1, 2, 3, 4]);
  assert.ok((again?.body.length ?? 0) > WEBHOOK_BATCH.bytes);
  assert.ok(!again?.body.includes("hello"), "what was edited is told as it is now");
});

test("[BCK-17] a cursor is one user's, and kept where users have one device", async () => {
  const store = new MemoryStore({
    nowMs: () => NOW_MS,
    newSessionId: () => new Uint8Array(16),
    newTimelineEpoch: () => 1,
    devicesMax: 1,
  });
  const owner = { name: "hook", tenant: "acme", userId: "bot" };
  const cursor = await WebhookCursor.open(store, owner);
  assert.deepEqual([cursor.takenThrough, cursor.triedThrough, cursor.isChanged], [0, 0, false]);
  Object.assign(cursor, { takenThrough: 3, triedThrough: 5 });
  assert.equal(cursor.isChanged, true);
  await cursor.keep();
  const again = await WebhookCursor.open(store, owner);
  assert.deepEqual([again.takenThrough, again.triedThrough, again.isChanged], [3, 5, false]);
  for (const other of [{ name: "other" }, { tenant: "" }, { userId: "ann" }]) {
    const { takenThrough } = await WebhookCursor.open(store, { ...owner, ...other });
    assert.equal(takenThrough, 0);
  }
});

test("[BCK-23] what retention took is left out, and the operator is told", async (t) => {
  const { says, begin, heard, receiver } = await sceneOf(t, false, 4);
  receiver.manner = () => (receiver.requests.length === 0 ? "refuses" : "takes");
  await says(2);
  const first = begin();
  assert.deepEqual(await heard.count(1), ["failed 500"]);
  await first.stop();
  await says(5);
  begin();
  const told = await heard.count(4);
  assert.deepEqual(told.slice(1), ["lost 1 to 2", "lost 3 to 3", "delivered 4 through 7"]);
  assert.deepEqual(receiver.requests.map(seqsOf), [
    [1, 2],
    [4, 5, 6, 7],
  ]);
  const [old, present] = receiver.requests;
  assert.notEqual(old?.id, present?.id);
});

test("[BCK-21] certificates are checked", async (t) => {
  const { says, begin, heard, receiver } = await sceneOf(t, true);
  await says(1);
  const unknown = begin();
  assert.deepEqual(await heard.count(1), ["failed DEPTH_ZERO_SELF_SIGNED_CERT"]);
  await unknown.stop();
  // The right authority, and another name.
  const misnamed = begin({ ca: cert, url: new URL(`https://[::ffff:127.0.0.1]:${receiver.port}`) });
  assert.match((await heard.count(2))[1] as string, /^failed ERR_TLS_CERT_ALTNAME_INVALID$/);
  await misnamed.stop();
  assert.deepEqual(receiver.requests, []);
  begin({ ca: cert });
  assert.equal((await heard.count(3))[2], "delivered 1 through 1");
});

test("[BCK-19] a receiver that is not there is a failure", async (t) => {
  const { says, begin, heard, receiver } = await sceneOf(t);
  await says(1);
  const { port } = receiver;
  await receiver.close();
  const url = new URL(`http://127.0.0.1:${port}`);
  const away = begin({ url });
  assert.deepEqual(await heard.count(1), ["failed ECONNREFUSED"]);
  await away.stop();
  const again = await Receiver.open(undefined, port);
  t.after(() => again.close());
  begin({ url });
  assert.equal((await heard.count(2))[1], "delivered 1 through 1");
});

test("[BCK-14] one request is under way at a time", async (t) => {
  const { says, begin, heard, receiver } = await sceneOf(t);
  let underWay = 0;
  let most = 0;
  receiver.onRequest = () => {
    underWay += 1;
    most = Math.max(most, underWay);
    setImmediate(() => {
      underWay -= 1;
    });
  };
  begin();
  for (let one = 0; one < 20; one += 1) await says(1);
  await says(1);
  while (!heard.lines.some((line) => line.endsWith("through 21"))) {
    await heard.count(heard.lines.length + 1);
  }
  assert.equal(most, 1);
});
