import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Client, connect } from "../client/client.ts";
import { memoryJournal } from "../client/memory-journal.ts";
import { dialersOf } from "../client/node.ts";
import type { ClientSignal } from "../client/signals.ts";
import { KeyDirectoryService } from "../gen/posthorn/v1/directory_pb.ts";
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
