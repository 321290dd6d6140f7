import { writeU32 } from "../envelope/octets.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import { assert } from "../violation.ts";
import { expandSecret, SECRET_BYTES } from "./schedule.ts";

/** What every input of SecureChats comes with. */
export const CHATS_ENTROPY_BYTES: number = SECRET_BYTES;

/**
 * As many random bytes as one input turns out to need, out of those that came with it: an answer of
 * the directory may let several handshakes go on.
 */
export class Entropy {
  readonly #crypto: CryptoProvider;
  readonly #secret: Uint8Array;
  readonly #drawn: Uint8Array[] = [];
  #blocks = 0;

  constructor(crypto: CryptoProvider, secret: Uint8Array) {
    assert(secret.length === CHATS_ENTROPY_BYTES, "64 bytes of entropy come with an input");
    this.#crypto = crypto;
    this.#secret = secret;
  }

  /** Bytes that are good until {@link erase}: who keeps some copies them. */
  draw(length: number): Uint8Array {
    const drawn = new Uint8Array(length);
    this.#drawn.push(drawn);
    for (let at = 0; at < length; at += SECRET_BYTES) {
      const context = new Uint8Array(4);
      writeU32(this.#blocks, context, 0);
      this.#blocks += 1;
      const part = Math.min(SECRET_BYTES, length - at);
      const expansion = { secret: this.#secret, label: "draw", context, length: part };
      const block = expandSecret(this.#crypto, expansion);
      drawn.set(block, at);
      block.fill(0);
    }
    return drawn;
  }

  /** Keys come of it: it must not outlive its input. [SEC-23] */
  erase(): void {
    for (const bytes of [this.#secret, ...this.#drawn]) bytes.fill(0);
  }
}
