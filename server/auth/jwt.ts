import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
  type ProtectedHeaderParameters,
} from "jose";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { TOKEN_BYTES_MAX, USER_ID_PATTERN } from "../../protocol/limits.ts";
import {
  type Authenticator,
  BACKEND_ID_PATTERN,
  BACKEND_PREFIX,
  type CredentialClaim,
  type Identity,
} from "./authenticate.ts";
import { secretFrom, TOKEN_ALGORITHMS, type TokenKey, verificationKeysFrom } from "./keys.ts";
import { TENANT_PATTERN } from "./token.ts";

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

/**
 * Checks JSON Web Tokens (RFC 7519) against configured keys only: a key serves the one algorithm
 * that its type is for, whatever a token's header asks. Keeps no verdict, so that an expired token
 * never attaches again (P25). [AUT-1]
 *
 * @throws ConfigError when a key cannot be used
 */
export async function jwtAuthenticator(options: JwtOptions): Promise<Authenticator> {
  const keys = keysOf(options);
  const rules: JWTVerifyOptions = {
    ...(options.issuer === "" ? {} : { issuer: options.issuer }),
    ...(options.audience === "" ? {} : { audience: options.audience }),
    clockTolerance: options.clockToleranceSeconds,
    requiredClaims: ["exp", "sub"],
  };
  return {
    authenticate: async (claim) => {
      const header = headerOf(claim.token);
      if (header === undefined) return malformed("its form");
      if (!TOKEN_ALGORITHMS.some((algorithm) => algorithm === header.alg)) return malformed("alg");
      const candidates = keys.filter((key) => maySign(key, header));
      const now = { ...rules, currentDate: new Date(options.nowMs()) };
      try {
        const payload = await payloadOf(claim.token, candidates, now);
        if (payload === undefined) return foreign("AUT-2", "it is signed by no key known here");
        return identityOf(payload, claim);
      } catch (error) {
        return refusalOf(error);
      }
    },
  };
}

function keysOf({ hmacSecret, publicKeys }: JwtOptions): readonly TokenKey[] {
  const key = "auth.publicKeyFiles";
  const keys = publicKeys.map((text) => ({ key, bytes: Buffer.from(text) }));
  const publics = keys.flatMap(verificationKeysFrom);
  if (hmacSecret === undefined) return publics;
  return [secretFrom({ key: "auth.hmacSecretFile", bytes: hmacSecret }), ...publics];
}

/** Undefined for what is no compact JWS. */
function headerOf(token: string): ProtectedHeaderParameters | undefined {
  if (token.length > TOKEN_BYTES_MAX) return undefined;
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

/** `kid` is a hint (RFC 7515 §4.1.4): it rules out keys of another name, not those without one. */
function maySign({ algorithm, kid }: TokenKey, header: ProtectedHeaderParameters): boolean {
  if (algorithm !== header.alg) return false;
  return kid === undefined || header.kid === undefined || kid === header.kid;
}

/**
 * The claims, once a key's signature fits and they hold; undefined when no key's does. Throws
 * jose's errors.
 */
async function payloadOf(
  token: string,
  candidates: readonly TokenKey[],
  rules: JWTVerifyOptions,
): Promise<JWTPayload | undefined> {
  for (const { key, algorithm } of candidates) {
    try {
      return (await jwtVerify(token, key, { ...rules, algorithms: [algorithm] })).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  return undefined;
}

function identityOf(payload: JWTPayload, claim: CredentialClaim): Identity {
  const { sub, tenant = "", device } = payload;
  if (payload.backend !== undefined) return backendOf(payload, claim);
  if (typeof sub !== "string" || !USER_ID_PATTERN.test(sub)) return malformed("sub");
  if (typeof tenant !== "string" || !TENANT_PATTERN.test(tenant)) return malformed("tenant");
  if (device !== undefined && typeof device !== "string") return malformed("device");
  if (device !== undefined && device !== claim.deviceId) {
    return foreign("AUT-3", "it is for another device");
  }
  if (claim.backendId !== undefined) return foreign("BCK-2", "it is a user's");
  if (claim.userId !== "" && claim.userId !== sub) {
    const detail = "Hello.user_id is not the token's subject";
    return { kind: "refused", code: ErrorCode.HELLO_INVALID, requirement: "SES-5", detail };
  }
  return { kind: "authenticated", principal: { tenant, userId: sub } };
}

/**
 * A backend is marked twice, and either mark alone is nobody's: so neither an issuer whose users
 * choose their names nor a service that does not know the claim takes one for the other. [BCK-1]
 */
function backendOf(payload: JWTPayload, claim: CredentialClaim): Identity {
  const { sub, tenant = "", device } = payload;
  if (payload.backend !== true) return malformed("backend");
  const isNamed = typeof sub === "string" && sub.startsWith(BACKEND_PREFIX);
  const backendId = isNamed ? sub.slice(BACKEND_PREFIX.length) : "";
  if (!BACKEND_ID_PATTERN.test(backendId)) return malformed("sub");
  if (typeof tenant !== "string" || !TENANT_PATTERN.test(tenant)) return malformed("tenant");
  if (device !== undefined) return malformed("device");
  const isAnother = claim.backendId !== undefined && claim.backendId !== backendId;
  if (claim.userId !== "" || claim.deviceId !== "" || isAnother) {
    return foreign("BCK-2", "it is a backend's");
  }
  return { kind: "backend", backend: { tenant, backendId } };
}

/**
 * Tells causes apart by the library's error classes; its texts may quote the token and are not
 * passed on. [AUT-5]
 */
function refusalOf(error: unknown): Identity {
  if (error instanceof errors.JWTExpired) {
    const detail = "the token has expired";
    return { kind: "refused", code: ErrorCode.TOKEN_EXPIRED, requirement: "AUT-2", detail };
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error;
    const elsewhere = claim === "aud" || claim === "iss";
    const early = claim === "nbf" && reason === "check_failed";
    return elsewhere || early ? foreign("AUT-2", `its ${claim} does not fit`) : malformed(claim);
  }
  if (error instanceof errors.JOSEError) return malformed("its form");
  throw error;
}

function malformed(what: string): Identity {
  const detail = `not a token accepted here: ${what}`;
  return { kind: "refused", code: ErrorCode.TOKEN_MALFORMED, requirement: "AUT-2", detail };
}

function foreign(requirement: "AUT-2" | "AUT-3" | "BCK-2", why: string): Identity {
  const detail = `not a token for this place: ${why}`;
  return { kind: "refused", code: ErrorCode.TOKEN_FOREIGN, requirement, detail };
}
