import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../envelope/noble.ts";
import { isComposite } from "./identity.ts";
import {
  chainKey,
  confirmTag,
  expandSecret,
  handshakeRoot,
  messageKey,
  messageKeys,
  nextChainKey,
  nextRoot,
  nextRootSalt,
  SECURE_LABEL,
  secureHash,
  sessionRoot,
} from "./schedule.ts";

// Values of the design, found by two other implementations. The cores are no Protobuf: they are
// hashed as they are.

interface Keys {
  readonly ed_pk: string;
  readonly mldsa_pk: string;
}
interface Draft extends Readonly<Record<Value, string>> {
  readonly id_i: Keys;
  readonly id_r: Keys;
  readonly epoch: Readonly<Record<"ek_seed" | "ct" | "ss" | "th" | "rk2", string>>;
  readonly messages: readonly DraftMessage[];
}
type Value =
  | "sid"
  | "e_i_seed"
  | "e_r_seed"
  | `m${1 | 2 | 3}_core`
  | `m${1 | 2}_sig`
  | `ss${1 | 2}`
  | "th2s"
  | "th3"
  | "rk0"
  | "rk1"
  | "tag_r"
  | "tag_i";
interface DraftMessage {
  readonly n: number;
  readonly chain_key: string;
  readonly message_key: string;
  readonly enc_key: string;
  readonly nonce: string;
  readonly tag_key: string;
}

const DRAFT = JSON.parse(
  readFileSync(join(import.meta.dirname, "schedule-draft.json"), "utf8"),
) as Draft;
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString("hex");
const draft = (value: Value) => bytes(DRAFT[value]);

for (const crypto of [NOBLE_CRYPTO, NATIVE_CRYPTO]) {
  test(`[SEC-1] [SEC-15] the handshake of the design comes out, by ${crypto.name}`, () => {
    const upTo = (count: number) =>
      [draft("m1_core"), draft("m1_sig"), draft("m2_core"), draft("m2_sig")].slice(0, count);
    const th2s = secureHash(crypto, SECURE_LABEL, upTo(4));
    assert.equal(hex(th2s), DRAFT.th2s);
    // "M2", session id, ciphertext, key.
    const first = crypto.xwingDecapsulate(
      draft("m2_core").subarray(18, 18 + 1120),
      draft("e_i_seed"),
    );
    assert.equal(hex(first), DRAFT.ss1);
    const handshake = handshakeRoot(crypto, th2s, draft("ss1"));
    assert.equal(hex(handshake), DRAFT.rk0);
    const tag = confirmTag(crypto, { root: handshake, role: "responder", transcript: th2s });
    assert.equal(hex(tag), DRAFT.tag_r);

    const th3 = secureHash(crypto, SECURE_LABEL, [...upTo(4), tag, draft("m3_core")]);
    assert.equal(hex(th3), DRAFT.th3);
    const second = crypto.xwingDecapsulate(draft("m3_core").subarray(18), draft("e_r_seed"));
    assert.equal(hex(second), DRAFT.ss2);
    const root = sessionRoot(crypto, { handshake, transcript: th3, secret: draft("ss2") });
    assert.equal(hex(root), DRAFT.rk1);
    const confirm = confirmTag(crypto, { root, role: "initiator", transcript: th3 });
    assert.equal(hex(confirm), DRAFT.tag_i);
  });

  test(`[SEC-6] [SEC-7] the signatures of the design verify, by ${crypto.name}`, () => {
    const keysOf = ({ ed_pk, mldsa_pk }: Keys) => ({
      ed25519: bytes(ed_pk),
      mlDsa65: bytes(mldsa_pk),
    });
    const offered = secureHash(crypto, SECURE_LABEL, [draft("m1_core")]);
    const offer = { purpose: "offer", meant: offered, signature: draft("m1_sig") } as const;
    assert.ok(isComposite(crypto, keysOf(DRAFT.id_i), offer));
    assert.ok(!isComposite(crypto, keysOf(DRAFT.id_r), offer));
    assert.ok(!isComposite(crypto, keysOf(DRAFT.id_i), { ...offer, purpose: "accept" }));
    const items = [draft("m1_core"), draft("m1_sig"), draft("m2_core")];
    const meant = secureHash(crypto, SECURE_LABEL, items);
    const accept = { purpose: "accept", meant, signature: draft("m2_sig") } as const;
    assert.ok(isComposite(crypto, keysOf(DRAFT.id_r), accept));
  });

  test(`[SEC-40] [SEC-57] chains and epochs of the design come out, by ${crypto.name}`, () => {
    const { ek_seed, ct, ss, rk2 } = DRAFT.epoch;
    const made = nextRoot(crypto, {
      salt: nextRootSalt(crypto, draft("rk1"), 2),
      sessionId: draft("sid"),
      epoch: 2,
      ratchetKey: crypto.xwingPublicKey(bytes(ek_seed)),
      ciphertext: bytes(ct),
      secret: bytes(ss),
    });
    assert.equal(hex(made), rk2);
    const [first, second] = DRAFT.messages as [DraftMessage, DraftMessage];
    const chain = chainKey(crypto, { root: draft("rk1"), direction: "i2r", epoch: 1 });
    assert.equal(hex(chain), first.chain_key);
    assert.equal(hex(nextChainKey(crypto, chain, 0)), second.chain_key);
    const secret = messageKey(crypto, chain, 0);
    assert.equal(hex(secret), first.message_key);
    const { key, nonce, tagKey } = messageKeys(crypto, secret);
    assert.deepEqual([key, nonce, tagKey].map(hex), [first.enc_key, first.nonce, first.tag_key]);
    const answered = chainKey(crypto, { root: bytes(rk2), direction: "r2i", epoch: 2 });
    assert.equal(hex(answered), DRAFT.messages[3]?.chain_key);
  });
}

test("[SEC-2] an expansion is HKDF's, for every length up to a hash's", () => {
  const secret = new Uint8Array(64).fill(3);
  const context = Uint8Array.of(1, 2, 3);
  for (const length of [1, 12, 32, 64]) {
    const label = Buffer.from("phorn1 msg");
    const info = Buffer.concat([
      Buffer.from([0, length, label.length]),
      label,
      Buffer.from([context.length, ...context]),
      Buffer.from([1]),
    ]);
    // One block of RFC 5869 §2.3: T(1) = HMAC(PRK, info | 0x01).
    const expected = createHmac("sha512", secret).update(info).digest().subarray(0, length);
    for (const crypto of [NOBLE_CRYPTO, NATIVE_CRYPTO]) {
      const made = expandSecret(crypto, { secret, label: "msg", context, length });
      assert.equal(hex(made), hex(expected));
    }
  }
  assert.throws(() => expandSecret(NOBLE_CRYPTO, { secret: context, label: "msg" }));
});
