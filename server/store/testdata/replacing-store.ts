import { attach, prepareRequest } from "../contract.ts";
import { LmdbStore } from "../lmdb.ts";
import { NO_RETENTION } from "../log-retention.ts";
import type { Plan } from "../plans.ts";
import { logRefOf, type Receipt, userRefOf } from "../store.ts";

export const ALICE = userRefOf("", "alice");
export const LOG = logRefOf("", "g:1");
/** All that is committed has this time. */
export const NOW_MS = 1_000;
export const LIMITS = { mapBytes: 64 * 1024 * 1024, timelineEventsMax: 1_000_000 };
export const MARKER = "PLAINTEXT-MARKER-";
export const TEXT_LENGTH = 1_600;
const PAGE = { count: 1e6, bytes: 1e9 };

/** What an entry of the log is in one of its versions: long, so that it has pages of its own. */
export function textOf(seq: number, version: number): string {
  return `${MARKER}${seq}-${version}-`.padEnd(TEXT_LENGTH, "x");
}

/** A store with one device, which adds entries to a log and replaces them. */
export class ReplacingStore {
  readonly store: LmdbStore;
  readonly #generation: number;
  readonly #epoch: number;
  #through: number;

  static async open(
    folder: string,
    nowMs = () => NOW_MS,
    retention = NO_RETENTION,
  ): Promise<ReplacingStore> {
    const store = await LmdbStore.open({ folder, nowMs, retention, ...LIMITS });
    const device = { user: ALICE, deviceId: "phone" };
    const known = (await store.loadForPlanning({ users: [ALICE] })).knownUsers.size > 0;
    const outbox = { epoch: known ? 1 : 0, resultsThrough: 0, next: known ? 1_000_000 : 1 };
    const attachment = await attach(store, prepareRequest(device, { outbox }));
    return new ReplacingStore(store, attachment.generation, attachment.outbox);
  }

  private constructor(
    store: LmdbStore,
    generation: number,
    outbox: { readonly epoch: number; readonly through: number },
  ) {
    this.store = store;
    this.#generation = generation;
    this.#epoch = outbox.epoch;
    this.#through = outbox.through;
  }

  /** Adds the first versions of entries, each as a record of its own. */
  async add(count: number): Promise<void> {
    const { head } = await this.store.loadLog(LOG, { from: 1, through: 1 }, PAGE);
    for (let seq = head + 1; seq <= head + count; seq += 1) {
      const event = Buffer.from(textOf(seq, 0));
      await this.commit({ kind: "append", log: LOG, event, timelines: [ALICE] });
    }
  }

  /** Adds the first version of an entry that expires so long after all others were committed. */
  async addExpiring(seq: number, afterMs: number): Promise<void> {
    const event = Buffer.from(textOf(seq, 0));
    const expiresMs = NOW_MS + afterMs;
    const expiry = { expiresMs, event: Buffer.from(`EXPIRED-${seq}`), marks: [], clears: [] };
    await this.commit({ kind: "append", log: LOG, event, expiry, timelines: [ALICE] });
  }

  replacement(seq: number, from: number, to: number): Plan {
    const content = (version: number) => ({
      log: LOG,
      seq,
      event: Buffer.from(textOf(seq, version)),
    });
    return {
      kind: "append",
      // Entries that replace are in a log of their own: so all of this one have texts.
      log: logRefOf("", "g:2"),
      event: Buffer.from("replaces"),
      timelines: [],
      requiresEntries: [content(from)],
      replaces: [content(to)],
    };
  }

  async commit(plan: Plan): Promise<Receipt> {
    const receipt = await this.resubmit(plan, this.#through + 1);
    this.#through += 1;
    return receipt;
  }

  /** Under a number that may have been used. */
  async resubmit(plan: Plan, seq: number): Promise<Receipt> {
    const device = { user: ALICE, deviceId: "phone" };
    const position = { device, generation: this.#generation, outboxEpoch: this.#epoch };
    const batch = { ...position, submits: [{ seq, digest: 7, plan }] };
    const outcome = await this.store.commit(batch);
    if (outcome.kind !== "committed") throw new Error(outcome.kind);
    await this.store.advance({ ...position, deliveredThrough: 0, resultsThrough: seq - 1 });
    return outcome.receipt;
  }

  /** The log's texts, without what fills them. */
  async texts(): Promise<readonly string[]> {
    const { entries } = await this.store.loadLog(LOG, { from: 1, through: 1e6 }, PAGE);
    return entries.map(({ event }) => Buffer.from(event).toString());
  }
}
