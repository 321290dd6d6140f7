import { createHash, createHmac } from "node:crypto";
import { ascii, big, type Expansion, join, lv8, lv32, NOTHING } from "../envelope/primitives.ts";

// The hashes and secrets of chapters 12 and 13, written once more on what node:crypto has.

/** What every transcript of a handshake is hashed under. */
export const P = "phorn-sc-1";

export function sha512(bytes: Uint8Array): Uint8Array {
  return createHash("sha512").update(bytes).digest();
}

export function hmac512(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return createHmac("sha512", key).update(bytes).digest();
}

/** [SEC-1] */
export function th512(label: string, ...items: readonly Uint8Array[]): Uint8Array {
  return sha512(join(lv8(ascii(label)), ...items.map(lv32)));
}

/** HKDF-Expand of RFC 5869 §2.3 with any info, for one block at most. */
export function expandedRaw512(secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  return hmac512(secret, join(info, big(1, 1))).subarray(0, length);
}

/** [SEC-2] */
export function expanded512({ secret, label, context, length = 64 }: Expansion): Uint8Array {
  const info = join(big(length, 2), lv8(ascii(`phorn1 ${label}`)), lv8(context ?? NOTHING));
  return expandedRaw512(secret, info, length);
}

/** A derived secret of 64 bytes. [SEC-2] */
export function xl512(secret: Uint8Array, label: string, context: Uint8Array): Uint8Array {
  return expanded512({ secret, label, context });
}

/** Of both handshake messages: HMAC under a key of the root, cut. [SEC-15] */
export function confirmTag(root: Uint8Array, label: string, transcript: Uint8Array): Uint8Array {
  return hmac512(xl512(root, label, transcript), transcript).subarray(0, 32);
}

/** What is heard of a handshake, as carried, and both agreed secrets. */
export interface Heard {
  readonly offer: Uint8Array;
  readonly offerSignature: Uint8Array;
  readonly accept: Uint8Array;
  readonly acceptSignature: Uint8Array;
  readonly z1: Uint8Array;
}

/** Up to the accept's tag. [SEC-15] */
export function firstSecrets({ offer, offerSignature, accept, acceptSignature, z1 }: Heard) {
  const th2s = th512(P, offer, offerSignature, accept, acceptSignature);
  const rk0 = hmac512(th2s, z1);
  return { z1, th2s, rk0, tag_r: confirmTag(rk0, "confirm r", th2s) };
}

export interface HeardAll extends Heard {
  readonly rk0: Uint8Array;
  /** As carried. */
  readonly tag: Uint8Array;
  readonly confirm: Uint8Array;
  readonly z2: Uint8Array;
}

/** Behind the accept's tag. [SEC-15] */
export function lastSecrets(heard: HeardAll) {
  const { offer, offerSignature, accept, acceptSignature, rk0, tag, confirm, z2 } = heard;
  const th3 = th512(P, offer, offerSignature, accept, acceptSignature, tag, confirm);
  const rk1 = hmac512(xl512(rk0, "derived", th3), z2);
  return { z2, th3, rk1, tag_i: confirmTag(rk1, "confirm i", th3) };
}

export type Direction = "i2r" | "r2i";

/** [SEC-40] */
export function chainStart(root: Uint8Array, direction: Direction, epoch: number): Uint8Array {
  return xl512(root, `chain ${direction}`, big(epoch, 4));
}

export function messageKeyAt(chain: Uint8Array, n: number): Uint8Array {
  return xl512(chain, "msg", big(n, 4));
}

export function nextChain(chain: Uint8Array, n: number): Uint8Array {
  return xl512(chain, "next", big(n, 4));
}

/** What seals one message. [SEC-40] */
export function sealingKeys(messageKey: Uint8Array) {
  return {
    enc: expanded512({ secret: messageKey, label: "enc", length: 32 }),
    nonce: expanded512({ secret: messageKey, label: "nonce", length: 12 }),
    tag_key: expanded512({ secret: messageKey, label: "tag" }),
  };
}

export interface EpochStep {
  readonly root: Uint8Array;
  readonly sessionId: Uint8Array;
  /** Of the next one. */
  readonly epoch: number;
  readonly ratchetKey: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly secret: Uint8Array;
}

/** The root of the next epoch, and what it comes of. [SEC-57] */
export function nextEpoch({ root, sessionId, epoch, ratchetKey, ciphertext, secret }: EpochStep) {
  const salt = xl512(root, "derived", big(epoch, 4));
  const transcript = th512(`${P} epoch`, sessionId, big(epoch, 4), ratchetKey, ciphertext);
  return { salt, transcript, root: xl512(hmac512(salt, secret), "epoch", transcript) };
}
