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

const KEY_BYTES = 32;
const HEADER: Buffer = Buffer.alloc(KEY_BYTES, "posthorn erasable keys 1\n".padEnd(KEY_BYTES, "."));
const NO_KEY: Buffer = Buffer.alloc(KEY_BYTES);
const flush = promisify(fdatasync);

/** A key and where it stands. */
export interface SlotKey {
  readonly slot: number;
  readonly key: Uint8Array;
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
  readonly #used: Set<number>;
  #free: number[] = [];
  #end: number;

  /**
   * Opens the file, making it when it is not there, and erases every key that nothing refers to.
   *
   * @throws of the file system
   */
  static async open(path: string, referred: ReadonlySet<number>): Promise<ErasableKeys> {
    const file = openSync(path, "a+", 0o600);
    closeSync(file);
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

  private constructor(file: number, referred: ReadonlySet<number>) {
    this.#file = file;
    this.#used = new Set(referred);
    const head = Buffer.alloc(KEY_BYTES);
    const size = fstatSync(file).size;
    readSync(file, head, 0, KEY_BYTES, 0);
    // A file that is not one of ours holds no keys of ours, and what referred to them is erased.
    const isOurs = size >= KEY_BYTES && head.equals(HEADER);
    if (!isOurs) {
      ftruncateSync(file);
      writeSync(file, HEADER, 0, KEY_BYTES, 0);
    }
    // What refers to a slot keeps it until it is released, though a file that was restored ends
    // before it.
    let end = isOurs ? Math.ceil(size / KEY_BYTES) - 1 : 0;
    for (const slot of referred) end = Math.max(end, slot + 1);
    this.#end = end;
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
    for (const { slot, key } of keys) {
      const written = writeSync(this.#file, key, 0, KEY_BYTES, placeOf(slot));
      if (written !== KEY_BYTES) throw new Error("a key was written in part");
    }
    if (keys.length > 0) await flush(this.#file);
  }

  /** Resolves when the keys are zeros on disk. */
  async erase(slots: readonly number[]): Promise<void> {
    await this.write(slots.map((slot) => ({ slot, key: NO_KEY })));
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

function placeOf(slot: number): number {
  return (slot + 1) * KEY_BYTES;
}
