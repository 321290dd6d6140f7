import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { type Client, connect } from "../client/client.ts";
import { Conversations } from "../client/conversations/conversations.ts";
import { listedConversation, listedMessages } from "../client/conversations/lookups.ts";
import type { ClientEvent } from "../client/events.ts";
import type { Journal } from "../client/journal.ts";
import { memoryJournal } from "../client/memory-journal.ts";
import { dialersOf } from "../client/node.ts";
import { directConversationId } from "../protocol/conversation-id.ts";
import { configFrom } from "./config.ts";
import type { Log } from "./observe.ts";
import { createServer, type PosthornServer } from "./server.ts";
import { RawFolder } from "./store/testdata/raw-folder.ts";
import { keysOf } from "./store/testdata/readable-texts.ts";

const EVENTS_MAX = 16;
const SAID = 120;
const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: assert.fail };
let folder = "";
let server: PosthornServer;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-retention-"));
  const file = { port: 0, data: folder, store: { timelineEventsMax: EVENTS_MAX } };
  server = await createServer(configFrom({ file }), LOG);
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function attached(t: TestContext, userId: string, journal: Journal = memoryJournal()) {
  const dialers = dialersOf(`tcp://127.0.0.1:${server.address.port}`);
  const client = await connect({ dialers, userId, deviceId: "phone", journal });
  t.after(() => client.close());
  return client;
}

/** What a client hands out up to a message with a number. */
async function eventsThrough(client: Client, number: number): Promise<readonly ClientEvent[]> {
  const events: ClientEvent[] = [];
  for await (const event of client.events()) {
    events.push(event);
    if (event.kind === "message" && event.conversationSeq === number) break;
  }
  return events;
}

test("[CNV-106] [RES-4] a device that is behind the floor is told what it lost, and history has it", async (t) => {
  const ann = await attached(t, "ann");
  const journal = memoryJournal();
  const early = await attached(t, "bob", journal);
  const id = directConversationId("ann", "bob");
  const talk = new Conversations(ann);
  await talk.send(id, "message 1");
  await eventsThrough(early, 1);
  await early.close();
  for (let number = 2; number <= SAID; number += 1) await talk.send(id, `message ${number}`);
  const bob = await attached(t, "bob", memoryJournal(journal.state));
  const events = await eventsThrough(bob, SAID);
  const [lost, ...rest] = events;
  assert.ok(lost?.kind === "lost", `first comes ${lost?.kind}`);
  const numbers = rest.map((event) => (event.kind === "message" ? event.conversationSeq : 0));
  const first = numbers[0] ?? 0;
  assert.deepEqual(
    numbers,
    Array.from({ length: SAID - first + 1 }, (_, index) => first + index),
    "all that is left comes, in order",
  );
  assert.ok(numbers.length >= EVENTS_MAX && first > 2, `${first} is the first`);
  // In a direct conversation that is all that there is: each event is one message.
  assert.equal(lost.to, first - 1, "and what is lost is said to the event");
  const found: string[] = [];
  for (let next = lost.from - 1; next < lost.to; ) {
    const page = await listedMessages(bob, id, { after: next, count: 30 });
    assert.equal(page.floor, 1);
    for (const message of page.messages) {
      if (message.conversationSeq > lost.to) break;
      found.push(message.kind === "message" ? `${message.content}` : message.kind);
      next = message.conversationSeq;
    }
  }
  assert.deepEqual(
    found,
    Array.from({ length: first - lost.from }, (_, index) => `message ${lost.from + index}`),
  );
  assert.equal((await listedConversation(bob, id))?.unreadCount, SAID);
});

test("[CNV-96] what expires is erased on a quiet service, and the rest is not", async (t) => {
  const cyd = await attached(t, "cyd");
  const talk = new Conversations(cyd);
  const id = directConversationId("cyd", "cyd");
  await talk.send(id, "stays");
  const { committedMs } = await talk.send(id, "disappears", { lifetimeS: 5 });
  const before = keysOf(new RawFolder(folder));
  const erased = () => {
    const after = keysOf(new RawFolder(folder));
    return before.filter((key) => !after.some((one) => one.equals(key))).length;
  };
  assert.equal(erased(), 0);
  const endMs = performance.now() + 60_000;
  while (erased() === 0) {
    assert.ok(performance.now() < endMs, "nothing was erased");
    await new Promise(setImmediate);
  }
  assert.ok(Date.now() >= committedMs + 5_000, "and not before its time");
  assert.equal(erased(), 1, "the key of one record");
  const { messages } = await listedMessages(cyd, id, {});
  assert.deepEqual(
    messages.map(({ kind }) => kind),
    ["message", "expired"],
  );
});
