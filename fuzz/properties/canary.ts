import fc from "fast-check";
import { assert } from "../../protocol/violation.ts";
import { property } from "../property.ts";

/**
 * False for one case in a few hundred: it must fail, in every run of the mutants. When it passes,
 * the fuzzing machinery is broken.
 */
export const canary = property<number>({
  name: "canary",
  title: "no number is a multiple of 251 (false)",
  smokeRuns: 0,
  arbitrary: fc.integer({ min: 1, max: 1_000_000 }),
  start: () => ({ check: (number) => assert(number % 251 !== 0, `${number} is one`) }),
});
