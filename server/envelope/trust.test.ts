import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "../../client/client.ts";
import type { KnownService } from "../../client/known-service.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import { dialersOf, nodeEnvelope } from "../../client/node.ts";
import type { ServiceMemory } from "../../client/service-envelope.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { LinkTrust } from "../../protocol/link.ts";
import { configFrom } from "../config.ts";
import type { Log } from "../observe.ts";
import { createServer } from "../server.ts";
import { announceNext, openIdentities, rotate } from "./identity-file.ts";

const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const BACKOFF = { baseMs: 10, capMs: 20 };
const CHANGED = { code: ErrorCode.SERVER_IDENTITY_CHANGED };

type Trust = readonly Uint8Array[] | "first-seen";

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-trust-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function memoryOf(): ServiceMemory & { known: KnownService | undefined } {
  const memory = {
    known: undefined as KnownService | undefined,
    load: () => memory.known,
    save: (known: KnownService) => {
      memory.known = known;
    },
  };
  return memory;
}

/** A service of a data folder, there while a device talks to it: how far the link was trusted. */
async function met(data: string, trust: Trust, memory: ServiceMemory): Promise<LinkTrust> {
  const node = await createServer(configFrom({ file: { port: 0, data } }), SILENT);
  const dialers = dialersOf(
    `tcp://127.0.0.1:${node.address.port}`,
    nodeEnvelope({ trust, memory }),
  );
  const client = await connect({
    dialers,
    deviceId: "d",
    userId: "u",
    journal: memoryJournal(),
    backoff: BACKOFF,
  });
  try {
    await client.send("u", "x");
    return client.status.trust as LinkTrust;
  } finally {
    await client.close().catch(() => {});
    await node.close();
  }
}

test("[ENV-29] [ENV-70] whoever was there first is not pinned by a pin that comes later", async (t) => {
  const [impostor, real] = [await folderOf(t), await folderOf(t)];
  const memory = memoryOf();
  assert.equal(await met(impostor, "first-seen", memory), "first-seen");
  const pin = openIdentities(real).present.serverId;
  await assert.rejects(met(impostor, [pin], memory), CHANGED);
  assert.equal(await met(real, [pin], memory), "pinned");
  await assert.rejects(met(impostor, "first-seen", memory), CHANGED);
  assert.equal(await met(real, "first-seen", memory), "seen-before");
});

test("[ENV-33] [ENV-72] a pin survives a rotation that was announced, the old key does not", async (t) => {
  const data = await folderOf(t);
  const old = openIdentities(data).present.serverId;
  announceNext(data);
  const memory = memoryOf();
  assert.equal(await met(data, [old], memory), "pinned");
  const thief = await folderOf(t);
  await copyIdentity(data, thief);
  const next = rotate(data).present.serverId;
  assert.notDeepEqual(next, old);
  assert.equal(await met(data, [old], memory), "pinned");
  const [present, ...others] = memory.known?.identities ?? [];
  assert.deepEqual([present?.serverId, others], [next, []]);
  for (const pins of [[old], [next]]) {
    await assert.rejects(met(thief, pins, memory), CHANGED);
    assert.equal(await met(data, pins, memory), "pinned");
  }
});

test("[ENV-71] [ENV-72] a device that missed the announcement hears it afterwards", async (t) => {
  const data = await folderOf(t);
  const old = openIdentities(data).present.serverId;
  announceNext(data);
  const next = rotate(data).present.serverId;
  const memory = memoryOf();
  assert.equal(await met(data, [old], memory), "pinned");
  assert.equal(await met(data, [old], memory), "pinned");
  const [present, ...others] = memory.known?.identities ?? [];
  assert.deepEqual([present?.serverId, present?.isMet, others], [next, true, []]);
});

test("[ENV-73] a memory that cannot be written ends the client, and nothing else", async (t) => {
  const data = await folderOf(t);
  const full: ServiceMemory = {
    load: () => undefined,
    save: () => {
      throw new Error("no space left");
    },
  };
  const unwritable = { code: ErrorCode.DATA_UNWRITABLE, message: /no space left/ };
  await assert.rejects(met(data, "first-seen", full), unwritable);
  await assert.rejects(met(data, [openIdentities(data).present.serverId], full), unwritable);
});

async function copyIdentity(from: string, to: string): Promise<void> {
  await copyFile(join(from, "identity.json"), join(to, "identity.json"));
}
