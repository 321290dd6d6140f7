import type { AeadName } from "./provider.ts";

/** The ticket's secret alone: nothing is agreed anew. */
export const SUITE_TICKET_ONLY = 0x0000;
export const SUITE_RSA_AES128 = 0x0001;
/** What a device offers unless it is told otherwise. */
export const SUITE_XWING_AES256 = 0x0002;
export const SUITE_XWING_CHACHA20 = 0x0003;

/** How a secret is agreed, and what seals records with what comes of it. [ENV-26] */
export interface Suite {
  readonly number: number;
  readonly kem: "rsa-oaep" | "x-wing";
  readonly aead: AeadName;
  /** What a promise of `min_suite` is compared by: a higher one is stronger. [ENV-34] */
  readonly strength: number;
}

/** 0x0101 and 0x0102 are reserved for GM algorithms and are unknown here, as all others. */
export const SUITES: readonly Suite[] = [
  { number: SUITE_RSA_AES128, kem: "rsa-oaep", aead: "aes-128-gcm", strength: 1 },
  { number: SUITE_XWING_AES256, kem: "x-wing", aead: "aes-256-gcm", strength: 2 },
  { number: SUITE_XWING_CHACHA20, kem: "x-wing", aead: "chacha20-poly1305", strength: 2 },
];

/** The suite of a number; undefined for unknown, reserved and SUITE_TICKET_ONLY. */
export function suiteOf(number: number): Suite | undefined {
  return SUITES.find((suite) => suite.number === number);
}

/** Whether a suite is as strong as another one asks; an unknown demand is met by none. [ENV-34] */
export function isAtLeast(suite: Suite, minimum: number): boolean {
  const demanded = suiteOf(minimum);
  return demanded !== undefined && suite.strength >= demanded.strength;
}
