import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { FAULT_COUNTS } from "./pair/faults.ts";

const MAIN = join(import.meta.dirname, "main.ts");

test("[SEQ-4] [SEQ-10] [RES-14] nothing is lost, doubled or out of order while servers die, links are cut and devices move (P1, P4, P11, P17, P19, P20)", {
  timeout: 90_000,
}, async () => {
  const args = [MAIN, "--json", "--seed", "11", "--messages", "3000"];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const result = JSON.parse(stdout.trim().split("\n").at(-1) as string);
  assert.equal(result.lost, 0);
  assert.equal(result.duplicated, 0);
  assert.equal(result.misordered, 0);
  assert.equal(result.submitted, 3000);
  assert.ok(result.delivered > 3000);
  assert.equal(result.kills, FAULT_COUNTS.kill);
  assert.ok(result.cuts >= FAULT_COUNTS.cut);
  assert.ok(result.switches >= 10);
});

test("[ENV-16] [ENV-44] the same over sealed links, which come back by ticket", {
  timeout: 90_000,
}, async () => {
  const args = [MAIN, "--json", "--seed", "12", "--messages", "2000", "--envelope", "required"];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { lost, duplicated, misordered, submitted, envelope } = JSON.parse(
    stdout.trim().split("\n").at(-1) as string,
  );
  const wanted = { lost: 0, duplicated: 0, misordered: 0, submitted: 2000, envelope: "required" };
  assert.deepEqual({ lost, duplicated, misordered, submitted, envelope }, wanted);
});

test("[CNV-19] [CNV-22] [CNV-26] fifty users in groups see the same, while they come and go and servers die", {
  timeout: 120_000,
}, async () => {
  const args = [MAIN, "--scenario", "group", "--json", "--seed", "13", "--messages", "600"];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const result = JSON.parse(stdout.trim().split("\n").at(-1) as string);
  const { lost, duplicated, misordered, leaked_after_recall, missed_mentions } = result;
  assert.deepEqual(
    { lost, duplicated, misordered, leaked_after_recall, missed_mentions },
    { lost: 0, duplicated: 0, misordered: 0, leaked_after_recall: 0, missed_mentions: 0 },
  );
  assert.ok(result.views >= 83 && result.edits > 20 && result.recalls > 10, JSON.stringify(result));
  assert.deepEqual([result.kills, result.moves], [4, 25]);
});
