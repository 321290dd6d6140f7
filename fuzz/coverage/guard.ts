import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { newNote, readNote } from "./note.ts";
import type { SearchReport, SearchTask } from "./worker.ts";

const INPUT_BYTES_MAX = 1 << 20;
const LOOK_MS = 1_000;

export interface GuardOptions extends Omit<SearchTask, "note"> {
  /** One input takes longer than this: it hangs. */
  readonly hangMs: number;
  /** One input needs more memory than this: it takes all there is. */
  readonly heapMib: number;
  readonly progress?: (report: SearchReport) => void;
}

/**
 * Searches in a thread of its own, and finds the input that makes it hang or run out of memory.
 *
 * @throws Error when the thread ends of itself, before any input
 */
export async function guardedSearch(options: GuardOptions): Promise<SearchReport> {
  const { hangMs, heapMib, progress, ...asked } = options;
  const note = newNote(INPUT_BYTES_MAX);
  const worker = new Worker(join(import.meta.dirname, "worker.ts"), {
    workerData: { ...asked, note } satisfies SearchTask,
    resourceLimits: { maxOldGenerationSizeMb: heapMib },
  });
  let last: SearchReport = { isOver: false, runCount: 0, blockCount: 0, ms: 0, corpus: [] };
  let watch: NodeJS.Timeout | undefined;
  try {
    return await new Promise<SearchReport>((resolve, reject) => {
      const failed = (error: string) => {
        const { count, input } = readNote(note);
        if (count === 0) return reject(new Error(error));
        resolve({ ...last, isOver: true, runCount: count, failure: { input, error } });
      };
      worker.on("message", (report: SearchReport) => {
        last = report;
        if (report.isOver) resolve(report);
        else progress?.(report);
      });
      worker.once("error", (error) => failed(String(error.stack ?? error)));
      worker.once("exit", (code) => failed(`the thread ended with ${code}`));
      watch = watchNote(note, hangMs, () => failed(`no end within ${hangMs} ms`));
    });
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}

/** Calls once when the same input is there for too long. Before the first, all is being loaded. */
function watchNote(note: SharedArrayBuffer, hangMs: number, hung: () => void): NodeJS.Timeout {
  let seen = 0;
  let sinceMs = performance.now();
  const watch = setInterval(
    () => {
      const { count } = readNote(note);
      const isSame = count === seen && count > 0;
      if (!isSame) {
        seen = count;
        sinceMs = performance.now();
      } else if (performance.now() - sinceMs >= hangMs) {
        clearInterval(watch);
        hung();
      }
    },
    Math.min(LOOK_MS, hangMs / 4),
  );
  return watch;
}
