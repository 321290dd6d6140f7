import { createPublicKey, publicEncrypt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { LinkRsaKey, rsaEncrypt } from "../../platform/native-rsa.ts";
import { rsaModulusBytes } from "../../protocol/envelope/rsa-key.ts";
import { SUITE_RSA_AES128 } from "../../protocol/envelope/suites.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn, rsaKeyOfVectors } from "../envelope/drawn.ts";
import { identityOf, Pair } from "../envelope/pair.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";

const CRYPTO = { client: NATIVE_CRYPTO, server: NATIVE_CRYPTO };
const IDENTITY = identityOf(NATIVE_CRYPTO, "service");
const PRIVATE_KEY = rsaKeyOfVectors();
const SPKI = new Uint8Array(createPublicKey(PRIVATE_KEY).export({ type: "spki", format: "der" }));
/** Where the modulus of 3072 bits begins and ends. */
const MODULUS = { at: 33, end: 33 + 384 };

interface KeyCase {
  readonly bits: number;
  readonly exponent: readonly number[];
  readonly extra: number;
  /** A flipped bit of the whole; above its length: none. */
  readonly bit: number;
}

/** DER, written out: length, then content. */
function der(tag: number, content: readonly number[]): number[] {
  const { length } = content;
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return [tag, ...size, ...content];
}

function spkiOf({ bits, exponent, extra }: KeyCase): number[] {
  const modulus = [...drawn(`modulus ${bits}`, Math.ceil(bits / 8))];
  const top = (bits - 1) % 8;
  modulus[0] = ((modulus[0] as number) & ((1 << top) - 1)) | (1 << top);
  modulus[modulus.length - 1] = (modulus.at(-1) as number) | 1;
  const positive = top === 7 ? [0, ...modulus] : modulus;
  const numbers = der(0x30, [...der(2, positive), ...der(2, [...exponent])]);
  const algorithm = der(0x30, [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0]);
  const tail = Array.from({ length: extra }, () => 0);
  return [...der(0x30, [...algorithm, ...der(3, [0, ...numbers])]), ...tail];
}

function judgeKey(input: KeyCase, seen: Seen): void {
  const spki = Uint8Array.from(spkiOf(input));
  const { bits, exponent, extra, bit } = input;
  const isLegal = [2048, 3072, 4096].includes(bits) && exponent.join() === "1,0,1" && extra === 0;
  assert((rsaModulusBytes(spki) === bits / 8) === isLegal, `${bits} bits, e ${exponent} [ENV-21]`);
  assert(isLegal || rsaModulusBytes(spki) === undefined, "or none at all");
  seen(isLegal ? "legal" : "illegal");
  if (!isLegal || bit >= spki.length * 8) return;
  const place = bit >> 3;
  spki[place] = (spki[place] as number) ^ (1 << (bit & 7));
  const at = spki.length - 5 - bits / 8;
  const isOfModulus = place >= at && place < spki.length - 5;
  const isSound = isOfModulus && (spki[at] as number) >= 0x80 && (spki.at(-6) as number) % 2 === 1;
  assert((rsaModulusBytes(spki) !== undefined) === isSound, `byte ${place} was changed [ENV-21]`);
}

/** Which keys are allowed, decided by their bytes. */
export const envelopeRsaKey = property<KeyCase>({
  name: "envelope-rsa-key",
  title: "[ENV-21] a key of another size, exponent or form is refused before it is used",
  smokeRuns: 200,
  kinds: ["legal", "illegal"],
  arbitrary: fc.record({
    bits: fc.oneof(
      fc.constantFrom(2048, 3072, 4096),
      fc.constantFrom(1024, 2047, 2049, 3071, 8192),
    ),
    exponent: fc.oneof(
      { weight: 3, arbitrary: fc.constant([1, 0, 1]) },
      { weight: 1, arbitrary: fc.constantFrom([3], [1, 0, 0], [0, 1, 0, 1], [1, 0, 1, 1]) },
    ),
    extra: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(3)),
    bit: fc.nat(6000),
  }),
  start: (seen) => ({ check: (input) => judgeKey(input, seen) }),
});

interface Oracle {
  readonly name: string;
  readonly fault: "none" | "flip" | "zero" | "sha1" | "no-label" | "short-secret" | "modulus";
  readonly at: number;
}

/** A case of the vectors, made by another implementation. */
interface Known {
  readonly kem_ct_hex: string;
  readonly kem_secret_hex: string;
}

function knownCase(): Known {
  const path = join(import.meta.dirname, "../../spec/vectors/envelope-handshake.json");
  const { cases } = JSON.parse(readFileSync(path, "utf8")) as {
    readonly cases: readonly (Known & { readonly suite?: number })[];
  };
  const found = cases.find(({ suite }) => suite === SUITE_RSA_AES128);
  assert(found !== undefined, "the vectors have a case of suite 1");
  return found;
}

/** A ciphertext that a service of somebody else may have made. */
function ciphertextOf({ fault, at, name }: Oracle): Uint8Array {
  const secret = drawn(`${name} secret`, fault === "short-secret" ? 31 : 32);
  const label = Buffer.from(fault === "no-label" ? "" : "posthorn/link/v1/rsa-oaep");
  const oaepHash = fault === "sha1" ? "sha1" : "sha256";
  const key = createPublicKey(PRIVATE_KEY);
  const sound = new Uint8Array(publicEncrypt({ key, oaepHash, oaepLabel: label }, secret));
  if (fault === "flip") sound[at % 384] = (sound[at % 384] as number) ^ (1 << (at % 8));
  if (fault === "zero") sound.fill(0);
  if (fault === "modulus") sound.set(SPKI.subarray(MODULUS.at, MODULUS.end));
  return sound;
}

/** Whatever is wrong with a ciphertext, one sees a wrong confirm and nothing else. [ENV-24] */
function ask(oracle: Oracle, known: Known, seen: Seen): void {
  const kept = new LinkRsaKey(PRIVATE_KEY).decrypt(Buffer.from(known.kem_ct_hex, "hex"));
  assert(kept !== undefined && hex(kept) === known.kem_secret_hex, "others encrypt so [ENV-22]");
  const secret = drawn(oracle.name, 32);
  const key = new LinkRsaKey(PRIVATE_KEY);
  const sealed = rsaEncrypt(SPKI, secret);
  assert(sealed !== undefined && hex(key.decrypt(sealed) ?? secret) === hex(secret), "comes back");
  assertSpent(key, sealed);
  const ciphertext = ciphertextOf(oracle);
  const decrypted = new LinkRsaKey(PRIVATE_KEY).decrypt(ciphertext);
  const isSound = oracle.fault === "none" || oracle.fault === "short-secret";
  assert((decrypted !== undefined) === isSound, `${oracle.fault} decrypts [ENV-22]`);
  judgeReaction(oracle, decrypted, seen);
}

function assertSpent(key: LinkRsaKey, ciphertext: Uint8Array): void {
  let isSpent = false;
  try {
    key.decrypt(ciphertext);
  } catch {
    isSpent = true;
  }
  assert(isSpent, "a key decrypts once [ENV-23]");
}

/** A device that got another ciphertext than the service made: one alert, one cause. */
function judgeReaction({ name, fault }: Oracle, wrong: Uint8Array | undefined, seen: Seen): void {
  const pair = new Pair({
    name,
    crypto: CRYPTO,
    client: {
      suites: [SUITE_RSA_AES128],
      expects: { kind: "pinned", serverIds: [IDENTITY.serverId] },
    },
    server: { identities: [IDENTITY] },
    decrypt: () => wrong,
  });
  pair.settle();
  const { ends, records, link } = pair.at.client;
  seen(fault);
  assert(link === undefined, "the device is not through");
  assert(ends[0]?.because.code === ErrorCode.ENVELOPE_CONFIRM_INVALID, `${fault} [ENV-24]`);
  assert(records.length === 2 && hex(records[1] as Uint8Array).endsWith("0828"), "one alert 40");
}

/** Nobody can ask a device's key questions. */
export const envelopeRsaOracle = property<Oracle>({
  name: "envelope-rsa-oracle",
  title:
    "[ENV-22] [ENV-23] [ENV-24] a ciphertext that does not decrypt ends a link as a wrong secret " +
    "does, and a key decrypts once (P23)",
  smokeRuns: 20,
  kinds: ["none", "flip", "zero", "sha1", "no-label", "short-secret", "modulus"],
  arbitrary: fc.record({
    name: fc.string(),
    fault: fc.constantFrom("none", "flip", "zero", "sha1", "no-label", "short-secret", "modulus"),
    at: fc.nat(),
  }),
  start: (seen) => {
    const known = knownCase();
    return { check: (oracle) => ask(oracle, known, seen) };
  },
});
