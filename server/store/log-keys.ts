import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { ErasableKeys, type SlotKey } from "../../platform/erasable-keys.ts";
import type { Env } from "../../platform/lmdb-folder.ts";
import { GroupWrites } from "../../platform/lmdb-writes.ts";
import { bitOf, SlotSet } from "../../platform/slot-set.ts";
import { SLOTS_END, SLOTS_START, slotRangeOf, slotsKey } from "./keys.ts";

const KEY_BYTES = 32;
/** Keys that are on disk before anything needs them: one flush for so many records. */
const SPARES_MAX = 1024;
/** Slots of one record that says which are in use. */
const RANGE_SLOTS = 4096;

/**
 * The keys of log records: one for each, erased when something takes the record's place.
 *
 * Which slots are in use stands in bits beside the records and changes with them, so that opening
 * a store reads one bit for each record, and not the records. In memory a record costs that bit,
 * at most as much again, and 8 bytes once it was replaced and its slot is free; on disk 32 bytes.
 *
 * A key goes to one record of one group only. Were it to take in what comes later, the text of a
 * group that failed, or that a crash cut off, would stay readable in a free page under a key that
 * is in use, though that text was then sent again, and taken back.
 */
export class LogKeys {
  readonly #env: Env;
  readonly #keys: ErasableKeys;
  /** On disk, of nobody yet; the next one last. */
  #spares: SlotKey[] = [];
  /** To be erased: nothing that counts refers to them. */
  #due: number[] = [];
  /** Of groups of which nobody knows whether they are in force. */
  #doubtful: number[] = [];

  /** @throws LackingKeys when the file is not the one of this store, or of the file system */
  static async open(env: Env, folder: string): Promise<LogKeys> {
    const used = new SlotSet();
    for (const { key, value } of env.getRange({ start: SLOTS_START, end: SLOTS_END })) {
      used.setBits(slotRangeOf(key) * RANGE_SLOTS, value);
    }
    return new LogKeys(env, await ErasableKeys.open(join(folder, "log-keys"), used, "refused"));
  }

  private constructor(env: Env, keys: ErasableKeys) {
    this.#env = env;
    this.#keys = keys;
  }

  /** Whether something is left that has to be erased before anything else is answered. */
  get isSettled(): boolean {
    return this.#due.length === 0 && this.#doubtful.length === 0;
  }

  /** Keys that are on disk, the caller's to wipe. */
  async take(count: number): Promise<readonly SlotKey[]> {
    if (this.#spares.length < count) await this.#refill(Math.max(count, SPARES_MAX));
    return this.#spares.splice(this.#spares.length - count).reverse();
  }

  /** The key in a slot, the caller's to wipe; undefined where there is none. */
  read(slot: number): Buffer | undefined {
    return this.#keys.read(slot);
  }

  /** What says which slots are in use, for a group that begins to use some and leaves others. */
  *usedPuts(begun: readonly number[], left: readonly number[]) {
    const ranges = new Map<number, Buffer>();
    const byteOf = (slot: number) => {
      const range = Math.floor(slot / RANGE_SLOTS);
      const bits = ranges.get(range) ?? this.#usedIn(range);
      ranges.set(range, bits);
      return { bits, at: (slot % RANGE_SLOTS) >>> 3 };
    };
    for (const slot of begun) {
      const { bits, at } = byteOf(slot);
      bits[at] = (bits[at] as number) | bitOf(slot);
    }
    for (const slot of left) {
      const { bits, at } = byteOf(slot);
      bits[at] = (bits[at] as number) & ~bitOf(slot);
    }
    for (const [range, value] of ranges) yield { key: slotsKey(range), value };
  }

  /** A group is durable, and nothing of it refers to these. */
  leave(slots: readonly number[]): void {
    this.#due.push(...slots);
  }

  /**
   * A group that keys were taken for has failed.
   *
   * @param isUnwritten nothing of it went to LMDB, so nothing of it can be in force
   */
  abandon(slots: readonly number[], isUnwritten: boolean): void {
    if (isUnwritten) this.#due.push(...slots);
    else this.#doubtful.push(...slots);
  }

  /**
   * Resolves when the keys of what was replaced are zeros on disk.
   *
   * @throws when they are not: to be called again before anything is answered
   */
  async settle(mapBytes: number): Promise<void> {
    if (this.#doubtful.length > 0) await this.#decide(mapBytes);
    if (this.#due.length === 0) return;
    await this.#keys.erase(this.#due);
    // Only now: a record must not come to another one's key.
    this.#keys.release(this.#due);
    this.#due = [];
  }

  close(): void {
    this.#keys.close();
  }

  /** A group that is durable was built on the last one that was: none between is in force. */
  async #decide(mapBytes: number): Promise<void> {
    const writes = new GroupWrites(this.#env);
    writes.put(slotsKey(0), this.#usedIn(0));
    await writes.commit(mapBytes);
    this.#due.push(...this.#doubtful);
    this.#doubtful = [];
  }

  #usedIn(range: number): Buffer {
    return this.#env.getBinary(slotsKey(range)) ?? Buffer.alloc(RANGE_SLOTS / 8);
  }

  async #refill(count: number): Promise<void> {
    const addedCount = count - this.#spares.length;
    const bytes = randomBytes(addedCount * KEY_BYTES);
    const added = Array.from({ length: addedCount }, (_, index) => ({
      slot: this.#keys.reserve(),
      key: bytes.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES),
    }));
    try {
      await this.#keys.write(added);
    } catch (error) {
      this.#due.push(...added.map(({ slot }) => slot));
      throw error;
    }
    this.#spares = [...added.reverse(), ...this.#spares];
  }
}
