import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { assert } from "../../protocol/violation.ts";
import { hex } from "../envelope/watched-crypto.ts";

const MARK_BYTES = 12;

/** What a provider was asked to do, and every secret that it was given or gave. */
export class SecretLog {
  readonly provider: CryptoProvider;
  /** Not copies: whoever erases one erases it here. */
  readonly secrets = new Set<Uint8Array>();
  /** How each of them begins, in hexadecimal: also of those that were erased since. */
  readonly marks = new Set<string>();
  /** Of messages that were sealed: keys of the AEAD, in order. */
  readonly sealedWith: string[] = [];
  /** Of messages that were opened. */
  readonly openedWith: string[] = [];
  /** How often the AEAD was asked to open something. */
  opens = 0;
  /** How often a secret was derived from another one. */
  derivations = 0;
  readonly #sealed = new Set<string>();

  constructor(crypto: CryptoProvider) {
    this.provider = {
      ...crypto,
      hmacSha512: (key, bytes) => {
        this.derivations += 1;
        return this.#kept(crypto.hmacSha512(this.#kept(key), bytes));
      },
      aead: (name, key) => this.#aead(crypto.aead(name, this.#kept(key)), hex(key)),
      xwingPublicKey: (seed) => crypto.xwingPublicKey(this.#kept(seed)),
      xwingDecapsulate: (ciphertext, seed) => {
        const secret = crypto.xwingDecapsulate(ciphertext, this.#kept(seed));
        return secret === undefined ? undefined : this.#kept(secret);
      },
      xwingEncapsulate: (publicKey, randomness) => {
        const made = crypto.xwingEncapsulate(publicKey, randomness);
        if (made !== undefined) this.#kept(made.secret);
        return made;
      },
    };
  }

  /** Those that nobody has erased yet. */
  get alive(): readonly Uint8Array[] {
    return [...this.secrets].filter((secret) => secret.some((byte) => byte !== 0));
  }

  #kept(secret: Uint8Array): Uint8Array {
    this.secrets.add(secret);
    this.marks.add(hex(secret.subarray(0, MARK_BYTES)));
    return secret;
  }

  #aead(aead: ReturnType<CryptoProvider["aead"]>, key: string): ReturnType<CryptoProvider["aead"]> {
    return {
      seal: (message, into) => {
        const place = `${key} ${hex(message.nonce)}`;
        assert(!this.#sealed.has(place), "a key and nonce are used twice [SEC-42]");
        this.#sealed.add(place);
        this.sealedWith.push(key);
        aead.seal(message, into);
      },
      open: (message) => {
        this.opens += 1;
        const text = aead.open(message);
        if (text !== undefined) this.openedWith.push(key);
        return text;
      },
    };
  }
}
