import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { open } from "lmdb";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { fileJournal } from "./file-journal.ts";
import { EMPTY_JOURNAL, JournalError, type PendingSubmit } from "./journal.ts";
import { journalContract } from "./journal-contract.ts";

const newFolder = () => mkdtemp(join(tmpdir(), "posthorn-journal-"));

journalContract(
  "file",
  async () => {
    const folder = await newFolder();
    return {
      open: () => fileJournal(folder),
      dispose: () => rm(folder, { recursive: true, force: true }),
    };
  },
  { numRuns: 100 },
);

function withFolder(body: (folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = await newFolder();
    try {
      await body(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

function submitOf(seq: number): PendingSubmit {
  return { seq, operation: new Uint8Array(seq * 10).fill(seq) };
}

/** A journal with some past and three pending submits, closed. */
async function fill(folder: string): Promise<void> {
  const journal = await fileJournal(folder);
  for (let seq = 1; seq <= 7; seq += 1) await journal.append(submitOf(seq));
  await journal.settle(4);
  await journal.advance({ epoch: 2, seq: 33 });
  await journal.close();
}

const refusedWith = (code: ErrorCode) => (error: unknown) =>
  error instanceof JournalError && error.code === code;

/** Changes what is stored, behind the journal's back. */
async function tamper(
  folder: string,
  change: (stored: Map<string, Buffer>) => void,
): Promise<Map<string, Buffer>> {
  const path = join(folder, "store");
  const env = open<Uint8Array, Buffer>({
    path,
    noSubdir: true,
    keyEncoding: "binary",
    encoding: "binary",
    overlappingSync: false,
  });
  const before = new Map(
    [...env.getRange({})].map(({ key, value }) => [key.toString("hex"), Buffer.from(value)]),
  );
  const after = new Map(before);
  change(after);
  for (const key of before.keys()) if (!after.has(key)) await env.remove(Buffer.from(key, "hex"));
  for (const [key, value] of after) await env.put(Buffer.from(key, "hex"), value);
  await env.close();
  return before;
}

const keyOf = (name: string) => Buffer.from(name).toString("hex");
const isSubmit = (key: string) => key.startsWith(keyOf("S"));

test(
  "[OPS-2] a journal that is open is DATA_LOCKED, and free again once closed",
  withFolder(async (folder) => {
    const journal = await fileJournal(folder);
    await assert.rejects(fileJournal(folder), refusedWith(ErrorCode.DATA_LOCKED));
    await journal.append(submitOf(1));
    await journal.close();
    const again = await fileJournal(folder);
    assert.deepEqual((await again.load()).pending, [submitOf(1)]);
    await again.close();
  }),
);

test(
  "[OPS-2] a folder that cannot be one is DATA_UNWRITABLE",
  withFolder(async (folder) => {
    const file = join(folder, "file");
    await writeFile(file, "");
    await assert.rejects(fileJournal(file), refusedWith(ErrorCode.DATA_UNWRITABLE));
    await assert.rejects(fileJournal(join(file, "x")), refusedWith(ErrorCode.DATA_UNWRITABLE));
  }),
);

test(
  "[OPS-2] a journal of a newer format is DATA_NEWER and stays as it is",
  withFolder(async (folder) => {
    await fill(folder);
    const written = await tamper(folder, (stored) => stored.set(keyOf("F"), Buffer.of(2)));
    await assert.rejects(fileJournal(folder), refusedWith(ErrorCode.DATA_NEWER));
    await tamper(folder, (stored) => stored.set(keyOf("F"), written.get(keyOf("F")) as Buffer));
    const journal = await fileJournal(folder);
    assert.equal((await journal.load()).next, 8);
    await journal.close();
  }),
);

test(
  "[OPS-2] [SEQ-7] a flipped bit anywhere in what is stored is DATA_DAMAGED",
  withFolder(async (folder) => {
    await fill(folder);
    const written = await tamper(folder, () => {});
    let flipCount = 0;
    for (const [key, value] of written) {
      if (key === keyOf("F")) continue;
      for (let at = 0; at < value.length; at += 7) {
        const flipped = Buffer.from(value);
        flipped[at] = (value[at] as number) ^ (1 << (at % 8));
        await tamper(folder, (stored) => stored.set(key, flipped));
        await assert.rejects(fileJournal(folder), refusedWith(ErrorCode.DATA_DAMAGED));
        await tamper(folder, (stored) => stored.set(key, value));
        flipCount += 1;
      }
    }
    assert.ok(flipCount > 30, `${flipCount} flips`);
    await (await fileJournal(folder)).close();
  }),
);

test(
  "[OPS-2] [SEQ-7] a missing, moved, cut or foreign record is DATA_DAMAGED",
  withFolder(async (folder) => {
    await fill(folder);
    const written = await tamper(folder, () => {});
    const submits = [...written.keys()].filter(isSubmit);
    assert.equal(submits.length, 3);
    const [first = "", second = "", third = ""] = submits;
    const damages: ((stored: Map<string, Buffer>) => void)[] = [
      ...submits.map((key) => (stored: Map<string, Buffer>) => stored.delete(key)),
      (stored) => stored.delete(keyOf("P")),
      (stored) => stored.set(first, stored.get(second) as Buffer),
      (stored) => stored.set(third, (stored.get(third) as Buffer).subarray(0, -1)),
      (stored) => stored.set(second, Buffer.alloc(0)),
      (stored) => stored.set(keyOf("P"), Buffer.alloc(3)),
      (stored) => stored.set(`${keyOf("S")}00000000000000ff`, stored.get(first) as Buffer),
    ];
    for (const damage of damages) {
      await tamper(folder, damage);
      await assert.rejects(fileJournal(folder), refusedWith(ErrorCode.DATA_DAMAGED));
      await tamper(folder, (stored) => {
        stored.clear();
        for (const [key, value] of written) stored.set(key, value);
      });
    }
    await (await fileJournal(folder)).close();
  }),
);

test(
  "[OPS-2] what is written is its owner's only",
  { skip: process.platform === "win32" ? "Windows has no such modes" : false },
  withFolder(async (parent) => {
    const folder = join(parent, "made", "on", "the", "way");
    await fill(folder);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    assert.equal((await stat(join(folder, "store"))).mode & 0o777, 0o600);
  }),
);

test(
  "[SEQ-16] the file does not grow with what has passed through it",
  withFolder(async (folder) => {
    const journal = await fileJournal(folder);
    const operation = new Uint8Array(300);
    const cycle = async (from: number) => {
      const done: Promise<void>[] = [];
      for (let seq = from; seq < from + 16; seq += 1) done.push(journal.append({ seq, operation }));
      await Promise.all(done);
      await journal.settle(from + 15);
    };
    for (let from = 1; from <= 640; from += 16) await cycle(from);
    const { size } = await stat(join(folder, "store"));
    for (let from = 641; from <= 6400; from += 16) await cycle(from);
    assert.ok((await stat(join(folder, "store"))).size <= 2 * size);
    assert.deepEqual(await journal.load(), { ...EMPTY_JOURNAL, resultsThrough: 6400, next: 6401 });
    await journal.close();
  }),
);
