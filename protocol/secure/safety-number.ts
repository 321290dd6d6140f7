import { ascii, concat, copyOf, equalBytes, lv8 } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { USER_ID_PATTERN } from "../limits.ts";
import { accountFingerprint, FINGERPRINT_BYTES, type SecureKeys } from "./identity.ts";

// What two people compare, to know that nobody sits in between.

const VERSION = 1;
/** What a guess at somebody's digits costs. */
const ITERATIONS = 5_200;
const GROUPS = 6;
/** Five bytes make five digits. */
const GROUP_BYTES = 5;

/** Whose devices a chat is between. */
export interface SecureAccount {
  readonly userId: string;
  readonly keys: SecureKeys;
}

/**
 * Sixty digits, the same on both sides, in groups of five. [SEC-12]
 *
 * Source: the format of libsignal's fingerprint.rs, over two keys.
 */
export function safetyNumber(crypto: CryptoProvider, a: SecureAccount, b: SecureAccount): string {
  const sides = [digitsOf(crypto, a), digitsOf(crypto, b)].sort();
  return sides.join(" ");
}

function digitsOf(crypto: CryptoProvider, { userId, keys }: SecureAccount): string {
  const both = concat([keys.ed25519, keys.mlDsa65]);
  let hash = crypto.sha512(concat([Uint8Array.of(0, VERSION), both, ascii(userId), both]));
  for (let round = 1; round < ITERATIONS; round += 1) hash = crypto.sha512(concat([hash, both]));
  const groups = Array.from({ length: GROUPS }, (_, group) => {
    let value = 0;
    for (let at = 0; at < GROUP_BYTES; at += 1) {
      value = value * 256 + (hash[group * GROUP_BYTES + at] as number);
    }
    return `${value % 100_000}`.padStart(5, "0");
  });
  return groups.join(" ");
}

/** What a device shows to be scanned: itself first, then whom it believes to talk to. [SEC-13] */
export function safetyCode(
  crypto: CryptoProvider,
  own: SecureAccount,
  peer: SecureAccount,
): Uint8Array {
  return concat([Uint8Array.of(VERSION), sideOf(crypto, own), sideOf(crypto, peer)]);
}

function sideOf(crypto: CryptoProvider, { userId, keys }: SecureAccount): Uint8Array {
  return concat([lv8(ascii(userId)), accountFingerprint(crypto, keys)]);
}

/**
 * What a scanned code says. `other-people`: it is of another chat, so that nothing is known.
 * `different`: the same two people with another key: somebody sits in between. [SEC-13]
 */
export type SafetyVerdict = "same" | "different" | "other-people" | "unreadable";

/** Judges the other device's code; never throws. [SEC-13] */
export function judgeSafetyCode(
  crypto: CryptoProvider,
  scanned: Uint8Array,
  { own, peer }: { readonly own: SecureAccount; readonly peer: SecureAccount },
): SafetyVerdict {
  if (scanned[0] !== VERSION) return "unreadable";
  const theirs = readSide(scanned, 1);
  const mine = theirs && readSide(scanned, theirs.end);
  if (theirs === undefined || mine === undefined || mine.end !== scanned.length) {
    return "unreadable";
  }
  if (theirs.userId !== peer.userId || mine.userId !== own.userId) return "other-people";
  const isPeer = equalBytes(theirs.fingerprint, accountFingerprint(crypto, peer.keys));
  const isOwn = equalBytes(mine.fingerprint, accountFingerprint(crypto, own.keys));
  return isPeer && isOwn ? "same" : "different";
}

function readSide(from: Uint8Array, at: number) {
  const start = at + 1 + (from[at] ?? 0);
  const end = start + FINGERPRINT_BYTES;
  if (end > from.length) return undefined;
  const userId = String.fromCharCode(...from.subarray(at + 1, start));
  if (!USER_ID_PATTERN.test(userId)) return undefined;
  return { userId, fingerprint: copyOf(from, start, end), end };
}
