import { inspect } from "node:util";
import fc from "fast-check";
import { corpusName, readCorpus } from "../coverage/corpus.ts";
import { mutate } from "../coverage/mutate.ts";
import { Random } from "../coverage/random.ts";
import { TARGETS, type Target } from "../coverage/targets.ts";
import { type Property, property } from "../property.ts";

const COLUMNS = 16;

/**
 * The byte-level targets on the committed corpus and on mutations of it, which `fuzz/coverage/`
 * makes with an eye on what they reach.
 */
export const BYTE_PROPERTIES: readonly Property[] = await Promise.all(TARGETS.map(propertyOf));

async function propertyOf(target: Target): Promise<Property> {
  const { name, title, bytesMax, smokeRuns } = target;
  const { fuzz } = await target.load();
  const dictionary = await target.words();
  const corpus = [new Uint8Array(0), ...readCorpus(name)];
  const kept = fc.constantFrom(...corpus);
  const mutated = fc.tuple(kept, fc.nat()).map(([input, seed]) => {
    return mutate(input, { random: new Random(seed), dictionary, others: corpus, bytesMax });
  });
  return property<Uint8Array>({
    name: `bytes-${name}`,
    title,
    smokeRuns,
    arbitrary: fc.oneof(
      { weight: 1, arbitrary: kept },
      { weight: 8, arbitrary: mutated },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }) },
    ),
    start: () => ({ check: (input) => fuzz(input) }),
    trace: async (input) => `${dump(input)}\n${await outcomeOf(target, input)}\n`,
  });
}

async function outcomeOf(target: Target, input: Uint8Array): Promise<string> {
  const { fuzz } = await target.load();
  try {
    await fuzz(input);
    return "passes";
  } catch (error) {
    return inspect(error);
  }
}

/** Bytes as a person reads them: place, values, letters. */
function dump(input: Uint8Array): string {
  const lines = [`${input.length} bytes, ${corpusName(input)}`];
  for (let at = 0; at < input.length; at += COLUMNS) {
    const row = Buffer.from(input.subarray(at, at + COLUMNS));
    const values = (row.toString("hex").match(/../g) ?? []).join(" ").padEnd(3 * COLUMNS);
    const letters = row.toString("latin1").replaceAll(/[^\x20-\x7e]/g, ".");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${values} ${letters}`);
  }
  return lines.join("\n");
}
