import { ascii, concat, copyOf, lv8, lv32, NO_BYTES, writeU32 } from "../envelope/octets.ts";
import { type CryptoProvider, NONCE_BYTES } from "../envelope/provider.ts";
import { assert } from "../violation.ts";

// Every secret of a secure chat and how it comes about. Nothing here keeps one: who asks erases.

/** Of every hash over a handshake. [SEC-1] */
export const SECURE_LABEL = "phorn-sc-1";
/** Of hashes and of secrets from which others come: one block of SHA-512. [SEC-2] */
export const SECRET_BYTES = 64;
/** Of the tags of the handshake and of messages: HMAC-SHA-512, cut. [SEC-15] */
export const SECURE_TAG_BYTES = 32;

const LABEL_PREFIX = "phorn1 ";

/** The hash of byte strings exactly as they were carried, each behind its length. [SEC-1] */
export function secureHash(
  crypto: CryptoProvider,
  label: string,
  items: readonly Uint8Array[],
): Uint8Array {
  return crypto.sha512(concat([lv8(ascii(label)), ...items.map(lv32)]));
}

export interface SecretExpansion {
  /** SECRET_BYTES. */
  readonly secret: Uint8Array;
  readonly label: string;
  readonly context?: Uint8Array;
  /** At most SECRET_BYTES: one block of HKDF-Expand (RFC 5869 §2.3). */
  readonly length?: number;
}

/** A secret derived from a secret, for one purpose: chapter 11's form over SHA-512. [SEC-2] */
export function expandSecret(crypto: CryptoProvider, expansion: SecretExpansion): Uint8Array {
  const { secret, label, context = NO_BYTES, length = SECRET_BYTES } = expansion;
  assert(secret.length === SECRET_BYTES && length <= SECRET_BYTES, "secrets are as long as hashes");
  const width = Uint8Array.of(length >>> 8, length);
  const info = concat([width, lv8(ascii(LABEL_PREFIX + label)), lv8(context), Uint8Array.of(1)]);
  const block = crypto.hmacSha512(secret, info);
  if (length === SECRET_BYTES) return block;
  const kept = copyOf(block, 0, length);
  block.fill(0);
  return kept;
}

/** HKDF-Extract of RFC 5869 §2.2. [SEC-2] */
export function extractSecret(
  crypto: CryptoProvider,
  salt: Uint8Array,
  secret: Uint8Array,
): Uint8Array {
  return crypto.hmacSha512(salt, secret);
}

/** What both messages of the first round trip agree on: RK0. [SEC-15] */
export function handshakeRoot(
  crypto: CryptoProvider,
  transcript: Uint8Array,
  secret: Uint8Array,
): Uint8Array {
  return extractSecret(crypto, transcript, secret);
}

/** Where a session begins: RK1, out of RK0 and the second secret. [SEC-15] */
export function sessionRoot(
  crypto: CryptoProvider,
  { handshake, transcript, secret }: SessionRootInput,
): Uint8Array {
  const salt = expandSecret(crypto, { secret: handshake, label: "derived", context: transcript });
  const root = extractSecret(crypto, salt, secret);
  salt.fill(0);
  return root;
}

export interface SessionRootInput {
  /** RK0. */
  readonly handshake: Uint8Array;
  /** th3. */
  readonly transcript: Uint8Array;
  /** Of the second key agreement. */
  readonly secret: Uint8Array;
}

/** Proof that its maker has the root: of the responder over RK0, of the initiator over RK1. */
export function confirmTag(
  crypto: CryptoProvider,
  { root, role, transcript }: ConfirmTagInput,
): Uint8Array {
  const label = role === "responder" ? "confirm r" : "confirm i";
  const key = expandSecret(crypto, { secret: root, label, context: transcript });
  const mac = crypto.hmacSha512(key, transcript);
  key.fill(0);
  return copyOf(mac, 0, SECURE_TAG_BYTES);
}

export interface ConfirmTagInput {
  readonly root: Uint8Array;
  readonly role: "initiator" | "responder";
  readonly transcript: Uint8Array;
}

/** Who sends with a chain. */
export type ChainDirection = "i2r" | "r2i";

/** The first key of a chain of an epoch. [SEC-40] */
export function chainKey(
  crypto: CryptoProvider,
  { root, direction, epoch }: ChainKeyInput,
): Uint8Array {
  const label = `chain ${direction}`;
  return expandSecret(crypto, { secret: root, label, context: u32(epoch) });
}

export interface ChainKeyInput {
  readonly root: Uint8Array;
  readonly direction: ChainDirection;
  readonly epoch: number;
}

/** The key of message n, from that of the chain at n. [SEC-40] */
export function messageKey(crypto: CryptoProvider, chain: Uint8Array, n: number): Uint8Array {
  return expandSecret(crypto, { secret: chain, label: "msg", context: u32(n) });
}

/** The chain's key at n + 1; the one before cannot be found from it. [SEC-40] */
export function nextChainKey(crypto: CryptoProvider, chain: Uint8Array, n: number): Uint8Array {
  return expandSecret(crypto, { secret: chain, label: "next", context: u32(n) });
}

/** What seals one message and no other. */
export interface MessageKeys {
  /** Of AES-256-GCM. */
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  /** SECRET_BYTES. */
  readonly tagKey: Uint8Array;
}

export function messageKeys(crypto: CryptoProvider, secret: Uint8Array): MessageKeys {
  return {
    key: expandSecret(crypto, { secret, label: "enc", length: 32 }),
    nonce: expandSecret(crypto, { secret, label: "nonce", length: NONCE_BYTES }),
    tagKey: expandSecret(crypto, { secret, label: "tag" }),
  };
}

/**
 * What is kept of a root for the next one: from it neither the root nor a key of the epoch is
 * found. [SEC-41]
 *
 * @param epoch the next one's number
 */
export function nextRootSalt(crypto: CryptoProvider, root: Uint8Array, epoch: number): Uint8Array {
  return expandSecret(crypto, { secret: root, label: "derived", context: u32(epoch) });
}

/**
 * The root of the next epoch. Session, epoch, key and ciphertext are in it: no reliance on a KEM
 * that binds its secret to them. [SEC-57]
 *
 * Source: Miculan and Vitacolonna, "Automated verification of Telegram's MTProto 2.0", found an
 * unknown key share where a rekeying left them out.
 */
export function nextRoot(crypto: CryptoProvider, input: NextRootInput): Uint8Array {
  const { salt, sessionId, epoch, ratchetKey, ciphertext, secret } = input;
  const items = [sessionId, u32(epoch), ratchetKey, ciphertext];
  const transcript = secureHash(crypto, `${SECURE_LABEL} epoch`, items);
  const extracted = extractSecret(crypto, salt, secret);
  const made = expandSecret(crypto, { secret: extracted, label: "epoch", context: transcript });
  extracted.fill(0);
  return made;
}

export interface NextRootInput {
  /** Of the epoch before: see nextRootSalt. */
  readonly salt: Uint8Array;
  readonly sessionId: Uint8Array;
  /** The new one's number. */
  readonly epoch: number;
  readonly ratchetKey: Uint8Array;
  readonly ciphertext: Uint8Array;
  /** Of the key agreement. */
  readonly secret: Uint8Array;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeU32(value, bytes, 0);
  return bytes;
}
