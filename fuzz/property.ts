import fc from "fast-check";
import { readCases } from "./case-file.ts";

/** Counts what a run really exercised: kinds of faults, transitions of states, codes of errors. */
export type Seen = (kind: string) => void;

export interface PropertyOf<Input> {
  /** Kebab-case and unique: what `--only` matches, and what its regressions are named after. */
  readonly name: string;
  /** The claim, with the ids of its requirements and pitfalls: "[SEQ-4] … (P19)". */
  readonly title: string;
  /** Cases in `npm test`: few enough for every commit. */
  readonly smokeRuns: number;
  /** How many turns it gets where others get one; 1 when undefined. */
  readonly turns?: number;
  /** What a long run must have seen, each at least once. */
  readonly kinds?: readonly string[];
  readonly arbitrary: fc.Arbitrary<Input>;
  /** Makes what the cases share, such as a server; the same for all cases of one run. */
  start(seen: Seen): Started<Input> | Promise<Started<Input>>;
  /** The case, frame by frame, for a person to read. */
  trace?(input: Input): string | Promise<string>;
}

export interface Started<Input> {
  /** Throws when the claim is broken. */
  check(input: Input): void | Promise<void>;
  /** Ends what was started; throws when something was left behind. */
  stop?(): void | Promise<void>;
}

export interface RunParameters {
  readonly numRuns: number;
  readonly seed: number;
  /** fast-check's path to one case of the seed. */
  readonly path?: string;
  /** No case begins later than this many milliseconds after the first. */
  readonly limitMs?: number;
  /** Only random cases, and the first failure as it is: how soon a mutant is killed. */
  readonly raw?: boolean;
}

export interface Outcome {
  readonly runCount: number;
  readonly seen: ReadonlyMap<string, number>;
  readonly failure?: Failure;
}

export interface Failure {
  /** How to see a random case again; none for a kept case and for what did not stop well. */
  readonly replay?: { readonly seed: number; readonly path: string };
  /** The kept case's file. */
  readonly kept?: string;
  /** The smallest case that was found. */
  readonly input?: unknown;
  readonly error: string;
}

/** A claim that the fuzzers try to break, whatever its cases are made of. */
export interface Property {
  readonly name: string;
  readonly title: string;
  readonly smokeRuns: number;
  readonly turns: number;
  readonly kinds: readonly string[];
  /** The kept regressions first, then random cases. Never rejects for a broken claim. */
  run(parameters: RunParameters): Promise<Outcome>;
  /** The case of a seed and path, as `check` is given it. */
  caseAt(replay: { readonly seed: number; readonly path: string }): unknown;
  /** @throws TypeError when this property has no trace */
  trace(input: unknown): Promise<string>;
}

/**
 * Makes a property of the table from its arbitrary and its check.
 *
 * Inputs are JSON values, byte arrays and bigints, so that a regression can be kept as a file.
 */
export function property<Input>(claim: PropertyOf<Input>): Property {
  const { name, title, smokeRuns, turns = 1, kinds = [] } = claim;
  return {
    name,
    title,
    smokeRuns,
    turns,
    kinds,
    run: (parameters) => run(claim, parameters),
    caseAt: (replay) => fc.sample(claim.arbitrary, { ...replay, numRuns: 1 })[0],
    trace: async (input) => {
      if (claim.trace === undefined) throw new TypeError(`${name} has no trace`);
      return claim.trace(input as Input);
    },
  };
}

async function run<Input>(claim: PropertyOf<Input>, parameters: RunParameters): Promise<Outcome> {
  const seen = new Map<string, number>();
  const started = await claim.start((kind) => seen.set(kind, (seen.get(kind) ?? 0) + 1));
  let runCount = 0;
  let running = Promise.resolve();
  const check = (input: Input) => {
    runCount += 1;
    const checked = (async () => started.check(input))();
    running = checked.catch(() => {});
    return checked;
  };
  const broken =
    (isWhole(parameters) ? await keptFailure(claim, check) : undefined) ??
    (await randomFailure(claim, check, parameters));
  // A run that is out of time does not wait for its last case.
  await running;
  const left = await stopFailure(started);
  const failure = broken ?? left;
  return { runCount, seen, ...(failure === undefined ? {} : { failure }) };
}

function isWhole({ path, raw }: RunParameters): boolean {
  return path === undefined && raw !== true;
}

/** Not as fast-check's examples, which count in its paths: each new regression would shift them. */
async function keptFailure<Input>(
  { name }: PropertyOf<Input>,
  check: (input: Input) => Promise<void>,
): Promise<Failure | undefined> {
  for (const { file, input } of readCases(name)) {
    try {
      await check(input as Input);
    } catch (error) {
      return { kept: file, input, error: textOf(error) };
    }
  }
  return undefined;
}

async function randomFailure<Input>(
  { arbitrary }: PropertyOf<Input>,
  check: (input: Input) => Promise<void>,
  { numRuns, seed, path, limitMs, raw = false }: RunParameters,
): Promise<Failure | undefined> {
  const details = await fc.check(fc.asyncProperty(arbitrary, check), {
    numRuns,
    seed,
    endOnFailure: raw,
    ...(path === undefined ? {} : { path }),
    ...(limitMs === undefined ? {} : { interruptAfterTimeLimit: limitMs }),
  });
  if (!details.failed || details.counterexample === null) return undefined;
  const [input] = details.counterexample;
  const replay = { seed: details.seed, path: details.counterexamplePath };
  return { replay, input, error: textOf(details.errorInstance) };
}

async function stopFailure<Input>(started: Started<Input>): Promise<Failure | undefined> {
  try {
    await started.stop?.();
    return undefined;
  } catch (error) {
    return { error: textOf(error) };
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? String(error.stack) : String(error);
}
