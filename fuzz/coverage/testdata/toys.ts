import type { Target } from "../targets.ts";

const TOY = {
  title: "",
  words: () => Promise.resolve([]),
  bytesMax: 32,
  sources: ["fuzz/coverage/testdata/toys.ts"],
  smokeRuns: 0,
};

/** Targets with known faults, for the tests of the search. */
export const TARGETS: readonly Target[] = [
  { ...TOY, name: "magic", load: () => Promise.resolve({ fuzz: magic }) },
  { ...TOY, name: "picky", load: () => Promise.resolve({ fuzz: picky }) },
  { ...TOY, name: "late-magic", load: () => Promise.resolve({ fuzz: lateMagic }) },
  { ...TOY, name: "endless", load: () => Promise.resolve({ fuzz: endless }) },
  { ...TOY, name: "hungry", load: () => Promise.resolve({ fuzz: hungry }) },
];

/** Nobody guesses three bytes at once: one input in sixteen million has them. */
function magic(data: Uint8Array): void {
  if (data[0] !== 0x70) return;
  if (data[1] !== 0x6f) return;
  if (data[2] !== 0x73) return;
  throw new Error("found after 3 bytes");
}

/** Fails for one input in a few hundred, of which no two have much in common. */
function picky(data: Uint8Array): void {
  const mixed = data.reduce((sum, byte) => (sum * 31 + byte) % 65_521, 1);
  if (mixed % 509 === 7) throw new Error(`${mixed} is one`);
}

async function lateMagic(data: Uint8Array): Promise<void> {
  await Promise.resolve();
  if (data[0] !== 0x70) return;
  if (data[1] !== 0x6f) return;
  if (data.length !== 2) throw new Error(`found with ${data.length} bytes`);
}

function endless(data: Uint8Array): void {
  while (data[0] === 0xff) data[1] = 1;
}

function hungry(data: Uint8Array): void {
  const held: object[] = [];
  while (data[0] === 0xff) held.push({ another: held.length });
}
