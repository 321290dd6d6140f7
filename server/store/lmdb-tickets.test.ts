import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ServerTicket } from "../../protocol/envelope/ticket.ts";
import { LmdbStore } from "./lmdb.ts";

let nowMs = 1_000;
const openStore = (folder: string) =>
  LmdbStore.open({
    folder,
    mapBytes: 16 * 1024 * 1024,
    timelineEventsMax: 1_000,
    nowMs: () => nowMs,
  });

async function withStore(body: (store: LmdbStore, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-tickets-"));
  const store = await openStore(folder);
  try {
    await body(store, folder);
  } finally {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const idOf = (number: number) => new Uint8Array(16).fill(number);
const ticketOf = (number: number, expiresMs: number): ServerTicket => ({
  ticketId: idOf(number),
  psk: new Uint8Array(32).fill(number),
  suite: 2,
  expiresMs,
  subject: "t/alice/phone",
  agreedMs: 5,
});

test("[ENV-44] a ticket is taken once, however many ask at once", () =>
  withStore(async ({ tickets }) => {
    tickets.keep(ticketOf(1, 9_000));
    const asked = await Promise.all(Array.from({ length: 50 }, () => tickets.take(idOf(1))));
    assert.equal(asked.filter(Boolean).length, 1);
    assert.equal(await tickets.take(idOf(1)), false);
    assert.equal(await tickets.find(idOf(1)), undefined);
  }));

test("[ENV-44] tickets outlive the process; what was taken does not come back", () =>
  withStore(async (first, folder) => {
    first.tickets.keep(ticketOf(1, 9_000));
    first.tickets.keep(ticketOf(2, 9_000));
    assert.equal(await first.tickets.take(idOf(2)), true);
    await first.close();
    const second = await openStore(folder);
    assert.deepEqual(await second.tickets.find(idOf(1)), ticketOf(1, 9_000));
    assert.equal(await second.tickets.find(idOf(2)), undefined);
    await second.close();
  }));

test("[ENV-44] [ENV-45] [ENV-47] three wrong binders, its end and a revocation delete it", () =>
  withStore(async ({ tickets }) => {
    for (const number of [1, 2, 3]) tickets.keep(ticketOf(number, 9_000));
    for (const left of [2, 1, 0]) {
      tickets.failed(idOf(1));
      await tickets.take(idOf(99));
      assert.equal((await tickets.find(idOf(1))) !== undefined, left > 0);
    }
    tickets.revoke(idOf(2));
    await tickets.take(idOf(99));
    assert.equal(await tickets.find(idOf(2)), undefined);
    nowMs = 9_000;
    assert.equal(await tickets.find(idOf(3)), undefined);
    assert.equal(await tickets.take(idOf(3)), false);
  }));
