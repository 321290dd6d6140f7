/**
 * How many cases, and which: npm test runs a fixed few, npm run fuzz as many as it is told, from
 * its seed.
 */
export function fuzzParameters(numRuns: number): {
  readonly numRuns: number;
  readonly seed: number;
  readonly path?: string;
} {
  const { FUZZ_RUNS, FUZZ_SEED, FUZZ_PATH } = process.env;
  return {
    numRuns: FUZZ_RUNS === undefined ? numRuns : Number(FUZZ_RUNS),
    seed: FUZZ_SEED === undefined ? 20_261_120 : Number(FUZZ_SEED),
    ...(FUZZ_PATH === undefined ? {} : { path: FUZZ_PATH }),
  };
}
