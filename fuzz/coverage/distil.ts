import { type BlockCoverage, covers, type Run } from "./block-coverage.ts";
import { minimise } from "./minimise.ts";
import type { Fuzz } from "./search.ts";

const MINIMISE_TRIES = 300;

/** The inputs, each as small as may be, that reach together what a corpus reaches. */
export async function distil(
  corpus: readonly Uint8Array[],
  fuzz: Fuzz,
  coverage: BlockCoverage,
): Promise<Uint8Array[]> {
  coverage.take();
  coverage.reset();
  const distilled: Uint8Array[] = [];
  for (const input of corpus.toSorted((a, b) => a.length - b.length)) {
    const fresh = coverage.fresh(await reached(input, fuzz, coverage));
    if (fresh.length === 0) continue;
    const reaches = async (candidate: Uint8Array) => {
      return covers(await reached(candidate, fuzz, coverage), fresh);
    };
    const smallest = await minimise(input, reaches, MINIMISE_TRIES);
    coverage.learn(coverage.fresh(await reached(smallest, fuzz, coverage)));
    distilled.push(smallest);
  }
  return distilled;
}

/** What an input runs; nothing for one that fails, which is no input to keep. */
async function reached(input: Uint8Array, fuzz: Fuzz, coverage: BlockCoverage): Promise<Run[]> {
  try {
    const passed = fuzz(input.slice());
    if (passed !== undefined) await passed;
    return coverage.take();
  } catch {
    coverage.take();
    return [];
  }
}
