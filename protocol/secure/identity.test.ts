import assert from "node:assert/strict";
import { test } from "node:test";
import { signerOf } from "../../fuzz/secure/devices.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { isSignedBy, SIGNATURE_ED25519_ML_DSA_65 } from "../envelope/identity.ts";
import { NOBLE_CRYPTO } from "../envelope/noble.ts";
import { signedText } from "../envelope/transcript.ts";
import {
  accountFingerprint,
  areSecureKeys,
  certify,
  decodeDevice,
  deviceFingerprint,
  encodeDevice,
  isComposite,
  nameOfCertificate,
  readCertificate,
  type SecureDevice,
  sameKeys,
} from "./identity.ts";

const ACCOUNT = signerOf("account");
const DEVICE: SecureDevice = { userId: "alice", deviceId: "phone", keys: signerOf("phone").keys };
const NOW = 1_800_000_000_000;

test("[SEC-3] a device has one layout", () => {
  const bytes = encodeDevice(DEVICE);
  assert.equal(bytes.length, 1 + 6 + 6 + 32 + 1952);
  assert.deepEqual(decodeDevice(bytes), DEVICE);
  for (let length = 0; length < bytes.length; length += 1) {
    assert.equal(decodeDevice(bytes.subarray(0, length)), undefined, `${length} bytes`);
  }
  assert.equal(decodeDevice(Uint8Array.of(...bytes, 0)), undefined);
  const changed = (at: number, value: number) => Uint8Array.from(bytes).fill(value, at, at + 1);
  assert.equal(decodeDevice(changed(0, 2)), undefined, "another version");
  assert.equal(decodeDevice(changed(1, 6)), undefined, "names of other lengths");
  assert.equal(decodeDevice(changed(2, 0x20)), undefined, "no user id");
  assert.equal(decodeDevice(changed(8, 0x20)), undefined, "no device id");
  const low = Uint8Array.from(bytes).fill(0, 13, 45);
  assert.equal(decodeDevice(low), undefined, "a key of small order [ENV-31]");
  assert.throws(() => encodeDevice({ ...DEVICE, userId: "" }), RangeError);
});

test("[SEC-4] [SEC-5] names that run together have other fingerprints", () => {
  const of = (userId: string, deviceId: string) =>
    Buffer.from(
      deviceFingerprint(NATIVE_CRYPTO, encodeDevice({ ...DEVICE, userId, deviceId })),
    ).toString("hex");
  const all = [of("alice", "phone"), of("alicep", "hone"), of("alice2", "phone"), of("bob", "x")];
  assert.equal(new Set(all).size, all.length);
  const accounts = ["account", "other"].map((name) =>
    accountFingerprint(NATIVE_CRYPTO, signerOf(name).keys),
  );
  assert.notDeepEqual(accounts[0], accounts[1]);
  assert.ok(accounts.every(({ length }) => length === 32));
});

for (const crypto of [NOBLE_CRYPTO, NATIVE_CRYPTO]) {
  test(`[SEC-6] [SEC-7] both halves and the purpose have to be right, by ${crypto.name}`, () => {
    const meant = Buffer.from("what is meant");
    const signature = ACCOUNT.sign("offer", meant);
    const other = signerOf("other").sign("offer", meant);
    const second = ACCOUNT.sign("offer", Buffer.from("something else"));
    const whole = { purpose: "offer", meant, signature } as const;
    const judge = (signed: Parameters<typeof isComposite>[2], keys = ACCOUNT.keys) =>
      isComposite(crypto, keys, signed);
    const spliced = (from: Uint8Array, begin: number, end: number) => {
      const copy = Uint8Array.from(signature);
      copy.set(from.subarray(begin, end), begin);
      return { ...whole, signature: copy };
    };
    assert.ok(judge(whole));
    for (const from of [other, second]) {
      assert.ok(!judge(spliced(from, 0, 64)));
      assert.ok(!judge(spliced(from, 64, 3373)));
    }
    assert.ok(!judge({ ...whole, purpose: "accept" }));
    assert.ok(!judge({ ...whole, purpose: "certificate" }));
    assert.ok(!judge({ ...whole, signature: signature.subarray(0, 64) }));
    assert.ok(!judge({ ...whole, signature: Uint8Array.of(...signature, 0) }));
    const mixed = { ...ACCOUNT.keys, mlDsa65: signerOf("other").keys.mlDsa65 };
    assert.ok(!judge(whole, mixed));
    assert.ok(!areSecureKeys({ ...ACCOUNT.keys, mlDsa65: new Uint8Array(0) }));
  });
}

test("[SEC-8] [SEC-9] a certificate is of this account, this user and this time", () => {
  const input = { device: DEVICE, createdMs: NOW, expiresMs: NOW + 1_000_000 };
  const certificate = certify(NATIVE_CRYPTO, ACCOUNT, input);
  const read = (change: Partial<Parameters<typeof readCertificate>[2]> = {}, one = certificate) =>
    readCertificate(NATIVE_CRYPTO, one, {
      account: ACCOUNT.keys,
      userId: "alice",
      nowMs: NOW,
      ...change,
    });
  const fine = read();
  assert.ok(!("code" in fine));
  assert.equal(fine.deviceId, "phone");
  assert.ok(sameKeys(fine.keys, DEVICE.keys));
  assert.deepEqual(fine.fingerprint, deviceFingerprint(NATIVE_CRYPTO, encodeDevice(DEVICE)));
  assert.ok(!("code" in read({ nowMs: NOW - 300_000 })));
  assert.ok(!("code" in read({ nowMs: NOW + 1_300_000 })));
  for (const nowMs of [NOW - 300_001, NOW + 1_300_001]) assert.ok("code" in read({ nowMs }));
  assert.ok("code" in read({ account: signerOf("other").keys }));
  assert.ok("code" in read({ userId: "alic" }));
  for (let at = 0; at < certificate.core.length; at += 97) {
    const core = Uint8Array.from(certificate.core);
    core[at] = (core[at] as number) ^ 1;
    assert.ok("code" in read({}, { ...certificate, core }), `byte ${at}`);
  }
  assert.equal(nameOfCertificate(NATIVE_CRYPTO, { core: new Uint8Array(3) }), undefined);
  assert.throws(() => certify(NATIVE_CRYPTO, ACCOUNT, { ...input, expiresMs: NOW }), RangeError);
});

test("[SEC-10] [SEC-7] what a key signs here is good for nothing else", () => {
  const meant = new Uint8Array(64).fill(1);
  const purposes = ["certificate", "offer", "accept"] as const;
  for (const made of purposes) {
    const signature = ACCOUNT.sign(made, meant);
    for (const purpose of purposes) {
      const signed = { purpose, meant, signature };
      assert.equal(isComposite(NATIVE_CRYPTO, ACCOUNT.keys, signed), made === purpose);
    }
    const elsewhere = [
      signedText("Posthorn login v1", meant),
      signedText("Posthorn link v1 server signature", meant),
      meant,
    ];
    for (const text of elsewhere) {
      const whole = { text, algorithm: SIGNATURE_ED25519_ML_DSA_65, signature };
      assert.ok(!isSignedBy(NATIVE_CRYPTO, ACCOUNT.keys, whole));
    }
  }
});
