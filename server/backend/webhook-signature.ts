import { createHmac, randomBytes } from "node:crypto";

// Source: Standard Webhooks 1.0.0 (standard-webhooks/standard-webhooks, spec/standard-webhooks.md),
// symmetric signatures.

const SECRET_PREFIX = "whsec_";
const SECRET_BYTES = { least: 24, made: 32, most: 64 };
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** The secret of its text; undefined for a text that is none. */
export function webhookSecretIn(text: string): Uint8Array | undefined {
  const base64 = text.startsWith(SECRET_PREFIX) ? text.slice(SECRET_PREFIX.length) : "";
  if (!BASE64.test(base64)) return undefined;
  const bytes = Buffer.from(base64, "base64");
  // What is cut short decodes all the same.
  if (bytes.toString("base64") !== base64) return undefined;
  const { least, most } = SECRET_BYTES;
  return bytes.length >= least && bytes.length <= most ? bytes : undefined;
}

/** A new secret as text. */
export function newWebhookSecretText(): string {
  return `${SECRET_PREFIX}${randomBytes(SECRET_BYTES.made).toString("base64")}`;
}

/**
 * The headers by which a receiver knows a request: one signature for each secret, over the id, the
 * time of this try and the body. [BCK-16]
 *
 * @param id without a full stop, which parts what is signed
 * @param body the bytes that are sent
 */
export function signatureHeaders(
  signed: { readonly id: string; readonly seconds: number; readonly body: Uint8Array },
  secrets: readonly Uint8Array[],
): Readonly<Record<string, string>> {
  const { id, seconds, body } = signed;
  const head = [id, seconds, ""].join(".");
  const signatures = secrets.map((secret) => {
    const hmac = createHmac("sha256", secret).update(head).update(body);
    return `v1,${hmac.digest("base64")}`;
  });
  return {
    "webhook-id": id,
    "webhook-timestamp": String(seconds),
    "webhook-signature": signatures.join(" "),
  };
}
