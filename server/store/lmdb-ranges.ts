import type { Env } from "../../platform/lmdb-folder.ts";
import { firstSeqOf } from "./keys.ts";

export interface FoundRecord {
  readonly firstSeq: number;
  readonly value: Buffer;
}

/** The last record with a key from `first` up to and including `last`. */
export function lastRecord(env: Env, first: Buffer, last: Buffer): FoundRecord | undefined {
  for (const { key, value } of env.getRange({ start: last, end: first, reverse: true, limit: 1 })) {
    return { firstSeq: firstSeqOf(key), value: value as Buffer };
  }
  return undefined;
}

/** Records with keys of a range, in order or against it. */
export function* recordsFrom(
  env: Env,
  { start, end }: { readonly start: Buffer; readonly end: Buffer },
  reverse: boolean,
): Generator<FoundRecord> {
  // Backwards, the end is the first key that is read, and would be in it.
  const range = reverse ? { start: end, end: start, reverse } : { start, end };
  for (const { key, value } of env.getRange(range)) {
    if (reverse && (key as Buffer).equals(end)) continue;
    yield { firstSeq: firstSeqOf(key), value: value as Buffer };
  }
  if (!reverse) return;
  const last = env.getBinary(start);
  if (last !== undefined) yield { firstSeq: firstSeqOf(start), value: last };
}
