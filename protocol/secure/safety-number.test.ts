import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { signerOf } from "../../fuzz/secure/devices.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../envelope/noble.ts";
import { judgeSafetyCode, safetyCode, safetyNumber } from "./safety-number.ts";

const ALICE = { userId: "alice", keys: signerOf("alice account").keys };
const BOB = { userId: "bob", keys: signerOf("bob account").keys };
const OTHER = { ...BOB, keys: signerOf("mallory account").keys };

test("[SEC-12] a safety number is sixty digits, the same on both sides", () => {
  const number = safetyNumber(NATIVE_CRYPTO, ALICE, BOB);
  assert.match(number, /^\d{5}( \d{5}){11}$/);
  assert.equal(safetyNumber(NOBLE_CRYPTO, BOB, ALICE), number);
  const others = [
    safetyNumber(NATIVE_CRYPTO, ALICE, OTHER),
    safetyNumber(NATIVE_CRYPTO, ALICE, { ...BOB, userId: "bob2" }),
    safetyNumber(NATIVE_CRYPTO, ALICE, ALICE),
  ];
  assert.equal(new Set([number, ...others]).size, 4);
});

test("[SEC-12] a side is hashed 5,200 times over both keys", () => {
  const { ed25519, mlDsa65 } = ALICE.keys;
  const keys = Buffer.concat([ed25519, mlDsa65]);
  let hash = createHash("sha512")
    .update(Buffer.concat([Buffer.from([0, 1]), keys, Buffer.from("alice"), keys]))
    .digest();
  for (let round = 1; round < 5200; round += 1) {
    hash = createHash("sha512").update(hash).update(keys).digest();
  }
  const groups = [0, 5, 10, 15, 20, 25].map((at) =>
    String(hash.readUIntBE(at, 5) % 100_000).padStart(5, "0"),
  );
  const number = safetyNumber(NATIVE_CRYPTO, ALICE, ALICE);
  assert.equal(number, [...groups, ...groups].join(" "));
});

test("[SEC-13] a scanned code says whether somebody sits in between", () => {
  const code = safetyCode(NATIVE_CRYPTO, BOB, ALICE);
  assert.equal(code.length, 1 + 1 + 3 + 32 + 1 + 5 + 32);
  const judge = (scanned: Uint8Array, peer = BOB) =>
    judgeSafetyCode(NATIVE_CRYPTO, scanned, { own: ALICE, peer });
  assert.equal(judge(code), "same");
  assert.equal(judge(code, OTHER), "different");
  const believed = { ...ALICE, keys: OTHER.keys };
  assert.equal(judge(safetyCode(NATIVE_CRYPTO, BOB, believed)), "different");
  assert.equal(judge(safetyCode(NATIVE_CRYPTO, ALICE, BOB)), "other-people", "our own, mirrored");
  for (let length = 0; length < code.length; length += 1) {
    assert.equal(judge(code.subarray(0, length)), "unreadable");
  }
  assert.equal(judge(Uint8Array.of(...code, 0)), "unreadable");
  assert.equal(judge(Uint8Array.from(code).fill(2, 0, 1)), "unreadable");
});
