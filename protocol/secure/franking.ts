import { ascii, concat, copyOf, equalBytes, writeU32 } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";

/** Of the key that a sender draws for one message. [SEC-72] */
export const FRANKING_KEY_BYTES = 32;

const STAMP_CONTEXT = ascii("Posthorn franking stamp v1\0");

/** What a receiver may show to the operator: the content, and that it is what was delivered. */
export interface FrankedContent {
  /** FRANKING_KEY_BYTES. */
  readonly key: Uint8Array;
  /** The inner text without that key. */
  readonly inner: Uint8Array;
  /** From the header; the service has seen it. */
  readonly commitment: Uint8Array;
}

/**
 * What the header carries: binds the sender to one content, whatever keys open the message.
 * HMAC-SHA-256 commits; GCM alone must not carry this. [SEC-72]
 *
 * Source: Dodis, Grubbs, Ristenpart, Woodage, "Fast Message Franking", ePrint 2019/016.
 */
export function frankingCommitment(
  crypto: CryptoProvider,
  key: Uint8Array,
  inner: Uint8Array,
): Uint8Array {
  return crypto.hmacSha256(key, inner);
}

/** Whose message the service delivered, and when. Fingerprints, 32 bytes each. */
export interface FrankedDelivery {
  readonly commitment: Uint8Array;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly timeMs: number;
}

/** What a service puts on a delivery and then forgets. [SEC-74] */
export function frankingStamp(
  crypto: CryptoProvider,
  serviceKey: Uint8Array,
  { commitment, from, to, timeMs }: FrankedDelivery,
): Uint8Array {
  const time = new Uint8Array(8);
  writeU32(Math.floor(timeMs / 2 ** 32), time, 0);
  writeU32(timeMs % 2 ** 32, time, 4);
  return crypto.hmacSha256(serviceKey, concat([STAMP_CONTEXT, commitment, from, to, time]));
}

/** What a report says. */
export interface FrankingReport {
  readonly content: FrankedContent;
  readonly delivery: FrankedDelivery;
  readonly stamp: Uint8Array;
}

/** Whether this content is what was delivered then, from this device to that one. [SEC-74] */
export function verifyReport(
  crypto: CryptoProvider,
  serviceKey: Uint8Array,
  { content, delivery, stamp }: FrankingReport,
): boolean {
  const { key, inner, commitment } = content;
  if (key.length !== FRANKING_KEY_BYTES) return false;
  const isSame = equalBytes(commitment, delivery.commitment);
  const isCommitted = equalBytes(frankingCommitment(crypto, key, inner), commitment);
  const isStamped = equalBytes(frankingStamp(crypto, serviceKey, delivery), stamp);
  return isSame && isCommitted && isStamped;
}

/** Takes the key off an inner text that begins with it. [SEC-72] */
export function frankedContent(inner: Uint8Array, commitment: Uint8Array): FrankedContent {
  const key = copyOf(inner, 0, FRANKING_KEY_BYTES);
  return { key, inner: copyOf(inner, FRANKING_KEY_BYTES), commitment };
}

/** Whether the commitment fits. A receiver refuses what it could not report. [SEC-73] */
export function isCommitted(crypto: CryptoProvider, content: FrankedContent): boolean {
  const { key, inner, commitment } = content;
  return equalBytes(frankingCommitment(crypto, key, inner), commitment);
}
