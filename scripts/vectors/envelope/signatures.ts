import { createHash } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import { type EnvelopeCase, envelopeCase } from "./cases.ts";
import {
  ascii,
  drawn,
  ed25519Public,
  ed25519Sign,
  fromHex,
  join,
  mlDsa65Public,
  mlDsa65Sign,
  NOTHING,
  signedText,
} from "./primitives.ts";

const ED = drawn("identity ed25519", 32);
const ML = drawn("identity ml-dsa-65", 32);
const TH1 = drawn("th1", 32);
const CONTEXT = "Posthorn link v1 server signature";
const TEXT = signedText(CONTEXT, TH1);
const ED_KEY = ed25519Public(ED);
const ML_KEY = mlDsa65Public(ML);
const ED_SIGNATURE = ed25519Sign(ED, TEXT);
const ML_SIGNATURE = mlDsa65Sign(ML, TEXT);

interface Signed {
  readonly ed25519?: Uint8Array;
  readonly mlDsa65?: Uint8Array;
  readonly text?: Uint8Array;
  readonly algorithm?: number;
  readonly signature: Uint8Array;
}

type About = readonly [ids: string, name: string, description: string];

function single(about: About, signed: Signed, failure?: "signature"): EnvelopeCase {
  const { ed25519: key = ED_KEY, mlDsa65 = NOTHING, text = TEXT, algorithm = 1 } = signed;
  const { signature } = signed;
  const members = { ed25519: key, ml_dsa_65: mlDsa65, algorithm, text, signature };
  return envelopeCase(about, "signature", members, failure);
}

const composite = (about: About, signed: Signed, failure?: "signature") =>
  single(about, { mlDsa65: ML_KEY, algorithm: 2, ...signed }, failure);

const flipped = (bytes: Uint8Array, at = 0) =>
  bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

const HALVES: readonly EnvelopeCase[] = [
  single(["ENV-30", "signature-ed25519", "One key."], { signature: ED_SIGNATURE }),
  composite(["ENV-30", "signature-both", "Two keys."], {
    signature: join(ED_SIGNATURE, ML_SIGNATURE),
  }),
  composite(
    ["ENV-30", "signature-ed25519-wrong", "The first of two is wrong."],
    { signature: join(flipped(ED_SIGNATURE, 5), ML_SIGNATURE) },
    "signature",
  ),
  composite(
    ["ENV-30", "signature-ml-dsa-wrong", "The second of two is wrong."],
    { signature: join(ED_SIGNATURE, flipped(ML_SIGNATURE, 100)) },
    "signature",
  ),
  composite(
    ["ENV-30", "signature-ml-dsa-context", "ML-DSA with a context of its own."],
    { signature: join(ED_SIGNATURE, mlDsa65Sign(ML, TEXT, ascii(CONTEXT))) },
    "signature",
  ),
  composite(
    ["ENV-30", "signature-ml-dsa-of-hash", "ML-DSA over the hash instead of the text."],
    { signature: join(ED_SIGNATURE, mlDsa65Sign(ML, TH1)) },
    "signature",
  ),
  composite(
    ["ENV-30", "signature-halves-of-two", "Halves of signatures over two texts."],
    { signature: join(ED_SIGNATURE, mlDsa65Sign(ML, signedText(CONTEXT, drawn("other", 32)))) },
    "signature",
  ),
  composite(
    ["ENV-30", "signature-ed25519-alone", "Two keys and one signature."],
    { signature: ED_SIGNATURE },
    "signature",
  ),
  composite(
    ["ENV-30", "signature-algorithm-1", "Two keys, algorithm 1 and one signature."],
    { algorithm: 1, signature: ED_SIGNATURE },
    "signature",
  ),
  single(
    ["ENV-30", "signature-algorithm-2", "One key and algorithm 2."],
    { algorithm: 2, signature: join(ED_SIGNATURE, ML_SIGNATURE) },
    "signature",
  ),
  ...[0, 3, 16].map((algorithm) =>
    single(
      ["ENV-30", `signature-algorithm-${algorithm}`, "An unknown algorithm."],
      { algorithm, signature: ED_SIGNATURE },
      "signature",
    ),
  ),
  single(
    ["ENV-30", "signature-short", "63 bytes."],
    { signature: ED_SIGNATURE.subarray(0, -1) },
    "signature",
  ),
  single(
    ["ENV-30", "signature-long", "65 bytes."],
    { signature: join(ED_SIGNATURE, fromHex("00")) },
    "signature",
  ),
  composite(
    ["ENV-30", "signature-both-long", "A byte behind both."],
    { signature: join(ED_SIGNATURE, ML_SIGNATURE, fromHex("00")) },
    "signature",
  ),
];

const TEXTS: readonly EnvelopeCase[] = (
  [
    ["other-th1", "Over another transcript.", signedText(CONTEXT, drawn("other", 32))],
    ["login-context", "Over the text of a login.", signedText("Posthorn login v1", TH1)],
    ["no-spaces", "Without the 64 spaces.", TEXT.subarray(64)],
    ["no-context", "Over the hash alone.", TH1],
    ["no-zero", "Without the zero behind the context.", join(TEXT.subarray(0, -33), TH1)],
  ] as const
).map(([name, description, text]) =>
  single(
    ["ENV-14", `signature-${name}`, description],
    { signature: ed25519Sign(ED, text) },
    "signature",
  ),
);

const ORDER = ed25519.Point.Fn.ORDER;

function littleEndian(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, "0")).reverse();
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}

const S = numberOf(ED_SIGNATURE.subarray(32));
const withS = (s: bigint) => join(ED_SIGNATURE.subarray(0, 32), littleEndian(s));

/** All points of small order in their one form, and other forms of some. */
const SMALL_ORDER: Readonly<Record<string, string>> = {
  neutral: "0100000000000000000000000000000000000000000000000000000000000000",
  "order-2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "order-4": "0000000000000000000000000000000000000000000000000000000000000000",
  "order-4-other": "0000000000000000000000000000000000000000000000000000000000000080",
  "order-8-a": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "order-8-b": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "order-8-c": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "order-8-d": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  "neutral-sign": "0100000000000000000000000000000000000000000000000000000000000080",
  "neutral-long": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "order-4-long": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

/**
 * With a key of small order some verifiers take this for any text: R is the neutral point, S zero,
 * and the text is searched until the challenge is a multiple of 8.
 */
function forgedUnder(key: Uint8Array): {
  readonly text: Uint8Array;
  readonly signature: Uint8Array;
} {
  const signature = join(littleEndian(1n), littleEndian(0n));
  for (let count = 0; ; count += 1) {
    const text = signedText(CONTEXT, drawn(`forged ${count}`, 32));
    const challenge = createHash("sha512").update(signature.subarray(0, 32)).update(key);
    const number = numberOf(challenge.update(text).digest()) % ORDER;
    if (number % 8n === 0n) return { text, signature };
  }
}

/** S·B = R + k·A with R of small order: what only a cofactored verifier takes. */
function withSmallR(r: Uint8Array): { readonly text: Uint8Array; readonly signature: Uint8Array } {
  const secret = numberOf(drawn("small R", 32)) % ORDER;
  const challenge = createHash("sha512").update(r).update(keyOf(secret)).update(TEXT).digest();
  const s = ((numberOf(challenge) % ORDER) * secret) % ORDER;
  return { text: TEXT, signature: join(r, littleEndian(s)) };
}

function keyOf(secret: bigint): Uint8Array {
  return ed25519.Point.BASE.multiply(secret).toBytes();
}

const SMALL_R_KEY = keyOf(numberOf(drawn("small R", 32)) % ORDER);

const FORMS: readonly EnvelopeCase[] = [
  ...Object.entries(SMALL_ORDER).map(([name, hex]) => {
    const key = fromHex(hex);
    return single(
      ["ENV-31", `signature-key-${name}`, "A key of small order, or not in its one form."],
      { ed25519: key, ...forgedUnder(key) },
      "signature",
    );
  }),
  ...Object.entries(SMALL_ORDER).map(([name, hex]) =>
    single(
      ["ENV-31", `signature-r-${name}`, "R of small order, or not in its one form."],
      { ed25519: SMALL_R_KEY, ...withSmallR(fromHex(hex)) },
      "signature",
    ),
  ),
  single(
    ["ENV-31", "signature-s-and-order", "S with the group's order added."],
    { signature: withS(S + ORDER) },
    "signature",
  ),
  single(
    ["ENV-31", "signature-s-order", "S is the group's order."],
    { signature: withS(ORDER) },
    "signature",
  ),
  single(
    ["ENV-31", "signature-s-highest", "All bits of S are set."],
    { signature: withS(2n ** 256n - 1n) },
    "signature",
  ),
];

export const SIGNATURES: readonly EnvelopeCase[] = [...HALVES, ...TEXTS, ...FORMS];
