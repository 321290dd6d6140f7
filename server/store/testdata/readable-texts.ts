import { createCipheriv } from "node:crypto";
import { encodeLog } from "../records.ts";
import type { RawFolder } from "./raw-folder.ts";
import { MARKER, NOW_MS, TEXT_LENGTH } from "./replacing-store.ts";

/** What every record of one text begins with, before it is sealed. */
const PREFIX = (() => {
  const record = encodeLog({ committedMs: NOW_MS, events: [{ event: Buffer.alloc(TEXT_LENGTH) }] });
  return Buffer.concat([record.subarray(0, record.length - TEXT_LENGTH), Buffer.from(MARKER)]);
})();
const REST_BYTES = 24;

/** Which texts, as "entry-version", some keys give back from the bytes on a disk. */
export function readable({ files }: RawFolder, keys: Iterable<Buffer>): readonly string[] {
  const found = new Set<string>();
  for (const key of keys) {
    const cipher = createCipheriv("aes-256-gcm", key, Buffer.alloc(12));
    const stream = cipher.update(Buffer.alloc(PREFIX.length + REST_BYTES));
    const begins = Buffer.from(PREFIX.map((byte, at) => byte ^ (stream[at] as number)));
    for (const file of files.values()) {
      for (let at = file.indexOf(begins); at >= 0; at = file.indexOf(begins, at + 1)) {
        const rest = file.subarray(at + PREFIX.length, at + PREFIX.length + REST_BYTES);
        const text = rest.map((byte, index) => byte ^ (stream[PREFIX.length + index] as number));
        found.add(Buffer.from(text).toString("latin1").split("-").slice(0, 2).join("-"));
      }
    }
  }
  return [...found].sort();
}

/** The keys of logs that are on a disk. */
export const keysOf = (disk: RawFolder) => [...disk.keysIn("log-keys").values()];
