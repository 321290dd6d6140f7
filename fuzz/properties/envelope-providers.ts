import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../../protocol/envelope/noble.ts";
import {
  type AeadName,
  aeadKeyBytes,
  type CryptoProvider,
  TAG_BYTES,
  XWING_CIPHERTEXT_BYTES,
  XWING_PUBLIC_KEY_BYTES,
} from "../../protocol/envelope/provider.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";

type Question =
  | { readonly kind: "hash"; readonly key: Uint8Array; readonly bytes: Uint8Array }
  | {
      readonly kind: "aead";
      readonly name: AeadName;
      readonly text: Uint8Array;
      readonly header: Uint8Array;
      /** How many bytes of ciphertext and tag arrive; above: all. */
      readonly kept: number;
      /** A flipped bit; above the length: none. */
      readonly bit: number;
    }
  | {
      readonly kind: "xwing";
      readonly name: string;
      readonly part: XwingFault;
      readonly at: number;
    }
  | { readonly kind: "signature"; readonly name: string; readonly fault: SignatureFault };

type XwingFault = "none" | "flip" | "low-order" | "not-reduced" | "length";
type SignatureFault = "none" | "flip" | "small-key" | "small-both" | "large-s" | "ml-dsa";

const PROVIDERS: readonly CryptoProvider[] = [NATIVE_CRYPTO, NOBLE_CRYPTO];
const CURVE_BYTES = 32;

/** X25519 points of low order (RFC 7748 §6.1, Wycheproof): with them everybody agrees on zero. */
const LOW_ORDER: readonly string[] = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
/** Ed25519 points of order 1 and 8. */
const IDENTITY_POINT = "0100000000000000000000000000000000000000000000000000000000000000";
const SMALL_POINT = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
const GROUP_ORDER = BigInt("0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");

/** All providers give one answer. */
function same(what: string, answers: readonly (Uint8Array | boolean | undefined)[]): void {
  const texts = answers.map((answer) => (answer instanceof Uint8Array ? hex(answer) : `${answer}`));
  assert(
    new Set(texts).size === 1,
    `${what}: ${texts.map((text) => text.slice(0, 40)).join(", ")}`,
  );
}

function askHash({ key, bytes }: Question & { kind: "hash" }): void {
  same(
    "sha256",
    PROVIDERS.map((crypto) => crypto.sha256(bytes)),
  );
  same(
    "hmac",
    PROVIDERS.map((crypto) => crypto.hmacSha256(key, bytes)),
  );
  same(
    "sha512",
    PROVIDERS.map((crypto) => crypto.sha512(bytes)),
  );
  same(
    "hmac of sha512",
    PROVIDERS.map((crypto) => crypto.hmacSha512(key, bytes)),
  );
}

function askAead(question: Question & { kind: "aead" }, seen: Seen): void {
  const { name, text, header, kept, bit } = question;
  const key = drawn("key", aeadKeyBytes(name));
  const nonce = drawn("nonce", 12);
  const sealed = PROVIDERS.map((crypto) => {
    const into = new Uint8Array(text.length + TAG_BYTES);
    crypto.aead(name, key).seal({ nonce, header, text }, into);
    return into;
  });
  same(`${name} seal`, sealed);
  const arrived = Uint8Array.from((sealed[0] as Uint8Array).subarray(0, kept));
  const isFlipped = bit < arrived.length * 8;
  if (isFlipped) arrived[bit >> 3] = (arrived[bit >> 3] as number) ^ (1 << (bit & 7));
  const opened = PROVIDERS.map((crypto) => {
    return crypto.aead(name, key).open({ nonce, header, text: arrived });
  });
  same(`${name} open`, opened);
  const isWhole = kept >= text.length + TAG_BYTES && !isFlipped;
  assert((opened[0] !== undefined) === isWhole, `${name} opens what is whole, no more [ENV-5]`);
  seen(isWhole ? "opened" : arrived.length < TAG_BYTES ? "short tag" : "not opened");
}

function askXwing({ name, part, at }: Question & { kind: "xwing" }, seen: Seen): void {
  const seed = drawn(name, 32);
  const keys = PROVIDERS.map((crypto) => crypto.xwingPublicKey(seed));
  same("X-Wing key", keys);
  const publicKey = spoiled(keys[0] as Uint8Array, part, at);
  const agreed = PROVIDERS.map((crypto) => {
    return crypto.xwingEncapsulate(publicKey, drawn(`${name} coins`, 64));
  });
  // OpenSSL draws for itself: what is compared is whether there is an answer.
  same(
    `X-Wing ${part} key`,
    agreed.map((answer) => answer !== undefined),
  );
  const isKey = part === "none" || (part === "flip" && agreed[0] !== undefined);
  assert((agreed[0] !== undefined) === isKey, `a key that is ${part} [ENV-25]`);
  seen(`key ${part}`);
  if (part === "not-reduced" || part === "flip") return;
  for (const crypto of PROVIDERS) {
    const own = crypto.xwingEncapsulate(keys[0] as Uint8Array, drawn(`${name} coins`, 64));
    assert(own !== undefined, "an honest key is one");
    const ciphertext = spoiled(own.ciphertext, part, at);
    const secrets = PROVIDERS.map((each) => each.xwingDecapsulate(ciphertext, seed));
    same(`X-Wing ${part} ciphertext`, secrets);
    if (part === "none") same("the secret", [own.secret, secrets[0]]);
    else assert(secrets[0] === undefined, `a ciphertext that is ${part} [ENV-25]`);
  }
}

/** A key or a ciphertext: ML-KEM's part, then a point of X25519. */
function spoiled(bytes: Uint8Array, part: XwingFault, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const curve = copy.length - CURVE_BYTES;
  switch (part) {
    case "none":
      return copy;
    case "length":
      return copy.subarray(0, at % copy.length);
    case "flip":
      copy[at % curve] = (copy[at % curve] as number) ^ 1;
      return copy;
    case "low-order":
      copy.set(Buffer.from(LOW_ORDER[at % LOW_ORDER.length] as string, "hex"), curve);
      return copy;
    case "not-reduced": {
      // Two coefficients of 12 bits in three bytes; 4095 is above 3328.
      const place = (at % 384) * 3;
      copy.fill(0xff, place, place + 3);
      return copy;
    }
  }
}

function askSignature({ name, fault }: Question & { kind: "signature" }, seen: Seen): void {
  const message = drawn(`${name} message`, 50);
  seen(`signature ${fault}`);
  if (fault === "ml-dsa") return askMlDsa(name, message);
  const keys = PROVIDERS.map((crypto) => crypto.ed25519Key(drawn(name, 32)));
  same(
    "Ed25519 key",
    keys.map((key) => key.publicKey),
  );
  const signatures = keys.map((key) => key.sign(message));
  same("Ed25519 signature", signatures);
  const { publicKey, signature } = unsound(fault, {
    publicKey: keys[0]?.publicKey as Uint8Array,
    signature: signatures[0] as Uint8Array,
  });
  const verdicts = PROVIDERS.map((crypto) => crypto.ed25519Verify(publicKey, message, signature));
  same(`Ed25519 ${fault}`, verdicts);
  assert(verdicts[0] === (fault === "none"), `Ed25519 ${fault} [ENV-31]`);
}

interface SignedBytes {
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
}

function unsound(fault: SignatureFault, { publicKey, signature }: SignedBytes): SignedBytes {
  const changed = Uint8Array.from(signature);
  switch (fault) {
    case "flip":
      changed[40] = (changed[40] as number) ^ 4;
      return { publicKey, signature: changed };
    case "small-key":
      // S = 0 and R = A = the neutral point: everything is signed by this key.
      changed.fill(0);
      changed.set(Buffer.from(IDENTITY_POINT, "hex"));
      return { publicKey: Buffer.from(SMALL_POINT, "hex"), signature: changed };
    case "small-both":
      changed.fill(0);
      changed.set(Buffer.from(SMALL_POINT, "hex"));
      return { publicKey: Buffer.from(SMALL_POINT, "hex"), signature: changed };
    case "large-s":
      changed.set(plusOrder(changed.subarray(32)), 32);
      return { publicKey, signature: changed };
    default:
      return { publicKey, signature };
  }
}

/** The same S again, one order higher. */
function plusOrder(s: Uint8Array): Uint8Array {
  const value = BigInt(`0x${hex(Uint8Array.from(s).reverse())}`) + GROUP_ORDER;
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
}

/** Natively there is chance in a signature, so that signatures are verified and not compared. */
function askMlDsa(name: string, message: Uint8Array): void {
  const keys = PROVIDERS.map((crypto) => crypto.mlDsa65Key(drawn(name, 32)));
  const [first] = keys.map((key) => key.publicKey);
  same(
    "ML-DSA key",
    keys.map((key) => key.publicKey),
  );
  for (const key of keys) {
    const signature = Uint8Array.from(key.sign(message));
    for (const isRight of [true, false]) {
      if (!isRight) signature[100] = (signature[100] as number) ^ 1;
      const verdicts = PROVIDERS.map((crypto) =>
        crypto.mlDsa65Verify(first as Uint8Array, message, signature),
      );
      same("ML-DSA verdict", [isRight, ...verdicts]);
    }
  }
}

const XWING_FAULTS: readonly XwingFault[] = ["none", "flip", "low-order", "not-reduced", "length"];
const SIGNATURE_FAULTS: readonly SignatureFault[] = [
  "none",
  "flip",
  "small-key",
  "small-both",
  "large-s",
  "ml-dsa",
];
const text = fc.uint8Array({ maxLength: 80 });

/** Twins: what one provider answers, refuses or opens, the other one does too. */
export const envelopeProviders = property<Question>({
  name: "envelope-providers",
  title:
    "[ENV-5] [ENV-25] [ENV-31] the portable and the native primitives agree, on what is refused " +
    "too (P35)",
  smokeRuns: 80,
  kinds: [
    "opened",
    "not opened",
    "short tag",
    ...XWING_FAULTS.map((fault) => `key ${fault}`),
    ...SIGNATURE_FAULTS.map((fault) => `signature ${fault}`),
  ],
  arbitrary: fc.oneof(
    fc.record({ kind: fc.constant("hash"), key: text, bytes: text }),
    fc.record({
      kind: fc.constant("aead"),
      name: fc.constantFrom<AeadName[]>("aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"),
      text: fc.oneof(fc.constant(new Uint8Array(0)), text),
      header: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      kept: fc.oneof(fc.nat(20), fc.constant(1000)),
      bit: fc.oneof(fc.nat(200), fc.constant(10_000)),
    }),
    fc.record({
      kind: fc.constant("xwing"),
      name: fc.string(),
      part: fc.constantFrom(...XWING_FAULTS),
      at: fc.nat(XWING_PUBLIC_KEY_BYTES + XWING_CIPHERTEXT_BYTES),
    }),
    fc.record({
      kind: fc.constant("signature"),
      name: fc.string(),
      fault: fc.constantFrom(...SIGNATURE_FAULTS),
    }),
  ) as fc.Arbitrary<Question>,
  start: (seen) => ({
    check: (question) => {
      switch (question.kind) {
        case "hash":
          return askHash(question);
        case "aead":
          return askAead(question, seen);
        case "xwing":
          return askXwing(question, seen);
        case "signature":
          return askSignature(question, seen);
      }
    },
  }),
});
