import { REFUSED_ACCEPTS } from "./accept-refusals.ts";
import type { SecureCase } from "./cases.ts";
import { COMPARING } from "./comparing.ts";
import { REFUSED_CONFIRMS } from "./confirm-refusals.ts";
import { FRANKING } from "./franking.ts";
import { HANDSHAKES } from "./handshakes.ts";
import { IDENTITIES } from "./identities.ts";
import { EXPANSIONS, TRANSCRIPTS } from "./labels.ts";
import { REFUSED_MESSAGES } from "./message-refusals.ts";
import { CHAT_MESSAGES } from "./messages.ts";
import { REFUSED_OFFERS } from "./offer-refusals.ts";
import { PADDING } from "./padding.ts";
import { PASSIVE } from "./passive.ts";
import { RATCHETS } from "./ratchets.ts";

/** The files of spec/vectors/secure/, from the smallest part to whole chats. */
export const SECURE_FILES: Readonly<
  Record<string, { readonly about: string; readonly cases: readonly SecureCase[] }>
> = {
  "expand-label.json": { about: "A secret for one purpose, over SHA-512.", cases: EXPANSIONS },
  "transcript.json": { about: "A hash over what was carried, SHA-512.", cases: TRANSCRIPTS },
  "padding.json": { about: "What is sealed with a content.", cases: PADDING },
  "device-identity.json": {
    about: "Devices, certificates, and what people compare.",
    cases: [...IDENTITIES, ...COMPARING],
  },
  "chat-handshake.json": {
    about: "Handshakes that come about, with all their secrets, and those that do not.",
    cases: [...HANDSHAKES, ...REFUSED_OFFERS, ...REFUSED_ACCEPTS, ...REFUSED_CONFIRMS],
  },
  "chat-messages.json": {
    about: "Messages are sealed, opened, or refused.",
    cases: [...CHAT_MESSAGES, ...REFUSED_MESSAGES],
  },
  "chat-ratchet.json": { about: "Keys that move on, or break.", cases: RATCHETS },
  "passive-client.json": {
    about: "One device's secrets and the whole wire: every plaintext.",
    cases: PASSIVE,
  },
  "franking.json": { about: "Sessions with franking, and reports.", cases: FRANKING },
};
