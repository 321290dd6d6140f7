import { type JWTPayload, SignJWT } from "jose";
import { BACKEND_PREFIX } from "./authenticate.ts";
import type { TokenKey } from "./keys.ts";

/** The optional `tenant` claim. [AUT-1] */
export const TENANT_PATTERN = /^[A-Za-z0-9._-]{0,64}$/;

/** What a token says. Undefined members are left out of it. */
export interface TokenClaims {
  /** A legal user id; becomes `sub`. A backend's, where it is one's token. */
  readonly userId: string;
  /** It is a backend's, and no user's. [BCK-1] */
  readonly isBackend?: boolean | undefined;
  /** Only this device may attach with it. [AUT-3] */
  readonly deviceId?: string | undefined;
  readonly tenant?: string | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly issuedAtMs: number;
  /** Rounded down to seconds. */
  readonly expiresAtMs: number;
}

/**
 * Makes a token that {@link TokenKey} checks. For `posthorn token`, tests and back ends on Node.
 * [AUT-1]
 */
export async function signToken(
  { algorithm, key, kid }: TokenKey,
  claims: TokenClaims,
): Promise<string> {
  const payload: JWTPayload = {
    sub: claims.isBackend ? `${BACKEND_PREFIX}${claims.userId}` : claims.userId,
    iat: Math.floor(claims.issuedAtMs / 1000),
    exp: Math.floor(claims.expiresAtMs / 1000),
    ...(claims.issuer === undefined ? {} : { iss: claims.issuer }),
    ...(claims.audience === undefined ? {} : { aud: claims.audience }),
    ...(claims.tenant === undefined ? {} : { tenant: claims.tenant }),
    ...(claims.deviceId === undefined ? {} : { device: claims.deviceId }),
    ...(claims.isBackend ? { backend: true } : {}),
  };
  const header = { alg: algorithm, typ: "JWT", ...(kid === undefined ? {} : { kid }) };
  return new SignJWT(payload).setProtectedHeader(header).sign(key);
}
