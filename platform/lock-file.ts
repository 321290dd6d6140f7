import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";

/** Somebody who is alive holds the lock. */
export class LockHeld extends Error {
  override readonly name = "LockHeld";
}

/**
 * Takes a lock that dies with its process: a file naming the holder by process id and start time,
 * so that neither `kill -9` nor a reused process id leaves it held.
 *
 * @returns how to let go
 * @throws LockHeld; or the file system's own error when the file cannot be made
 */
export function takeLock(path: string): () => void {
  const own = `${process.pid} ${startTime(process.pid)}\n`;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const file = openSync(path, "wx", 0o600);
      writeSync(file, own);
      closeSync(file);
      return () => unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (holderLives(path)) break;
    removeStale(path);
  }
  throw new LockHeld(`${path} is held by a living process`);
}

function holderLives(path: string): boolean {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return false;
  }
  const [pid = "", started = ""] = text.trim().split(" ");
  return startTime(Number(pid)) === started && started !== "";
}

function removeStale(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/**
 * When a process started, in ticks since boot (proc(5), field 22 of stat); "alive" where there is
 * no /proc; "" for no such process.
 */
function startTime(pid: number): string {
  if (!Number.isInteger(pid) || pid <= 0) return "";
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is a name in parentheses that may hold anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return process.platform === "linux" ? "" : aliveBySignal(pid);
  }
}

function aliveBySignal(pid: number): string {
  try {
    process.kill(pid, 0);
    return "alive";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "alive" : "";
  }
}
