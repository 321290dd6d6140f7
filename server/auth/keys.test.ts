import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, test } from "node:test";
import { ConfigError } from "../config-error.ts";
import {
  newKeyTexts,
  newSecretText,
  secretFrom,
  signingKeyFrom,
  verificationKeysFrom,
} from "./keys.ts";

const source = (content: string | Uint8Array) => ({ key: "--key", bytes: Buffer.from(content) });
const pem = (key: KeyObject) =>
  key.export({ format: "pem", type: key.type === "public" ? "spki" : "pkcs8" }) as string;
const jwk = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: "jwk" }), ...more });

const ed25519 = generateKeyPairSync("ed25519");
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });

function refused(read: () => unknown, problem: RegExp, mustNotQuote: string): void {
  assert.throws(read, (error) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.key, "--key");
    assert.match(error.message, problem);
    assert.ok(!error.message.includes(mustNotQuote), "the key itself is quoted");
    return true;
  });
}

describe("secrets", () => {
  test("[AUT-1] line breaks at the end do not count, other bytes do", () => {
    const bytes = (content: string | Uint8Array) => secretFrom(source(content)).key.export();
    const text = "0123456789abcdef0123456789abcdef";
    for (const end of ["", "\n", "\r\n", "\n\n"]) {
      assert.deepEqual(bytes(text + end), Buffer.from(text));
    }
    assert.deepEqual(bytes(`\n${text} `), Buffer.from(`\n${text} `));
    const raw = Buffer.alloc(32, 0xff);
    assert.deepEqual(bytes(raw), raw);
  });

  test("[AUT-1] a secret under 32 bytes is refused", () => {
    refused(() => secretFrom(source("x".repeat(31))), /31/, "xxx");
    refused(() => secretFrom(source(`${"x".repeat(31)}\n`)), /31/, "xxx");
    refused(() => secretFrom(source("")), /0/, "xxx");
  });

  test("a new secret is long enough, and another each time", () => {
    const [one, two] = [newSecretText(), newSecretText()];
    assert.equal(secretFrom(source(one)).algorithm, "HS256");
    assert.notEqual(one, two);
    assert.equal(Buffer.from(one.trim(), "base64url").length, 32);
  });
});

describe("public keys", () => {
  const usable = [
    ["EdDSA", ed25519],
    ["ES256", p256],
    ["RS256", rsa],
  ] as const;
  for (const [algorithm, { publicKey, privateKey }] of usable) {
    test(`[AUT-1] ${algorithm} is read from PEM, JWK and JWKS, public or private`, () => {
      const set = JSON.stringify({ keys: [jwk(publicKey, { kid: "k" })] });
      const texts = [
        pem(publicKey),
        pem(privateKey),
        JSON.stringify(jwk(publicKey)),
        JSON.stringify(jwk(privateKey)),
        set,
      ];
      for (const text of texts) {
        const [key, ...more] = verificationKeysFrom(source(text));
        assert.equal(more.length, 0);
        assert.equal(key?.algorithm, algorithm);
        assert.equal(key?.key.type, "public");
        assert.ok(key?.key.equals(publicKey));
        assert.equal(key?.kid, text === set ? "k" : undefined);
      }
    });
  }

  const unusable: readonly (readonly [string, object])[] = [
    ["P-384", jwk(p384.publicKey)],
    ["RSA of 1024 bits", jwk(weakRsa.publicKey)],
    ["a key to encrypt with", jwk(rsa.publicKey, { use: "enc" })],
    ["a key of another algorithm", jwk(rsa.publicKey, { alg: "PS256" })],
    ["an HMAC secret", { kty: "oct", k: "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" }],
    ["an unknown type", { kty: "AKP", alg: "ML-DSA-44", pub: "AA" }],
    ["nothing", {}],
  ];
  for (const [what, key] of unusable) {
    test(`[AUT-1] ${what} is left out of a set, and refused alone`, () => {
      const set = JSON.stringify({ keys: [key, jwk(p256.publicKey)] });
      const [left, ...more] = verificationKeysFrom(source(set));
      assert.equal(left?.algorithm, "ES256");
      assert.equal(more.length, 0);
      refused(() => verificationKeysFrom(source(JSON.stringify(key))), /public key/, "c2Vj");
    });
  }

  test("[AUT-1] a PEM of another kind is refused", () => {
    refused(() => verificationKeysFrom(source(pem(p384.publicKey))), /public key/, "BEGIN");
    refused(() => verificationKeysFrom(source(pem(weakRsa.publicKey))), /public key/, "BEGIN");
  });

  const broken = [
    "",
    "hush",
    "{",
    '{"keys": 1}',
    '{"keys": [null]}',
    '{"keys": []}',
    pem(rsa.publicKey).slice(0, 99),
  ];
  for (const text of broken) {
    test(`[AUT-5] ${JSON.stringify(text.slice(0, 20))} is refused without being quoted`, () => {
      refused(() => verificationKeysFrom(source(text)), /./, text || "BEGIN");
    });
  }
});

describe("private keys", () => {
  test("[AUT-5] a public key cannot sign, and a broken one is not quoted", () => {
    refused(() => signingKeyFrom(source(pem(ed25519.publicKey))), /private key/, "BEGIN");
    refused(() => signingKeyFrom(source(JSON.stringify(jwk(p256.publicKey)))), /private/, "crv");
    refused(() => signingKeyFrom(source("hush")), /private key/, "hush");
  });

  for (const format of ["pem", "jwk"] as const) {
    test(`a new pair in ${format} form belongs together; a JWK carries its name`, async () => {
      const { privateText, publicText } = await newKeyTexts(format);
      const signing = signingKeyFrom(source(privateText));
      const [checking] = verificationKeysFrom(source(publicText));
      const [half] = verificationKeysFrom(source(privateText));
      assert.equal(signing.algorithm, "EdDSA");
      assert.equal(signing.key.type, "private");
      assert.ok(checking !== undefined && half?.key.equals(checking.key));
      assert.equal(checking.kid, signing.kid);
      assert.equal(typeof signing.kid, format === "jwk" ? "string" : "undefined");
      refused(() => signingKeyFrom(source(publicText)), /private key/, "BEGIN");
    });
  }
});
