import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { assert, type Violation, violation } from "../violation.ts";
import {
  ED25519_PUBLIC_KEY_BYTES,
  ED25519_SIGNATURE_BYTES,
  isSoundEd25519Key,
  isSoundEd25519Signature,
} from "./ed25519-form.ts";
import { concat, NO_BYTES } from "./octets.ts";
import { type CryptoProvider, HASH_BYTES, type SigningKey } from "./provider.ts";
import { transcriptHash } from "./transcript.ts";

export const ML_DSA_65_PUBLIC_KEY_BYTES = 1952;
export const ML_DSA_65_SIGNATURE_BYTES = 3309;

/** Algorithms of a service's signature. [ENV-30] */
export const SIGNATURE_ED25519 = 1;
export const SIGNATURE_ED25519_ML_DSA_65 = 2;

/** The public half of an identity, as ServerHello carries it. */
export interface IdentityKeys {
  readonly ed25519: Uint8Array;
  /** Empty for an identity without it. */
  readonly mlDsa65: Uint8Array;
}

/** A service's identity: what devices pin, and what signs. */
export class ServerIdentity {
  readonly keys: IdentityKeys;
  /** 32 bytes. [ENV-27] */
  readonly serverId: Uint8Array;
  readonly #ed25519: SigningKey;
  readonly #mlDsa65: SigningKey | undefined;

  constructor(crypto: CryptoProvider, keys: ServerSigningKeys) {
    this.#ed25519 = keys.ed25519;
    this.#mlDsa65 = keys.mlDsa65;
    const mlDsa65 = keys.mlDsa65?.publicKey ?? NO_BYTES;
    this.keys = { ed25519: keys.ed25519.publicKey, mlDsa65 };
    this.serverId = serverIdOf(crypto, this.keys);
  }

  get signatureAlgorithm(): number {
    return algorithmOf(this.keys);
  }

  /** Both signatures over the same text where there are two keys. [ENV-30] */
  sign(text: Uint8Array): Uint8Array {
    const first = this.#ed25519.sign(text);
    return this.#mlDsa65 === undefined ? first : concat([first, this.#mlDsa65.sign(text)]);
  }
}

export interface ServerSigningKeys {
  readonly ed25519: SigningKey;
  readonly mlDsa65?: SigningKey;
}

/** What is pinned: a hash over both keys, so that none can be left out. [ENV-27] */
export function serverIdOf(crypto: CryptoProvider, { ed25519, mlDsa65 }: IdentityKeys): Uint8Array {
  return transcriptHash(crypto, "phorn-pin-1", [ed25519, mlDsa65]);
}

/** Which algorithm an identity signs with: it follows from its keys, nobody chooses. [ENV-30] */
export function algorithmOf({ mlDsa65 }: IdentityKeys): number {
  return mlDsa65.length === 0 ? SIGNATURE_ED25519 : SIGNATURE_ED25519_ML_DSA_65;
}

/** Whether keys have the form that an identity's have. */
export function areSoundKeys({ ed25519, mlDsa65 }: IdentityKeys): boolean {
  const isWhole = mlDsa65.length === 0 || mlDsa65.length === ML_DSA_65_PUBLIC_KEY_BYTES;
  return ed25519.length === ED25519_PUBLIC_KEY_BYTES && isWhole;
}

/** Verifies a service's signature: every one of them has to be right. [ENV-30] [ENV-31] */
export function isSignedBy(
  crypto: CryptoProvider,
  keys: IdentityKeys,
  { text, algorithm, signature }: Signed,
): boolean {
  if (algorithm !== algorithmOf(keys)) return false;
  const first = signature.subarray(0, ED25519_SIGNATURE_BYTES);
  if (!isEd25519Signed(crypto, { publicKey: keys.ed25519, text, signature: first })) return false;
  const second = signature.subarray(ED25519_SIGNATURE_BYTES);
  if (algorithm === SIGNATURE_ED25519) return second.length === 0;
  return (
    second.length === ML_DSA_65_SIGNATURE_BYTES && crypto.mlDsa65Verify(keys.mlDsa65, text, second)
  );
}

export interface Signed {
  readonly text: Uint8Array;
  readonly algorithm: number;
  readonly signature: Uint8Array;
}

/** Ed25519 with the one verdict that all implementations agree on. [ENV-31] */
export function isEd25519Signed(
  crypto: CryptoProvider,
  { publicKey, text, signature }: Ed25519Signed,
): boolean {
  return (
    isSoundEd25519Key(publicKey) &&
    isSoundEd25519Signature(signature) &&
    crypto.ed25519Verify(publicKey, text, signature)
  );
}

export interface Ed25519Signed {
  readonly publicKey: Uint8Array;
  readonly text: Uint8Array;
  readonly signature: Uint8Array;
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const PIN_LETTERS = 52;

/** A pin as people pass it on: base32 (RFC 4648 §6) in lower case, without padding. [ENV-28] */
export function pinText(serverId: Uint8Array): string {
  assert(serverId.length === HASH_BYTES, "a pin is 32 bytes");
  let text = "";
  let kept = 0;
  let bits = 0;
  for (const byte of serverId) {
    kept = (kept << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += ALPHABET[(kept >>> (bits - 5)) & 31];
    kept &= 0xff;
  }
  return text + ALPHABET[(kept << (5 - bits)) & 31];
}

/**
 * Reads a pin, whatever its case and however people have grouped it with spaces and hyphens.
 *
 * @returns CONFIG_INVALID for anything else
 */
export function parsePin(text: string): Uint8Array | Violation {
  const letters = text.toLowerCase().replaceAll(/[\s-]/g, "");
  const values = Array.from(letters, (letter) => ALPHABET.indexOf(letter));
  const last = values[PIN_LETTERS - 1] ?? 0;
  if (values.length !== PIN_LETTERS || values.includes(-1) || last % 16 !== 0) {
    const detail = `a pin has ${PIN_LETTERS} letters of a-z and 2-7`;
    return violation(ErrorCode.CONFIG_INVALID, "ENV-28", detail);
  }
  const pin = new Uint8Array(HASH_BYTES);
  values.forEach((value, index) => {
    for (let bit = 0; bit < 5; bit += 1) {
      const at = index * 5 + bit;
      if (((value >>> (4 - bit)) & 1) === 1 && at < 256) {
        pin[at >>> 3] = (pin[at >>> 3] as number) | (0x80 >>> (at & 7));
      }
    }
  });
  return pin;
}
