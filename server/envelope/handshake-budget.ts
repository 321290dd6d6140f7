import { BucketTable } from "../../protocol/bucket-table.ts";
import { type BucketRule, TokenBucket } from "../../protocol/token-bucket.ts";
import { networkOf } from "../links/network.ts";

const perSecond = (atOnce: number, refill: number): BucketRule => {
  return { atOnce, refill, periodMs: 1_000 };
};
const ADDRESS = perSecond(100, 20);
/** Below what one processor signs in the time (bench/README.md): links that live have to go on. */
const NODE = perSecond(2_000, 500);
/** Addresses that are remembered. */
const ADDRESSES_MAX = 10_000;

/**
 * A handshake costs the service signatures: neither one address nor all of them together can have
 * as many as they like. [ENV-54]
 */
export class HandshakeBudget {
  readonly #addresses = new BucketTable(ADDRESS, ADDRESSES_MAX);
  #node: TokenBucket | undefined;

  /** Takes one of an address's handshakes; false when it has none, or the node has none. */
  take(address: string, nowMs: number): boolean {
    this.#node ??= new TokenBucket(NODE, nowMs);
    const network = networkOf(address);
    // Who is over his own share takes nothing of everybody's.
    if (this.#addresses.waitMs(network, 1, nowMs) > 0 || this.#node.waitMs(1, nowMs) > 0) {
      return false;
    }
    this.#addresses.spend(network, 1, nowMs);
    this.#node.spend(1, nowMs);
    return true;
  }

  get count(): number {
    return this.#addresses.size;
  }
}
