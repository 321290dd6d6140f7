import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const KEY_BYTES = 32;
const NO_KEY: Buffer = Buffer.alloc(KEY_BYTES);

/** Every byte of every file of a folder, as it lies there. */
export class RawFolder {
  readonly files: ReadonlyMap<string, Buffer>;

  constructor(folder: string) {
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const paths = names.filter((name) => statSync(join(folder, name)).isFile());
    this.files = new Map(paths.map((name) => [name, readFileSync(join(folder, name))]));
  }

  /** What stands in the slots of a file of keys, by slot; zeros are no key. */
  keysIn(name: string): ReadonlyMap<number, Buffer> {
    const file = this.files.get(name) as Buffer;
    const slots = Array.from({ length: file.length / KEY_BYTES - 1 }, (_, slot) => slot);
    const keys = slots.map(
      (slot) => [slot, file.subarray((slot + 1) * KEY_BYTES, (slot + 2) * KEY_BYTES)] as const,
    );
    return new Map(keys.filter(([, key]) => !key.equals(NO_KEY)));
  }

  filesWith(bytes: Buffer | string): readonly string[] {
    return [...this.files].filter(([, file]) => file.includes(bytes)).map(([name]) => name);
  }
}
