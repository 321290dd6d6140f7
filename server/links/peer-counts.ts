import { networkOf } from "./network.ts";

/** How many links each remote address has, so that one cannot take them all. [LNK-11] */
export class PeerCounts {
  readonly #countMax: number;
  readonly #counts = new Map<string, number>();

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Counts one more, unless the address is at its limit. */
  enter(peer: string): boolean {
    const network = networkOf(peer);
    const count = this.#counts.get(network) ?? 0;
    if (count >= this.#countMax) return false;
    this.#counts.set(network, count + 1);
    return true;
  }

  leave(peer: string): void {
    const network = networkOf(peer);
    const count = (this.#counts.get(network) ?? 0) - 1;
    if (count > 0) this.#counts.set(network, count);
    else this.#counts.delete(network);
  }
}
