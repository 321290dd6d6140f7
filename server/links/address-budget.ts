import { BucketTable } from "../../protocol/bucket-table.ts";
import { type Rate, ruleOf } from "../../protocol/token-bucket.ts";
import { networkOf } from "./network.ts";

/** What one address may do, whoever is behind it. */
export interface AddressRates {
  /** Links that it opens. */
  readonly addressLinks: Rate;
  /** Calls over HTTP. */
  readonly addressCalls: Rate;
  /** Attempts to be somebody that fail. */
  readonly addressFailures: Rate;
}

export type AddressRefusal = "address-links" | "address-calls" | "address-failures";

/** Addresses of which something is known, of each kind. [LIM-2] */
const ADDRESSES_MAX = 100_000;

/**
 * How often an address may knock. An address is what the socket says: a proxy in front of the
 * service is one. [LIM-10] [LIM-11]
 */
export class AddressBudget {
  readonly #links: BucketTable;
  readonly #calls: BucketTable;
  readonly #failures: BucketTable;
  readonly #nowMs: () => number;
  readonly #refused: (kind: AddressRefusal) => void;

  constructor(
    rates: AddressRates,
    nowMs: () => number,
    refused: (kind: AddressRefusal) => void = () => {},
  ) {
    this.#links = new BucketTable(ruleOf(rates.addressLinks), ADDRESSES_MAX);
    this.#calls = new BucketTable(ruleOf(rates.addressCalls), ADDRESSES_MAX);
    this.#failures = new BucketTable(ruleOf(rates.addressFailures), ADDRESSES_MAX);
    this.#nowMs = nowMs;
    this.#refused = refused;
  }

  /** Takes one link; 0, or how long to wait. */
  takeLink(peer: string): number {
    return this.#told("address-links", this.#links.take(networkOf(peer), 1, this.#nowMs()));
  }

  /** Takes one call; 0, or how long to wait. */
  takeCall(peer: string): number {
    return this.#told("address-calls", this.#calls.take(networkOf(peer), 1, this.#nowMs()));
  }

  /** 0: it may try to be somebody. */
  attemptWaitMs(peer: string): number {
    const waitMs = this.#failures.waitMs(networkOf(peer), 1, this.#nowMs());
    return this.#told("address-failures", waitMs);
  }

  /** Who succeeds is not counted: many may be behind one address. */
  attemptFailed(peer: string): void {
    this.#failures.spend(networkOf(peer), 1, this.#nowMs());
  }

  #told(kind: AddressRefusal, waitMs: number): number {
    if (waitMs > 0) this.#refused(kind);
    return waitMs;
  }
}
