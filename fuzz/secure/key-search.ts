import { createDecipheriv } from "node:crypto";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { TAG_BYTES } from "../../protocol/envelope/provider.ts";
import type { SealedMessage } from "../../protocol/secure/message.ts";
import {
  chainKey,
  expandSecret,
  messageKey,
  nextChainKey,
  SECRET_BYTES,
} from "../../protocol/secure/schedule.ts";

const BLOCK_BYTES = 16;
const NONCE_BYTES = 12;
const ENC_BYTES = 32;
/**
 * So many bytes of a key are different, but for one key in some 100,000: of 32 about 30, of 64
 * about 57. Texts, and tables of small numbers, have fewer.
 */
const VARIETY_MIN = { short: 24, long: 45 };

/** What opened a message: how the bytes were taken, and which message. */
export interface OpenedBy {
  readonly as: "enc" | "MK" | "CK" | "RK";
  /** Of the messages that were recorded. */
  readonly message: number;
}

/**
 * Tries whatever bytes there are as every kind of key that opens messages of chapter 13. The
 * messages are short: the last block of each is padding, so that its ciphertext under AES, turned
 * back, is the nonce and a counter that is known. One block tells a key, without its nonce.
 */
export class KeySearch {
  readonly #messages: readonly SealedMessage[];
  readonly #lastBlocks: Buffer;
  readonly #places: readonly number[];
  readonly #epochs: readonly number[];
  readonly #known = new Set<string>();
  readonly #seen = new Set<string>();
  /** Windows that were tried, each once. */
  tried = 0;
  /** Those of them that others were derived from. */
  derived = 0;

  /** @param known what went over the wire, and is tried as the key of a message only */
  constructor(messages: readonly SealedMessage[], known: readonly Uint8Array[] = []) {
    for (const bytes of known) {
      const text = Buffer.from(bytes).toString("latin1");
      for (let at = 0; at < text.length; at += 1)
        this.#known.add(text.slice(at, at + SECRET_BYTES));
    }
    this.#messages = messages;
    this.#lastBlocks = Buffer.concat(
      messages.map(({ ciphertext }) => ciphertext.subarray(-TAG_BYTES - BLOCK_BYTES, -TAG_BYTES)),
    );
    this.#places = [...new Set(messages.map(({ header }) => header.n))].sort((a, b) => a - b);
    this.#epochs = [...new Set(messages.map(({ header }) => header.epoch))];
  }

  /** Every window of 32 and of 64 bytes. */
  search(bytes: Uint8Array): OpenedBy[] {
    const found: OpenedBy[] = [];
    for (let at = 0; at + ENC_BYTES <= bytes.length; at += 1) {
      const short = bytes.subarray(at, at + ENC_BYTES);
      if (new Set(short).size < VARIETY_MIN.short) continue;
      const name = Buffer.from(bytes.subarray(at, at + SECRET_BYTES)).toString("latin1");
      if (this.#seen.has(name)) continue;
      this.#seen.add(name);
      this.tried += 1;
      found.push(...this.#asEnc(short, "enc"));
      if (at + SECRET_BYTES > bytes.length) continue;
      const long = bytes.subarray(at, at + SECRET_BYTES);
      if (this.#known.has(name) || new Set(long).size < VARIETY_MIN.long) continue;
      this.derived += 1;
      found.push(...this.#asMessageKey(long, "MK"));
      found.push(...this.#asChainKey(long));
      for (const epoch of this.#epochs) found.push(...this.#asRoot(long, epoch));
    }
    return found;
  }

  #asRoot(root: Uint8Array, epoch: number): OpenedBy[] {
    return (["i2r", "r2i"] as const).flatMap((direction) =>
      this.#along(chainKey(NATIVE_CRYPTO, { root, direction, epoch }), 0, "RK"),
    );
  }

  #asChainKey(chain: Uint8Array): OpenedBy[] {
    return this.#places.flatMap((n) => this.#along(chain, n, "CK"));
  }

  /** From a place on, as long as something opens: what does not open at once is no such key. */
  #along(chain: Uint8Array, place: number, as: OpenedBy["as"]): OpenedBy[] {
    const found: OpenedBy[] = [];
    let key = chain;
    for (let n = place; ; n += 1) {
      const opened = this.#asMessageKey(messageKey(NATIVE_CRYPTO, key, n), as);
      if (opened.length === 0) return found;
      found.push(...opened);
      key = nextChainKey(NATIVE_CRYPTO, key, n);
    }
  }

  #asMessageKey(secret: Uint8Array, as: OpenedBy["as"]): OpenedBy[] {
    const key = expandSecret(NATIVE_CRYPTO, { secret, label: "enc", length: ENC_BYTES });
    return this.#asEnc(key, as);
  }

  #asEnc(key: Uint8Array, as: OpenedBy["as"]): OpenedBy[] {
    const cipher = createDecipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    const turned = cipher.update(this.#lastBlocks);
    const found: OpenedBy[] = [];
    for (let message = 0; message < this.#messages.length; message += 1) {
      const { ciphertext } = this.#messages[message] as SealedMessage;
      const blocks = (ciphertext.length - TAG_BYTES) / BLOCK_BYTES;
      const at = message * BLOCK_BYTES;
      // The first counter is taken by the tag.
      if (turned.readUInt32BE(at + NONCE_BYTES) !== blocks + 1) continue;
      if (this.#opens(message, key, turned.subarray(at, at + NONCE_BYTES))) {
        found.push({ as, message });
      }
    }
    return found;
  }

  #opens(message: number, key: Uint8Array, nonce: Uint8Array): boolean {
    const { ciphertext, headerBytes } = this.#messages[message] as SealedMessage;
    const text = ciphertext.subarray(0, -TAG_BYTES);
    const cipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(headerBytes).setAuthTag(ciphertext.subarray(-TAG_BYTES));
    cipher.update(text);
    try {
      cipher.final();
      return true;
    } catch {
      return false;
    }
  }
}
