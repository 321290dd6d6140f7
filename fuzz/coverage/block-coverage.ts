import { type Profiler, Session } from "node:inspector";

/** A part of a source that ran, from one character to before another. */
export interface Run {
  readonly url: string;
  readonly from: number;
  readonly to: number;
}

/**
 * Which blocks of the watched sources have run: V8's precise coverage of this thread.
 *
 * V8 says the counts of blocks, and joins neighbours of the same count: the same blocks come cut
 * differently each time. So blocks are kept as the characters they cover.
 */
export class BlockCoverage {
  readonly #session = new Session();
  #isWatched: (url: string) => boolean = () => false;
  /** By source: 1 for each character that has run. */
  readonly #known = new Map<string, Uint8Array>();
  #blockCount = 0;
  #loaded: readonly Run[] | undefined;

  /**
   * Begins to count. V8 counts blocks only in functions that it compiles from now on: what is to be
   * watched must be imported later.
   */
  constructor() {
    this.#session.connect();
    this.#ask("Profiler.enable");
    this.#ask("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** How many blocks were new when they ran first. */
  get blockCount(): number {
    return this.#blockCount;
  }

  /** Says which sources matter. */
  watch(isWatched: (url: string) => boolean): void {
    this.#isWatched = isWatched;
  }

  /** Begins anew: nothing is known but what loading the sources has run. */
  reset(): void {
    this.#loaded ??= this.take();
    this.#known.clear();
    this.learn(this.#loaded);
    this.#blockCount = 0;
  }

  /** What has run since the last time, as far as it is watched. */
  take(): Run[] {
    const { result } = this.#ask("Profiler.takePreciseCoverage") as Taken;
    return result.filter(({ url }) => this.#isWatched(url)).flatMap(runsOf);
  }

  /** The parts that were not known before, each as long as possible. */
  fresh(runs: readonly Run[]): Run[] {
    return runs.flatMap(({ url, from, to }) => {
      const known = this.#known.get(url);
      return stretches({ from, to }, (at) => known?.[at] !== 1).map((part) => ({ url, ...part }));
    });
  }

  /** From now on these are known. */
  learn(fresh: readonly Run[]): void {
    for (const { url, from, to } of fresh) {
      let known = this.#known.get(url) ?? new Uint8Array(to);
      if (known.length < to) {
        const grown = new Uint8Array(to);
        grown.set(known);
        known = grown;
      }
      known.fill(1, from, to);
      this.#known.set(url, known);
    }
    this.#blockCount += fresh.length;
  }

  stop(): void {
    this.#session.disconnect();
  }

  /** In its own thread a session answers at once. */
  #ask(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, parameters, (error, result) => {
      if (error !== null) throw new Error(`${method}: ${error.message}`);
      answer = result;
    });
    return answer;
  }
}

type Taken = Profiler.TakePreciseCoverageReturnType;

/** Whether all of these parts are among what ran. */
export function covers(runs: readonly Run[], parts: readonly Run[]): boolean {
  return parts.every(({ url, from, to }) =>
    runs.some((run) => run.url === url && run.from <= from && to <= run.to),
  );
}

/** V8 lists outer functions before inner ones, and outer ranges before inner ones. */
function runsOf({ url, functions }: Profiler.ScriptCoverage): Run[] {
  const ranges = functions.flatMap((one) => one.ranges);
  const from = Math.min(...ranges.map(({ startOffset }) => startOffset));
  const to = Math.max(...ranges.map(({ endOffset }) => endOffset));
  const ran = new Uint8Array(to - from);
  for (const { startOffset, endOffset, count } of ranges) {
    ran.fill(count > 0 ? 1 : 0, startOffset - from, endOffset - from);
  }
  return stretches({ from, to }, (at) => ran[at - from] === 1).map((part) => ({ url, ...part }));
}

/** The longest stretches of a range in which something holds. */
function stretches(
  { from, to }: { readonly from: number; readonly to: number },
  holds: (at: number) => boolean,
): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  for (let at = from; at < to; at += 1) {
    if (!holds(at)) continue;
    const start = at;
    while (at < to && holds(at)) at += 1;
    found.push({ from: start, to: at });
  }
  return found;
}
