import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { fileJournal } from "./file-journal.ts";
import { EMPTY_JOURNAL, JournalError, type JournalState } from "./journal.ts";
import { askFor, changedState, type JournalChange } from "./journal-contract.ts";

// The file is its own other process: started with the word "work" it writes to a journal until it
// dies, is refused or has done enough, and says which change has become durable.

const WORK = "work";
const BURST_MAX = 16;
/** No test waits for so many: what goes wrong ends. */
const ENOUGH = 5_000;

/** The change with a number: always the same one, so that both processes know all states. */
function changeOf(index: number, state: JournalState): JournalChange {
  const epoch = state.cursor.epoch;
  if (index % 13 === 0) {
    const cursor = { epoch: epoch + 1, seq: 0 };
    const outboxEpoch = state.outboxEpoch + 1;
    return {
      kind: "install",
      positions: { outboxEpoch, resultsThrough: index % 4, cursor },
      share: 0.5,
    };
  }
  if (index % 5 === 0) return { kind: "settle", share: 0.7 };
  if (index % 3 === 0) return { kind: "advance", cursor: { epoch, seq: index } };
  return { kind: "append", operation: new Uint8Array((index * 37) % 700).fill(index) };
}

function stateAfter(count: number): JournalState {
  let state = EMPTY_JOURNAL;
  for (let index = 1; index <= count; index += 1) {
    state = changedState(state, changeOf(index, state));
  }
  return state;
}

/** How many changes made the state, between two bounds. */
function countOf(state: JournalState, from: number, to: number): number {
  for (let count = from; count <= to; count += 1) {
    if (isDeepStrictEqual(stateAfter(count), state)) return count;
  }
  assert.fail(`what is there is no state after ${from} to ${to} changes`);
}

interface Task {
  readonly folder: string;
  /** How many changes are there already. */
  readonly done: number;
  /** How many changes are asked for at a time, at most. */
  readonly burstMax: number;
  /** The change to end with. */
  readonly last: number;
}

async function work({ folder, done, burstMax, last }: Task): Promise<void> {
  const journal = await fileJournal(folder);
  let state = await journal.load();
  assert.deepEqual(state, stateAfter(done));
  try {
    for (let index = done + 1; index <= last; ) {
      const burst: Promise<void>[] = [];
      for (const end = index + 1 + (index % burstMax); index < end; index += 1) {
        const change = changeOf(index, state);
        state = changedState(state, change);
        const durable = `durable ${index}`;
        burst.push(askFor(journal, change, state).then(() => void say(durable)));
      }
      await Promise.all(burst);
    }
    await journal.close();
  } catch (error) {
    say(`refused ${error instanceof JournalError ? error.code : error}`);
    const again = await journal.advance(state.cursor).catch((later) => later);
    say(`again ${again === error}`);
    await journal.close();
  }
}

/** A line at once, also into a pipe that is full for the moment. */
function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

/** Numbers after a word in lines of output. */
function numbersAfter(word: string, output: string): number[] {
  const lines = output.split("\n").filter((line) => line.startsWith(`${word} `));
  return lines.map((line) => Number(line.slice(word.length + 1)));
}

function workerArguments(task: Partial<Task> & { readonly folder: string }): string[] {
  const { folder, done = 0, burstMax = BURST_MAX, last = ENOUGH } = task;
  return [import.meta.filename, WORK, folder, String(done), String(burstMax), String(last)];
}

/** Runs a command to its end and returns what it said. */
function outputOf(command: string, args: readonly string[]): string {
  return execFileSync(command, args, {
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
}

/** Runs the worker until it has said a number of lines, kills it and returns all that it said. */
async function workUntilKilled(folder: string, done: number, lineCount: number): Promise<string> {
  const args = workerArguments({ folder, done });
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (said.length === 1) {
      const locked = { code: ErrorCode.DATA_LOCKED };
      await assert.rejects(fileJournal(folder), locked, "the worker holds the journal");
    }
    if (said.length === lineCount) child.kill("SIGKILL");
  }
  assert.equal(await signalOf(child), "SIGKILL");
  return said.join("\n");
}

function signalOf(child: ChildProcess): Promise<NodeJS.Signals | null> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve(child.signalCode);
  }
  return new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
}

async function stateIn(folder: string): Promise<JournalState> {
  const journal = await fileJournal(folder);
  const state = await journal.load();
  await journal.close();
  return state;
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-journal-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function registerTests(): void {
  test("[SEQ-7] [SEQ-11] [OPS-2] SIGKILL loses nothing durable and leaves nothing half done", () =>
    withFolder(async (folder) => {
      let done = 0;
      for (const lineCount of [1, 3, 50, 7, 120, 33, 2, 80]) {
        const said = await workUntilKilled(folder, done, lineCount);
        const durable = numbersAfter("durable", said);
        const from = done;
        const inOrder = durable.map((_, index) => from + 1 + index);
        assert.deepEqual(durable, inOrder);
        assert.ok(existsSync(join(folder, "lock.sqlite")), "the dead leave their lock behind");
        const last = from + durable.length;
        done = countOf(await stateIn(folder), last, last + BURST_MAX);
      }
      assert.ok(done > 200, `${done} changes`);
    }));

  test(
    "[SEQ-7] [SES-7] a promise resolves after the flush of what it promises",
    { skip: noTrace() },
    () => withFolder(flushesFirst),
  );

  test(
    "[SEQ-7] [OPS-2] a flush that fails is DATA_UNWRITABLE, and ends the journal",
    { skip: noTrace() },
    () => withFolder(flushFails),
  );
}

const TRACED = "openat,write,pwrite64,pwritev,pwritev2,writev,fsync,fdatasync,msync";

function noTrace(): string | false {
  const tried = spawnSync("strace", ["-qq", "-e", "trace=none", "true"]);
  return tried.status === 0 ? false : "strace cannot run here: see the manual page strace(1)";
}

interface Call {
  readonly name: string;
  readonly text: string;
  /** Lines of the trace where it began and ended. */
  readonly begin: number;
  readonly end: number;
}

function callsOf(trace: string): Call[] {
  const calls: Call[] = [];
  const underWay = new Map<string, { readonly text: string; readonly begin: number }>();
  trace.split("\n").forEach((line, index) => {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const begun = / <unfinished \.\.\.>$/.exec(rest);
    if (begun !== null) {
      underWay.set(thread, { text: rest.slice(0, begun.index), begin: index });
      return;
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(rest);
    const before = resumed === null ? undefined : underWay.get(thread);
    const text = before === undefined ? rest : before.text + rest.slice(resumed?.[0].length);
    const [, name = ""] = /^(\w+)\(/.exec(text) ?? [];
    calls.push({ name, text, begin: before?.begin ?? index, end: index });
  });
  return calls;
}

/** Each promise: all that was written before it was flushed, and something was. */
async function flushesFirst(folder: string): Promise<void> {
  const trace = join(folder, "trace");
  const args = workerArguments({ folder: join(folder, "journal"), burstMax: 1, last: 12 });
  const options = ["-f", "-y", "-qq", "-o", trace, "-e", `trace=${TRACED}`];
  outputOf("strace", [...options, process.execPath, ...args]);
  const calls = callsOf(readFileSync(trace, "latin1"));
  const path = join(realpathSync(folder), "journal");
  const store = `<${join(path, "store")}>`;
  const ofStore = calls.filter(({ text }) => text.includes(store));
  const opened = ofStore.filter(({ name, text }) => name === "openat" && /O_D?SYNC/.test(text));
  const flushing = new Set(opened.map(({ text }) => /= (\d+)</.exec(text)?.[1]));
  const fileOf = ({ text }: Call) => /^\w+\((\d+)/.exec(text)?.[1];
  const flushes = ofStore.filter(({ name }) => /sync/.test(name));
  const writes = ofStore.filter(({ name }) => /write/.test(name));
  const promises = calls.filter(({ name, text }) => name === "write" && /"durable /.test(text));
  assert.equal(promises.length, 12);
  let previous = 0;
  for (const { begin, text } of promises) {
    const due = writes.filter((write) => write.end < begin);
    for (const write of due) {
      const flushed =
        flushing.has(fileOf(write)) ||
        flushes.some((flush) => flush.begin > write.end && flush.end < begin);
      assert.ok(flushed, `${text} before the flush of ${write.text}`);
    }
    assert.ok(due.length > previous, `${text} without a write`);
    previous = due.length;
  }
  const first = promises[0]?.begin ?? 0;
  for (const name of [path, join(path, "..")]) {
    const named = calls.filter((call) => call.name === "fsync" && call.text.includes(`<${name}>`));
    assert.ok(named[0] !== undefined && named[0].end < first, `${name} is flushed first`);
  }
}

async function flushFails(folder: string): Promise<void> {
  let done = 0;
  for (const count of [4, 5, 9]) {
    const inject = `inject=fdatasync:error=EIO:when=${count}+`;
    const options = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject];
    const args = [...options, process.execPath, ...workerArguments({ folder, done })];
    const said = outputOf("strace", args);
    done = refusedWith(ErrorCode.DATA_UNWRITABLE, said, done);
    done = countOf(await stateIn(folder), done, done + BURST_MAX);
  }
  assert.ok(done > 0);
}

/** Checks what a refused worker said; returns the number of its last durable change. */
function refusedWith(code: ErrorCode, said: string, done: number): number {
  assert.deepEqual(numbersAfter("refused", said), [code], said);
  assert.match(said, /^again true$/m);
  return numbersAfter("durable", said).at(-1) ?? done;
}

const [word, folder = "", ...numbers] = process.argv.slice(2);
const [done = 0, burstMax = 1, last = 0] = numbers.map(Number);
if (word === WORK) await work({ folder, done, burstMax, last });
else registerTests();
