import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "../client/client.ts";
import { memoryJournal } from "../client/memory-journal.ts";
import { dialersOf } from "../client/node.ts";
import { emptyFolder, Program, posthorn } from "./testdata/program.ts";

test("[SEQ-11] tail --count prints so many events, and goes on after them next time", async (t) => {
  const cwd = emptyFolder(t);
  const served = new Program(t, ["serve", "--json", "--port", "0"], { cwd });
  const url = `tcp://127.0.0.1:${await served.prints(/"port":(\d+)/)}`;
  const dialers = dialersOf(url);
  const writer = await connect({ dialers, deviceId: "w", userId: "ann", journal: memoryJournal() });
  await Promise.all(["m1", "m2", "m3", "m4", "m5", "m6", "m7"].map((m) => writer.send("ann", m)));
  await writer.close();
  const journal = join(cwd, "journal");
  const where = ["--url", url, "--user", "ann", "--device", "t", "--journal", journal];
  const tail = async (count: number) => {
    const args = ["tail", ...where, "--json", "--count", String(count)];
    const { status, stdout, stderr } = await posthorn(t, args, { cwd });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).content);
  };
  assert.deepEqual(await tail(3), ["m1", "m2", "m3"]);
  assert.deepEqual(await tail(1), ["m4"]);
  assert.deepEqual(await tail(3), ["m5", "m6", "m7"]);
});
