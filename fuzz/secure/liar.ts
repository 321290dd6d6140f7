import { SecureContentSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { NO_BYTES } from "../../protocol/envelope/octets.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { encodePlain } from "../../protocol/plain.ts";
import type { EstablishedSecure } from "../../protocol/secure/established.ts";
import {
  encodeHeader,
  encodeMessage,
  type MessageHeader,
  taggedText,
} from "../../protocol/secure/message.ts";
import { padded } from "../../protocol/secure/padding.ts";
import { Ratchet } from "../../protocol/secure/ratchet.ts";
import { messageKeys } from "../../protocol/secure/schedule.ts";
import { drawn } from "../envelope/drawn.ts";
import { START_MS, textContent } from "./sessions.ts";

/** A side that has the right keys and says what it wants with them. */
export class Liar {
  readonly #crypto: CryptoProvider;
  readonly #ratchet: Ratchet;
  #drawn = 0;

  constructor(crypto: CryptoProvider, established: EstablishedSecure) {
    const { sessionId, role, root, parameters } = established;
    const { rekeyMessages, rekeyS } = parameters;
    const plan = { sessionId, role, rekeyMessages, rekeyS };
    this.#crypto = crypto;
    this.#ratchet = Ratchet.begin(crypto, plan, { root, nowMs: START_MS });
  }

  /** A message of its next place, with a header that may lie, and any inner text. */
  message(lie: Partial<MessageHeader> = {}, inner: Uint8Array = textInner("lie")): Uint8Array {
    const crypto = this.#crypto;
    this.#drawn += 1;
    const seed = drawn(`seed ${this.#drawn}`, 32);
    const at = { nowMs: START_MS, seed, carriesStep: false };
    const { header, messageKey } = this.#ratchet.next(at);
    const headerBytes = encodeHeader({ ...header, commitment: undefined, ...lie });
    const { key, nonce, tagKey } = messageKeys(crypto, messageKey);
    const ciphertext = new Uint8Array(inner.length + 16);
    const text = { nonce, header: headerBytes, text: inner };
    crypto.aead("aes-256-gcm", key).seal(text, ciphertext);
    const tag = crypto.hmacSha512(tagKey, taggedText(headerBytes, ciphertext)).subarray(0, 32);
    return encodeMessage({ headerBytes, ciphertext, tag });
  }
}

export function textInner(text: string): Uint8Array {
  const encoded = encodePlain(SecureContentSchema, textContent(text, START_MS));
  return padded(NO_BYTES, encoded) as Uint8Array;
}
