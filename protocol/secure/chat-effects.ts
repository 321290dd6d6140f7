import type { Violation } from "../violation.ts";
import type { SecureContentPlain, SecureParametersPlain } from "./established.ts";
import type { FrankedContent } from "./franking.ts";
import type { ReadPacket } from "./handshake.ts";
import type { DeviceAddress, SecurePeer } from "./peer.ts";

/** What a client does for its secure chats, in order. */
export type SecureChatsEffect =
  | HandshakeEffect
  /** The handshake is over: contents may be sent, and will come. */
  | {
      readonly kind: "open";
      readonly sessionId: Uint8Array;
      readonly peer: SecurePeer;
      readonly role: "initiator" | "responder";
      readonly parameters: SecureParametersPlain;
    }
  /** Somebody said something: text or custom. */
  | {
      readonly kind: "deliver";
      readonly sessionId: Uint8Array;
      readonly peer: SecurePeer;
      readonly content: SecureContentPlain;
      readonly position: { readonly epoch: number; readonly n: number };
      /** What a report of it takes, in a session with franking. */
      readonly franked?: FrankedContent;
    };

export type HandshakeEffect =
  /** A packet for one device, as a SendPacket. */
  | {
      readonly kind: "send";
      readonly to: DeviceAddress;
      readonly sessionId: Uint8Array;
      readonly packet: Uint8Array;
      readonly ttlS: number;
    }
  /** The directory is to be asked; the answer is an input, also that there is none. */
  | { readonly kind: "look-up"; readonly userId: string }
  /** Our offer is on its way. */
  | { readonly kind: "offered"; readonly sessionId: Uint8Array; readonly peer: SecurePeer }
  /** We have answered an offer, and wait for its confirm. */
  | { readonly kind: "accepted"; readonly sessionId: Uint8Array; readonly peer: SecurePeer }
  /** A session, or what would have become one, is over and erased. */
  | {
      readonly kind: "closed";
      readonly sessionId: Uint8Array;
      readonly peer: DeviceAddress;
      readonly because: Violation;
    }
  /** A packet was not taken. For logs, and for asking the user; nobody else is told. [SEC-26] */
  | {
      readonly kind: "refused";
      readonly from: DeviceAddress;
      readonly because: Violation;
      /** What was refused, as far as it could be read. */
      readonly packet?: ReadPacket["kind"];
    };
