import type { Aead, AeadName, CryptoProvider } from "../../protocol/envelope/provider.ts";
import { assert } from "../../protocol/violation.ts";

/** A provider that sees how keys are used: no key seals two texts under one nonce. [ENV-7] */
export class WatchedCrypto {
  readonly provider: CryptoProvider;
  /** Of keys and nonces, what was sealed. */
  readonly sealed = new Map<string, string>();
  /** How often anything was sealed or opened. */
  uses = 0;

  constructor(crypto: CryptoProvider) {
    this.provider = { ...crypto, aead: (name, key) => this.#watch(crypto, name, key) };
  }

  #watch(crypto: CryptoProvider, name: AeadName, key: Uint8Array): Aead {
    const aead = crypto.aead(name, key);
    const keyText = hex(key);
    return {
      seal: (message, into) => {
        this.uses += 1;
        const place = `${keyText} ${hex(message.nonce)}`;
        const what = `${hex(message.header)} ${hex(message.text)}`;
        const before = this.sealed.get(place);
        assert(before === undefined || before === what, "a nonce is used twice [ENV-7]");
        this.sealed.set(place, what);
        aead.seal(message, into);
      },
      open: (message) => {
        this.uses += 1;
        return aead.open(message);
      },
    };
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
