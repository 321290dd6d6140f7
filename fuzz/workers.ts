import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { Batch, BatchOutcome } from "./worker.ts";

export interface WorkOptions {
  readonly jobCount: number;
  /** Node's options for each worker, such as what plants a mutant. */
  readonly execArgv?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** The next batch to run; undefined when there is none left. */
  next(): Batch | undefined;
  done(outcome: BatchOutcome): void;
  /** A batch that takes longer than this counts as failed: its process is killed. */
  readonly batchTimeoutMs: number;
}

/** Runs batches in processes of their own until there are none left. */
export async function workOff(options: WorkOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.jobCount }, () => workOne(options)));
}

async function workOne(options: WorkOptions): Promise<void> {
  let worker: ChildProcess | undefined;
  try {
    for (let batch = options.next(); batch !== undefined; batch = options.next()) {
      worker ??= startWorker(options);
      const outcome = await answer(worker, batch, options.batchTimeoutMs);
      if (outcome.failure !== undefined) {
        worker.kill("SIGKILL");
        worker = undefined;
      }
      options.done(outcome);
    }
  } finally {
    worker?.kill("SIGKILL");
  }
}

function startWorker({ execArgv = [], env = process.env }: WorkOptions): ChildProcess {
  const path = join(import.meta.dirname, "worker.ts");
  return fork(path, { execArgv: [...execArgv], env, serialization: "advanced" });
}

/** The worker's answer; that it died, or never answered, is a failure of the batch. */
function answer(worker: ChildProcess, batch: Batch, timeoutMs: number): Promise<BatchOutcome> {
  return new Promise((resolve) => {
    const failed = (error: string) =>
      finish({ name: batch.name, runCount: 0, seen: [], ms: timeoutMs, failure: { error } });
    const finish = (outcome: BatchOutcome) => {
      clearTimeout(timer);
      worker.off("message", finish);
      worker.off("exit", exited);
      resolve(outcome);
    };
    const exited = (code: number | null, signal: string | null) =>
      failed(`the process ended: ${signal ?? `exit status ${code}`}, seed ${batch.seed}`);
    const timer = setTimeout(
      () => failed(`no answer in ${timeoutMs / 1000} s, seed ${batch.seed}`),
      timeoutMs,
    );
    worker.once("message", finish);
    worker.once("exit", exited);
    worker.send(batch);
  });
}
