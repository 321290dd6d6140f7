import type { SeededRandom } from "../random.ts";

/** What goes wrong, and when: `at` is the share of messages that are durable. */
export type Fault =
  | { readonly kind: "kill"; readonly at: number }
  | { readonly kind: "cut"; readonly at: number; readonly device: number; readonly bytes: number }
  | {
      readonly kind: "switch";
      readonly at: number;
      readonly device: number;
      readonly turn: number;
    };

export const FAULT_COUNTS = { kill: 6, cut: 40, switch: 16 } as const;

/** The plan of a run, the same for the same seed. */
export function planFaults(random: SeededRandom, deviceCount: number): Fault[] {
  const at = () => 0.02 + random.below(9_300) / 10_000;
  const device = () => random.below(deviceCount);
  const faults: Fault[] = [];
  for (let index = 0; index < FAULT_COUNTS.kill; index += 1)
    faults.push({ kind: "kill", at: at() });
  for (let index = 0; index < FAULT_COUNTS.cut; index += 1) {
    faults.push({ kind: "cut", at: at(), device: device(), bytes: 1 + random.below(6_000) });
  }
  for (let index = 0; index < FAULT_COUNTS.switch; index += 1) {
    faults.push({ kind: "switch", at: at(), device: device(), turn: 1 + random.below(2) });
  }
  return faults.sort((a, b) => a.at - b.at);
}
