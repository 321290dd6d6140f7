import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { crc32 } from "../../protocol/crc32.ts";
import { assert } from "../../protocol/violation.ts";
import { messageRetention } from "../../server/operations/lifetimes.ts";
import {
  decodeOperation,
  type OperationRules,
  planOperations,
  readsOf,
  type Sender,
} from "../../server/operations/plan.ts";
import { LmdbStore } from "../../server/store/lmdb.ts";
import { MemoryDisk, MemoryStore } from "../../server/store/memory.ts";
import type { Plan } from "../../server/store/plans.ts";
import {
  type CommitOutcome,
  type LogRef,
  type PlannedSubmit,
  type Replanning,
  type Store,
  type SubmitOutcome,
  userRefOf,
} from "../../server/store/store.ts";
import type { ModelLimits } from "./model-state.ts";

export const TENANT = "t";
export const USERS = ["ann", "ben", "cyd", "dan", "eve", "fay", "gus"] as const;
/** Has never been here. */
export const NOBODY = "nil";
export const DEVICES: readonly Sender[] = USERS.flatMap((userId) =>
  [1, 2].map((number) => ({ tenant: TENANT, userId, deviceId: `${userId}${number}` })),
);
/** So low that a history comes to both sides of each. */
export const LIMITS: ModelLimits = {
  fanOut: 3,
  receipts: 2,
  members: 6,
  conversations: 6,
  recallMs: 1_000,
  keptMs: 15_000,
  textBytes: 64,
  blocks: 2,
  profileTold: 2,
  contacts: 2,
};
export const RULES: OperationRules = {
  contentBytes: LIMITS.textBytes,
  frameBytes: 262_144,
  crypto: NATIVE_CRYPTO,
  conversations: {
    fanOutMembersMax: LIMITS.fanOut,
    receiptMembersMax: LIMITS.receipts,
    membersMax: LIMITS.members,
    conversationsMax: LIMITS.conversations,
    recallWindowMs: LIMITS.recallMs,
  },
  users: {
    contactsMax: LIMITS.contacts,
    blocksMax: LIMITS.blocks,
    profileToldMax: LIMITS.profileTold,
  },
};
const START_MS = 1_800_000_000_000;
const MAP_BYTES = 16 * 1024 * 1024;

/** What a device has submitted and the store has not decided yet. */
export interface Underway {
  readonly device: number;
  readonly operations: readonly Uint8Array[];
  readonly plannedMs: number;
  /** How many commits there had been when it was planned. */
  readonly commits: number;
  readonly submits: readonly PlannedSubmit[];
}

interface Attached {
  readonly generation: number;
  readonly outboxEpoch: number;
  next: number;
}

/** The path that an operation really takes, from its bytes to the store, without links. */
export class Bench {
  nowMs = START_MS;
  /** Commits that took effect. */
  commits = 0;
  readonly disk: MemoryDisk = new MemoryDisk();
  store: Store;
  readonly #attached: Attached[] = [];
  readonly #folder: string | undefined;

  /** @param root where the folders of stores on a disk are; in memory without one */
  static async start(root?: string): Promise<Bench> {
    const folder = root === undefined ? undefined : await mkdtemp(join(root, "case-"));
    const bench = new Bench(folder);
    await bench.reopen();
    for (const { tenant, userId, deviceId } of DEVICES) {
      const device = { user: userRefOf(tenant, userId), deviceId };
      const outbox = { epoch: 0, resultsThrough: 0, next: 1 };
      const cursor = { epoch: 0, seq: 0, start: "earliest" as const };
      const prepared = await bench.store.prepare({ device, outbox, cursor });
      assert(prepared.kind === "prepared", "a device is taken");
      const { attachment } = prepared;
      const { generation } = await bench.store.attach({ device, attachment });
      bench.#attached.push({ generation, outboxEpoch: attachment.outbox.epoch, next: 1 });
    }
    return bench;
  }

  private constructor(folder: string | undefined) {
    this.#folder = folder;
    let ids = 0;
    const newId = () => {
      ids += 1;
      return ids;
    };
    this.store = new MemoryStore({
      nowMs: () => this.nowMs,
      newSessionId: () => new Uint8Array(16).fill(newId()),
      newTimelineEpoch: newId,
      disk: this.disk,
      retention: messageRetention(LIMITS.keptMs),
    });
  }

  /** Where the store keeps its files. */
  get folder(): string | undefined {
    return this.#folder;
  }

  async reopen(): Promise<void> {
    if (this.#folder === undefined) return;
    await this.store.close();
    this.store = await LmdbStore.open({
      folder: this.#folder,
      mapBytes: MAP_BYTES,
      timelineEventsMax: 1_000_000,
      retention: messageRetention(LIMITS.keptMs),
      nowMs: () => this.nowMs,
    });
  }

  /** Until there is nothing left to erase: a store does some of it each time. */
  async sweep(logs: readonly LogRef[]): Promise<void> {
    const floors = async () => {
      const state = await this.store.loadForPlanning({ users: [], heads: logs });
      return [...(state.floors ?? [])].join();
    };
    for (let before = ""; ; ) {
      await this.store.sweep();
      const after = await floors();
      if (after === before) return;
      before = after;
    }
  }

  async stop(): Promise<void> {
    await this.store.close();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }

  /** Decodes, reads and plans, as of now. */
  async plan(device: number, operations: readonly Uint8Array[]): Promise<Underway> {
    const sender = DEVICES[device] as Sender;
    const decoded = operations.map(decodeOperation);
    const state = await this.store.loadForPlanning(readsOf(decoded, sender, RULES));
    const plans = planOperations(decoded, sender, state, RULES);
    const { next } = this.#attached[device] as Attached;
    const submits = plans.map((plan, index) => {
      const digest = crc32(operations[index] as Uint8Array);
      return { seq: next + index, digest, plan };
    });
    return { device, operations, plannedMs: this.nowMs, commits: this.commits, submits };
  }

  /** @returns the results, in order; undefined: plan again */
  async commit({ device, submits }: Underway): Promise<readonly SubmitOutcome[] | undefined> {
    return this.#committed(device, submits, await this.#commit(device, submits));
  }

  #committed(device: number, submits: readonly PlannedSubmit[], outcome: CommitOutcome) {
    if (outcome.kind === "stale") return undefined;
    assert(outcome.kind === "committed", `a batch is ${outcome.kind}`);
    this.commits += 1;
    (this.#attached[device] as Attached).next += submits.length;
    const { results } = outcome.receipt;
    assert(results.length === submits.length, "each submit has a result");
    return results;
  }

  /**
   * The same, planned anew within the commit where it has to be: never stale. [CNV-88]
   *
   * @returns `isAnew`: it was planned as of the commit
   */
  async commitWithin(underway: Underway) {
    const { device, operations, submits } = underway;
    const sender = DEVICES[device] as Sender;
    const decoded = operations.map(decodeOperation);
    let isAnew = false;
    const replanning: Replanning = {
      reads: readsOf(decoded, sender, RULES),
      plan: (state, fresh) => {
        isAnew = true;
        const plans = planOperations(decoded.slice(-fresh.length), sender, state, RULES);
        return fresh.map((submit, index) => ({ ...submit, plan: plans[index] as Plan }));
      },
    };
    const results = this.#committed(
      device,
      submits,
      await this.#commit(device, submits, replanning),
    );
    assert(results !== undefined, "what plans anew within the commit is never stale [CNV-88]");
    return { results, isAnew };
  }

  /** Submits once more what was committed already, perhaps planned anew. [SEQ-4] */
  async repeat({ device, submits }: Underway): Promise<readonly SubmitOutcome[]> {
    const outcome = await this.#commit(device, submits);
    assert(outcome.kind === "committed", `a repeat is ${outcome.kind}`);
    return outcome.receipt.results.slice(0, submits.length);
  }

  #commit(
    index: number,
    submits: readonly PlannedSubmit[],
    replanning?: Replanning,
  ): Promise<CommitOutcome> {
    const { tenant, userId, deviceId } = DEVICES[index] as Sender;
    const { generation, outboxEpoch } = this.#attached[index] as Attached;
    const device = { user: userRefOf(tenant, userId), deviceId };
    return this.store.commit({ device, generation, outboxEpoch, submits, replanning });
  }
}

/** A folder for the stores of many cases. */
export function benchRoot(): Promise<string> {
  return mkdtemp(join(tmpdir(), "posthorn-fuzz-"));
}
