import assert from "node:assert/strict";
import { test } from "node:test";
import { newWebhookSecretText, signatureHeaders, webhookSecretIn } from "./webhook-signature.ts";

test("[BCK-16] signatures are those of Standard Webhooks", () => {
  // The example that its libraries are tested with.
  const secret = webhookSecretIn("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") as Uint8Array;
  const body = Buffer.from('{"test": 2432232314}');
  const signed = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330, body };
  const signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
  assert.deepEqual(signatureHeaders(signed, [secret]), {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": signature,
  });
  const other = webhookSecretIn(newWebhookSecretText()) as Uint8Array;
  const both = signatureHeaders(signed, [other, secret])["webhook-signature"] as string;
  const [first = "", second, ...more] = both.split(" ");
  assert.deepEqual([second, more], [signature, []]);
  assert.match(first, /^v1,[A-Za-z0-9+/]{43}=$/);
  assert.notEqual(first, signature);
});

test("[BCK-16] a secret is 24 to 64 bytes in whole base64", () => {
  const text = (byteCount: number) => `whsec_${Buffer.alloc(byteCount, 1).toString("base64")}`;
  for (const byteCount of [24, 25, 32, 64]) {
    assert.equal(webhookSecretIn(text(byteCount))?.length, byteCount);
  }
  const bad = [
    text(23),
    text(65),
    text(32).slice(6),
    text(32).slice(0, -1),
    `${text(32)}=`,
    `${text(24)}\n`,
    text(32).replace("whsec_", "whsk_"),
    text(25).replaceAll("=", ""),
    "whsec_",
    "",
  ];
  for (const one of bad) assert.equal(webhookSecretIn(one), undefined, one);
  assert.notEqual(newWebhookSecretText(), newWebhookSecretText());
});
