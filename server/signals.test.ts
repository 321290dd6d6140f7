import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { type Client, connect } from "../client/client.ts";
import { memoryJournal } from "../client/memory-journal.ts";
import { dialersOf } from "../client/node.ts";
import { setPresencePolicy } from "../client/operations.ts";
import type { ClientSignal, Presence } from "../client/signals.ts";
import { KeyDirectoryService } from "../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { PresenceAudience } from "../gen/posthorn/v1/signal_pb.ts";
import { configFrom } from "./config.ts";
import type { Log } from "./observe.ts";
import { createServer, type PosthornServer } from "./server.ts";

let folder = "";
let server: PosthornServer;
const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: assert.fail };

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-signals-"));
  const file = { port: 0, data: folder, longPoll: { coalesceMs: 0 } };
  server = await createServer(configFrom({ file }), LOG);
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** A client and what it is told in passing. */
class Device {
  readonly client: Client;
  readonly #signals: ClientSignal[] = [];
  #wake: (() => void) | undefined;

  static async attach(userId: string, scheme = "tcp"): Promise<Device> {
    const dialers = dialersOf(`${scheme}://127.0.0.1:${server.address.port}`);
    const options = { dialers, userId, deviceId: "d", journal: memoryJournal(), upgradeMs: 0 };
    const device = new Device(await connect(options));
    // A call is answered once the attachment is in force: before that nothing is told either.
    await device.client.call(KeyDirectoryService.method.listDevices, { userId });
    return device;
  }

  private constructor(client: Client) {
    this.client = client;
    client.signals.onSignal((signal) => {
      this.#signals.push(signal);
      this.#wake?.();
    });
  }

  /** The next signal. */
  async next(): Promise<ClientSignal> {
    while (this.#signals.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#signals.shift() as ClientSignal;
  }
}

async function closeAll(...devices: readonly Device[]): Promise<void> {
  for (const { client } of devices) await client.close();
}

test("[SIG-7] [SIG-8] who types is told over every transport, and that it is over", async () => {
  const [alice, bob] = [await Device.attach("alice"), await Device.attach("bob", "http")];
  const conversationId = "d:alice:bob";
  alice.client.signals.typing(conversationId);
  const typing = { kind: "typing", conversationId, userId: "alice" } as const;
  assert.deepEqual(await bob.next(), { ...typing, active: true });
  alice.client.signals.typing(conversationId, false);
  assert.deepEqual(await bob.next(), { ...typing, active: false });
  bob.client.signals.typing(conversationId);
  assert.deepEqual(await alice.next(), { ...typing, userId: "bob", active: true });
  await closeAll(alice, bob);
});

const EVERYBODY = PresenceAudience.EVERYBODY;
const NOBODY = PresenceAudience.NOBODY;
const CONTACTS = PresenceAudience.CONTACTS;

async function setPolicy(
  { client }: Device,
  stateTo: PresenceAudience,
  lastSeenTo: PresenceAudience,
): Promise<void> {
  await client.submit(setPresencePolicy({ stateTo, lastSeenTo }));
}

const presence = (userId: string, state: Presence) =>
  ({ kind: "presence", userId, presence: state, lastSeenMs: undefined }) as const;

test("[SIG-11] [SIG-14] presence is told to those who watch and whom the user has written to", async () => {
  const [carol, dave] = [await Device.attach("carol"), await Device.attach("dave", "ws")];
  carol.client.signals.watchPresence(["dave", "nobody"]);
  assert.deepEqual(await carol.next(), presence("dave", "offline"));
  assert.deepEqual(await carol.next(), presence("nobody", "offline"));
  await carol.client.send("dave", "whoever writes shows itself, and sees nothing for it");
  carol.client.signals.watchPresence(["dave"]);
  assert.deepEqual(await carol.next(), presence("dave", "offline"));
  dave.client.signals.watchPresence(["carol"]);
  assert.deepEqual(await dave.next(), presence("carol", "online"));
  carol.client.signals.setPresence("busy");
  assert.deepEqual(await dave.next(), presence("carol", "busy"));
  await dave.client.send("carol", "now she may look");
  carol.client.signals.watchPresence(["dave"]);
  assert.deepEqual(await carol.next(), presence("dave", "online"));
  await closeAll(carol, dave);
});

test("[SIG-13] [SIG-15] a policy is durable, holds at once and is told to the user's devices", async () => {
  const [erin, frank] = [await Device.attach("erin"), await Device.attach("frank")];
  await setPolicy(erin, EVERYBODY, NOBODY);
  frank.client.signals.watchPresence(["erin"]);
  assert.deepEqual(await frank.next(), presence("erin", "online"));
  await setPolicy(erin, NOBODY, NOBODY);
  assert.deepEqual(await frank.next(), presence("erin", "offline"));
  erin.client.signals.setPresence("away");
  await setPolicy(erin, EVERYBODY, NOBODY);
  assert.deepEqual(await frank.next(), presence("erin", "away"), "nothing came in between");
  const events = erin.client.events();
  const policies: unknown[] = [];
  for (let count = 0; count < 3; count += 1) policies.push((await events.next()).value);
  const told = { kind: "presence-policy", lastSeenTo: NOBODY };
  assert.deepEqual(policies, [
    { ...told, seq: 1, stateTo: EVERYBODY },
    { ...told, seq: 2, stateTo: NOBODY },
    { ...told, seq: 3, stateTo: EVERYBODY },
  ]);
  const refused = { code: ErrorCode.PRESENCE_POLICY_INVALID };
  await assert.rejects(setPolicy(erin, 9 as PresenceAudience, CONTACTS), refused);
  await closeAll(erin, frank);
});

test("[SIG-2] [SIG-12] on another link a device says again what it is and whom it watches", async () => {
  const [grace, heidi] = [await Device.attach("grace"), await Device.attach("heidi")];
  await setPolicy(grace, EVERYBODY, NOBODY);
  grace.client.signals.setPresence("busy");
  heidi.client.signals.watchPresence(["grace"]);
  assert.deepEqual(await heidi.next(), presence("grace", "busy"));
  await heidi.client.move(dialersOf(`ws://127.0.0.1:${server.address.port}`));
  assert.deepEqual(await heidi.next(), presence("grace", "busy"));
  await grace.client.move(dialersOf(`http://127.0.0.1:${server.address.port}`));
  grace.client.signals.setPresence("away");
  // Between its links it may have looked online for a moment.
  const states = [await heidi.next()];
  if (!isDeepStrictEqual(states[0], presence("grace", "away"))) states.push(await heidi.next());
  assert.deepEqual(states.at(-1), presence("grace", "away"));
  const tooMany = Array.from({ length: 513 }, (_, index) => `u${index}`);
  assert.throws(() => heidi.client.signals.watchPresence(tooMany), RangeError);
  await closeAll(grace, heidi);
});
