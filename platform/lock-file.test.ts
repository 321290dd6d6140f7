import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { LockHeld, takeLock } from "./lock-file.ts";

// The file is its own other processes: started with the word "race" it takes locks at moments of a
// common clock, says which it got, and holds them until it is killed.

const RACE = "race";
const LIVES = 5;
const ROUNDS = 60;
const ROUND_MS = 30;
/** Until both processes wait for the first round. */
const START_MS = 1_000;

interface Race {
  readonly folder: string;
  readonly rounds: number;
  readonly startMs: number;
}

const lockOf = (folder: string, round: number) => join(folder, `lock-${round}`);

/** "1" for a lock that was got, "0" for one that somebody holds. */
function tried(path: string): string {
  try {
    takeLock(path);
    return "1";
  } catch (error) {
    if (error instanceof LockHeld) return "0";
    throw error;
  }
}

function race({ folder, rounds, startMs }: Race): void {
  let got = "";
  for (let round = 0; round < rounds; round += 1) {
    while (Date.now() < startMs + round * ROUND_MS);
    got += tried(lockOf(folder, round));
  }
  console.log(got);
  setInterval(() => {}, 60_000);
}

const argumentsOf = ({ folder, rounds, startMs }: Race): string[] => [
  import.meta.filename,
  RACE,
  folder,
  String(rounds),
  String(startMs),
];

interface Racer {
  readonly child: ChildProcess;
  /** What it says: one character a round. */
  readonly got: string;
}

async function racer(what: Race, prefix: readonly string[] = []): Promise<Racer> {
  const [command = "", ...args] = [...prefix, process.execPath, ...argumentsOf(what)];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const got of createInterface({ input: child.stdout })) return { child, got };
  assert.fail("a racer ended without a word");
}

async function killed({ child }: Racer): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-lock-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Two processes at once for the same locks, none of which is held by anybody else. */
async function raceOnce(folder: string): Promise<void> {
  const what = { folder, rounds: ROUNDS, startMs: Date.now() + START_MS };
  const racers = await Promise.all([racer(what), racer(what)]);
  await Promise.all(racers.map(killed));
  const [first = "", second = ""] = racers.map(({ got }) => got);
  assert.equal(first.length, ROUNDS);
  let held = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    assert.notEqual(`${first[round]}${second[round]}`, "11", `round ${round}: both hold the lock`);
    if (first[round] !== second[round]) held += 1;
  }
  assert.ok(held > ROUNDS / 2, `somebody gets a free lock: ${held} of ${ROUNDS}`);
}

function registerTests(): void {
  test(`[OPS-2] ${LIVES * ROUNDS} times two processes never both hold a lock, kill -9 between`, () =>
    withFolder(async (folder) => {
      for (let life = 0; life < LIVES; life += 1) await raceOnce(folder);
      for (let round = 0; round < ROUNDS; round += 1) {
        takeLock(lockOf(folder, round))();
      }
    }));

  test("[OPS-2] a lock is held once, also within a process, until it is let go of", () =>
    withFolder(async (folder) => {
      const path = join(folder, "lock");
      const letGo = takeLock(path);
      assert.equal(tried(path), "0");
      letGo();
      const again = takeLock(path);
      letGo();
      assert.equal(tried(path), "0", "letting go twice lets go of nobody else's");
      again();
    }));

  test("[OPS-2] a holder that is stopped holds its lock, one that is killed does not", () =>
    withFolder(async (folder) => {
      const holder = await racer({ folder, rounds: 1, startMs: 0 });
      assert.equal(holder.got, "1");
      holder.child.kill("SIGSTOP");
      assert.throws(() => takeLock(lockOf(folder, 0)), LockHeld);
      await killed(holder);
      takeLock(lockOf(folder, 0))();
    }));

  test("[OPS-2] a lock holds between PID namespaces", { skip: noNamespace() }, () =>
    withFolder(async (folder) => {
      const holder = await racer({ folder, rounds: 1, startMs: 0 }, OTHER_PIDS);
      assert.equal(holder.got, "1");
      assert.throws(() => takeLock(lockOf(folder, 0)), LockHeld);
      await killed(holder);
      until(() => tried(lockOf(folder, 0)) === "1");
      const other = await racer({ folder, rounds: 1, startMs: 0 }, OTHER_PIDS);
      assert.equal(other.got, "0");
      await killed(other);
    }),
  );
}

/** The namespace's own processes end a moment after the one that is killed. */
function until(isSo: () => boolean): void {
  for (let turn = 0; turn < 200; turn += 1) {
    if (isSo()) return;
    execFileSync("sleep", ["0.02"]);
  }
  assert.fail("it never became so");
}

const OTHER_PIDS = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"];

function noNamespace(): string | false {
  const [command = "", ...args] = OTHER_PIDS;
  const { status } = spawnSync(command, [...args, "true"]);
  return status === 0 ? false : "no PID namespace can be made here: see unshare(1)";
}

const [word, folder = "", ...numbers] = process.argv.slice(2);
const [rounds = 0, startMs = 0] = numbers.map(Number);
if (word === RACE) race({ folder, rounds, startMs });
else registerTests();
