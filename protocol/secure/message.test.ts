import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../envelope/noble.ts";
import { ascii, NO_BYTES } from "../envelope/octets.ts";
import { SendingChain } from "./chain.ts";
import { epochSecrets } from "./epoch.ts";
import {
  encodeHeader,
  encodeMessage,
  parseMessage,
  type RatchetStep,
  taggedText,
} from "./message.ts";
import { isBucket, padded, unpadded } from "./padding.ts";
import { chainKey, messageKeys, nextRoot, nextRootSalt, secureHash } from "./schedule.ts";

// Values of the design, found by two other implementations.

interface DraftMessage {
  readonly n: number;
  readonly content: string;
  readonly padded_len: number;
  readonly wire_len: number;
  readonly [hexValue: string]: string | number;
}
interface Draft {
  readonly sid: string;
  readonly rk1: string;
  readonly ratchet: Readonly<Record<"ek_seed" | "ct" | "ss" | "th" | "rk2", string>>;
  readonly messages: readonly DraftMessage[];
}

const DRAFT = JSON.parse(
  readFileSync(join(import.meta.dirname, "messages-draft.json"), "utf8"),
) as Draft;
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString("hex");

for (const crypto of [NOBLE_CRYPTO, NATIVE_CRYPTO]) {
  test(`[SEC-57] the second root of the design comes out, by ${crypto.name}`, () => {
    const { ek_seed, ct, ss, th, rk2 } = DRAFT.ratchet;
    const ratchetKey = crypto.xwingPublicKey(bytes(ek_seed));
    const two = Uint8Array.of(0, 0, 0, 2);
    const items = [bytes(DRAFT.sid), two, ratchetKey, bytes(ct)];
    assert.equal(hex(secureHash(crypto, "phorn-sc-1 epoch", items)), th);
    assert.equal(hex(crypto.xwingDecapsulate(bytes(ct), bytes(ek_seed))), ss);
    const salt = nextRootSalt(crypto, bytes(DRAFT.rk1), 2);
    const sessionId = bytes(DRAFT.sid);
    const input = { salt, sessionId, epoch: 2, ratchetKey, ciphertext: bytes(ct) };
    assert.equal(hex(nextRoot(crypto, { ...input, secret: bytes(ss) })), rk2);
  });

  test(`[SEC-40] [SEC-44] [SEC-48] [SEC-50] the messages of the design come out, by ${crypto.name}`, () => {
    const first = epochSecrets(crypto, bytes(DRAFT.rk1), 1).chains.i2r;
    const second = epochSecrets(crypto, bytes(DRAFT.ratchet.rk2), 2).chains.r2i;
    const sending = [
      new SendingChain({ epoch: 1, pn: 0, key: first }),
      new SendingChain({ epoch: 2, pn: 0, key: second }),
    ] as const;
    const steps: readonly (RatchetStep | undefined)[] = [
      undefined,
      undefined,
      { kind: "key", bytes: Uint8Array.from(crypto.xwingPublicKey(bytes(DRAFT.ratchet.ek_seed))) },
      { kind: "ciphertext", bytes: bytes(DRAFT.ratchet.ct) },
    ];
    for (const [index, draft] of DRAFT.messages.entries()) {
      const chain = sending[index < 3 ? 0 : 1];
      const { epoch, n, pn } = chain;
      assert.equal(n, draft.n);
      const secret = chain.take(crypto);
      assert.equal(hex(secret), draft.message_key);
      const { key, nonce, tagKey } = messageKeys(crypto, secret);
      const { enc_key, nonce: draftNonce, tag_key } = draft;
      assert.deepEqual([key, nonce, tagKey].map(hex), [enc_key, draftNonce, tag_key]);
      const sessionId = bytes(DRAFT.sid);
      const step = steps[index];
      const header = { sessionId, epoch, n, pn, step, commitment: undefined };
      const headerBytes = encodeHeader(header);
      assert.equal(hex(headerBytes), draft.header_aad);
      const inner = padded(NO_BYTES, bytes(draft.content)) as Uint8Array;
      assert.equal(inner.length, draft.padded_len);
      const ciphertext = new Uint8Array(inner.length + 16);
      crypto.aead("aes-256-gcm", key).seal({ nonce, header: headerBytes, text: inner }, ciphertext);
      assert.equal(hex(ciphertext), draft.ciphertext);
      const tag = crypto.hmacSha512(tagKey, taggedText(headerBytes, ciphertext)).subarray(0, 32);
      assert.equal(hex(tag), draft.tag);
      const message = encodeMessage({ headerBytes, ciphertext, tag });
      assert.equal(message.length, draft.wire_len);
      assert.deepEqual(parseMessage(message)?.header, header);
    }
  });
}

test("[SEC-40] the chain keys of the design come out, one after another", () => {
  const root = bytes(DRAFT.rk1);
  const chain = chainKey(NOBLE_CRYPTO, { root, direction: "i2r", epoch: 1 });
  assert.equal(hex(chain), DRAFT.messages[0]?.chain_key);
});

const SID = new Uint8Array(16).fill(7);
const HEADER = { sessionId: SID, epoch: 2, n: 3, pn: 4, step: undefined, commitment: undefined };
const MESSAGE = encodeMessage({
  headerBytes: encodeHeader(HEADER),
  ciphertext: new Uint8Array(256 + 16),
  tag: new Uint8Array(32),
});

test("[SEC-44] [SEC-45] a message has one form: cut, grown or with other lengths it is none", () => {
  assert.ok(parseMessage(MESSAGE) !== undefined);
  for (let length = 0; length < MESSAGE.length; length += 1) {
    assert.equal(parseMessage(MESSAGE.subarray(0, length)), undefined);
  }
  assert.equal(parseMessage(Buffer.concat([MESSAGE, Buffer.of(0)])), undefined);
  for (const size of [0, 15, 16, 255, 257, 384, 65_537, 131_072]) {
    const headerBytes = encodeHeader(HEADER);
    const ciphertext = new Uint8Array(size + 16);
    const message = encodeMessage({ headerBytes, ciphertext, tag: new Uint8Array(32) });
    assert.equal(parseMessage(message), undefined, `inner text of ${size} bytes`);
  }
});

test("[SEC-46] [SEC-47] unknown flags, versions, types, both steps and epoch 0 are refused", () => {
  const changed = (at: number, value: number) => {
    const message = Uint8Array.from(MESSAGE);
    message[2 + at] = value;
    return parseMessage(message);
  };
  assert.equal(changed(0, 2), undefined, "version");
  assert.equal(changed(1, 0x11), undefined, "type");
  assert.equal(changed(2, 1), undefined, "flags above");
  for (const flag of [1, 2, 3, 4, 8, 16, 32, 64, 128]) assert.equal(changed(3, flag), undefined);
  assert.equal(changed(23, 0), undefined, "epoch 0");
  assert.equal(changed(23, 1), undefined, "pn before epoch 1");
  const both = new Uint8Array(32 + 1216 + 1120);
  both.set(encodeHeader(HEADER));
  both[3] = 3;
  const parts = { headerBytes: both, ciphertext: new Uint8Array(272), tag: new Uint8Array(32) };
  assert.equal(parseMessage(encodeMessage(parts)), undefined, "both steps");
});

test("[SEC-44] whatever bytes come, parsing answers; what parses is encoded the same", () => {
  const fuzzed = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.array(fc.tuple(fc.nat(MESSAGE.length - 1), fc.nat(255)), { maxLength: 3 }).map((changes) => {
      const message = Uint8Array.from(MESSAGE);
      for (const [at, value] of changes) message[at] = value;
      return message;
    }),
  );
  fc.assert(
    fc.property(fuzzed, (message) => {
      const parsed = parseMessage(message);
      if (parsed === undefined) return;
      assert.deepEqual(encodeHeader(parsed.header), parsed.headerBytes);
      assert.deepEqual(encodeMessage(parsed), message);
    }),
    { seed: 5, numRuns: 500 },
  );
});

test("[SEC-48] [SEC-49] padding comes off again, its length is a bucket, and nothing hides in it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(), (content, at) => {
      const inner = padded(NO_BYTES, content) as Uint8Array;
      assert.ok(isBucket(inner.length) && inner.length < 2 * Math.max(256, content.length + 4));
      assert.deepEqual(unpadded(inner), content);
      const zeros = inner.length - content.length - 4;
      if (zeros === 0) return;
      inner[4 + content.length + (at % zeros)] = 1;
      assert.equal(unpadded(inner), undefined);
    }),
    { seed: 5, numRuns: 300 },
  );
  assert.equal(padded(NO_BYTES, new Uint8Array(65_532))?.length, 65_536);
  assert.equal(padded(NO_BYTES, new Uint8Array(65_533)), undefined);
  assert.equal(padded(ascii("k".repeat(32)), new Uint8Array(65_501)), undefined);
  const lying = new Uint8Array(256);
  lying[3] = 253;
  assert.equal(unpadded(lying), undefined);
});
