import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import type { SecureChatsOptions } from "../../protocol/secure/chats.ts";
import type { SecureParametersPlain } from "../../protocol/secure/established.ts";
import type { SecureIdentity } from "./identity.ts";
import type { PeerMemory } from "./known-peers.ts";
import type { SecureVault } from "./vault.ts";

export interface SecureMessengerOptions {
  readonly crypto: CryptoProvider;
  readonly identity: SecureIdentity;
  /** Whom this device has met. */
  readonly peers: PeerMemory;
  /** How sessions are kept that this device offers, and at most that it agrees to. */
  readonly parameters?: SecureParametersPlain;
  /**
   * Messages between new keys, below which no chat begins: new keys cost time. 1 to 8; where
   * `parameters` want less, that counts.
   *
   * @defaultValue 8
   */
  readonly rekeyMessagesMin?: number;
  /** Where open chats survive a restart. None: they do not. */
  readonly vault?: SecureVault;
  /** Whose offers are not even answered. */
  readonly isBlocked?: (userId: string) => boolean;
}

/** How a device puts itself into its user's directory. */
export interface PublishOptions {
  /** Where the directory has another account key: puts this device's in its place. */
  readonly replaceAccount?: boolean;
  /** Gives up waiting for a service that is busy. */
  readonly signal?: AbortSignal;
}

/** 32 messages or ten minutes between new keys, a week of life. */
export const SECURE_PARAMETERS_DEFAULT: SecureParametersPlain = {
  rekeyMessages: 32,
  rekeyS: 600,
  lifetimeS: 604_800,
  franking: false,
};

/** Fewer messages between new keys are not agreed to. [SEC-103] */
export const REKEY_MESSAGES_MIN_DEFAULT = 8;

export function chatsOptionsOf({
  identity,
  ...options
}: SecureMessengerOptions): SecureChatsOptions {
  const { parameters = SECURE_PARAMETERS_DEFAULT } = options;
  const { rekeyMessagesMin = REKEY_MESSAGES_MIN_DEFAULT } = options;
  const { userId, deviceId } = identity.device;
  return { userId, deviceId, signer: identity.signer, parameters, rekeyMessagesMin };
}
