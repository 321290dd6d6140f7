import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import {
  createLocalJWKSet,
  errors,
  exportJWK,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  jwtVerify,
} from "jose";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import { ConfigError } from "../config.ts";
import type { Authenticator, CredentialClaim, Identity } from "./authenticate.ts";

export interface JwtOptions {
  /** The HS256 secret; undefined accepts no HS256. */
  readonly hmacSecret: Uint8Array | undefined;
  /** PEM, JWK or JWKS texts of EdDSA, ES256 and RS256 keys. */
  readonly publicKeys: readonly string[];
  /** Empty: any. */
  readonly issuer: string;
  readonly audience: string;
  readonly clockToleranceSeconds: number;
  readonly nowMs: () => number;
}

const SECRET_BYTES_MIN = 32;
const TENANT_PATTERN = /^[A-Za-z0-9._-]{0,64}$/;
const PUBLIC_ALGORITHMS = ["EdDSA", "ES256", "RS256"];

/**
 * Checks JSON Web Tokens (RFC 7519) against configured keys only. A secret never checks a public-key algorithm nor the
 * other way round. [AUT-1] [AUT-2] [AUT-3]
 *
 * @throws ConfigError when a key cannot be used
 */
export async function jwtAuthenticator(options: JwtOptions): Promise<Authenticator> {
  const secret = options.hmacSecret && secretKey(options.hmacSecret);
  const keys = createLocalJWKSet({ keys: await publicKeys(options.publicKeys) });
  const checks = {
    ...(options.issuer === "" ? {} : { issuer: options.issuer }),
    ...(options.audience === "" ? {} : { audience: options.audience }),
    clockTolerance: options.clockToleranceSeconds,
    requiredClaims: ["exp", "sub"],
  };
  const verify = async (token: string): Promise<JWTPayload> => {
    const rules = { ...checks, currentDate: new Date(options.nowMs()) };
    if (secret !== undefined && algorithmOf(token) === "HS256") {
      return (await jwtVerify(token, secret, { ...rules, algorithms: ["HS256"] })).payload;
    }
    const { payload } = await jwtVerify(token, keys, { ...rules, algorithms: PUBLIC_ALGORITHMS });
    return payload;
  };
  return {
    authenticate: async (claim) => {
      try {
        return identityOf(await verify(claim.token), claim);
      } catch (error) {
        return refusalOf(error);
      }
    },
  };
}

function identityOf(payload: JWTPayload, claim: CredentialClaim): Identity {
  const { sub, tenant = "", device } = payload;
  if (typeof sub !== "string" || !USER_ID_PATTERN.test(sub)) return malformed("sub");
  if (typeof tenant !== "string" || !TENANT_PATTERN.test(tenant)) return malformed("tenant");
  if (device !== undefined && device !== claim.deviceId) {
    return refused(ErrorCode.TOKEN_FOREIGN, "AUT-3", "the token is for another device");
  }
  if (claim.userId !== "" && claim.userId !== sub) {
    return refused(ErrorCode.HELLO_INVALID, "SES-5", "Hello.user_id is not the token's subject");
  }
  return { kind: "authenticated", principal: { tenant, userId: sub } };
}

/** Names what is wrong by the library's error class; its texts may quote the token and are not passed on. [AUT-5] */
function refusalOf(error: unknown): Identity {
  if (error instanceof errors.JWTExpired) {
    return refused(ErrorCode.TOKEN_EXPIRED, "AUT-2", "the token has expired");
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const foreign = ["aud", "iss", "nbf"].includes(error.claim) && error.reason !== "invalid";
    if (!foreign) return malformed(error.claim);
    return refused(ErrorCode.TOKEN_FOREIGN, "AUT-2", `the token's ${error.claim} does not fit`);
  }
  const foreign =
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSEAlgNotAllowed;
  if (foreign) return refused(ErrorCode.TOKEN_FOREIGN, "AUT-2", "signed by no key known here");
  return malformed("token");
}

function malformed(what: string): Identity {
  return refused(ErrorCode.TOKEN_MALFORMED, "AUT-2", `not a well-formed token: ${what}`);
}

function refused(code: ErrorCode, requirement: string, detail: string): Identity {
  return { kind: "refused", code, requirement, detail };
}

function algorithmOf(token: string): unknown {
  try {
    const header = Buffer.from(token.split(".", 1)[0] as string, "base64url").toString("utf8");
    return (JSON.parse(header) as { alg?: unknown }).alg;
  } catch {
    return undefined;
  }
}

function secretKey(secret: Uint8Array): KeyObject {
  if (secret.length < SECRET_BYTES_MIN) {
    throw new ConfigError(`auth.hmacSecretFile: a secret needs ${SECRET_BYTES_MIN} bytes or more`);
  }
  return createSecretKey(secret);
}

async function publicKeys(texts: readonly string[]): Promise<JWK[]> {
  const lists = await Promise.all(texts.map(readKeys));
  return lists.flat();
}

async function readKeys(text: string): Promise<JWK[]> {
  try {
    if (text.trimStart().startsWith("{")) {
      const parsed = JSON.parse(text) as JWK & Partial<JSONWebKeySet>;
      const keys = parsed.keys ?? [parsed];
      return await Promise.all(keys.map(async (jwk) => withoutPrivate(jwk)));
    }
    return [await exportJWK(createPublicKey(text))];
  } catch (cause) {
    throw new ConfigError("auth.publicKeyFiles: not a PEM, JWK or JWKS public key", { cause });
  }
}

/** A file with a private key works too, but only its public half is used. */
async function withoutPrivate(jwk: JWK): Promise<JWK> {
  const key = createPublicKey({ key: jwk as never, format: "jwk" });
  const kid = jwk.kid === undefined ? {} : { kid: jwk.kid };
  return { ...(await exportJWK(key)), ...kid };
}
