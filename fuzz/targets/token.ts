import { deepEqual, equal, fail, ok } from "node:assert/strict";
import { createHmac } from "node:crypto";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { DEVICE_ID_PATTERN, USER_ID_PATTERN } from "../../protocol/limits.ts";
import { jwtAuthenticator } from "../../server/auth/jwt.ts";
import { TENANT_PATTERN } from "../../server/auth/token.ts";
import { Choices } from "../coverage/choices.ts";

const NOW_MS = 1_800_000_000_000;
const SECRET = Buffer.alloc(32, "posthorn");
const CODES = [
  ErrorCode.TOKEN_MALFORMED,
  ErrorCode.TOKEN_EXPIRED,
  ErrorCode.TOKEN_FOREIGN,
  ErrorCode.HELLO_INVALID,
];
const FORMS = ["raw", "signed", "any header"] as const;
const authenticator = jwtAuthenticator({
  hmacSecret: SECRET,
  publicKeys: [],
  issuer: "",
  audience: "",
  clockToleranceSeconds: 0,
  nowMs: () => NOW_MS,
});

/**
 * No token makes the authenticator throw, and it lets in only whom a signed, unexpired token names.
 * A refusal has its code and never quotes the token. [AUT-1] [AUT-2] [AUT-3] [AUT-5] (P25)
 */
export async function fuzz(data: Uint8Array): Promise<void> {
  const choices = new Choices(data);
  const form = choices.pick(FORMS);
  const text = Buffer.from(choices.rest()).toString("utf8");
  const token = form === "raw" ? text : signed(text, form === "signed");
  const claim = { token, userId: "", deviceId: "d" };
  const identity = await (await authenticator).authenticate(claim);
  if (identity.kind === "refused") {
    ok(CODES.includes(identity.code as never), `refused with ${identity.code}`);
    const quoted = token.length >= 16 && identity.detail.includes(token);
    equal(quoted, false, "a refusal does not quote its token [AUT-5]");
    return;
  }
  const [header, payload, signature, ...more] = token.split(".");
  deepEqual(more, []);
  equal(signature, signatureOf(`${header}.${payload}`), "signed by the key [AUT-1]");
  equal(JSON.parse(decoded(header)).alg, "HS256");
  const { sub, exp, nbf, tenant = "", device = "d", backend } = JSON.parse(decoded(payload));
  ok(exp > NOW_MS / 1000, "not expired [AUT-2]");
  ok(nbf === undefined || nbf <= NOW_MS / 1000, "not too early");
  if (identity.kind === "backend") fail("a device is no backend [BCK-2]");
  equal(backend, undefined, "a user is no backend [BCK-1]");
  ok(USER_ID_PATTERN.test(sub) && TENANT_PATTERN.test(tenant) && DEVICE_ID_PATTERN.test(device));
  equal(device, "d", "for this device [AUT-3]");
  deepEqual(identity.principal, { tenant, userId: sub });
}

/** The text is the payload, or both parts with a line break between them. */
function signed(text: string, isPayload: boolean): string {
  const [header = "", payload = ""] = isPayload ? ['{"alg":"HS256"}', text] : text.split("\n");
  const parts = [header, payload].map((part) => Buffer.from(part).toString("base64url")).join(".");
  return `${parts}.${signatureOf(parts)}`;
}

function signatureOf(signedText: string): string {
  return createHmac("sha256", SECRET).update(signedText).digest("base64url");
}

function decoded(part: string | undefined): string {
  return Buffer.from(part ?? "", "base64url").toString("utf8");
}
