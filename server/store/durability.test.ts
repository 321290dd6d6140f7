import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { attach, prepareRequest } from "./contract.ts";
import { LmdbStore } from "./lmdb.ts";
import { userRefOf } from "./store.ts";

const MARKED = join(import.meta.dirname, "testdata", "commit-marked.ts");
const ENDLESS = join(import.meta.dirname, "testdata", "commit-endlessly.ts");
const STRACE = spawnSync("strace", ["-e", "trace=none", "true"]).status === 0;
const NO_STRACE = "strace is not installed, or may not trace here";

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-durable-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Traced {
  /** What the kernel was asked between each commit and its acknowledgement, in order. */
  readonly commits: readonly (readonly string[])[];
  /**
   * Descriptors of the store's file whose writes return only when they are on disk (O_DSYNC of
   * open(2)).
   */
  readonly syncFds: ReadonlySet<string>;
}

async function traced(folder: string, mode: string): Promise<Traced> {
  const trace = join(folder, "trace");
  const calls = "trace=openat,write,pwrite64,pwritev,fdatasync,fsync,msync";
  const args = ["-f", "-o", trace, "-s", "40", "-y", "-e", calls];
  await promisify(execFile)("strace", [...args, process.execPath, MARKED, folder, mode]);
  const commits: string[][] = [];
  const syncFds = new Set<string>();
  let inside = false;
  for (const line of (await readFile(trace, "utf8")).split("\n")) {
    const opened = /openat\(.*\/store", [A-Z_|]*O_DSYNC.* = (\d+)</.exec(line);
    if (opened !== null) syncFds.add(opened[1] as string);
    if (/write\(1<.*"COMMIT \d/.test(line)) {
      commits.push([]);
      inside = true;
    } else if (/write\(1<.*"DURABLE \d/.test(line)) {
      inside = false;
    } else if (inside) {
      commits.at(-1)?.push(line);
    }
  }
  return { commits, syncFds };
}

/**
 * The pages of the commit are flushed, then the meta page that makes them valid is written through
 * to the disk. (LMDB writes pages through its map: fdatasync takes them along.)
 */
function isFlushed(calls: readonly string[], syncFds: ReadonlySet<string>): boolean {
  const flushed = calls.findIndex((call) => FLUSH.test(call) || RESUMED_FLUSH.test(call));
  const meta = calls.findLastIndex((call) => {
    const written = /pwrite64\((\d+)<[^>]*\/store>.*\) = \d+$/.exec(call);
    return written !== null && syncFds.has(written[1] as string);
  });
  return flushed >= 0 && meta > flushed;
}
const FLUSH = /(fdatasync|fsync)\(\d+<[^>]*\/store>\)\s+= 0/;
const RESUMED_FLUSH = /<\.\.\. (fdatasync|fsync) resumed>.*= 0/;

describe("durability of acknowledged commits", () => {
  test(
    "[SEQ-3] the file is flushed between a commit and its acknowledgement",
    {
      skip: !STRACE && NO_STRACE,
    },
    () =>
      withFolder(async (folder) => {
        const { commits, syncFds } = await traced(folder, "");
        assert.equal(commits.length, 5);
        for (const calls of commits) assert.ok(isFlushed(calls, syncFds), calls.join("\n"));
      }),
  );

  test(
    "a store that acknowledges before the flush is told apart",
    {
      skip: !STRACE && NO_STRACE,
    },
    () =>
      withFolder(async (folder) => {
        const { commits, syncFds } = await traced(folder, "unsynced");
        assert.equal(commits.length, 5);
        const flushed = commits.filter((calls) => isFlushed(calls, syncFds));
        assert.equal(flushed.length, 0, "the check above can fail");
      }),
  );

  test(
    "[SEQ-3] a flush that fails is a refusal, not an acknowledgement, and not the process's end",
    {
      skip: !STRACE && NO_STRACE,
    },
    () =>
      withFolder(async (folder) => {
        const inject = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=6+"];
        const options = ["-f", "-qq", "-o", "/dev/null", ...inject];
        const script = join(import.meta.dirname, "testdata", "fill-store.ts");
        const args = [...options, process.execPath, script, folder, String(64 * 1024 * 1024)];
        const { stdout } = await promisify(execFile)("strace", args, { timeout: 30_000 });
        const told = JSON.parse(stdout) as { acknowledged: number; readable: number; code: number };
        assert.equal(told.code, ErrorCode.STORE_UNAVAILABLE);
        assert.ok(told.acknowledged > 1, stdout);
        assert.ok(told.readable >= told.acknowledged, stdout);
      }),
  );

  test("[SEQ-3] [SEQ-14] whatever was acknowledged survives SIGKILL, whole and in order (P20)", () =>
    withFolder(async (folder) => {
      let through = 0;
      for (let round = 0; round < 6; round += 1) {
        const acknowledged = await killedWhileCommitting(folder, 20 + 35 * round);
        through = await survivors(folder, Math.max(through, acknowledged));
      }
      assert.ok(through > 50, `only ${through} commits in all`);
    }));
});

/** Runs a committing process and kills it; returns the last submit that it saw acknowledged. */
async function killedWhileCommitting(folder: string, afterLines: number): Promise<number> {
  const child = spawn(process.execPath, [ENDLESS, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let output = "";
  for await (const chunk of child.stdout) {
    output += String(chunk);
    if (output.split("\n").length > afterLines) child.kill("SIGKILL");
  }
  await exited;
  return Number(output.trimEnd().split("\n").at(-1));
}

/**
 * Checks that everything up to a submit is there, on both timelines; returns how far the outbox is.
 */
async function survivors(folder: string, acknowledged: number): Promise<number> {
  const limits = { mapBytes: 1024 ** 3, timelineEventsMax: 1_000_000 };
  const store = await LmdbStore.open({ folder, nowMs: () => 1_000, ...limits });
  const device = { user: userRefOf("", "alice"), deviceId: "a" };
  const outbox = { epoch: 1, resultsThrough: 0, next: acknowledged + 1 };
  const { through } = (await attach(store, prepareRequest(device, { outbox }))).outbox;
  assert.ok(through >= acknowledged, `${acknowledged} were acknowledged, ${through} are there`);
  for (const user of [device.user, userRefOf("", "bob")]) {
    const page = await store.loadTimeline(user, 0, { count: 1e6, bytes: 1e9 });
    const texts = page.entries.map(({ event }) => new TextDecoder().decode(event));
    assert.deepEqual(
      texts,
      Array.from({ length: through }, (_, index) => `message ${index + 1}`),
    );
  }
  await store.close();
  return through;
}
