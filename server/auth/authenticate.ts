import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";

/** What a device says of itself in Hello. */
export interface CredentialClaim {
  readonly token: string;
  readonly userId: string;
  readonly deviceId: string;
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

export type Identity =
  | {
      readonly kind: "authenticated";
      readonly principal: Principal;
      /** To a login proof: by it the device knows the service. [ENV-36] */
      readonly loginAnswer?: Uint8Array;
    }
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
