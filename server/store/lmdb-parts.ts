import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { LackingKeys } from "../../platform/erasable-keys.ts";
import { type DataFolder, FolderError } from "../../platform/lmdb-folder.ts";
import { FRAME_BYTES_KEY } from "./keys.ts";
import { LmdbLogs } from "./lmdb-logs.ts";
import { LmdbPerishables } from "./lmdb-perishables.ts";
import { StoreError } from "./store.ts";

/** What of a store has files of keys beside it. */
export interface SealedParts {
  readonly perishables: LmdbPerishables;
  readonly logs: LmdbLogs;
}

/** @throws FolderError when a file of keys cannot be used */
export async function openSealed(opened: DataFolder, folder: string): Promise<SealedParts> {
  let logs: LmdbLogs | undefined;
  try {
    logs = await LmdbLogs.open(opened.env, folder);
    return { logs, perishables: await LmdbPerishables.open(opened.env, folder) };
  } catch (cause) {
    logs?.keys.close();
    await opened.close();
    const isLacking = cause instanceof LackingKeys;
    const code = isLacking ? ErrorCode.DATA_DAMAGED : ErrorCode.DATA_UNWRITABLE;
    const why = isLacking ? "lacks keys of its log" : "has a file of keys that cannot be used";
    throw new FolderError(code, `${folder} ${why}`, { cause });
  }
}

/** Remembers the largest frame size. @throws StoreError when it was larger once */
export async function keepFrameBytes(folder: DataFolder, frameBytes: number): Promise<void> {
  const stored = folder.env.getBinary(FRAME_BYTES_KEY)?.readUInt32BE() ?? 0;
  if (stored > frameBytes && frameBytes > 0) {
    await folder.close();
    const why = `limits.frameBytes is ${frameBytes}, and events were taken for ${stored} before`;
    throw new StoreError(ErrorCode.CONFIG_INVALID, why);
  }
  if (stored >= frameBytes) return;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(frameBytes);
  await folder.env.put(FRAME_BYTES_KEY, bytes);
}
