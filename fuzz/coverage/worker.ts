import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { parentPort, workerData } from "node:worker_threads";
import { BlockCoverage } from "./block-coverage.ts";
import type { Target } from "./targets.ts";

/** What one thread is asked to do. */
export interface SearchTask {
  readonly target: string;
  /** The module that has the table of targets. */
  readonly table: string;
  readonly corpus: readonly Uint8Array[];
  readonly seed: number;
  /** Either bound, whichever comes first. */
  readonly runs: number;
  readonly seconds: number;
  readonly isBlind: boolean;
  /** Makes the corpus small at the end. */
  readonly isDistilled: boolean;
  /** Where the thread notes the input that it tries. */
  readonly note: SharedArrayBuffer;
}

/** A message of the thread; the last one has `isOver`. */
export interface SearchReport {
  readonly isOver: boolean;
  readonly runCount: number;
  readonly blockCount: number;
  readonly ms: number;
  readonly corpus: readonly Uint8Array[];
  readonly failure?: { readonly input: Uint8Array; readonly error: string };
}

const ROOT = join(import.meta.dirname, "../..");

async function work(task: SearchTask, report: (report: SearchReport) => void): Promise<void> {
  const coverage = new BlockCoverage();
  // Only now: V8 counts no blocks of what was compiled before.
  const { TARGETS } = (await import(task.table)) as { TARGETS: readonly Target[] };
  const { search } = await import("./search.ts");
  const { distil } = await import("./distil.ts");
  const { noteInput } = await import("./note.ts");
  const target = TARGETS.find(({ name }) => name === task.target);
  if (target === undefined) throw new TypeError(`no target ${task.target}`);
  const urls = target.sources.map((source) => pathToFileURL(join(ROOT, source)).href);
  coverage.watch((url) => urls.some((start) => url.startsWith(start)));
  const { fuzz } = await target.load();
  const words = await target.words();
  coverage.reset();
  const startedMs = performance.now();
  const state = (runCount: number, corpus: readonly Uint8Array[]) => ({
    runCount,
    blockCount: coverage.blockCount,
    ms: performance.now() - startedMs,
    corpus,
  });
  const tried = (input: Uint8Array) => {
    noteInput(task.note, input);
    return fuzz(input);
  };
  const outcome = await search(
    {
      fuzz: tried,
      dictionary: words,
      bytesMax: target.bytesMax,
      corpus: task.corpus,
      seed: task.seed,
      isBlind: task.isBlind,
      goesOn: (runCount) =>
        runCount < task.runs && performance.now() - startedMs < task.seconds * 1000,
      found: ({ runCount }) => report({ isOver: false, ...state(runCount, []) }),
    },
    coverage,
  );
  const over = { isOver: true, ...state(outcome.runCount, outcome.corpus) };
  const { failure } = outcome;
  if (failure !== undefined) {
    const { input, error } = failure;
    report({ ...over, failure: { input, error: textOf(error) } });
  } else if (task.isDistilled) {
    report({ ...over, corpus: await distil(outcome.corpus, tried, coverage) });
  } else {
    report(over);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? String(error.stack) : inspect(error);
}

if (parentPort !== null) {
  const port = parentPort;
  await work(workerData, (report) => port.postMessage(report));
}
