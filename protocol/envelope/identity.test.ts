import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { identityOf } from "../../fuzz/envelope/pair.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { isSoundEd25519Key, isSoundEd25519Signature } from "./ed25519-form.ts";
import { isSignedBy, parsePin, pinText } from "./identity.ts";
import { NOBLE_CRYPTO } from "./noble.ts";

const LASTING = identityOf(NATIVE_CRYPTO, "lasting", true);

test("[ENV-27] a pin is a hash over both keys, each behind its length", () => {
  const { ed25519, mlDsa65 } = LASTING.keys;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(mlDsa65.length);
  const hash = createHash("sha256")
    .update(Buffer.from("\x0bphorn-pin-1"))
    .update(Buffer.from([0, 0, 0, 32]))
    .update(ed25519)
    .update(length)
    .update(mlDsa65)
    .digest("hex");
  assert.equal(Buffer.from(LASTING.serverId).toString("hex"), hash);
});

test("[ENV-28] a pin survives being written down, in any case and grouping, and nothing else", () => {
  for (const pin of [LASTING.serverId, new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
    const text = pinText(pin);
    assert.match(text, /^[a-z2-7]{52}$/);
    const grouped = (text.match(/.{1,4}/g) ?? []).join("-").toUpperCase();
    for (const form of [text, grouped, ` ${text} `]) {
      assert.deepEqual(parsePin(form), Uint8Array.from(pin));
    }
    for (const wrong of [text.slice(1), `${text}a`, `1${text.slice(1)}`, `${text.slice(0, 51)}b`]) {
      assert.ok("code" in parsePin(wrong), wrong);
    }
  }
  assert.equal(pinText(new Uint8Array(32).fill(0xff)), `${"7".repeat(51)}q`);
});

test("[ENV-30] both halves of a signature have to be right, and none can be left out", () => {
  const text = Buffer.from("what is signed");
  const signature = Uint8Array.from(LASTING.sign(text));
  const other = identityOf(NATIVE_CRYPTO, "other", true).sign(text);
  const whole = { text, algorithm: 2, signature };
  const spliced = (from: number, to: number) => {
    const copy = Uint8Array.from(signature);
    copy.set(other.subarray(from, to), from);
    return copy;
  };
  for (const crypto of [NOBLE_CRYPTO, NATIVE_CRYPTO]) {
    const judge = (signed: typeof whole) => isSignedBy(crypto, LASTING.keys, signed);
    assert.ok(judge(whole));
    assert.ok(!judge({ ...whole, signature: spliced(0, 64) }));
    assert.ok(!judge({ ...whole, signature: spliced(64, 64 + 3309) }));
    assert.ok(!judge({ ...whole, signature: signature.subarray(0, 64) }));
    assert.ok(!judge({ ...whole, algorithm: 1, signature: signature.subarray(0, 64) }));
    assert.ok(!judge({ ...whole, algorithm: 1 }));
  }
});

test("[ENV-31] what verifiers disagree on is refused before one is asked", () => {
  const { ed25519 } = LASTING.keys;
  const signature = LASTING.sign(new Uint8Array(0)).subarray(0, 64);
  assert.ok(isSoundEd25519Key(ed25519) && isSoundEd25519Signature(signature));
  const points = [
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ];
  for (const point of points) {
    const encoded = Buffer.from(point, "hex");
    assert.ok(!isSoundEd25519Key(encoded), point);
    const signed = Buffer.concat([encoded, signature.subarray(32)]);
    assert.ok(!isSoundEd25519Signature(signed), point);
  }
  const order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
  const tooLarge = Buffer.concat([signature.subarray(0, 32), Buffer.from(order, "hex")]);
  assert.ok(!isSoundEd25519Signature(tooLarge));
  assert.ok(!isSoundEd25519Signature(signature.subarray(1)));
});
