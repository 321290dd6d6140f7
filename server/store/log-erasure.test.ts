import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { attach, prepareRequest } from "./contract.ts";
import { LmdbStore } from "./lmdb.ts";
import { logRefOf, StoreError, userRefOf } from "./store.ts";
import { RawFolder } from "./testdata/raw-folder.ts";
import { keysOf, readable } from "./testdata/readable-texts.ts";
import {
  ALICE,
  LIMITS,
  LOG,
  MARKER,
  NOW_MS,
  ReplacingStore,
  textOf,
} from "./testdata/replacing-store.ts";

const ENDLESS = join(import.meta.dirname, "testdata", "replace-endlessly.ts");
const FAILING = join(import.meta.dirname, "testdata", "replace-failing.ts");
const STRACE = spawnSync("strace", ["-e", "trace=none", "true"]).status === 0;
const NO_STRACE = { skip: !STRACE && "strace is not installed, or may not trace here" };
const ENTRIES = 12;

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-replaced-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const versionsOf = (texts: readonly string[]) => texts.map((text) => Number(text.split("-")[3]));
const names = (versions: readonly number[]) =>
  versions.map((version, index) => `${index + 1}-${version}`).sort();

const damaged = (error: unknown) =>
  error instanceof StoreError && error.code === ErrorCode.DATA_DAMAGED;

describe("erasure of replaced content on disk", () => {
  test("[CNV-60] [CNV-61] when a replacement is told, what was replaced is readable nowhere", () =>
    withFolder(async (folder) => {
      const replacing = await ReplacingStore.open(folder);
      await replacing.add(3);
      const before = new RawFolder(folder);
      assert.deepEqual(before.filesWith(MARKER), [], "no content is ever in clear");
      assert.deepEqual(readable(before, keysOf(before)), names([0, 0, 0]), "the search finds");
      assert.equal(statSync(join(folder, "log-keys")).mode & 0o777, 0o600);
      await replacing.commit(replacing.replacement(2, 0, 1));
      const after = new RawFolder(folder);
      assert.deepEqual(after.filesWith(MARKER), []);
      assert.deepEqual(readable(after, keysOf(after)), names([0, 1, 0]));
      // The ciphertext is what LMDB keeps in free pages: it is the key that is gone.
      assert.ok(readable(after, keysOf(before)).includes("2-0"));
      const left = keysOf(before).filter((key) => !keysOf(after).some((one) => one.equals(key)));
      assert.equal(left.length, 1);
      assert.deepEqual(after.filesWith(left[0] as Buffer), []);
      await replacing.commit(replacing.replacement(2, 1, 2));
      await replacing.commit(replacing.replacement(3, 0, 1));
      await replacing.store.close();
      const closed = new RawFolder(folder);
      assert.deepEqual(readable(closed, keysOf(closed)), names([0, 2, 1]));
      const again = await ReplacingStore.open(folder);
      assert.deepEqual(await again.texts(), [textOf(1, 0), textOf(2, 2), textOf(3, 1)]);
      await again.store.close();
      const reopened = new RawFolder(folder);
      assert.deepEqual(readable(reopened, keysOf(reopened)), names([0, 2, 1]));
      assert.deepEqual(reopened.filesWith(MARKER), []);
    }));

  test("[CNV-60] [CNV-62] [CNV-64] killed at any instant, an entry is the old one or the new one", () =>
    withFolder(async (folder) => {
      for (let round = 0; round < 5; round += 1) {
        const { done, begun } = await killedWhileReplacing(folder, 60 + 41 * round);
        const killed = new RawFolder(folder);
        assert.deepEqual(killed.filesWith(MARKER), []);
        const held = readable(killed, keysOf(killed));
        for (const name of held) assert.ok(isNear(name, done, begun), `${name} before the start`);
        const replacing = await ReplacingStore.open(folder);
        const texts = await replacing.texts();
        const versions = versionsOf(texts);
        assert.deepEqual(
          texts,
          versions.map((version, index) => textOf(index + 1, version)),
        );
        versions.forEach((version, index) => {
          const told = done[index] as number;
          const asked = version === told + 1 && begun === `${index + 1}-${version}`;
          assert.ok(version === told || asked, `${index + 1} is ${version}, told ${told}`);
        });
        const started = new RawFolder(folder);
        assert.deepEqual(readable(started, keysOf(started)), names(versions));
        for (const key of keysOf(killed)) {
          if (keysOf(started).some((one) => one.equals(key))) continue;
          assert.deepEqual(started.filesWith(key), []);
        }
        await replacing.store.close();
      }
      const slots = statSync(join(folder, "log-keys")).size / 32;
      assert.ok(slots < 4_000, `${slots} slots: they are used again`);
    }));

  test("[CNV-62] [CNV-64] keys that nothing refers to are erased at the start", () =>
    withFolder(async (folder) => {
      const first = await ReplacingStore.open(folder);
      await first.add(2);
      await first.store.close();
      const path = join(folder, "log-keys");
      const file = readFileSync(path);
      const orphan = Buffer.alloc(32, 7);
      writeFileSync(path, Buffer.concat([file, orphan, orphan.subarray(0, 5)]));
      const second = await ReplacingStore.open(folder);
      const disk = new RawFolder(folder);
      assert.deepEqual(disk.filesWith(orphan.subarray(0, 5)), []);
      assert.deepEqual(keysOf(disk).length, 2, "spare ones neither");
      assert.deepEqual(await second.texts(), [textOf(1, 0), textOf(2, 0)]);
      await second.add(1);
      await second.store.close();
      assert.deepEqual(readable(new RawFolder(folder), keysOf(disk)), names([0, 0]));
    }));

  test("[CNV-64] what a full store refused is readable nowhere once something is answered", () =>
    withFolder(async (folder) => {
      const limits = { ...LIMITS, mapBytes: 2 * 1024 * 1024 };
      const store = await LmdbStore.open({ folder, nowMs: () => NOW_MS, ...limits });
      const device = { user: userRefOf("", "alice"), deviceId: "phone" };
      await attach(store, prepareRequest(device));
      const submit = (seq: number, text: Buffer) => {
        const plan = { kind: "append", log: LOG, event: text, timelines: [] } as const;
        const submits = [{ seq, digest: 7, plan }];
        return store.commit({ device, generation: 1, outboxEpoch: 1, submits });
      };
      let seq = 0;
      const refused = async () => {
        for (;;) await submit(seq + 1, Buffer.alloc(100_000)).then(() => (seq += 1));
      };
      await assert.rejects(refused, StoreError);
      const before = keysOf(new RawFolder(folder)).length;
      await assert.rejects(submit(seq + 1, Buffer.alloc(100_000)), StoreError);
      await assert.rejects(submit(seq + 1, Buffer.alloc(100_000)), StoreError);
      // A repeat is answered, and what was refused before is erased by then.
      assert.equal((await submit(seq, Buffer.alloc(100_000))).kind, "committed");
      const after = new RawFolder(folder);
      assert.ok(keysOf(after).length <= before - 2, "their keys are gone");
      await store.close();
    }));

  for (const [title, change] of [
    ["is missing", () => Buffer.alloc(0)],
    ["was cut short", (file: Buffer) => file.subarray(0, 32 + 40)],
    ["is not one", (file: Buffer) => Buffer.concat([Buffer.alloc(32, 1), file.subarray(32)])],
  ] as const) {
    test(`[CNV-65] a file of keys that ${title} is refused, and left as it is`, () =>
      withFolder(async (folder) => {
        const replacing = await ReplacingStore.open(folder);
        await replacing.add(2);
        await replacing.store.close();
        const path = join(folder, "log-keys");
        const whole = readFileSync(path);
        const changed = change(whole);
        writeFileSync(path, changed);
        await assert.rejects(ReplacingStore.open(folder), damaged);
        assert.deepEqual(readFileSync(path), changed);
        writeFileSync(path, whole);
        const again = await ReplacingStore.open(folder);
        assert.deepEqual(await again.texts(), [textOf(1, 0), textOf(2, 0)]);
        await again.store.close();
      }));
  }

  test("[CNV-65] beside a key that is not its own an entry is an error, not another text", () =>
    withFolder(async (folder) => {
      const replacing = await ReplacingStore.open(folder);
      await replacing.add(2);
      const { store } = replacing;
      await store.close();
      const path = join(folder, "log-keys");
      const file = readFileSync(path);
      const [slot] = [...new RawFolder(folder).keysIn("log-keys").keys()];
      for (const byte of [0, 9]) {
        const changed = Buffer.from(file).fill(byte, 32 * ((slot as number) + 1), 32 * 2);
        writeFileSync(path, changed);
        const next = await LmdbStore.open({ folder, nowMs: () => NOW_MS, ...LIMITS });
        const page = { count: 10, bytes: 1e6 };
        await assert.rejects(next.loadLog(LOG, { from: 1, through: 9 }, page), damaged);
        await assert.rejects(next.loadTimeline(ALICE, 0, page), damaged);
        const { entries } = await next.loadTimeline(ALICE, 1, page);
        assert.equal(Buffer.from(entries[0]?.event ?? []).toString(), textOf(2, 0));
        assert.equal((await next.loadLog(LOG, { from: 3, through: 9 }, page)).head, 2);
        assert.equal(
          (await next.loadLog(logRefOf("", "g:9"), { from: 1, through: 9 }, page)).head,
          0,
        );
        await next.close();
      }
    }));

  test(
    "[CNV-62] a key is flushed before what needs it, and as zeros before it is told",
    NO_STRACE,
    () =>
      withFolder(async (folder) => {
        const trace = join(folder, "trace");
        await straced(folder, ["-o", trace, "-e", "trace=write,pwrite64,pwritev,fdatasync,fsync"]);
        const lines = readFileSync(trace, "utf8").split("\n");
        const at = (pattern: RegExp, from = 0) =>
          lines.findIndex((line, index) => index >= from && pattern.test(line));
        const keys = /(fdatasync|fsync)\(\d+<[^>]*log-keys>/;
        const store = /(pwrite64|pwritev|fdatasync|fsync)\(\d+<[^>]*\/store>/;
        const begin = at(/write\(1<.*"BEGIN/);
        const made = lines.slice(0, begin).findLastIndex((line) => keys.test(line));
        assert.ok(made >= 0, "the keys of all that comes are on disk");
        const stored = at(store, begin);
        const zeros = at(/pwrite64\(\d+<[^>]*log-keys>, "(\\0){32}"/, stored);
        const erased = at(keys, zeros);
        const told = at(/write\(1<.*"DONE/);
        const order = [begin, stored, zeros, erased, told];
        assert.deepEqual(
          order,
          [...order].sort((a, b) => a - b),
          order.join(" "),
        );
        assert.equal(at(/pwrite64\(\d+<[^>]*log-keys>/, begin), zeros, "nothing else is written");
      }),
  );

  test(
    "[CNV-60] [CNV-66] a replacement is not told, nor its repeat, while the key cannot be erased",
    NO_STRACE,
    () =>
      withFolder(async (folder) => {
        // The third flush of the file of keys is the first that erases.
        const failing = [
          "-P",
          join(folder, "log-keys"),
          "-e",
          "inject=fdatasync:error=EIO:when=3..5",
        ];
        const told = await straced(folder, [
          "-o",
          "/dev/null",
          "-e",
          "trace=fdatasync",
          ...failing,
        ]);
        const failed = `FAILED ${ErrorCode.STORE_UNAVAILABLE} 1`;
        assert.deepEqual(told, [failed, failed, failed, "DONE 1"], "it is in force, and readable");
        const disk = new RawFolder(folder);
        assert.deepEqual(readable(disk, keysOf(disk)), ["1-1"]);
      }),
  );

  test(
    "[CNV-64] a group whose flush failed is readable nowhere once it was sent again",
    NO_STRACE,
    () =>
      withFolder(async (folder) => {
        const failing = ["-P", join(folder, "store"), "-e", "inject=fdatasync:error=EIO:when=5..6"];
        const told = await straced(folder, [
          "-o",
          "/dev/null",
          "-e",
          "trace=fdatasync",
          ...failing,
        ]);
        assert.equal(told.at(-1), "DONE 1", told.join(", "));
        assert.ok(
          told.some((line) => line.startsWith("FAILED")),
          told.join(", "),
        );
        const disk = new RawFolder(folder);
        assert.deepEqual(readable(disk, keysOf(disk)), ["1-1"]);
        // Of those that were made at once: two of the try that failed, and the replaced one's.
        assert.equal(keysOf(disk).length, 1024 - 3);
      }),
  );
});

/** Runs the failing script under strace; returns how its tries ended. */
async function straced(folder: string, options: readonly string[]): Promise<readonly string[]> {
  const args = ["-f", "-qq", "-s", "64", "-y", ...options, process.execPath, FAILING, folder, "20"];
  // One thread that flushes: strace counts the calls of each thread.
  const env = { ...process.env, UV_THREADPOOL_SIZE: "1" };
  const { stdout } = await promisify(execFile)("strace", args, { env, timeout: 60_000 });
  return stdout.split("\n").filter((line) => /^(DONE|FAILED)/.test(line));
}

/** Whether a text is that of an entry as it was told last, or as it was being replaced. */
function isNear(name: string, done: readonly number[], begun: string): boolean {
  const [seq = 0, version] = name.split("-").map(Number);
  return version === done[seq - 1] || name === begun;
}

/** Runs a process that replaces and kills it; returns what it told. */
async function killedWhileReplacing(folder: string, afterLines: number) {
  const child = spawn(process.execPath, [ENDLESS, folder, String(ENTRIES)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let output = "";
  for await (const chunk of child.stdout) {
    output += String(chunk);
    if (output.split("\n").length > afterLines) child.kill("SIGKILL");
  }
  await exited;
  const done = Array.from({ length: ENTRIES }, () => 0);
  let begun = "";
  for (const line of output.split("\n").slice(0, -1)) {
    const [step, seq, version] = line.split(" ");
    if (step === "DONE") done[Number(seq) - 1] = Number(version);
    else begun = `${seq}-${version}`;
  }
  return { done, begun };
}
