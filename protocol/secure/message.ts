import { concat, copyOf, lv32, NO_BYTES, readU32, writeU32 } from "../envelope/octets.ts";
import { TAG_BYTES, XWING_CIPHERTEXT_BYTES, XWING_PUBLIC_KEY_BYTES } from "../envelope/provider.ts";
import { isBucket } from "./padding.ts";

export const SESSION_ID_BYTES = 16;
/** Epochs and positions are 32 bits and never wrap. [SEC-43] */
export const COUNTER_MAX = 0xffff_ffff;
/** Of a message, at its end; the AEAD's own tag is inside of the ciphertext. [SEC-50] */
export const MESSAGE_TAG_BYTES = 32;
export const COMMITMENT_BYTES = 32;

const VERSION = 1;
const TYPE = 0x10;
const FIXED_BYTES = 32;
const FLAG_KEY = 1;
const FLAG_CIPHERTEXT = 2;
const FLAG_FRANKING = 4;
const KNOWN_FLAGS = FLAG_KEY | FLAG_CIPHERTEXT | FLAG_FRANKING;

/** A step of the ratchet that travels in a header: a new key, or the answer to one. [SEC-56] */
export interface RatchetStep {
  readonly kind: "key" | "ciphertext";
  readonly bytes: Uint8Array;
}

/** Where a message stands, and what goes with it. [SEC-45] */
export interface MessageHeader {
  readonly sessionId: Uint8Array;
  /** From 1. */
  readonly epoch: number;
  /** In its chain, from 0. */
  readonly n: number;
  /** How many messages its sender has sealed in the epoch before. */
  readonly pn: number;
  readonly step: RatchetStep | undefined;
  /** Commits to the content; set when the session has franking. [SEC-72] */
  readonly commitment: Uint8Array | undefined;
}

/** A message in its parts, not verified. */
export interface SealedMessage {
  readonly header: MessageHeader;
  /** As carried: additional data of the AEAD, and under the TAG. */
  readonly headerBytes: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

/** [SEC-45] */
export function encodeHeader(header: MessageHeader): Uint8Array {
  const { step, commitment } = header;
  const fixed = new Uint8Array(FIXED_BYTES);
  fixed[0] = VERSION;
  fixed[1] = TYPE;
  fixed[3] = flagOf(step) | (commitment === undefined ? 0 : FLAG_FRANKING);
  fixed.set(header.sessionId, 4);
  writeU32(header.epoch, fixed, 20);
  writeU32(header.n, fixed, 24);
  writeU32(header.pn, fixed, 28);
  return concat([fixed, step?.bytes ?? NO_BYTES, commitment ?? NO_BYTES]);
}

function flagOf(step: RatchetStep | undefined): number {
  if (step === undefined) return 0;
  return step.kind === "key" ? FLAG_KEY : FLAG_CIPHERTEXT;
}

/** `lv16(header) ‖ lv32(ciphertext) ‖ TAG`. [SEC-44] */
export function encodeMessage(parts: Omit<SealedMessage, "header">): Uint8Array {
  const { headerBytes, ciphertext, tag } = parts;
  const width = Uint8Array.of(headerBytes.length >>> 8, headerBytes.length);
  return concat([width, headerBytes, lv32(ciphertext), tag]);
}

/**
 * What the TAG is over: both parts behind their lengths, so that no other header and ciphertext
 * have the same input. [SEC-50]
 */
export function taggedText(headerBytes: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  return concat([lv32(headerBytes), lv32(ciphertext)]);
}

/** The session that a message names; undefined for what is no message. For finding the session. */
export function sessionIdOf(message: Uint8Array): Uint8Array | undefined {
  return parseMessage(message)?.header.sessionId;
}

/**
 * Takes a message apart; undefined for every other form than the one that it can have. Never
 * throws. [SEC-44] [SEC-46] [SEC-47]
 */
export function parseMessage(message: Uint8Array): SealedMessage | undefined {
  const headerEnd = 2 + (((message[0] ?? 0) << 8) | (message[1] ?? 0));
  const textBegin = headerEnd + 4;
  if (message.length < textBegin) return undefined;
  const textEnd = textBegin + readU32(message, headerEnd);
  if (message.length !== textEnd + MESSAGE_TAG_BYTES) return undefined;
  if (!isBucket(textEnd - textBegin - TAG_BYTES)) return undefined;
  const headerBytes = copyOf(message, 2, headerEnd);
  const header = parseHeader(headerBytes);
  if (header === undefined) return undefined;
  const ciphertext = copyOf(message, textBegin, textEnd);
  return { header, headerBytes, ciphertext, tag: copyOf(message, textEnd) };
}

function parseHeader(bytes: Uint8Array): MessageHeader | undefined {
  if (bytes[0] !== VERSION || bytes[1] !== TYPE || bytes[2] !== 0) return undefined;
  const flags = bytes[3] ?? 0;
  // A side that still answers one key never offers the next one. [SEC-46]
  const isBoth = (flags & FLAG_KEY) !== 0 && (flags & FLAG_CIPHERTEXT) !== 0;
  if ((flags & ~KNOWN_FLAGS) !== 0 || isBoth) return undefined;
  const kind = (flags & FLAG_KEY) !== 0 ? "key" : "ciphertext";
  const stepBytes = (flags & (FLAG_KEY | FLAG_CIPHERTEXT)) === 0 ? 0 : STEP_BYTES[kind];
  const commitmentBytes = (flags & FLAG_FRANKING) === 0 ? 0 : COMMITMENT_BYTES;
  const stepEnd = FIXED_BYTES + stepBytes;
  if (bytes.length !== stepEnd + commitmentBytes) return undefined;
  const epoch = readU32(bytes, 20);
  const pn = readU32(bytes, 28);
  // Epochs count from 1, and before the first one nothing was sent.
  if (epoch === 0 || (epoch === 1 && pn !== 0)) return undefined;
  return {
    sessionId: copyOf(bytes, 4, 4 + SESSION_ID_BYTES),
    epoch,
    n: readU32(bytes, 24),
    pn,
    step: stepBytes === 0 ? undefined : { kind, bytes: copyOf(bytes, FIXED_BYTES, stepEnd) },
    commitment: commitmentBytes === 0 ? undefined : copyOf(bytes, stepEnd),
  };
}

const STEP_BYTES = { key: XWING_PUBLIC_KEY_BYTES, ciphertext: XWING_CIPHERTEXT_BYTES } as const;
