import type { BlockCoverage } from "./block-coverage.ts";
import { minimise } from "./minimise.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";

/** A byte-level target as jazzer.js calls it: throws, or rejects, when a claim is broken. */
export type Fuzz = (data: Uint8Array) => void | Promise<void>;

export interface SearchOptions {
  readonly fuzz: Fuzz;
  readonly dictionary: readonly Uint8Array[];
  readonly bytesMax: number;
  /** Where to begin; the empty input always is one. */
  readonly corpus: readonly Uint8Array[];
  readonly seed: number;
  /** Whether to go on, given how many inputs were tried. */
  readonly goesOn: (runCount: number) => boolean;
  /** Keeps nothing that is found: what the search would be without coverage. */
  readonly isBlind?: boolean;
  readonly found?: (state: { readonly runCount: number; readonly corpusSize: number }) => void;
}

export interface SearchOutcome {
  /** Inputs tried, without those that made others smaller. */
  readonly runCount: number;
  /** The inputs that reached something new, in the order in which they did. */
  readonly corpus: readonly Uint8Array[];
  readonly failure?: Failure;
}

export interface Failure {
  readonly input: Uint8Array;
  readonly error: unknown;
}

/** So many inputs share one look at what they reached, which costs as much as ten of them. */
const BATCH = 64;
const MINIMISE_TRIES = 4_000;
/** What was found lately leads on more often than all else. */
const LATELY = 8;

/**
 * Looks for an input that breaks a target's claims, led by blocks that no input reached before.
 *
 * The same seed and corpus take the same inputs, for as many runs.
 */
export async function search(
  options: SearchOptions,
  coverage: BlockCoverage,
): Promise<SearchOutcome> {
  return await new Searcher(options, coverage).run();
}

class Searcher {
  readonly #options: SearchOptions;
  readonly #coverage: BlockCoverage;
  readonly #random: Random;
  readonly #corpus: Uint8Array[] = [];
  #runCount = 0;

  constructor(options: SearchOptions, coverage: BlockCoverage) {
    this.#options = options;
    this.#coverage = coverage;
    this.#random = new Random(options.seed);
  }

  async run(): Promise<SearchOutcome> {
    const { corpus, goesOn, isBlind = false } = this.#options;
    // The smallest first: they are kept for what they reach, and larger ones only for more.
    const seeds = [NOTHING, ...corpus].sort((a, b) => a.length - b.length);
    for (const seed of seeds) {
      const failed = await this.#batch([seed]);
      if (failed !== undefined) return failed;
      if (isBlind && seed !== NOTHING) this.#corpus.push(seed);
    }
    while (goesOn(this.#runCount)) {
      const batch = Array.from({ length: BATCH }, () => this.#next());
      const failed = await this.#batch(batch);
      if (failed !== undefined) return failed;
    }
    return { runCount: this.#runCount, corpus: this.#corpus };
  }

  #next(): Uint8Array {
    const corpus = this.#corpus.length === 0 ? [NOTHING] : this.#corpus;
    const isLate = this.#random.below(2) === 0;
    const parent = this.#random.pick(isLate ? corpus.slice(-LATELY) : corpus);
    const { dictionary, bytesMax } = this.#options;
    return mutate(parent, { random: this.#random, dictionary, bytesMax, others: corpus });
  }

  async #batch(inputs: readonly Uint8Array[]): Promise<SearchOutcome | undefined> {
    for (const input of inputs) {
      this.#runCount += 1;
      const error = await this.#errorOf(input);
      if (error === undefined) continue;
      const failure = await this.#smallestFailure(input, error.thrown);
      return { runCount: this.#runCount, corpus: this.#corpus, failure };
    }
    if (this.#options.isBlind) return undefined;
    const fresh = this.#coverage.fresh(this.#coverage.take());
    if (fresh.length === 0) return undefined;
    await this.#keepFresh(inputs);
    // What did not come again must not bring the whole batch again either.
    this.#coverage.learn(this.#coverage.fresh(fresh));
    return undefined;
  }

  /** Keeps those of a batch that reach something new, found by halves. */
  async #keepFresh(inputs: readonly Uint8Array[]): Promise<void> {
    for (const input of inputs) await this.#errorOf(input);
    const fresh = this.#coverage.fresh(this.#coverage.take());
    if (fresh.length === 0) return;
    if (inputs.length > 1) {
      const half = inputs.length >> 1;
      await this.#keepFresh(inputs.slice(0, half));
      await this.#keepFresh(inputs.slice(half));
      return;
    }
    this.#coverage.learn(fresh);
    this.#corpus.push(...inputs);
    this.#options.found?.({ runCount: this.#runCount, corpusSize: this.#corpus.length });
  }

  async #smallestFailure(input: Uint8Array, error: unknown): Promise<Failure> {
    const kind = kindOf(error);
    const failsAlike = async (candidate: Uint8Array) => {
      const other = await this.#errorOf(candidate);
      return other !== undefined && kindOf(other.thrown) === kind;
    };
    const smallest = await minimise(input, failsAlike, MINIMISE_TRIES);
    const again = await this.#errorOf(smallest);
    return { input: smallest, error: again === undefined ? error : again.thrown };
  }

  /** What an input throws; undefined when it passes. */
  async #errorOf(input: Uint8Array): Promise<{ readonly thrown: unknown } | undefined> {
    try {
      // A target gets bytes of its own: one that changes them is wrong, and must not hurt others.
      const passed = this.#options.fuzz(input.slice());
      if (passed !== undefined) await passed;
      return undefined;
    } catch (thrown) {
      return { thrown };
    }
  }
}

const NOTHING = new Uint8Array(0);

/** Failures of one kind differ in numbers at most. */
function kindOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return (text.split("\n")[0] ?? "").replaceAll(/\d+/g, "0");
}
