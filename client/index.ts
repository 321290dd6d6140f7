// The browser-safe entry: no Node module is reachable from here.
export { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
export { type ErrorRule, errorRule } from "../gen/posthorn/v1/error_rules.ts";
export { parsePin, pinText } from "../protocol/envelope/identity.ts";
export { NOBLE_CRYPTO } from "../protocol/envelope/noble.ts";
export { Client, connect } from "./client.ts";
export {
  DeviceLogin,
  type LoginMemory,
  type LoginState,
  memoryLogin,
} from "./device-login.ts";
export { type Dialer, LinkError } from "./dialer.ts";
export type { ClientEvent, MessageEvent } from "./events.ts";
export { indexedDbJournal } from "./indexeddb-journal.ts";
export type { Journal, JournalState } from "./journal.ts";
export { JournalError } from "./journal.ts";
export { longPoll } from "./links/longpoll.ts";
export { sealed } from "./links/sealed.ts";
export { webSocket } from "./links/websocket.ts";
export { memoryJournal } from "./memory-journal.ts";
export type { ClientOptions, ClientStatus } from "./options.ts";
export { pinsOf } from "./pins.ts";
export { Verdicts } from "./race.ts";
export { RefusedError, type SendResult, SessionError } from "./results.ts";
export {
  type KnownService,
  ServiceEnvelope,
  type ServiceEnvelopeOptions,
  type ServiceMemory,
} from "./service-envelope.ts";
export { webCryptoRsaKey } from "./webcrypto-rsa.ts";
