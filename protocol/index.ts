// The sans-I/O machines, for drivers, fuzzers and simulators.
export { PipeReceiver, PipeSender } from "./byte-pipe.ts";
export { crc32 } from "./crc32.ts";
export { Delimiter } from "./delimit.ts";
export {
  CLIENT_RANDOMNESS_BYTES,
  ClientEnvelope,
  type ClientEnvelopeEffect,
  type ClientEnvelopeOptions,
} from "./envelope/client.ts";
export { parsePin, pinText, ServerIdentity } from "./envelope/identity.ts";
export { NOBLE_CRYPTO } from "./envelope/noble.ts";
export type { CryptoProvider } from "./envelope/provider.ts";
export {
  SERVER_RANDOMNESS_BYTES,
  ServerEnvelope,
  type ServerEnvelopeEffect,
  type ServerEnvelopeOptions,
} from "./envelope/server.ts";
export { type ClientTicket, type ServerTicket, TicketBook } from "./envelope/ticket.ts";
export { decodeFrame, encodeFrame, type Frame, FrameWriter, isViolation } from "./frames.ts";
export type { DialledLink, Link, LinkHandler, LinkKind } from "./link.ts";
export { ClientSession } from "./session/client.ts";
export type { ClientEffect } from "./session/client-effects.ts";
export { type ServerEffect, ServerSession } from "./session/server.ts";
export { PREFACE, sniff } from "./sniff.ts";
export type { Violation } from "./violation.ts";
