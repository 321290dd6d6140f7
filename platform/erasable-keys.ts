import {
  closeSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { syncNames } from "./folder-names.ts";
import type { SlotSet } from "./slot-set.ts";

const KEY_BYTES = 32;
const HEADER: Buffer = Buffer.alloc(KEY_BYTES, "posthorn erasable keys 1\n".padEnd(KEY_BYTES, "."));
const NO_KEY: Buffer = Buffer.alloc(KEY_BYTES);
const flush = promisify(fdatasync);

/** A key and where it stands. */
export interface SlotKey {
  readonly slot: number;
  readonly key: Uint8Array;
}

/** The file of keys is not the one that belongs to what refers to it. */
export class LackingKeys extends Error {
  override readonly name = "LackingKeys";
}

/**
 * A file of keys, each in a slot of its own, which are erased by writing zeros over them in place:
 * what a copy-on-write store was given under such a key is then bytes without meaning, in whatever
 * free page they lie.
 *
 * What the medium below keeps is out of reach: see chapter 14.
 */
export class ErasableKeys {
  readonly #file: number;
  /** With 8 bytes for each slot that is free, all that a slot costs in memory: one bit. */
  readonly #used: SlotSet;
  #free: number[] = [];
  #end: number;

  /**
   * Opens the file, making it when it is not there, and erases every key that nothing refers to.
   *
   * @param referred taken over: not to be changed by others
   * @param lacking "erased": a key that is not there was erased; "refused": a file that ends
   *   before the last key that is referred to is left as it is
   * @throws LackingKeys, or of the file system
   */
  static async open(
    path: string,
    referred: SlotSet,
    lacking: "erased" | "refused",
  ): Promise<ErasableKeys> {
    const file = openSync(path, "a+", 0o600);
    const isWhole = slotCountOf(file) >= 0 && fstatSync(file).size >= placeOf(referred.last + 1);
    closeSync(file);
    if (lacking === "refused" && referred.last >= 0 && !isWhole)
      throw new LackingKeys(`${path} lacks keys`);
    const keys = new ErasableKeys(openSync(path, "r+"), referred);
    try {
      await keys.#eraseUnused();
      syncNames(dirname(path));
    } catch (error) {
      keys.close();
      throw error;
    }
    return keys;
  }

  private constructor(file: number, used: SlotSet) {
    this.#file = file;
    this.#used = used;
    // A file that is not one of ours holds no keys of ours, and what referred to them is erased.
    const slotCount = slotCountOf(file);
    if (slotCount < 0) {
      ftruncateSync(file);
      writeSync(file, HEADER, 0, KEY_BYTES, 0);
    }
    // What refers to a slot keeps it until it is released, though a file that was restored ends
    // before it.
    this.#end = Math.max(slotCount, used.last + 1, 0);
  }

  /** The key in a slot; undefined where it was erased. The copy is the caller's to wipe. */
  read(slot: number): Buffer | undefined {
    const key = this.#bytesIn(slot);
    return key.equals(NO_KEY) ? undefined : key;
  }

  /** Of a slot that was written in part, that part. */
  #bytesIn(slot: number): Buffer {
    const bytes = Buffer.alloc(KEY_BYTES);
    readSync(this.#file, bytes, 0, KEY_BYTES, placeOf(slot));
    return bytes;
  }

  /** A slot for a new key: it is nobody else's until it is released. */
  reserve(): number {
    const slot = this.#free.pop() ?? this.#end;
    this.#end = Math.max(this.#end, slot + 1);
    if (this.#used.has(slot)) throw new Error("a slot is free and used");
    this.#used.add(slot);
    return slot;
  }

  /** Resolves when the keys are on disk. */
  async write(keys: readonly SlotKey[]): Promise<void> {
    for (const { slot, bytes } of runsOf(keys)) {
      const written = writeSync(this.#file, bytes, 0, bytes.length, placeOf(slot));
      bytes.fill(0);
      if (written !== bytes.length) throw new Error("a key was written in part");
    }
    if (keys.length > 0) await flush(this.#file);
  }

  /** Resolves when the keys are zeros on disk. */
  async erase(slots: readonly number[]): Promise<void> {
    const { size } = fstatSync(this.#file);
    // What was never written needs no room: the disk may be full.
    const written = slots.filter((slot) => placeOf(slot) < size);
    await this.write(written.map((slot) => ({ slot, key: NO_KEY })));
  }

  /** Nothing refers to these any more, and they are erased. One that is free already stays so. */
  release(slots: readonly number[]): void {
    for (const slot of slots) if (this.#used.delete(slot)) this.#free.push(slot);
  }

  close(): void {
    closeSync(this.#file);
  }

  async #eraseUnused(): Promise<void> {
    const unreferred: number[] = [];
    for (let slot = this.#end - 1; slot >= 0; slot -= 1) {
      if (this.#used.has(slot)) continue;
      this.#free.push(slot);
      const key = this.read(slot);
      if (key !== undefined) unreferred.push(slot);
      key?.fill(0);
    }
    await this.erase(unreferred);
    // Without a slot to erase, the header of a new file is not on disk yet.
    await flush(this.#file);
  }
}

/** Keys of slots that follow each other, to be written at once. */
function* runsOf(keys: readonly SlotKey[]): Generator<{ slot: number; bytes: Buffer }> {
  for (let from = 0; from < keys.length; ) {
    const { slot } = keys[from] as SlotKey;
    let end = from + 1;
    while (end < keys.length && keys[end]?.slot === slot + end - from) end += 1;
    yield { slot, bytes: Buffer.concat(keys.slice(from, end).map(({ key }) => key)) };
    from = end;
  }
}

/** How many slots a file has, also of one that was written in part; -1: it is not one of ours. */
function slotCountOf(file: number): number {
  const head = Buffer.alloc(KEY_BYTES);
  readSync(file, head, 0, KEY_BYTES, 0);
  if (!head.equals(HEADER)) return -1;
  return Math.ceil(fstatSync(file).size / KEY_BYTES) - 1;
}

function placeOf(slot: number): number {
  return (slot + 1) * KEY_BYTES;
}
