import { closeSync, fsyncSync, openSync } from "node:fs";

/** New files survive a power cut once the folder that names them is flushed (fsync(2)). */
export function syncNames(folder: string): void {
  // Windows flushes names with files, and cannot open a folder.
  if (process.platform === "win32") return;
  const names = openSync(folder, "r");
  try {
    fsyncSync(names);
  } finally {
    closeSync(names);
  }
}
