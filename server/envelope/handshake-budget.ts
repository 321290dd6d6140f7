import { networkOf } from "../links/network.ts";

interface Rate {
  /** Handshakes that may begin at once. */
  readonly burst: number;
  /** How many come back. */
  readonly perSecond: number;
}

const ADDRESS: Rate = { burst: 100, perSecond: 20 };
/** Below what one processor signs in the time (bench/README.md): links that live have to go on. */
const NODE: Rate = { burst: 2_000, perSecond: 500 };
/** Addresses that are remembered. */
const ADDRESSES_MAX = 10_000;
const SWEEP_MS = 1_000;

/** Handshakes that are left, of one address or of all of them. */
class Bucket {
  readonly #rate: Rate;
  #tokens: number;
  #atMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#atMs = nowMs;
  }

  left(nowMs: number): number {
    const { burst, perSecond } = this.#rate;
    const refilled = (Math.max(0, nowMs - this.#atMs) * perSecond) / 1000;
    return Math.min(burst, this.#tokens + refilled);
  }

  take(nowMs: number): void {
    this.#tokens = this.left(nowMs) - 1;
    this.#atMs = nowMs;
  }

  /** It says no more than a new one would. */
  isFull(nowMs: number): boolean {
    return this.left(nowMs) >= this.#rate.burst;
  }
}

/**
 * A handshake costs the service signatures: neither one address nor all of them together can have
 * as many as they like. [ENV-54]
 */
export class HandshakeBudget {
  readonly #buckets = new Map<string, Bucket>();
  #node: Bucket | undefined;
  /** What addresses share that there is no room to remember. */
  #others: Bucket | undefined;
  #sweptMs = Number.NEGATIVE_INFINITY;

  /** Takes one of an address's handshakes; false when it has none, or the node has none. */
  take(address: string, nowMs: number): boolean {
    this.#node ??= new Bucket(NODE, nowMs);
    const own = this.#bucketOf(networkOf(address), nowMs);
    // Who is over his own share takes nothing of everybody's.
    if (own.left(nowMs) < 1 || this.#node.left(nowMs) < 1) return false;
    own.take(nowMs);
    this.#node.take(nowMs);
    return true;
  }

  get count(): number {
    return this.#buckets.size;
  }

  #bucketOf(network: string, nowMs: number): Bucket {
    const known = this.#buckets.get(network);
    if (known !== undefined) return known;
    if (this.#buckets.size >= ADDRESSES_MAX) this.#sweep(nowMs);
    if (this.#buckets.size >= ADDRESSES_MAX) {
      this.#others ??= new Bucket(ADDRESS, nowMs);
      return this.#others;
    }
    const fresh = new Bucket(ADDRESS, nowMs);
    this.#buckets.set(network, fresh);
    return fresh;
  }

  /** Forgets full buckets only: an address that has spent its share does not get it anew. */
  #sweep(nowMs: number): void {
    if (nowMs < this.#sweptMs + SWEEP_MS) return;
    this.#sweptMs = nowMs;
    for (const [network, bucket] of this.#buckets) {
      if (bucket.isFull(nowMs)) this.#buckets.delete(network);
    }
  }
}
