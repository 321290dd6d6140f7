import type { SecureContent, SecureParameters } from "../../gen/posthorn/v1/secure_pb.ts";
import type { Plain } from "../plain.ts";

/** How a session is kept. */
export type SecureParametersPlain = Plain<SecureParameters>;
/** What a message says. */
export type SecureContentPlain = Plain<SecureContent>;

/** What a finished handshake hands over; the session owns the root from here, and erases it. */
export interface EstablishedSecure {
  /** 16 bytes. */
  readonly sessionId: Uint8Array;
  readonly role: "initiator" | "responder";
  /** RK1, 64 bytes. */
  readonly root: Uint8Array;
  /** DFP of this device, 32 bytes. */
  readonly own: Uint8Array;
  /** DFP of the other one, 32 bytes. */
  readonly peer: Uint8Array;
  readonly parameters: SecureParametersPlain;
  readonly establishedMs: number;
}
