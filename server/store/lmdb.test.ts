import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { open } from "lmdb";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { attach, prepareRequest, type StoreFixture, sendPlan, storeContract } from "./contract.ts";
import { deviceContract } from "./device-contract.ts";
import { expiryContract } from "./expiry-contract.ts";
import { FORMAT_KEY } from "./keys.ts";
import { LmdbStore } from "./lmdb.ts";
import { logContract } from "./log-contract.ts";
import { perishableContract } from "./perishable-contract.ts";
import { replanningContract } from "./replanning-contract.ts";
import { retentionContract } from "./retention-contract.ts";
import { StoreError, userRefOf } from "./store.ts";

const MAP_BYTES = 64 * 1024 * 1024;

interface Limits {
  readonly timelineEventsMax?: number;
  readonly devicesMax?: number;
  readonly mapBytes?: number;
  readonly frameBytes?: number;
  readonly nowMs?: () => number;
}

function openStore(folder: string, part: Limits = {}) {
  const limits = { mapBytes: MAP_BYTES, timelineEventsMax: 1_000_000, ...part };
  return LmdbStore.open({ folder, nowMs: () => 1_000, ...limits });
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-store-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fixture(): Promise<StoreFixture> {
  let nowMs = 1_000;
  const folder = await mkdtemp(join(tmpdir(), "posthorn-store-"));
  return {
    open: (options) => openStore(folder, { ...options, nowMs: () => nowMs }),
    setMs: (ms) => {
      nowMs = ms;
    },
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}

storeContract("lmdb", fixture);
perishableContract("lmdb", fixture);
deviceContract("lmdb", fixture);
logContract("lmdb", fixture);
replanningContract("lmdb", fixture);
expiryContract("lmdb", fixture);
retentionContract("lmdb", fixture);

const rejectsWith = (code: ErrorCode) => (error: unknown) =>
  error instanceof StoreError && error.code === code;

test("[OPS-2] a folder that is in use is DATA_LOCKED, and free again after close", () =>
  withFolder(async (folder) => {
    const store = await openStore(folder);
    await assert.rejects(openStore(folder), rejectsWith(ErrorCode.DATA_LOCKED));
    await store.close();
    await (await openStore(folder)).close();
  }));

test("[FRM-3] a frame size below one that events were taken for is refused", () =>
  withFolder(async (folder) => {
    const cases = [
      [65_536, true],
      [16_384, false],
      [262_144, true],
      [65_536, false],
      [262_144, true],
    ] as const;
    for (const [frameBytes, isTaken] of cases) {
      const opening = openStore(folder, { frameBytes });
      if (isTaken) await (await opening).close();
      else await assert.rejects(opening, rejectsWith(ErrorCode.CONFIG_INVALID));
    }
  }));

test("[OPS-2] a folder that is not one is DATA_UNWRITABLE", () =>
  withFolder(async (folder) => {
    const file = join(folder, "file");
    await writeFile(file, "");
    await assert.rejects(openStore(file), rejectsWith(ErrorCode.DATA_UNWRITABLE));
    await assert.rejects(openStore(join(file, "x")), rejectsWith(ErrorCode.DATA_UNWRITABLE));
  }));

test("[OPS-2] a newer format is DATA_NEWER, an older or illegible one DATA_DAMAGED", () =>
  withFolder(async (folder) => {
    await (await openStore(folder)).close();
    await setFormat(folder, Buffer.from([200]));
    await assert.rejects(openStore(folder), rejectsWith(ErrorCode.DATA_NEWER));
    await setFormat(folder, Buffer.from([1]));
    await assert.rejects(openStore(folder), rejectsWith(ErrorCode.DATA_DAMAGED));
    await setFormat(folder, Buffer.from("??"));
    await assert.rejects(openStore(folder), rejectsWith(ErrorCode.DATA_DAMAGED));
    await writeFile(join(folder, "store"), Buffer.alloc(16_384, 7));
    await assert.rejects(openStore(folder), rejectsWith(ErrorCode.DATA_DAMAGED));
  }));

async function setFormat(folder: string, value: Buffer): Promise<void> {
  const env = open<Uint8Array, Buffer>({
    path: join(folder, "store"),
    noSubdir: true,
    keyEncoding: "binary",
    encoding: "binary",
  });
  await env.put(FORMAT_KEY, value);
  await env.close();
}

test("[SEQ-3] a full store refuses, keeps what it acknowledged and stays readable", () =>
  withFolder(async (folder) => {
    const store = await openStore(folder, { mapBytes: 2 * 1024 * 1024 });
    const bob = userRefOf("", "bob");
    await attach(store, prepareRequest({ user: bob, deviceId: "b" }));
    const device = { user: userRefOf("", "alice"), deviceId: "a" };
    await attach(store, prepareRequest(device));
    const submit = (seq: number) => {
      const submits = [sendPlan(seq, `${seq}:${"x".repeat(100_000)}`)];
      return store.commit({ device, generation: 1, outboxEpoch: 1, submits });
    };
    let acknowledged = 0;
    await assert.rejects(async () => {
      for (;;) {
        await submit(acknowledged + 1);
        acknowledged += 1;
      }
    }, rejectsWith(ErrorCode.STORE_UNAVAILABLE));
    assert.ok(acknowledged > 3, `${acknowledged} fitted`);
    await assert.rejects(submit(acknowledged + 1), rejectsWith(ErrorCode.STORE_UNAVAILABLE));
    const limit = { count: 1000, bytes: 100_000_000 };
    assert.equal((await store.loadTimeline(bob, 0, limit)).entries.length, acknowledged);
    await store.close();
    const larger = await openStore(folder, { mapBytes: 8 * 1024 * 1024 });
    assert.equal((await larger.loadTimeline(bob, 0, limit)).entries.length, acknowledged);
    await attach(larger, prepareRequest(device));
    await larger.close();
  }));

test("[SEQ-3] a disk that takes no more refuses, keeps what it acknowledged and stays readable", () =>
  withFolder(async (folder) => {
    // A limit on file sizes stands for a full disk: the write system call fails in the same place.
    const script = join(import.meta.dirname, "testdata", "fill-store.ts");
    const limited = `ulimit -f 3000 && exec "$0" "$@"`;
    const args = ["-c", limited, process.execPath, script, folder, String(MAP_BYTES)];
    const { stdout } = await promisify(execFile)("bash", args, { timeout: 30_000 });
    const told = JSON.parse(stdout) as { acknowledged: number; readable: number; code: number };
    assert.equal(told.code, ErrorCode.STORE_UNAVAILABLE);
    assert.ok(told.acknowledged > 3, stdout);
    assert.equal(told.readable, told.acknowledged);
    const store = await openStore(folder);
    const page = await store.loadTimeline(userRefOf("", "bob"), 0, { count: 1e6, bytes: 1e9 });
    assert.equal(page.entries.length, told.acknowledged);
    await store.close();
  }));
