import { deepEqual, equal } from "node:assert/strict";
import { rm } from "node:fs/promises";
import { test } from "node:test";
import { RawFolder } from "../../server/store/testdata/raw-folder.ts";
import { type Asked, encodeAsked } from "./asked.ts";
import { Bench, benchRoot } from "./bench.ts";

const CANARY = "what-nobody-sent";
const drafted = (text: string | undefined): Asked => ({ kind: "draft", in: "d:ann:ben", text });

/** The keys of log records that stand on a disk. */
const keysOf = (disk: RawFolder) => [...disk.keysIn("log-keys").values()];

test("[CNV-72] [CNV-60] on disk a draft that is gone is a ciphertext without a key", async () => {
  const root = await benchRoot();
  const bench = await Bench.start(root);
  const folder = bench.folder ?? "";
  const save = async (text: string | undefined) => {
    await bench.commit(await bench.plan(0, [encodeAsked(drafted(text))]));
    return new RawFolder(folder);
  };
  try {
    // The first is kept, the second takes its place, and what is left is taken away.
    let before = keysOf(await save(`${CANARY}-1`));
    for (const text of [`${CANARY}-2`, undefined]) {
      const disk = await save(text);
      deepEqual(disk.filesWith(CANARY), [], "no draft is ever in clear");
      const after = keysOf(disk);
      const gone = before.filter((key) => !after.some((one) => one.equals(key)));
      equal(gone.length, 1, "the key of the draft that was");
      deepEqual(disk.filesWith(gone[0] as Buffer), [], "is in no file any more");
      before = after;
    }
  } finally {
    await bench.stop();
    await rm(root, { recursive: true, force: true });
  }
});
