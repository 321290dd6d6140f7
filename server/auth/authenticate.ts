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

export type Identity =
  | { readonly kind: "authenticated"; readonly principal: Principal }
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
