import { type EnvelopeCase, envelopeCase } from "./cases.ts";
import { drawn, fromHex, join, xwingKey, xwingSeal } from "./primitives.ts";

const DECAPSULATE = "xwing-decapsulate";
const ENCAPSULATE = "xwing-encapsulate";
const SEED = drawn("xwing seed", 32);
const RANDOMNESS = drawn("xwing randomness", 64);
const KEY = xwingKey(SEED);
const { ciphertext: CIPHERTEXT } = xwingSeal(KEY.publicKey, RANDOMNESS);

/** The first of the draft's own vectors. */
const OF_THE_DRAFT = [
  [
    "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
    "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2" +
      "35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
    "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384",
  ],
] as const;

/** Both ways: who has no derandomized form decapsulates only. */
function honest(name: string, description: string, [seed, randomness]: Inputs): EnvelopeCase {
  const { publicKey } = xwingKey(seed);
  const { ciphertext, secret } = xwingSeal(publicKey, randomness);
  const members = { seed, randomness, public_key: publicKey, ciphertext, secret };
  return envelopeCase(["ENV-25", name, description], ENCAPSULATE, members);
}
type Inputs = readonly [seed: Uint8Array, randomness: Uint8Array];

const HONEST: readonly EnvelopeCase[] = [
  ...OF_THE_DRAFT.map(([seed, randomness, secret], index) => {
    const inputs = [fromHex(seed), fromHex(randomness)] as const;
    const made = honest(`xwing-draft-${index}`, "A vector of the draft itself.", inputs);
    const { secret_hex } = made as unknown as { secret_hex: string };
    if (secret_hex !== secret) throw new TypeError(`the draft has the secret ${secret}`);
    return made;
  }),
  ...[1, 2, 3].map((index) =>
    honest(`xwing-${index}`, "A key, a ciphertext and a secret.", [
      drawn(`xwing seed ${index}`, 32),
      drawn(`xwing randomness ${index}`, 64),
    ]),
  ),
];

function flipped(at: number): Uint8Array {
  return CIPHERTEXT.map((byte, index) => (index === at ? byte ^ 1 : byte));
}

/** ML-KEM never refuses a ciphertext of the right length: what comes out is another secret. */
const REJECTED: readonly EnvelopeCase[] = (
  [
    ["first-byte", 0],
    ["last-kem-byte", 1087],
    ["point", 1088],
  ] as const
).map(([name, at]) => {
  const ciphertext = flipped(at);
  const members = { seed: SEED, public_key: KEY.publicKey, ciphertext };
  const about = `Byte ${at} of a ciphertext is changed: another secret, and no error.`;
  return envelopeCase(["ENV-25", `xwing-flipped-${name}`, about], DECAPSULATE, {
    ...members,
    secret: KEY.open(ciphertext),
  });
});

/** Points of low order, and two of their other encodings (RFC 7748 §6.1, §7). */
const LOW_ORDER: Readonly<Record<string, string>> = {
  zero: "0000000000000000000000000000000000000000000000000000000000000000",
  one: "0100000000000000000000000000000000000000000000000000000000000000",
  "order-8": "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "order-8-other": "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "minus-one": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  prime: "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "prime-and-one": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

const refusedText = (name: string, description: string, ciphertext: Uint8Array) =>
  envelopeCase(
    ["ENV-25", `xwing-${name}`, description],
    DECAPSULATE,
    { seed: SEED, public_key: KEY.publicKey, ciphertext },
    "kem",
  );
const refusedKey = (name: string, description: string, public_key: Uint8Array) =>
  envelopeCase(["ENV-25", `xwing-${name}`, description], ENCAPSULATE, { public_key }, "kem");

/** A coefficient of 3329 or more in the place of one of the key's 768: 12 bits each. */
function unreduced(index: number, coefficient: number): Uint8Array {
  const key = Uint8Array.from(KEY.publicKey);
  const at = Math.floor(index / 2) * 3;
  const [low, middle, high] = [key[at], key[at + 1], key[at + 2]] as [number, number, number];
  if (index % 2 === 0) key.set([coefficient & 0xff, (middle & 0xf0) | (coefficient >> 8)], at);
  else key.set([low, (middle & 0x0f) | ((coefficient & 0x0f) << 4), coefficient >> 4], at);
  if (index % 2 === 0) key[at + 2] = high;
  return key;
}

const REFUSED: readonly EnvelopeCase[] = [
  ...Object.entries(LOW_ORDER).flatMap(([name, hex]) => {
    const point = fromHex(hex);
    return [
      refusedText(
        `text-${name}`,
        "A point of low order in the ciphertext.",
        join(CIPHERTEXT.subarray(0, 1088), point),
      ),
      refusedKey(
        `key-${name}`,
        "A point of low order in the key.",
        join(KEY.publicKey.subarray(0, 1184), point),
      ),
    ];
  }),
  ...(
    [
      [0, 3329],
      [1, 3329],
      [766, 4095],
      [767, 4095],
    ] as const
  ).map(([index, coefficient]) =>
    refusedKey(
      `key-unreduced-${index}`,
      `Coefficient ${index} of the key is ${coefficient}.`,
      unreduced(index, coefficient),
    ),
  ),
  refusedKey("key-short", "A key of 1,215 bytes.", KEY.publicKey.subarray(0, -1)),
  refusedKey("key-long", "A key of 1,217 bytes.", join(KEY.publicKey, fromHex("00"))),
  refusedText("text-short", "A ciphertext of 1,119 bytes.", CIPHERTEXT.subarray(0, -1)),
  refusedText("text-long", "A ciphertext of 1,121 bytes.", join(CIPHERTEXT, fromHex("00"))),
];

export const XWING: readonly EnvelopeCase[] = [...HONEST, ...REJECTED, ...REFUSED];
