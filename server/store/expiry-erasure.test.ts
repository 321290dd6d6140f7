import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { NO_RETENTION } from "./log-retention.ts";
import { RawFolder } from "./testdata/raw-folder.ts";
import { keysOf, readable } from "./testdata/readable-texts.ts";
import { MARKER, NOW_MS, ReplacingStore, textOf } from "./testdata/replacing-store.ts";

const ENDLESS = join(import.meta.dirname, "testdata", "expire-endlessly.ts");

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-expired-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The numbers of the entries that some keys give back from the bytes on a disk. */
function readableIn(folder: string, keys = keysOf(new RawFolder(folder))): readonly number[] {
  const found = readable(new RawFolder(folder), keys);
  return found.map((name) => Number(name.split("-")[0])).sort((a, b) => a - b);
}

describe("erasure of expired content on disk", () => {
  test("[CNV-96] what has expired is readable nowhere once it was swept", () =>
    withFolder(async (folder) => {
      let nowMs = NOW_MS;
      const replacing = await ReplacingStore.open(folder, () => nowMs);
      await replacing.addExpiring(1, 10);
      await replacing.add(1);
      await replacing.addExpiring(3, 20);
      const before = keysOf(new RawFolder(folder));
      assert.deepEqual(readableIn(folder), [1, 2, 3], "the search finds");
      nowMs = NOW_MS + 10;
      assert.deepEqual(await replacing.texts(), ["EXPIRED-1", textOf(2, 0), textOf(3, 0)]);
      assert.deepEqual(readableIn(folder), [1, 2, 3], "given to nobody, and not erased yet");
      await replacing.store.sweep();
      assert.deepEqual(readableIn(folder), [2, 3]);
      assert.ok(readableIn(folder, before).includes(1), "it is the key that is gone");
      assert.deepEqual(new RawFolder(folder).filesWith(MARKER), []);
      await replacing.store.close();
      nowMs = NOW_MS + 20;
      const again = await ReplacingStore.open(folder, () => nowMs);
      assert.deepEqual(await again.texts(), ["EXPIRED-1", textOf(2, 0), "EXPIRED-3"]);
      await again.store.sweep();
      assert.deepEqual(readableIn(folder), [2]);
      await again.store.close();
      assert.deepEqual(readableIn(folder), [2]);
    }));

  test("[CNV-103] what is older than it is kept is readable nowhere once it was swept", () =>
    withFolder(async (folder) => {
      let nowMs = NOW_MS;
      const retention = { ...NO_RETENTION, keptMs: 100 };
      const replacing = await ReplacingStore.open(folder, () => nowMs, retention);
      await replacing.add(3);
      const before = keysOf(new RawFolder(folder));
      nowMs = NOW_MS + 100;
      await replacing.store.sweep();
      assert.deepEqual(readableIn(folder), [1, 2, 3]);
      nowMs += 1;
      await replacing.store.sweep();
      assert.deepEqual(readableIn(folder), []);
      assert.ok(readableIn(folder, before).length > 0, "it is the keys that are gone");
      assert.deepEqual(await replacing.texts(), []);
      await replacing.store.close();
      const again = await ReplacingStore.open(folder, () => NOW_MS, retention);
      assert.deepEqual(await again.texts(), []);
      await again.add(1);
      assert.deepEqual(await again.texts(), [textOf(4, 0)], "numbers go on");
      await again.store.close();
    }));

  test("[CNV-97] killed at any instant, what has expired is given to nobody, and erased soon", () =>
    withFolder(async (folder) => {
      for (let round = 0; round < 5; round += 1) {
        const { done, begun } = await killedWhileExpiring(folder, 11 + 7 * round);
        assert.ok(done > 0, "something was swept");
        const left = readableIn(folder);
        assert.ok(
          left.every((seq) => seq > done),
          `${left} are readable, and all was swept through ${done}`,
        );
        let nowMs = NOW_MS + begun;
        const replacing = await ReplacingStore.open(folder, () => nowMs);
        const texts = await replacing.texts();
        assert.ok(texts.length >= begun);
        const expected = (through: number) =>
          texts.map((_, index) =>
            index < through ? `EXPIRED-${index + 1}` : textOf(index + 1, 0),
          );
        assert.deepEqual(texts, expected(begun));
        await replacing.store.sweep();
        const rest = texts.map((_, index) => index + 1).slice(begun);
        assert.deepEqual(readableIn(folder), rest);
        nowMs = NOW_MS;
        assert.deepEqual(await replacing.texts(), expected(begun), "swept is swept [CNV-98]");
        await replacing.store.close();
      }
    }));
});

/** Runs a process that lets entries expire and kills it; returns what it told. */
async function killedWhileExpiring(folder: string, afterLines: number) {
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
  const last = { DONE: 0, BEGIN: 0 };
  for (const line of output.split("\n").slice(0, -1)) {
    const [step, seq] = line.split(" ");
    last[step as keyof typeof last] = Number(seq);
  }
  return { done: last.DONE, begun: last.BEGIN };
}
