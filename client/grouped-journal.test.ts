import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { groupedJournal, type JournalDisk, type JournalGroup } from "./grouped-journal.ts";
import { EMPTY_JOURNAL, type Journal, JournalError, type JournalState } from "./journal.ts";
import { journalContract } from "./journal-contract.ts";

/** A disk that writes when it is told to, and fails when it is told to. */
class HandDisk implements JournalDisk {
  state: JournalState;
  readonly groups: JournalGroup[] = [];
  closedCount = 0;
  #written: ((error?: JournalError) => void) | undefined;

  constructor(state: JournalState = EMPTY_JOURNAL) {
    this.state = state;
  }

  async read(): Promise<JournalState> {
    assert.equal(this.closedCount, 0, "read after close");
    return this.state;
  }

  write(group: JournalGroup): Promise<void> {
    assert.equal(this.#written, undefined, "one group at a time");
    assert.equal(this.closedCount, 0, "write after close");
    this.groups.push(group);
    return new Promise((resolve, reject) => {
      this.#written = (error) => {
        this.#written = undefined;
        if (error !== undefined) return reject(error);
        this.#apply(group);
        resolve();
      };
    });
  }

  /** Lets the group that is being written succeed or fail, once there is one. */
  async finish(error?: JournalError): Promise<void> {
    for (let turn = 0; turn < 20 && this.#written === undefined; turn += 1) await null;
    assert.ok(this.#written, "a group is being written");
    this.#written(error);
  }

  async close(): Promise<void> {
    this.closedCount += 1;
  }

  #apply({ before, after, puts }: JournalGroup): void {
    const { pending, ...positions } = this.state;
    assert.deepEqual(positions, before);
    const all = new Map(pending.map(({ seq, operation }) => [seq, operation]));
    for (const [seq, operation] of puts) {
      assert.ok(seq > after.resultsThrough && seq < after.next, "puts lie within the positions");
      all.set(seq, operation);
    }
    const kept = [...all]
      .filter(([seq]) => seq > after.resultsThrough && seq < after.next)
      .sort(([a], [b]) => a - b)
      .map(([seq, operation]) => ({ seq, operation }));
    this.state = { ...after, pending: kept };
  }
}

/** Writes at once, but not within the same turn. */
class PromptDisk extends HandDisk {
  override write(group: JournalGroup): Promise<void> {
    const written = super.write(group);
    void this.finish();
    return written;
  }
}

journalContract(
  "grouped",
  async () => {
    let disk = new PromptDisk();
    return {
      open: () => {
        disk = new PromptDisk(disk.state);
        return groupedJournal(disk);
      },
      dispose: async () => {},
    };
  },
  { numRuns: 300 },
);

const submitOf = (seq: number) => ({ seq, operation: Uint8Array.of(seq) });
const FULL = new JournalError(ErrorCode.DATA_FULL, "full");

async function opened(state?: JournalState): Promise<{ disk: HandDisk; journal: Journal }> {
  const disk = new HandDisk(state);
  return { disk, journal: await groupedJournal(disk) };
}

test("[SEQ-7] what waits while a group is written becomes one group", async () => {
  const { disk, journal } = await opened();
  const first = journal.append(submitOf(1));
  await null;
  const later = [2, 3, 4, 5].map((seq) => journal.append(submitOf(seq)));
  later.push(journal.settle(3), journal.advance({ epoch: 1, seq: 8 }));
  await disk.finish();
  await first;
  await disk.finish();
  await Promise.all(later);
  assert.equal(disk.groups.length, 2);
  assert.deepEqual([...(disk.groups[1] as JournalGroup).puts.keys()], [4, 5]);
});

test("[SEQ-7] a promise resolves after its group is written and not before", async () => {
  const { disk, journal } = await opened();
  let resolved = false;
  const work = journal.append(submitOf(1)).then(() => {
    resolved = true;
  });
  for (let turn = 0; turn < 50; turn += 1) await null;
  assert.equal(disk.groups.length, 1);
  assert.equal(resolved, false);
  await disk.finish();
  await work;
  assert.equal(resolved, true);
});

test("[SEQ-7] [OPS-2] after a failed write all that waits or comes later is refused", async () => {
  const { disk, journal } = await opened();
  const kept = journal.append(submitOf(1));
  await disk.finish();
  await kept;
  const failing = [journal.append(submitOf(2)), journal.advance({ epoch: 1, seq: 1 })];
  await null;
  const waiting = [journal.append(submitOf(3)), journal.load(), journal.settle(2)];
  const outcomes = Promise.allSettled([...failing, ...waiting]);
  await disk.finish(FULL);
  for (const outcome of await outcomes) {
    assert.equal(outcome.status === "rejected" && outcome.reason, FULL);
  }
  const later = [
    () => journal.append(submitOf(4)),
    () => journal.append(submitOf(2)),
    () => journal.settle(0),
    () => journal.advance({ epoch: 1, seq: 2 }),
    () => journal.install(EMPTY_JOURNAL),
    () => journal.load(),
  ];
  for (const attempt of later) {
    await assert.rejects(attempt(), (error) => error === FULL, attempt.toString());
  }
  assert.equal(disk.groups.length, 2, "nothing is written after a failure");
  assert.deepEqual(disk.state, { ...EMPTY_JOURNAL, next: 2, pending: [submitOf(1)] });
  await journal.close();
  assert.equal(disk.closedCount, 1);
});

test("[OPS-2] a disk that holds no journal is DATA_DAMAGED, and is let go of", async () => {
  const submits = [submitOf(3), submitOf(4)];
  const state = { ...EMPTY_JOURNAL, resultsThrough: 2, next: 5, pending: submits };
  const damaged: JournalState[] = [
    { ...state, pending: submits.slice(1) },
    { ...state, pending: submits.slice(0, 1) },
    { ...state, pending: [...submits].reverse() },
    { ...state, pending: [...submits, submitOf(5)] },
    { ...state, next: Number.NaN },
    { ...state, outboxEpoch: -1 },
    { ...state, resultsThrough: 1.5 },
    { ...state, cursor: { epoch: 1, seq: 2 ** 53 } },
    { ...EMPTY_JOURNAL, next: 0 },
  ];
  for (const stored of damaged) {
    const disk = new HandDisk(stored);
    await assert.rejects(groupedJournal(disk), { code: ErrorCode.DATA_DAMAGED });
    assert.equal(disk.closedCount, 1);
  }
  const { journal } = await opened(state);
  assert.deepEqual(await journal.load(), state);
});

test("[SEQ-7] close waits for the group that is being written, then lets go once", async () => {
  const { disk, journal } = await opened();
  const work = journal.append(submitOf(1));
  const closing = [journal.close(), journal.close()];
  await disk.finish();
  await Promise.all([work, ...closing]);
  assert.equal(disk.closedCount, 1);
});
