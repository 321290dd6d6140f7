import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { CryptoProvider } from "./provider.ts";
import { decodeHeader, HEADER_BYTES, type RecordHeader, type SealRecord } from "./records.ts";
import { type KeyLimits, Opener, Sealer } from "./sealing.ts";

function directionOf(limits: KeyLimits) {
  return { aead: "aes-256-gcm" as const, secret: new Uint8Array(32).fill(5), limits };
}

function recordOf(bytes: Uint8Array): SealRecord {
  const header = bytes.subarray(0, HEADER_BYTES);
  const read = decodeHeader(header) as RecordHeader;
  return { ...read, header, body: bytes.subarray(HEADER_BYTES) };
}

test("[ENV-38] a key that carries four times what it may is the last one", () => {
  const limits = { records: 3, bytes: 2 ** 30 };
  // A sender that never ends its key.
  const sealer = new Sealer(NATIVE_CRYPTO, directionOf({ ...limits, records: 2 ** 20 }));
  const opener = new Opener(NATIVE_CRYPTO, directionOf(limits));
  for (let count = 0; count < 12; count += 1) {
    const opened = opener.open(recordOf(sealer.seal("frames", new Uint8Array(1))));
    assert.ok(!("code" in opened), `record ${count}`);
  }
  const last = opener.open(recordOf(sealer.seal("frames", new Uint8Array(1))));
  assert.ok("code" in last && last.code === ErrorCode.ENVELOPE_LIMIT_REACHED);
  const bytes = { records: 2 ** 20, bytes: 100 };
  const small = new Opener(NATIVE_CRYPTO, directionOf(bytes));
  const large = new Sealer(NATIVE_CRYPTO, directionOf({ ...bytes, bytes: 2 ** 30 }));
  const outcomes = [1, 2].map(() =>
    small.open(recordOf(large.seal("frames", new Uint8Array(200)))),
  );
  assert.deepEqual(
    outcomes.map((outcome) => "code" in outcome),
    [false, true],
  );
});

test("[ENV-37] bytes count as records do, with room for the key update", () => {
  const sealer = new Sealer(NATIVE_CRYPTO, directionOf({ records: 100, bytes: 64 * 4 }));
  const sealed: boolean[] = [];
  for (let count = 0; count < 4; count += 1) {
    sealed.push(sealer.hasRoom(10));
    sealer.seal("frames", new Uint8Array(10));
  }
  assert.deepEqual(sealed, [true, true, true, false]);
});

/** No security and no cost: tens of thousands of keys are counted here, not used. */
const CLEAR_CRYPTO: CryptoProvider = {
  ...NATIVE_CRYPTO,
  hmacSha256: () => new Uint8Array(32),
  aead: () => ({
    seal: ({ text }, into) => into.set(text),
    open: ({ text }) => text.subarray(0, text.length - 16),
  }),
};

test("[ENV-40] epochs end at 65,535", () => {
  const direction = directionOf({ records: 2, bytes: 2 ** 30 });
  const sealer = new Sealer(CLEAR_CRYPTO, direction);
  const opener = new Opener(CLEAR_CRYPTO, direction);
  while (sealer.canUpdate) {
    const opened = opener.open(recordOf(sealer.seal("keyUpdate", new Uint8Array(0))));
    assert.ok(!("code" in opened));
  }
  assert.equal(sealer.epoch, 65_535);
  assert.equal(opener.epoch, 65_535);
  assert.throws(() => sealer.seal("keyUpdate", new Uint8Array(0)), /wrap/);
});
