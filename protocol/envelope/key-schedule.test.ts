import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { LinkRsaKey } from "../../platform/native-rsa.ts";
import {
  expandLabel,
  linkSecrets,
  nextTrafficSecret,
  serverSignedText,
  trafficKey,
} from "./key-schedule.ts";
import { NOBLE_CRYPTO } from "./noble.ts";
import type { CryptoProvider } from "./provider.ts";
import { suiteOf } from "./suites.ts";
import { transcriptHash } from "./transcript.ts";

// The vectors come of two implementations that share nothing with this one, in Python and Go.

type Hexes = Readonly<Record<string, string>>;
type LinkCase = Hexes & { readonly suite: number; readonly records: readonly Hexes[] };
type AnyCase = Hexes & { readonly name: string; readonly requirements: readonly string[] };

const PATH = join(import.meta.dirname, "../../spec/vectors/envelope-handshake.json");
const { cases } = JSON.parse(readFileSync(PATH, "utf8")) as { readonly cases: readonly AnyCase[] };

function bytes(hex: string | undefined): Uint8Array {
  assert.ok(hex !== undefined, "the vector has this field");
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

function hexOf(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString("hex");
}

for (const crypto of [NOBLE_CRYPTO, NATIVE_CRYPTO]) {
  for (const vector of cases) {
    const ids = vector.requirements.map((id) => `[${id}]`).join(" ");
    test(`${ids} ${vector.name}, by ${crypto.name}`, () => {
      if (vector.name.startsWith("expand")) checkExpansion(crypto, vector);
      else if (vector.name === "transcript") checkTranscript(crypto, vector);
      else checkLink(crypto, vector as unknown as LinkCase);
    });
  }
}

function checkExpansion(crypto: CryptoProvider, vector: AnyCase): void {
  const secret = bytes(vector.secret_hex);
  const context = bytes(vector.context_hex);
  const length = Number(vector.length);
  const out = expandLabel(crypto, { secret, label: vector.label as string, context, length });
  assert.equal(hexOf(out), vector.out_hex);
}

function checkTranscript(crypto: CryptoProvider, vector: AnyCase): void {
  const messages = vector.messages_hex as unknown as readonly string[];
  const hash = transcriptHash(crypto, vector.label as string, messages.map(bytes));
  assert.equal(hexOf(hash), vector.out_hex);
}

function checkLink(crypto: CryptoProvider, vector: LinkCase): void {
  const hellos = {
    clientCore: bytes(vector.ch_core_hex),
    binder: bytes(vector.binder_hex),
    serverCore: bytes(vector.sh_core_hex),
  };
  const text = serverSignedText(crypto, hellos);
  const signature = bytes(vector.signature_hex);
  assert.equal(hexOf(text), vector.sig_input_hex);
  assert.ok(crypto.ed25519Verify(bytes(vector.server_ed25519_pk_hex), text, signature));

  const kemSecret = secretOf(crypto, vector);
  assert.equal(hexOf(kemSecret), vector.kem_secret_hex);
  const secrets = linkSecrets(crypto, { ...hellos, signature, psk: undefined, kemSecret });
  assert.equal(hexOf(secrets.serverConfirm), vector.server_confirm_hex);
  assert.equal(hexOf(secrets.clientConfirm), vector.client_confirm_hex);
  assert.equal(hexOf(secrets.clientTraffic), vector.c_traffic_1_hex);
  assert.equal(hexOf(secrets.serverTraffic), vector.s_traffic_1_hex);
  assert.equal(hexOf(secrets.resumption), vector.resumption_hex);
  assert.equal(hexOf(secrets.channelBinding), vector.channel_binding_hex);
  const next = nextTrafficSecret(crypto, secrets.clientTraffic);
  assert.equal(hexOf(next), vector.c_traffic_2_hex);
  checkRecords(crypto, vector, [secrets.clientTraffic, secrets.serverTraffic, next]);
}

function secretOf(crypto: CryptoProvider, vector: LinkCase): Uint8Array | undefined {
  const ciphertext = bytes(vector.kem_ct_hex);
  if (vector.rsa_pkcs8_hex === undefined) {
    return crypto.xwingDecapsulate(ciphertext, bytes(vector.kem_seed_hex));
  }
  const key = Buffer.from(vector.rsa_pkcs8_hex, "hex");
  return new LinkRsaKey(createPrivateKey({ key, format: "der", type: "pkcs8" })).decrypt(
    ciphertext,
  );
}

/** Two of the device's first key, one of the service's, one of the device's second. */
function checkRecords(
  crypto: CryptoProvider,
  { suite, records }: LinkCase,
  [up, down, next]: readonly [Uint8Array, Uint8Array, Uint8Array],
): void {
  const name = suiteOf(suite)?.aead;
  assert.ok(name !== undefined);
  for (const [index, secret] of [up, up, down, next].entries()) {
    const record = records[index] as Hexes;
    const { aead, iv } = trafficKey(crypto, name, secret);
    assert.equal(hexOf(iv), record.iv_hex);
    const text = bytes(record.plaintext_hex);
    const message = { nonce: bytes(record.nonce_hex), header: bytes(record.header_aad_hex) };
    const sealed = new Uint8Array(text.length + 16);
    aead.seal({ ...message, text }, sealed);
    assert.equal(hexOf(sealed), record.body_hex);
    // The same when the text lies where the ciphertext will.
    const inPlace = new Uint8Array(sealed.length);
    inPlace.set(text);
    aead.seal({ ...message, text: inPlace.subarray(0, text.length) }, inPlace);
    assert.equal(hexOf(inPlace), record.body_hex);
    assert.equal(hexOf(aead.open({ ...message, text: sealed })), record.plaintext_hex);
  }
}

test("[ENV-25] X-Wing gives the ciphertext of the vector, where randomness can be given", () => {
  const vector = cases.find(({ name }) => name === "link-x-wing-aes256");
  const publicKey = NOBLE_CRYPTO.xwingPublicKey(bytes(vector?.kem_seed_hex));
  const agreed = NOBLE_CRYPTO.xwingEncapsulate(publicKey, bytes(vector?.kem_eseed_hex));
  assert.equal(hexOf(agreed?.ciphertext), vector?.kem_ct_hex);
  assert.equal(hexOf(agreed?.secret), vector?.kem_secret_hex);
});
