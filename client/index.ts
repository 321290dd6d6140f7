// The browser-safe entry: no Node module is reachable from here.
export { DevicesService } from "../gen/posthorn/v1/devices_pb.ts";
export { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
export { type ErrorRule, errorRule } from "../gen/posthorn/v1/error_rules.ts";
export { PresenceAudience } from "../gen/posthorn/v1/signal_pb.ts";
export { parsePin, pinText } from "../protocol/envelope/identity.ts";
export { NOBLE_CRYPTO } from "../protocol/envelope/noble.ts";
export type { SafetyVerdict } from "../protocol/secure/safety-number.ts";
export { Client, connect } from "./client.ts";
export { fetchMessages } from "./conversations/catching-up.ts";
export type {
  AttachmentContent,
  LocationContent,
  MessageContent,
} from "./conversations/content.ts";
export {
  type ConversationChange,
  Conversations,
  conversationsOf,
  type MadeConversation,
  type NewConversation,
  type NewMember,
} from "./conversations/conversations.ts";
export {
  type ConversationEvent,
  type ConversationInfo,
  type ConversationMember,
  type ExpiredEvent,
  type MarksEvent,
  type MessageEvent,
  type MessageMentions,
  type MessageReference,
  mentionsUser,
  type PreferencesEvent,
  type ReactionEvent,
  type RecalledEvent,
} from "./conversations/events.ts";
export {
  type ListedConversation,
  type ListedDraft,
  type ListedMembers,
  type ListedMessages,
  listedConversation,
  listedConversations,
  listedDrafts,
  listedMembers,
  listedMessages,
  readersOf,
  type UnreadTotals,
  unreadTotals,
} from "./conversations/lookups.ts";
export type {
  ConversationKindName,
  HistoryName,
  JoinName,
  ReferenceName,
  RoleName,
  TodoName,
} from "./conversations/names.ts";
export {
  type DraftContent,
  type DraftEvent,
  MUTED_FOR_EVER,
  type MuteEvent,
  type TodoEvent,
  type TodoMark,
} from "./conversations/personal.ts";
export type { SeenConversation, SeenMessage } from "./conversations/seen-conversation.ts";
export { ConversationView } from "./conversations/view.ts";
export {
  DeviceLogin,
  type LoginMemory,
  type LoginState,
  memoryLogin,
} from "./device-login.ts";
export { type Dialer, LinkError } from "./dialer.ts";
export type {
  ClientEvent,
  DeviceEvent,
  DirectoryEvent,
  IndexedEvent,
  PacketEvent,
  PresencePolicyEvent,
} from "./events.ts";
export { indexedDbJournal } from "./indexeddb-journal.ts";
export type { Journal, JournalState } from "./journal.ts";
export { JournalError } from "./journal.ts";
export type { IdentityOrigin, KnownIdentity, KnownService } from "./known-service.ts";
export { longPoll } from "./links/longpoll.ts";
export { sealed } from "./links/sealed.ts";
export { webSocket } from "./links/websocket.ts";
export { memoryJournal } from "./memory-journal.ts";
export { endDevice, nameDevice, setPresencePolicy } from "./operations.ts";
export type { ClientOptions, ClientStatus } from "./options.ts";
export { pinsOf } from "./pins.ts";
export { Verdicts } from "./race.ts";
export { RefusedError, type SendResult, SessionError } from "./results.ts";
export {
  SecureChat,
  type SecureChatState,
} from "./secure/chat.ts";
export type { PeerDevices, SecureCertificate } from "./secure/directory.ts";
export type { SecureClientEvent, SecureMessageEvent } from "./secure/events.ts";
export {
  memorySecureIdentity,
  SecureIdentity,
  type SecureIdentityMemory,
  type SecureIdentityState,
} from "./secure/identity.ts";
export { indexedDbVault } from "./secure/indexeddb-vault.ts";
export {
  type KnownPeer,
  memoryPeers,
  type PeerMemory,
  type PeerTrust,
} from "./secure/known-peers.ts";
export { SecureMessenger } from "./secure/messenger.ts";
export {
  type PublishOptions,
  SECURE_PARAMETERS_DEFAULT,
  type SecureMessengerOptions,
} from "./secure/options.ts";
export type { SafetyNumber } from "./secure/peers.ts";
export {
  type SecureVault,
  type TakenVault,
  type VaultChanges,
  wrappedVault,
} from "./secure/vault.ts";
export {
  ServiceEnvelope,
  type ServiceEnvelopeOptions,
  type ServiceMemory,
} from "./service-envelope.ts";
export type { ClientSignal, Presence, Signals } from "./signals.ts";
export { sessionTransport } from "./transport.ts";
export type {
  BlocksEvent,
  ContactsEvent,
  ProfileEvent,
  UserContact,
  UserProfile,
} from "./users/events.ts";
export { type ListedProfile, type OwnList, Users, usersOf } from "./users/users.ts";
export { webCryptoRsaKey } from "./webcrypto-rsa.ts";
export { type WhenGrantedOptions, whenGranted } from "./when-granted.ts";
