import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";
import type { ClientEvent } from "../events.ts";
import type { SecureChat } from "./chat.ts";

/** What a timeline says, with its packets opened, and what happens to secure chats. */
export type SecureClientEvent =
  | Exclude<ClientEvent, { readonly kind: "packet" }>
  | SecureMessageEvent
  /** A chat is in another state. The other side began it when it is new. */
  | { readonly kind: "secure-chat"; readonly chat: SecureChat }
  /** The time of a message is over: forget it. */
  | { readonly kind: "secure-expired"; readonly chat: SecureChat; readonly id: string }
  /**
   * The account of somebody is another one than before, and nothing is sent to it or taken from it
   * until {@link SecureMessenger.trust} says so.
   */
  | { readonly kind: "secure-identity-changed"; readonly userId: string }
  /** A packet was not taken; nobody else is told. For logs. */
  | { readonly kind: "secure-refused"; readonly from: DeviceAddress; readonly code: ErrorCode };

export interface SecureMessageEvent {
  readonly kind: "secure-message";
  readonly chat: SecureChat;
  /** Unique on this device. */
  readonly id: string;
  /** By the sender's clock, Unix milliseconds. */
  readonly sentMs: number;
  readonly content: string | Uint8Array;
  /** Seconds from now until it is to be forgotten. 0: it is not. */
  readonly lifetimeS: number;
}
