import { createSecretKey, randomBytes } from "node:crypto";
import { join } from "node:path";
import { ErasableKeys, type SlotKey } from "../../platform/erasable-keys.ts";
import type { Env } from "../../platform/lmdb-folder.ts";
import { GroupWrites } from "../../platform/lmdb-writes.ts";
import { SlotSet } from "../../platform/slot-set.ts";
import { firstSeqOf, PERISHABLES_END, PERISHABLES_START, perishableKey, userOf } from "./keys.ts";
import {
  entryOf,
  type NumberedPerishable,
  type PerishableEntry,
  Perishables,
} from "./perishables.ts";
import { decodePerishable, encodePerishable } from "./records.ts";
import { openSealed, sealOnce } from "./sealing.ts";
import type { DeviceRef } from "./store.ts";

export interface LmdbPerishable extends PerishableEntry {
  /** Where its key stands. */
  readonly slot: number;
}

/** Content of a group that is to be written: sealed, its keys on disk. */
export interface SealedPerishables {
  readonly entries: readonly LmdbPerishable[];
  readonly puts: readonly { readonly key: Buffer; readonly value: Uint8Array }[];
}

/**
 * Perishable content in LMDB, whose freed pages keep what was removed: each is sealed under a key
 * of its own, which stands in a file that is written over in place. Erasing is to write zeros over
 * the key; the record is removed after that.
 *
 * A key is on disk before the record that needs it: a crash in between leaves a key that nothing
 * refers to, erased at the next start. A crash between erasing and removing leaves a record without
 * a key, removed then.
 */
export class LmdbPerishables {
  readonly index = new Perishables<LmdbPerishable>();
  readonly #env: Env;
  readonly #keys: ErasableKeys;
  #sweeping: Promise<void> | undefined;

  static async open(env: Env, folder: string): Promise<LmdbPerishables> {
    const entries = [...readEntries(env)];
    const slots = new SlotSet();
    for (const { slot } of entries) slots.add(slot);
    const keys = await ErasableKeys.open(join(folder, "perishable-keys"), slots, "erased");
    return new LmdbPerishables(env, keys, entries);
  }

  private constructor(env: Env, keys: ErasableKeys, entries: readonly LmdbPerishable[]) {
    this.#env = env;
    this.#keys = keys;
    for (const entry of entries) this.index.add(entry);
    this.index.condemn(entries.filter(({ slot }) => !hasKey(keys, slot)));
  }

  /** What devices had read when the store was last open, and was not erased then. */
  condemnRead(deliveredThrough: (device: DeviceRef) => number): void {
    this.index.condemn(this.index.all.filter((entry) => entry.seq <= deliveredThrough(entry)));
  }

  /** Seals a group's content. Resolves when the keys are on disk. */
  async seal(contents: readonly NumberedPerishable[]): Promise<SealedPerishables> {
    const entries: LmdbPerishable[] = [];
    const slotKeys: SlotKey[] = [];
    const puts = contents.map((numbered) => {
      const entry = { ...entryOf(numbered), slot: this.#keys.reserve() };
      const key = randomBytes(32);
      const place = perishableKey(entry.user, entry.seq);
      const sealed = sealOnce(createSecretKey(key), place, numbered.content.event);
      entries.push(entry);
      slotKeys.push({ slot: entry.slot, key });
      return { key: place, value: encodePerishable({ ...entry, sealed }) };
    });
    try {
      await this.#keys.write(slotKeys);
    } catch (error) {
      await this.abandon({ entries, puts });
      throw error;
    } finally {
      for (const { key } of slotKeys) key.fill(0);
    }
    return { entries, puts };
  }

  /** The group did not become durable. A slot that cannot be erased is not used again. */
  async abandon({ entries }: SealedPerishables): Promise<void> {
    const slots = entries.map(({ slot }) => slot);
    await this.#keys.erase(slots).then(
      () => this.#keys.release(slots),
      () => {},
    );
  }

  /** How the content for a device is found by its number; undefined where none waits. */
  contentFor(
    device: DeviceRef,
    nowMs: number,
  ): ((seq: number) => Uint8Array | undefined) | undefined {
    const entryAt = this.index.readerOf(device, nowMs);
    if (entryAt === undefined) return undefined;
    return (seq) => {
      const entry = entryAt(seq);
      return entry && this.#open(entry);
    };
  }

  /** Erases what is not to be read any more. Resolves when its keys are zeros on disk. */
  async sweep(nowMs: number, mapBytes: number): Promise<void> {
    this.index.condemnExpired(nowMs);
    while (this.#sweeping !== undefined) await this.#sweeping.catch(() => {});
    const { dying } = this.index;
    if (dying.length === 0) return;
    this.#sweeping = this.#erase(dying, mapBytes).finally(() => {
      this.#sweeping = undefined;
    });
    await this.#sweeping;
  }

  async close(): Promise<void> {
    await this.#sweeping?.catch(() => {});
    this.#keys.close();
  }

  async #erase(dying: readonly LmdbPerishable[], mapBytes: number): Promise<void> {
    const slots = dying.map(({ slot }) => slot);
    await this.#keys.erase(slots);
    const writes = new GroupWrites(this.#env);
    for (const { user, seq } of dying) writes.remove(perishableKey(user, seq));
    await writes.commit(mapBytes);
    // Only now: a record must not come to another one's key.
    this.#keys.release(slots);
    this.index.erased(dying);
  }

  #open({ user, seq, slot }: LmdbPerishable): Uint8Array | undefined {
    const place = perishableKey(user, seq);
    const stored = this.#env.getBinary(place);
    const key = this.#keys.read(slot);
    if (stored === undefined || key === undefined) return undefined;
    try {
      return openSealed(createSecretKey(key), place, decodePerishable(stored).sealed);
    } catch {
      // A key that is not the record's: as good as erased.
      return undefined;
    } finally {
      key.fill(0);
    }
  }
}

function* readEntries(env: Env): Generator<LmdbPerishable> {
  const range = { start: PERISHABLES_START, end: PERISHABLES_END };
  for (const { key, value } of env.getRange(range)) {
    const place = key as unknown as Buffer;
    const { sealed: _, ...record } = decodePerishable(value);
    yield { ...record, user: userOf(place), seq: firstSeqOf(place) };
  }
}

function hasKey(keys: ErasableKeys, slot: number): boolean {
  const key = keys.read(slot);
  key?.fill(0);
  return key !== undefined;
}
