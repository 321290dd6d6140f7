import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import { ascii, big, drawn, fromHex, join } from "./primitives.ts";

// RSA keys that protect nothing, and ciphertexts with a seed of our choice, honest and not: the
// library draws its own, so OAEP is put together here.

const KEYS: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(joinPath(import.meta.dirname, "rsa-keys.json"), "utf8"),
);

export type RsaBits = 2048 | 3072 | 4096;

export interface VectorRsaKey {
  readonly bytes: number;
  readonly pkcs8: Uint8Array;
  readonly spki: Uint8Array;
  readonly modulus: bigint;
  readonly publicKey: KeyObject;
}

export function rsaKey(bits: RsaBits): VectorRsaKey {
  const pkcs8 = fromHex(KEYS[bits] as string);
  const publicKey = createPublicKey(
    createPrivateKey({ key: pkcs8 as Buffer, format: "der", type: "pkcs8" }),
  );
  const spki = publicKey.export({ type: "spki", format: "der" });
  const { n } = publicKey.export({ format: "jwk" });
  const modulus = BigInt(`0x${Buffer.from(n as string, "base64url").toString("hex")}`);
  return { bytes: bits / 8, pkcs8, spki, modulus, publicKey };
}

export interface Oaep {
  readonly seedName: string;
  readonly label?: string;
  readonly hash?: "sha1" | "sha256";
  readonly mgf1Hash?: "sha1" | "sha256";
}

/** RSAES-OAEP of RFC 8017 §7.1.1 with a drawn seed. [ENV-22] */
export function oaepSealed(key: VectorRsaKey, secret: Uint8Array, oaep: Oaep): Uint8Array {
  const { seedName, label = OAEP_LABEL, hash = "sha256", mgf1Hash = "sha256" } = oaep;
  const labelHash = createHash(hash).update(ascii(label)).digest();
  const blockBytes = key.bytes - 1 - labelHash.length;
  const zeros = new Uint8Array(blockBytes - labelHash.length - 1 - secret.length);
  const block = join(labelHash, zeros, big(1, 1), secret);
  const seed = drawn(seedName, labelHash.length);
  const maskedBlock = xored(block, mgf1(mgf1Hash, seed, blockBytes));
  const maskedSeed = xored(seed, mgf1(mgf1Hash, maskedBlock, seed.length));
  return rawEncrypted(key, join(big(0, 1), maskedSeed, maskedBlock));
}

const OAEP_LABEL = "posthorn/link/v1/rsa-oaep";

/** RSAES-PKCS1-v1_5 of RFC 8017 §7.2.1, which nobody may accept. */
export function pkcs1Sealed(key: VectorRsaKey, secret: Uint8Array): Uint8Array {
  const padding = drawn("pkcs1 padding", key.bytes - 3 - secret.length).map((byte) => byte || 1);
  return rawEncrypted(key, join(big(2, 2), padding, big(0, 1), secret));
}

function rawEncrypted({ publicKey }: VectorRsaKey, block: Uint8Array): Uint8Array {
  return publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, block);
}

function mgf1(hash: string, seed: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let count = 0; join(...blocks).length < length; count += 1) {
    blocks.push(createHash(hash).update(seed).update(big(count, 4)).digest());
  }
  return join(...blocks).subarray(0, length);
}

function xored(bytes: Uint8Array, mask: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => byte ^ (mask[at] as number));
}

// DER by hand, so that it may be anything.

export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = join(...contents);
  const { length } = content;
  const width = length < 0x80 ? 0 : length < 0x100 ? 1 : 2;
  const size = width === 0 ? big(length, 1) : join(big(0x80 + width, 1), big(length, width));
  return join(big(tag, 1), size, content);
}

/** An INTEGER in its shortest form. */
export function derInteger(value: bigint): Uint8Array {
  const hex = value.toString(16);
  const even = hex.padStart(hex.length + (hex.length % 2), "0");
  const isHigh = Number.parseInt(even.slice(0, 2), 16) >= 0x80;
  return der(2, fromHex(isHigh ? `00${even}` : even));
}

export const RSA_ENCRYPTION: Uint8Array = fromHex("06092a864886f70d010101");
export const RSASSA_PSS: Uint8Array = fromHex("06092a864886f70d01010a");
export const DER_NULL: Uint8Array = fromHex("0500");

export interface Spki {
  readonly modulus: bigint;
  readonly exponent?: bigint;
  /** What stands in AlgorithmIdentifier. */
  readonly algorithm?: readonly Uint8Array[];
}

/** A SubjectPublicKeyInfo of any numbers. [ENV-21] */
export function spkiOf({ modulus, exponent = 65_537n, algorithm }: Spki): Uint8Array {
  const numbers = der(0x30, derInteger(modulus), derInteger(exponent));
  const name = der(0x30, ...(algorithm ?? [RSA_ENCRYPTION, DER_NULL]));
  return der(0x30, name, der(3, big(0, 1), numbers));
}
