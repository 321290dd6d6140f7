import { ascii, concat, lv8, lv32 } from "./octets.ts";
import type { CryptoProvider } from "./provider.ts";

/** Of every hash over a handshake. */
export const LINK_LABEL = "phorn-link-1";

/**
 * The hash of byte strings exactly as they were carried, each behind its length, so that no two
 * lists of messages have the same input. [ENV-1]
 *
 * Source: RFC 8446 §4.4.1 hashes messages with their headers for the same reason.
 */
export function transcriptHash(
  crypto: CryptoProvider,
  label: string,
  items: readonly Uint8Array[],
): Uint8Array {
  return crypto.sha256(concat([lv8(ascii(label)), ...items.map(lv32)]));
}

/**
 * What a signature is really over: a context that nobody else signs, then what is meant. The 64
 * spaces keep it apart from anything older. [ENV-14]
 *
 * Source: RFC 8446 §4.4.3.
 */
export function signedText(context: string, meant: Uint8Array): Uint8Array {
  const spaces = new Uint8Array(64).fill(0x20);
  return concat([spaces, ascii(context), Uint8Array.of(0), meant]);
}
