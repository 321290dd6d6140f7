import { type EnvelopeCase, envelopeCase } from "./cases.ts";
import { big, drawn, fromHex, join, NOTHING } from "./primitives.ts";
import {
  DER_NULL,
  der,
  derInteger,
  type Oaep,
  oaepSealed,
  pkcs1Sealed,
  RSA_ENCRYPTION,
  RSASSA_PSS,
  type RsaBits,
  rsaKey,
  type Spki,
  spkiOf,
} from "./rsa-builder.ts";

const SECRET = drawn("rsa secret", 32);
const KEY = rsaKey(2048);

/** Only decryption has one answer: OAEP draws a seed. */
function decrypted(name: string, description: string, bits: RsaBits): EnvelopeCase {
  const key = rsaKey(bits);
  const ciphertext = oaepSealed(key, SECRET, { seedName: name });
  const members = { private_key: key.pkcs8, public_key: key.spki, ciphertext, secret: SECRET };
  return envelopeCase(["ENV-22", name, description], "rsa-decrypt", members);
}

function undecryptable(
  name: string,
  description: string,
  ciphertext: Uint8Array,
  ids = "ENV-22 ENV-24",
): EnvelopeCase {
  const members = { private_key: KEY.pkcs8, public_key: KEY.spki, ciphertext };
  return envelopeCase([ids, name, description], "rsa-decrypt", members, "kem");
}

const sealed = (oaep: Partial<Oaep>, secret = SECRET) =>
  oaepSealed(KEY, secret, { seedName: "rsa seed", ...oaep });
const flipped = (at: number) =>
  sealed({}).map((byte, index, { length }) => (index === (at + length) % length ? byte ^ 1 : byte));

const DECRYPTIONS: readonly EnvelopeCase[] = [
  decrypted("rsa-2048", "A modulus of 2,048 bits.", 2048),
  decrypted("rsa-3072", "A modulus of 3,072 bits.", 3072),
  decrypted("rsa-4096", "A modulus of 4,096 bits.", 4096),
  undecryptable(
    "rsa-mgf1-sha1",
    "MGF1 with SHA-1, as some libraries have it.",
    sealed({
      mgf1Hash: "sha1",
    }),
  ),
  undecryptable(
    "rsa-sha1",
    "SHA-1 for both, as some libraries have it.",
    sealed({
      hash: "sha1",
      mgf1Hash: "sha1",
    }),
  ),
  undecryptable("rsa-hash-sha1", "SHA-1 for the label alone.", sealed({ hash: "sha1" })),
  undecryptable("rsa-no-label", "The empty label.", sealed({ label: "" })),
  undecryptable(
    "rsa-other-label",
    "Another label.",
    sealed({
      label: "posthorn/link/v2/rsa-oaep",
    }),
  ),
  undecryptable("rsa-pkcs1", "PKCS #1 v1.5.", pkcs1Sealed(KEY, SECRET)),
  undecryptable("rsa-flipped-first", "A bit of the first byte.", flipped(1)),
  undecryptable("rsa-flipped-last", "A bit of the last byte.", flipped(-1)),
  undecryptable("rsa-zero", "The number 0.", new Uint8Array(KEY.bytes)),
  undecryptable("rsa-modulus", "A number that is the modulus.", big(KEY.modulus, KEY.bytes)),
  undecryptable("rsa-short", "A byte less than the modulus.", sealed({}).subarray(1)),
  undecryptable("rsa-long", "A byte more than the modulus.", join(fromHex("00"), sealed({}))),
  undecryptable("rsa-empty", "No bytes.", NOTHING),
  undecryptable("rsa-secret-empty", "A secret of no bytes.", sealed({}, NOTHING)),
  undecryptable("rsa-secret-31", "A secret of 31 bytes.", sealed({}, SECRET.subarray(1))),
  undecryptable("rsa-secret-33", "A secret of 33 bytes.", sealed({}, join(SECRET, big(0, 1)))),
];

/** An odd number of so many bits that nobody knows the factors of: only its form is judged. */
function oddOf(bits: number): bigint {
  const number = BigInt(
    `0x${Buffer.from(drawn("rsa modulus", Math.ceil(bits / 8) + 1)).toString("hex")}`,
  );
  return (number % 2n ** BigInt(bits - 1)) | (1n << BigInt(bits - 1)) | 1n;
}

const accepted = (bits: RsaBits) =>
  envelopeCase(["ENV-21", `rsa-key-${bits}`, `A key of ${bits} bits.`], "rsa-key", {
    public_key: rsaKey(bits).spki,
  });
const refused = (name: string, description: string, public_key: Uint8Array) =>
  envelopeCase(["ENV-21", `rsa-key-${name}`, description], "rsa-key", { public_key }, "policy");
const other = (spki: Partial<Spki>) => spkiOf({ modulus: KEY.modulus, ...spki });

const numbers = (...integers: readonly Uint8Array[]) =>
  der(0x30, der(0x30, RSA_ENCRYPTION, DER_NULL), der(3, big(0, 1), der(0x30, ...integers)));
const E = derInteger(65_537n);

const KEYS: readonly EnvelopeCase[] = [
  accepted(2048),
  accepted(3072),
  accepted(4096),
  ...[1024, 2040, 2047, 2049, 2056, 3071, 3073, 4104, 8192].map((bits) =>
    refused(`${bits}`, `A modulus of ${bits} bits.`, spkiOf({ modulus: oddOf(bits) })),
  ),
  refused("even", "An even modulus.", spkiOf({ modulus: KEY.modulus - 1n })),
  ...[1n, 3n, 17n, 65_535n, 65_536n, 65_539n, 2n ** 32n + 1n].map((exponent) =>
    refused(`e-${exponent}`, `The exponent ${exponent}.`, other({ exponent })),
  ),
  refused("empty", "No bytes.", NOTHING),
  refused("cut", "The last byte is missing.", KEY.spki.subarray(0, -1)),
  refused("trailing", "A byte behind the key.", join(KEY.spki, big(0, 1))),
  refused("no-null", "No parameters.", other({ algorithm: [RSA_ENCRYPTION] })),
  refused("pss", "A key of RSASSA-PSS.", other({ algorithm: [RSASSA_PSS, DER_NULL] })),
  refused("pkcs1", "RSAPublicKey alone.", der(0x30, derInteger(KEY.modulus), E)),
  refused(
    "negative",
    "The modulus without the zero that keeps it positive.",
    numbers(der(2, big(KEY.modulus, KEY.bytes)), E),
  ),
  refused(
    "2047-zero",
    "A modulus of 2,047 bits with a zero in front.",
    numbers(der(2, big(oddOf(2047), 257)), E),
  ),
  refused(
    "leading-zero",
    "A modulus with one zero more.",
    numbers(der(2, big(0, 2), big(KEY.modulus, KEY.bytes)), E),
  ),
  refused(
    "long-exponent",
    "65,537 with one zero more.",
    numbers(derInteger(KEY.modulus), fromHex("020400010001")),
  ),
  refused("three-numbers", "A third number.", numbers(derInteger(KEY.modulus), E, derInteger(1n))),
];

export const RSA: readonly EnvelopeCase[] = [...DECRYPTIONS, ...KEYS];
