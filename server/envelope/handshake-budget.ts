/** Handshakes that an address may begin at once, and how many a second come back. */
const BURST = 100;
const PER_SECOND = 20;
/** Addresses remembered; the fullest buckets mean nothing and go first. */
const ADDRESSES_MAX = 10_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

/** A handshake costs the service signatures: one address cannot have all of them. [ENV-54] */
export class HandshakeBudget {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes one of an address's handshakes; false when it has none. */
  take(address: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(address) ?? { tokens: BURST, atMs: nowMs };
    const refilled = (Math.max(0, nowMs - bucket.atMs) * PER_SECOND) / 1000;
    bucket.tokens = Math.min(BURST, bucket.tokens + refilled);
    bucket.atMs = nowMs;
    // Last used, last in the map: what is dropped first was not heard of for longest.
    this.#buckets.delete(address);
    this.#buckets.set(address, bucket);
    this.#forget();
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  get count(): number {
    return this.#buckets.size;
  }

  #forget(): void {
    if (this.#buckets.size <= ADDRESSES_MAX) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
