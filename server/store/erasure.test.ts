import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { createCipheriv } from "node:crypto";
import { once } from "node:events";
import { cpSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { attach, prepareRequest } from "./contract.ts";
import { perishableKey } from "./keys.ts";
import { LmdbStore } from "./lmdb.ts";
import { unnumberedLogRefOf, userRefOf } from "./store.ts";
import { RawFolder } from "./testdata/raw-folder.ts";

const KEEP = join(import.meta.dirname, "testdata", "keep-perishables.ts");
const BOB = userRefOf("", "bob");
const TABLET = { user: BOB, deviceId: "tablet" };
const KEY_BYTES = 32;
/** Long, so that each has pages of its own to be left behind in. */
const TEXTS = [1, 2, 3, 4].map((n) => `PLAINTEXT-MARKER-${n}-${"x".repeat(5_000)}`);
const MARKER = "PLAINTEXT-MARKER-";
const STRACE = spawnSync("strace", ["-e", "trace=none", "true"]).status === 0;

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-erasure-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs a process that keeps all texts and passes some, and kills it when it told a step. */
async function killedAfter(step: "DURABLE" | "SWEPT", folder: string, passed: number) {
  const args = [KEEP, folder, String(passed), ...TEXTS];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let output = "";
  for await (const chunk of child.stdout) {
    output += String(chunk);
    if (output.includes(step)) child.kill("SIGKILL");
  }
  await exited;
  assert.ok(output.includes(step), output);
}

class Disk extends RawFolder {
  get keys(): readonly Buffer[] {
    return [...this.keysIn("perishable-keys").values()];
  }

  /** Which texts the keys on this disk give back from the bytes on this disk. */
  recoverable(keys: readonly Buffer[]): readonly string[] {
    return TEXTS.filter((text) =>
      keys.some((key) => this.filesWith(ciphertextOf(text, key)).length > 0),
    );
  }
}

/** The ciphertext of a text under a key: the same whoever makes it. */
function ciphertextOf(text: string, key: Buffer): Buffer {
  const seq = TEXTS.indexOf(text) + 1;
  const cipher = createCipheriv("aes-256-gcm", key, Buffer.alloc(12));
  cipher.setAAD(perishableKey(BOB, seq));
  // A part of it that lies within one page.
  return Buffer.concat([cipher.update(text), cipher.final()]).subarray(0, 64);
}

async function textsOf(store: LmdbStore): Promise<readonly string[]> {
  const limit = { count: 100, bytes: 1_000_000 };
  const { entries } = await store.loadTimeline(BOB, 0, limit, TABLET.deviceId);
  return entries.map(({ event }) => Buffer.from(event).toString());
}

const LIMITS = { mapBytes: 64 * 1024 * 1024, timelineEventsMax: 1_000_000 };
let nowMs = 1_000;
const openStore = (folder: string) => LmdbStore.open({ folder, nowMs: () => nowMs, ...LIMITS });

/** Attaches the tablet and says that it holds its timeline up to a number. */
async function pass(store: LmdbStore, deliveredThrough: number): Promise<void> {
  const { generation, outbox } = await attach(store, prepareRequest(TABLET));
  const position = { device: TABLET, generation, outboxEpoch: outbox.epoch, resultsThrough: 0 };
  assert.equal(await store.advance({ ...position, deliveredThrough }), "noted");
}

/** Keeps texts for the tablet, from a device that is new each time. */
async function commitTexts(store: LmdbStore, texts: readonly string[]): Promise<void> {
  const device = { user: BOB, deviceId: `sender-of-${texts.join("")}` };
  const { generation, outbox } = await attach(store, prepareRequest(device));
  const submits = texts.map((text, index) => ({
    seq: index + 1,
    digest: index,
    plan: {
      kind: "append" as const,
      log: unnumberedLogRefOf("", "user:bob"),
      event: Buffer.from("stub"),
      timelines: [BOB],
      perishable: {
        device: TABLET,
        event: Buffer.from(text),
        expiresMs: 100_000,
        queues: [{ name: "all", countMax: 100, bytesMax: 1_000_000 }],
        full: ErrorCode.PACKET_QUEUE_FULL,
      },
    },
  }));
  const batch = { device, generation, outboxEpoch: outbox.epoch, submits };
  assert.equal((await store.commit(batch)).kind, "committed");
}

describe("erasure on disk", () => {
  test("[SEC-89] [SEC-93] what was read or has expired cannot be read from any file", () =>
    withFolder(async (folder) => {
      nowMs = 1_000;
      await killedAfter("DURABLE", folder, 0);
      const kept = new Disk(folder);
      assert.deepEqual(kept.filesWith(MARKER), [], "no plaintext is ever written");
      assert.deepEqual(kept.recoverable(kept.keys), TEXTS, "the search can find something");
      const file = statSync(join(folder, "perishable-keys"));
      assert.equal(file.mode & 0o777, 0o600);
      const store = await openStore(folder);
      assert.deepEqual(await textsOf(store), TEXTS, "nothing that nobody read is lost");
      await pass(store, 2);
      await store.sweep();
      const read = new Disk(folder);
      assert.equal(read.keys.length, 2);
      assert.deepEqual(read.recoverable(read.keys), TEXTS.slice(2));
      assert.deepEqual(await textsOf(store), ["stub", "stub", ...TEXTS.slice(2)]);
      nowMs = 100_000;
      await store.sweep();
      await store.close();
      const over = new Disk(folder);
      assert.equal(over.keys.length, 0);
      assert.deepEqual(over.filesWith(MARKER), []);
      for (const key of kept.keys) assert.deepEqual(over.filesWith(key), [], "no copy of a key");
      // The ciphertext is what LMDB may keep in free pages: without a key it says nothing.
      assert.deepEqual(over.recoverable(over.keys), []);
    }));

  test("[SEC-89] [SEC-93] after a kill what was erased stays erased, what was not is there", () =>
    withFolder(async (folder) => {
      nowMs = 1_000;
      await killedAfter("SWEPT", folder, 3);
      const killed = new Disk(folder);
      assert.equal(killed.keys.length, 1);
      assert.deepEqual(killed.recoverable(killed.keys), TEXTS.slice(3));
      const store = await openStore(folder);
      assert.deepEqual(await textsOf(store), ["stub", "stub", "stub", TEXTS[3]]);
      await store.close();
    }));

  test("[SEC-93] what was acknowledged before a kill is erased at the next start", () =>
    withFolder(async (folder) => {
      nowMs = 1_000;
      await killedAfter("DURABLE", folder, 0);
      const store = await openStore(folder);
      await pass(store, 3);
      // The note is written with the next group, and nothing is erased before the kill.
      await attach(store, prepareRequest({ user: BOB, deviceId: "other" }));
      const copy = await mkdtemp(join(tmpdir(), "posthorn-erasure-copy-"));
      for (const name of ["store", "perishable-keys", "log-keys"]) {
        cpSync(join(folder, name), join(copy, name));
      }
      await store.close();
      assert.equal(new Disk(copy).keys.length, 4);
      const next = await openStore(copy);
      assert.deepEqual(await textsOf(next), ["stub", "stub", "stub", TEXTS[3]]);
      await next.sweep();
      assert.equal(new Disk(copy).keys.length, 1);
      await next.close();
      await rm(copy, { recursive: true, force: true });
    }));

  test("[SEC-93] keys that nothing refers to are erased at the next start, slots used again", () =>
    withFolder(async (folder) => {
      nowMs = 1_000;
      await killedAfter("SWEPT", folder, 4);
      const path = join(folder, "perishable-keys");
      const file = readFileSync(path);
      const slotCount = file.length / KEY_BYTES - 1;
      const orphan = Buffer.alloc(KEY_BYTES, 7);
      // As a crash leaves it between a key's write and the commit that needs it.
      writeFileSync(path, Buffer.concat([file, orphan, orphan.subarray(0, 5)]));
      const store = await openStore(folder);
      await store.close();
      assert.deepEqual(new Disk(folder).filesWith(orphan.subarray(0, 5)), []);
      await killedAfter("SWEPT", folder, 0);
      const slots = Math.floor(readFileSync(path).length / KEY_BYTES) - 1;
      assert.ok(slots <= slotCount + 2, `${slots} slots`);
      assert.equal(new Disk(folder).keys.length, 4);
    }));

  test("[SEC-89] without its file of keys a store serves what is left", () =>
    withFolder(async (folder) => {
      nowMs = 1_000;
      await killedAfter("DURABLE", folder, 0);
      await rm(join(folder, "perishable-keys"));
      const store = await openStore(folder);
      assert.deepEqual(await textsOf(store), ["stub", "stub", "stub", "stub"]);
      await store.sweep();
      await store.close();
    }));

  for (const kept of [0, 20, 3 * KEY_BYTES]) {
    test(`[SEC-96] beside ${kept} bytes of a restored file of keys, what is new is kept`, () =>
      withFolder(async (folder) => {
        nowMs = 1_000;
        await killedAfter("DURABLE", folder, 0);
        const path = join(folder, "perishable-keys");
        writeFileSync(path, readFileSync(path).subarray(0, kept));
        const store = await openStore(folder);
        const fresh = ["a", "b", "c", "d", "e", "f"];
        await commitTexts(store, fresh.slice(0, 3));
        await store.sweep();
        await commitTexts(store, fresh.slice(3));
        await store.sweep();
        assert.deepEqual((await textsOf(store)).slice(4), fresh);
        await store.close();
        const next = await openStore(folder);
        assert.deepEqual((await textsOf(next)).slice(4), fresh);
        await next.close();
      }));
  }

  test(
    "[SEC-89] [SEC-93] a key is flushed before what needs it, and as zeros before it is erased",
    { skip: !STRACE && "strace is not installed, or may not trace here" },
    () => withFolder(flushOrder),
  );
});

async function flushOrder(folder: string): Promise<void> {
  const trace = join(folder, "trace");
  const calls = "trace=write,pwrite64,pwritev,fdatasync,fsync";
  const script = [process.execPath, KEEP, folder, "4", ...TEXTS];
  const args = ["-f", "-o", trace, "-s", "40", "-y", "-e", calls, ...script];
  const child = promisify(execFile)("timeout", ["-s", "KILL", "20", "strace", ...args]);
  child.child.stdout?.on("data", (chunk) => {
    if (String(chunk).includes("SWEPT")) child.child.kill("SIGTERM");
  });
  await child.catch(() => {});
  const lines = readFileSync(trace, "utf8").split("\n");
  const at = (pattern: RegExp, from = 0) =>
    lines.findIndex((line, index) => index >= from && pattern.test(line));
  const commit = at(/write\(1<.*"COMMIT/);
  const flushed = at(/(fdatasync|fsync)\(\d+<[^>]*perishable-keys>/, commit);
  const stored = at(/(pwrite64|pwritev|fdatasync|fsync)\(\d+<[^>]*\/store>/, commit);
  const durable = at(/write\(1<.*"DURABLE/);
  assert.ok(commit >= 0 && commit < flushed && flushed < stored && stored < durable, "in order");
  const erased = at(/(fdatasync|fsync)\(\d+<[^>]*perishable-keys>/, durable);
  assert.ok(erased > durable && erased < at(/write\(1<.*"SWEPT/), "flushed before it is told");
}
