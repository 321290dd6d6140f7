import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";

/** What a device says of itself in Hello. */
export interface CredentialClaim {
  readonly token: string;
  readonly userId: string;
  readonly deviceId: string;
  /** What a caller over HTTP says that it is, where it says that it is a backend. [BCK-3] */
  readonly backendId?: string | undefined;
}

/** A user within its tenant; the tenant is "" where there is only one. */
export interface Principal {
  readonly tenant: string;
  readonly userId: string;
}

const ACCOUNT_PATTERN = /^(?:([A-Za-z0-9._-]{1,64})\/)?([A-Za-z0-9][A-Za-z0-9._@+-]{0,63})$/;

/** How a device names a principal in its login proofs. [ENV-56] */
export function accountOf({ tenant, userId }: Principal): string {
  return tenant === "" ? userId : `${tenant}/${userId}`;
}

/** The principal of an account; undefined for a text that is none. */
export function principalOf(account: string): Principal | undefined {
  const parts = ACCOUNT_PATTERN.exec(account);
  if (parts === null) return undefined;
  const [, tenant = "", userId = ""] = parts;
  return { tenant, userId };
}

/** A program of the operator, which is no user. [BCK-1] */
export interface Backend {
  readonly tenant: string;
  readonly backendId: string;
}

/**
 * What a backend is called where a user id stands otherwise: no user id has a colon, so neither can
 * be taken for the other. [BCK-1]
 */
export const BACKEND_PREFIX = "backend:";
export const BACKEND_ID_PATTERN = USER_ID_PATTERN;

export type Identity =
  | {
      readonly kind: "authenticated";
      readonly principal: Principal;
      /** To a login proof: by it the device knows the service. [ENV-36] */
      readonly loginAnswer?: Uint8Array;
    }
  /** A kind of its own: nothing that asks for a user takes it by mistake. [BCK-2] */
  | { readonly kind: "backend"; readonly backend: Backend }
  | {
      readonly kind: "refused";
      readonly code: ErrorCode;
      readonly requirement: string;
      /** For logs. Never holds the credential. [AUT-5] */
      readonly detail: string;
    };

/** Says who a device belongs to. Asked on every attach (P25). [SES-4] */
export interface Authenticator {
  /** Never throws for bad input, and never trusts an earlier answer. */
  authenticate(claim: CredentialClaim): Promise<Identity>;
}
